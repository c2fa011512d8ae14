//! Who ended a workflow by force, and why, as the engine has written it down.

use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    enums::v1::HistoryEventFilterType,
    history::v1::{HistoryEvent, WorkflowExecutionTerminatedEventAttributes, history_event::Attributes},
    workflowservice::v1::GetWorkflowExecutionHistoryRequest,
};

use crate::engine::{Engine, EngineError, classify, is_missing, limited, single};

/// The roles that end workflows themselves.
const ROLES: [&str; 2] = ["gateway", "worker"];

/// How a workflow was ended by force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Termination {
    /// Who: a person's login if they went through the gateway, else what their program calls itself. None if it was a role of this
    /// installation, whose reason says in whose name.
    pub by: Option<String>,
    /// Why; may be empty.
    pub reason: String,
}

impl Engine {
    /// How a workflow was ended by force; none if it was not, or the engine has forgotten it.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn termination(&self, workflow_id: &str) -> Result<Option<Termination>, EngineError> {
        let request = GetWorkflowExecutionHistoryRequest {
            namespace: self.settings().namespace.clone(),
            execution: Some(WorkflowExecution { workflow_id: workflow_id.to_owned(), run_id: String::new() }),
            maximum_page_size: 1,
            history_event_filter_type: HistoryEventFilterType::CloseEvent.into(),
            ..Default::default()
        };
        let client = self.client().await?;
        let mut service = client.connection().workflow_service();
        let page = match limited(service.get_workflow_execution_history(single(request))).await {
            Ok(page) => page.into_inner(),
            Err(status) if is_missing(&status) => return Ok(None),
            Err(status) => return Err(classify(&status)),
        };
        let ended = page.history.and_then(|history| history.events.into_iter().next_back());
        Ok(ended.and_then(|event| self.read(event)))
    }

    fn read(&self, event: HistoryEvent) -> Option<Termination> {
        let Some(Attributes::WorkflowExecutionTerminatedEventAttributes(attributes)) = event.attributes else {
            return None;
        };
        let WorkflowExecutionTerminatedEventAttributes { reason, identity, .. } = attributes;
        let ours = ROLES.iter().any(|role| identity == format!("{}-{role}", self.settings().instance));
        Some(Termination { by: Some(identity).filter(|identity| !ours && !identity.is_empty()), reason })
    }
}
