//! Which workflows were closed of late, asked for all at once.

use chrono::{DateTime, SecondsFormat, Utc};
use temporalio_common::protos::temporal::api::workflowservice::v1::ListWorkflowExecutionsRequest;

use crate::engine::{Engine, EngineError, classify, limited, single};

/// Most workflows read in one page.
const PAGE: i32 = 1_000;

impl Engine {
    /// The ids of this installation's workflows of a type that were closed since then, whatever they ended with. The engine's list is a
    /// moment behind, and may lack one for good: it is a hint where to look, and no proof that the others are open.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn closed_since(&self, workflow_type: &str, since: DateTime<Utc>) -> Result<Vec<String>, EngineError> {
        let queue = self.settings().instance.task_queue();
        let since = since.to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut request = ListWorkflowExecutionsRequest {
            namespace: self.settings().namespace.clone(),
            page_size: PAGE,
            query: format!("WorkflowType = '{workflow_type}' and TaskQueue = '{queue}' and CloseTime >= '{since}'"),
            ..Default::default()
        };
        let client = self.client().await?;
        let mut service = client.connection().workflow_service();
        let mut ids = Vec::new();
        loop {
            let answer = limited(service.list_workflow_executions(single(request.clone()))).await;
            let page = answer.map_err(|status| classify(&status))?.into_inner();
            ids.extend(page.executions.into_iter().filter_map(|info| info.execution).map(|of| of.workflow_id));
            if page.next_page_token.is_empty() {
                return Ok(ids);
            }
            request.next_page_token = page.next_page_token;
        }
    }
}
