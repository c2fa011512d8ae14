//! Connecting a repository, and what is done to its connection later: the words for credentials, and for where it stands.

use crate::{sentences, text_enum::text_enum};

text_enum! {
    /// What kind of credential the sealed bytes hold.
    CredentialKind {
        /// A token that is used as it is, such as a fine-grained personal access token.
        Token = "token",
        /// A GitHub App, for which tokens are minted on demand.
        App = "app",
    }
}

text_enum! {
    /// What is to be done to the connection of a repository.
    ConnectionPurpose {
        /// To connect the repository.
        Connect = "connect",
        /// To look only at what the credential may do there.
        Check = "check",
        /// To give its webhook a new secret.
        Rotate = "rotate",
        /// To detach it: its webhook and its credential go.
        Detach = "detach",
    }
}

/// What inputs of workflows mean that do not name one.
impl Default for ConnectionPurpose {
    fn default() -> Self {
        Self::Connect
    }
}

text_enum! {
    /// Where a connection is.
    ConnectionState {
        /// Nobody has taken it up yet.
        Waiting = "waiting",
        /// At work.
        Working = "working",
        /// Ended well.
        Done = "done",
        /// Ended otherwise; the message says why.
        Failed = "failed",
    }
}

text_enum! {
    /// The steps of connecting a repository, of giving its webhook a new secret, and of detaching it.
    ConnectionStep {
        /// What may the credential do?
        Rights = "rights",
        /// What is the repository?
        Repository = "repository",
        /// Make the webhook.
        Hook = "hook",
        /// Read `services.yaml`.
        Settings = "settings",
        /// Give the webhook its new secret.
        Secret = "secret",
        /// Take its schedules back.
        Schedules = "schedules",
        /// Take the webhook away.
        Unhook = "unhook",
        /// Wait for the end of its runs.
        Runs = "runs",
        /// Withdraw the credential.
        Withdraw = "withdraw",
    }
}

impl ConnectionStep {
    /// What is being done, for people.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Rights => sentences::connection_rights(),
            Self::Repository => sentences::connection_repository(),
            Self::Hook => sentences::connection_hook(),
            Self::Settings => sentences::connection_settings(),
            Self::Secret => sentences::connection_secret(),
            Self::Schedules => sentences::connection_schedules(),
            Self::Unhook => sentences::connection_unhook(),
            Self::Runs => sentences::connection_runs(),
            Self::Withdraw => sentences::connection_withdraw(),
        }
    }
}
