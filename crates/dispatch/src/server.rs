//! What the engine says of itself.

use temporalio_common::protos::temporal::api::workflowservice::v1::{DescribeNamespaceRequest, GetSystemInfoRequest};

use crate::engine::{Engine, EngineError, classify, limited, single};

impl Engine {
    /// Version of the engine's server, which was seen to have our namespace.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn server_version(&self) -> Result<String, EngineError> {
        let client = self.client().await?;
        let mut service = client.connection().workflow_service();
        let told = limited(service.get_system_info(single(GetSystemInfoRequest::default()))).await;
        let version = told.map_err(|status| classify(&status))?.into_inner().server_version;
        let ours = DescribeNamespaceRequest { namespace: self.settings().namespace.clone(), ..Default::default() };
        limited(service.describe_namespace(single(ours))).await.map_err(|status| classify(&status))?;
        Ok(version)
    }
}
