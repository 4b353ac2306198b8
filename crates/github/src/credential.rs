//! What a token's text says about it, without asking GitHub. Nothing here prints or keeps the
//! token.
//!
//! Prefixes and lengths: GitHub docs, about authentication to GitHub. Tokens of 40 characters
//! are a prefix of 4, 30 random characters, and 6 of a checksum: CRC-32 (IEEE) of the 30 in
//! base 62, digits first, then capitals, then small letters. Installation tokens are changing
//! to `ghs_<app id>_<JWT>` of about 520 characters, so no length is taken for granted.

/// What kind of token a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// `ghp_`, personal access token (classic).
    ClassicPat,
    /// `github_pat_`, fine-grained personal access token.
    FineGrainedPat,
    /// `gho_`, of an OAuth app.
    OAuth,
    /// `ghu_`, of a GitHub App on behalf of a user.
    UserToServer,
    /// `ghs_`, of a GitHub App's installation.
    Installation,
    /// `ghr_`, a refresh token: no API takes it.
    Refresh,
    /// No prefix of GitHub's: an old or a foreign token.
    Unknown,
}

/// Something about a token's text that is likely to be a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenWarning {
    /// Nothing but white space.
    Empty,
    /// White space around it, such as a line end.
    Surrounded,
    /// White space or a control character inside it; a header can't carry it.
    BrokenUp,
    /// It begins with the scheme, which the webhook's header adds itself.
    WithScheme,
    /// A refresh token, which no API takes.
    Refresh,
    /// The checksum does not fit: mistyped or cut, or made up.
    Checksum,
}

/// The result of looking at a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCheck {
    /// By its prefix.
    pub kind: TokenKind,
    /// Empty if nothing is wrong.
    pub warnings: Vec<TokenWarning>,
}

const PREFIXES: [(&str, TokenKind); 6] = [
    ("ghp_", TokenKind::ClassicPat),
    ("github_pat_", TokenKind::FineGrainedPat),
    ("gho_", TokenKind::OAuth),
    ("ghu_", TokenKind::UserToServer),
    ("ghs_", TokenKind::Installation),
    ("ghr_", TokenKind::Refresh),
];

const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl TokenKind {
    /// The kind of a token, by its prefix.
    pub fn of(token: &str) -> Self {
        let found = PREFIXES.into_iter().find(|(prefix, _)| token.starts_with(prefix));
        found.map_or(Self::Unknown, |(_, kind)| kind)
    }

    /// Its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClassicPat => "classic personal access token",
            Self::FineGrainedPat => "fine-grained personal access token",
            Self::OAuth => "OAuth app token",
            Self::UserToServer => "GitHub App user token",
            Self::Installation => "GitHub App installation token",
            Self::Refresh => "refresh token",
            Self::Unknown => "unknown kind of token",
        }
    }

    /// Whether tokens of this kind end with the checksum when they have 40 characters.
    fn has_checksum(self) -> bool {
        match self {
            Self::ClassicPat | Self::OAuth | Self::UserToServer | Self::Installation => true,
            Self::FineGrainedPat | Self::Refresh | Self::Unknown => false,
        }
    }
}

impl TokenWarning {
    /// What to tell people; never holds the token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "the value is empty",
            Self::Surrounded => "the value begins or ends with white space",
            Self::BrokenUp => "the value has white space or control characters inside",
            Self::WithScheme => "the value begins with Bearer or token; leave that to the header",
            Self::Refresh => "the value is a refresh token, which cannot be used for requests",
            Self::Checksum => "the token's checksum does not fit: mistyped, cut or not genuine",
        }
    }
}

/// Looks at a token. Warnings only: GitHub alone knows whether a token works, and a sample
/// token in GitHub's own API description fails the checksum.
pub fn check_token(value: &str) -> TokenCheck {
    let trimmed = value.trim();
    let token = without_scheme(trimmed);
    let kind = TokenKind::of(token);
    let is_broken_up = token.chars().any(|c| c.is_whitespace() || c.is_control());
    let found = [
        (trimmed.is_empty(), TokenWarning::Empty),
        (!trimmed.is_empty() && trimmed.len() != value.len(), TokenWarning::Surrounded),
        (token.len() != trimmed.len(), TokenWarning::WithScheme),
        (is_broken_up, TokenWarning::BrokenUp),
        (kind == TokenKind::Refresh, TokenWarning::Refresh),
        (kind.has_checksum() && has_wrong_checksum(token), TokenWarning::Checksum),
    ];
    let warnings = found.into_iter().filter(|(is_so, _)| *is_so).map(|(_, warning)| warning);
    TokenCheck { kind, warnings: warnings.collect() }
}

fn without_scheme(value: &str) -> &str {
    match value.split_once(' ') {
        Some((scheme, token))
            if ["bearer", "token"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) =>
        {
            token.trim_start()
        }
        Some(_) | None => value,
    }
}

fn has_wrong_checksum(token: &str) -> bool {
    let bytes = token.as_bytes();
    match (bytes.len(), bytes.get(4..34), bytes.get(34..)) {
        (40, Some(random), Some(checksum)) => base_62(crc_32(random)) != checksum,
        _ => false,
    }
}

fn crc_32(bytes: &[u8]) -> u32 {
    let after_bit = |crc: u32| {
        if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
    };
    let after_byte =
        |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| after_bit(crc));
    !bytes.iter().fold(u32::MAX, after_byte)
}

/// Six digits, the most significant first.
fn base_62(mut value: u32) -> [u8; 6] {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        let index = usize::try_from(value % 62).unwrap_or_default();
        *digit = BASE_62.get(index).copied().unwrap_or(b'0');
        value /= 62;
    }
    digits
}

#[cfg(test)]
mod tests;
