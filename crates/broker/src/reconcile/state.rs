//! What becomes of a debt here.

/// Deliveries of one pair that are compared one by one before it is left to a person.
pub(super) const MAX_COMPARED: usize = 200;

/// What became of something owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// A delivery here is about it.
    Delivered,
    /// No delivery here is about it.
    Lost,
    /// The same, and no broker would have told of it.
    Later,
    /// The contract is gone at the broker.
    Gone,
    /// Too many deliveries of the pair to tell.
    Unclear,
    /// An event was accepted for it; so many deliveries came of it.
    Dispatched(usize),
    /// The intake did not take the event.
    Refused(String),
}

impl State {
    /// Its name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delivered => "delivery_exists",
            Self::Lost => "lost",
            Self::Later => "later",
            Self::Gone => "gone",
            Self::Unclear => "unclear",
            Self::Dispatched(0) => "no_webhook",
            Self::Dispatched(_) => "dispatched",
            Self::Refused(_) => "refused",
        }
    }

    /// Whether somebody has been, or will be, told of it, or nobody need be.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Delivered | Self::Later | Self::Gone => true,
            Self::Dispatched(deliveries) => *deliveries > 0,
            Self::Lost | Self::Unclear | Self::Refused(_) => false,
        }
    }

    /// What it means for a person.
    pub fn detail(&self) -> String {
        match self {
            Self::Delivered => "see `postrider deliveries list`".to_owned(),
            Self::Lost => "no delivery here is about it".to_owned(),
            Self::Later => {
                "no broker tells of what came after the contract: --later dispatches it".to_owned()
            }
            Self::Gone => "the contract is gone at the broker".to_owned(),
            Self::Unclear => {
                format!(
                    "the pair has more than {MAX_COMPARED} deliveries since: use a later --since"
                )
            }
            Self::Dispatched(0) => "no webhook wants the event".to_owned(),
            Self::Dispatched(count) => format!("{count} accepted for delivery"),
            Self::Refused(why) => why.clone(),
        }
    }
}
