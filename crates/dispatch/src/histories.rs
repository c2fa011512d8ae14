//! The engine's history of a workflow, event by event.

use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, workflowservice::v1::GetWorkflowExecutionHistoryRequest,
};

use crate::engine::{Engine, EngineError, classify, is_missing, limited, single};

/// Events of one page of Temporal's.
const PAGE: i32 = 1_000;

/// A workflow of ours has a few hundred; beyond this nobody reads on.
const MOST: usize = 50_000;

impl Engine {
    /// What the engine has written down about a workflow, each event as JSON; none if it knows none of this name, or has
    /// forgotten it.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn history(&self, workflow_id: &str) -> Result<Option<Vec<serde_json::Value>>, EngineError> {
        let client = self.client().await?;
        let mut service = client.connection().workflow_service();
        let mut events = Vec::new();
        let mut next = Vec::new();
        loop {
            let request = GetWorkflowExecutionHistoryRequest {
                namespace: self.settings().namespace.clone(),
                execution: Some(WorkflowExecution { workflow_id: workflow_id.to_owned(), run_id: String::new() }),
                maximum_page_size: PAGE,
                next_page_token: next,
                ..Default::default()
            };
            let page = match limited(service.get_workflow_execution_history(single(request))).await {
                Ok(page) => page.into_inner(),
                Err(status) if is_missing(&status) => return Ok(None),
                Err(status) => return Err(classify(&status)),
            };
            for event in page.history.into_iter().flat_map(|history| history.events) {
                events.push(serde_json::to_value(&event).map_err(|error| EngineError::Refused(error.to_string()))?);
            }
            if page.next_page_token.is_empty() || events.len() >= MOST {
                return Ok(Some(events));
            }
            next = page.next_page_token;
        }
    }
}
