//! The activities of connecting a repository, of renewing its secret and of detaching it, declared. Names lie in histories: never change one.
#![expect(missing_docs, reason = "the macros of the SDK generate items without documentation")]

use temporalio_common::ActivityError;
use temporalio_macros::activity_definitions;

use crate::messages::{ConnectionEnd, ConnectionRef, RightsVerdict, RunsLeft};

/// Declares the side effects of [`crate::ConnectRepository`]. Every one is idempotent and may run twice.
pub struct ConnectSteps;

#[activity_definitions]
impl ConnectSteps {
    /// What may the credential do in the repository?
    #[activity(name = "check_rights")]
    pub fn check_rights(_: ConnectionRef) -> Result<RightsVerdict, ActivityError> {
        unimplemented!()
    }

    /// Store what the repository is, and with which credential it is worked on.
    #[activity(name = "adopt_repository")]
    pub fn adopt_repository(_: ConnectionRef) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Make the webhook, or find it.
    #[activity(name = "make_hook")]
    pub fn make_hook(_: ConnectionRef) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Read `services.yaml` for the first time.
    #[activity(name = "read_settings")]
    pub fn read_settings(_: ConnectionRef) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Give the webhook its new secret, and let the old one go.
    #[activity(name = "renew_secret")]
    pub fn renew_secret(_: ConnectionRef) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Take the schedules of the repository back from the engine.
    #[activity(name = "drop_schedules")]
    pub fn drop_schedules(_: ConnectionRef) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Take the webhooks away from the forge.
    #[activity(name = "remove_hooks")]
    pub fn remove_hooks(_: ConnectionRef) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Ask the runs to end, where that is wanted; count those that have not ended.
    #[activity(name = "count_runs")]
    pub fn count_runs(_: ConnectionRef) -> Result<RunsLeft, ActivityError> {
        unimplemented!()
    }

    /// Take the credential from the repository, and withdraw it if nothing else uses it.
    #[activity(name = "withdraw_credential")]
    pub fn withdraw_credential(_: ConnectionRef) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Store how it ended.
    #[activity(name = "end_connecting")]
    pub fn end_connecting(_: ConnectionEnd) -> Result<(), ActivityError> {
        unimplemented!()
    }
}

/// The markers that implementations name.
pub mod defs {
    pub use super::connect_steps::{
        AdoptRepository, CheckRights, CountRuns, DropSchedules, EndConnecting, MakeHook, ReadSettings, RemoveHooks,
        RenewSecret, WithdrawCredential,
    };
}
