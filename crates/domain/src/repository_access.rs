//! What a credential may do with a repository, as a read of it tells.

use serde::{Deserialize, Serialize};

use crate::credential::ProbeVerdict;

/// What `GET /repos/{owner}/{repo}` says of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepositoryAccess {
    /// It sees the repository, and may write to it as far as GitHub says.
    Writable,
    /// It sees the repository but may not write, without which no dispatch is taken.
    ReadOnly,
    /// There is no such repository, or it does not see it.
    NotVisible,
    /// The repository has moved: the webhook names its old place.
    Moved,
    /// Nothing can be dispatched to it: it is archived or disabled.
    Archived,
    /// The credential is refused.
    Refused,
    /// It is known, but kept out here: by its organization, or for want of a permission.
    Forbidden,
    /// A limit was met.
    Limited,
    /// Nothing was learnt.
    Unknown,
}

impl RepositoryAccess {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Writable,
        Self::ReadOnly,
        Self::NotVisible,
        Self::Moved,
        Self::Archived,
        Self::Refused,
        Self::Forbidden,
        Self::Limited,
        Self::Unknown,
    ];

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Writable => "writable",
            Self::ReadOnly => "read_only",
            Self::NotVisible => "not_visible",
            Self::Moved => "moved",
            Self::Archived => "archived",
            Self::Refused => "refused",
            Self::Forbidden => "forbidden",
            Self::Limited => "limited",
            Self::Unknown => "unknown",
        }
    }

    /// What it says of the credential.
    pub fn verdict(self) -> ProbeVerdict {
        match self {
            // A dispatch to a repository that has moved is followed.
            Self::Writable | Self::Moved => ProbeVerdict::Ok,
            Self::ReadOnly | Self::NotVisible | Self::Archived | Self::Forbidden => {
                ProbeVerdict::Insufficient
            }
            Self::Refused => ProbeVerdict::Refused,
            Self::Limited => ProbeVerdict::Limited,
            Self::Unknown => ProbeVerdict::Unknown,
        }
    }
}

/// What all repositories together say of a credential: the worst counts.
pub fn probe_verdict(found: impl IntoIterator<Item = RepositoryAccess>) -> ProbeVerdict {
    let rank = |verdict: &ProbeVerdict| match verdict {
        ProbeVerdict::Nothing => 0,
        ProbeVerdict::Ok => 1,
        ProbeVerdict::Unknown => 2,
        ProbeVerdict::Limited => 3,
        ProbeVerdict::Insufficient => 4,
        ProbeVerdict::Refused => 5,
    };
    found
        .into_iter()
        .map(RepositoryAccess::verdict)
        .max_by_key(rank)
        .unwrap_or(ProbeVerdict::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_counts() {
        assert_eq!(probe_verdict([]), ProbeVerdict::Nothing);
        let ok = [RepositoryAccess::Writable, RepositoryAccess::Moved];
        assert_eq!(probe_verdict(ok), ProbeVerdict::Ok);
        let one =
            [RepositoryAccess::Writable, RepositoryAccess::NotVisible, RepositoryAccess::Unknown];
        assert_eq!(probe_verdict(one), ProbeVerdict::Insufficient);
        assert_eq!(probe_verdict(RepositoryAccess::ALL), ProbeVerdict::Refused);
    }
}
