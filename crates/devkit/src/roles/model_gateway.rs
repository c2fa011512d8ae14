//! The model gateway, just as in production: [`gateway::model_gateway::ModelGatewaySettings`] reads its variables.

use gateway::model_gateway::{self, ModelGatewaySettings};

use super::surroundings::RoleError;

pub(super) async fn run() -> Result<(), RoleError> {
    let settings = ModelGatewaySettings::from_env().map_err(|errors| RoleError::Failed(errors.into()))?;
    model_gateway::serve(settings, role::shutdown::asked_to_stop()).await.map_err(RoleError::Failed)
}
