//! The gateway, just as in production: [`gateway::GatewaySettings`] reads its variables.

use super::surroundings::RoleError;

pub(super) async fn run() -> Result<(), RoleError> {
    let settings = gateway::GatewaySettings::from_env().map_err(|errors| RoleError::Failed(errors.into()))?;
    gateway::serve(settings, role::shutdown::asked_to_stop()).await.map_err(RoleError::Failed)
}
