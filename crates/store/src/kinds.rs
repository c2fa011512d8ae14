//! Words of the tables that the domain has no name for.

use domain::text_enum::UnknownText;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text form, as stored.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownText;

            fn from_str(text: &str) -> Result<Self, UnknownText> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(UnknownText { kind: stringify!($name), text: text.to_owned() }),
                }
            }
        }
    )+};
}

words! {
    /// What an upload will be. Of each kind an attempt has one at a time.
    UploadKind {
        /// The commits that the agent made.
        Result = "result",
        /// The agent's work so far.
        Checkpoint = "checkpoint",
        /// What set-up left behind.
        SetupCache = "setup_cache",
    }

    /// What is asked of the model API.
    ModelCallKind {
        /// An answer.
        Responses = "responses",
        /// Vectors.
        Embeddings = "embeddings",
    }

    /// What the engine is told.
    CommandKind {
        /// Begin the workflow.
        Start = "start",
        /// Tell it something.
        Signal = "signal",
        /// End it.
        Cancel = "cancel",
    }

    /// Where a command is.
    CommandState {
        /// Not delivered yet.
        Pending = "pending",
        /// The engine has it.
        Done = "done",
        /// Never delivered, because what came later made it needless.
        Dropped = "dropped",
        /// The engine will never take it.
        Failed = "failed",
        /// Too old to be delivered blindly.
        Stale = "stale",
    }

    /// Where the Job of an attempt is.
    JobState {
        /// Never launched.
        None = "none",
        /// About to be.
        Launching = "launching",
        /// At work.
        Running = "running",
        /// Over.
        Ended = "ended",
    }

    /// Where a step is.
    StepState {
        /// Begun.
        Running = "running",
        /// Ended well.
        Done = "done",
        /// Ended for good, and not well.
        Failed = "failed",
        /// Not needed.
        Skipped = "skipped",
    }
}
