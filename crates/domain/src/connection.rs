//! Connecting a repository: the words for credentials, and for where a connection is.

use crate::text_enum::text_enum;

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
    /// What a connection is for.
    ConnectionPurpose {
        /// To connect the repository.
        Connect = "connect",
        /// To look only at what the credential may do there.
        Check = "check",
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
    /// The steps of connecting a repository.
    ConnectionStep {
        /// What may the credential do?
        Rights = "rights",
        /// What is the repository?
        Repository = "repository",
        /// Make the webhook.
        Hook = "hook",
        /// Read `services.yaml`.
        Settings = "settings",
    }
}

impl ConnectionStep {
    /// What is being done, for people.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Rights => "checking the rights of the credential",
            Self::Repository => "reading what the repository is",
            Self::Hook => "making the webhook",
            Self::Settings => "reading services.yaml",
        }
    }
}
