//! The helpers of the egress proxy, called with the same words as those of the production binary: `GATEWAY_URL` is what `admit` asks.

use super::RoleError;

pub(super) async fn run(words: &[String]) -> Result<(), RoleError> {
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sign-in"] => egress::sign_in().await.map_err(|error| RoleError::Failed(error.into())),
        ["admit"] => {
            let settings = egress::AdmitSettings::from_env().map_err(|errors| RoleError::Failed(errors.into()))?;
            egress::admit(settings).await.map_err(|error| RoleError::Failed(error.into()))
        }
        _ => Err(RoleError::Failed(anyhow::anyhow!("the proxy's helpers are `sign-in` and `admit`"))),
    }
}
