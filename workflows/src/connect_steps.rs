//! The activities of connecting a repository, declared. Names lie in histories: never change one.
#![expect(missing_docs, reason = "the macros of the SDK generate items without documentation")]

use temporalio_common::ActivityError;
use temporalio_macros::activity_definitions;

use crate::messages::{ConnectionEnd, ConnectionRef, RightsVerdict};

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

    /// Store how it ended.
    #[activity(name = "end_connecting")]
    pub fn end_connecting(_: ConnectionEnd) -> Result<(), ActivityError> {
        unimplemented!()
    }
}

/// The markers that implementations name.
pub mod defs {
    pub use super::connect_steps::{AdoptRepository, CheckRights, EndConnecting, MakeHook, ReadSettings};
}
