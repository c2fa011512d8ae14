//! What comes of delivering a command, in words for a label.

/// What came of a try to deliver a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DispatchResult {
    /// Temporal has it.
    Done,
    /// The workflow has ended or never was.
    NoWorkflow,
    /// Temporal said no.
    Refused,
    /// There was no connection.
    NotConnected,
    /// No answer, or one that may be another next time.
    Unavailable,
    /// Too old to be delivered blindly.
    Stale,
}

impl DispatchResult {
    pub(crate) const ALL: [Self; 6] =
        [Self::Done, Self::NoWorkflow, Self::Refused, Self::NotConnected, Self::Unavailable, Self::Stale];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NoWorkflow => "no_workflow",
            Self::Refused => "refused",
            Self::NotConnected => "not_connected",
            Self::Unavailable => "unavailable",
            Self::Stale => "stale",
        }
    }
}
