//! A run as the engine has it.

use devkit::harness::Platform;
use domain::workflow_id;
use store::runs::Run;
use temporalio_client::{Client, WorkflowFetchHistoryOptions, WorkflowHandle, tonic::Request};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, workflowservice::v1::DeleteWorkflowExecutionRequest,
};
use workflows::AgentRun;

pub(super) async fn workflow(platform: &Platform, run: &Run) -> anyhow::Result<WorkflowHandle<Client, AgentRun>> {
    let client = platform.engine().client().await?;
    Ok(client.get_workflow_handle(workflow_id::agent_run(&platform.instance, run.id, run.attempt)))
}

/// What happened so far, as JSON.
pub(super) async fn history(platform: &Platform, run: &Run) -> anyhow::Result<Vec<u8>> {
    let all = WorkflowFetchHistoryOptions::builder().build();
    Ok(workflow(platform, run).await?.fetch_history(all).to_json().await?)
}

/// Whether a worker is at this activity of the run.
pub(super) async fn is_at(platform: &Platform, run: &Run, activity: &str) -> anyhow::Result<bool> {
    let told = workflow(platform, run).await?.describe(Default::default()).await?;
    Ok(told.raw_description.pending_activities.iter().any(|pending| {
        pending.activity_type.as_ref().is_some_and(|of| of.name == activity) && pending.last_started_time.is_some()
    }))
}

/// Has the engine forget a workflow, as it does by itself when its retention ends.
pub(super) async fn forget(platform: &Platform, workflow_id: &str) -> anyhow::Result<()> {
    let client = platform.engine().client().await?;
    let request = DeleteWorkflowExecutionRequest {
        namespace: "default".into(),
        workflow_execution: Some(WorkflowExecution { workflow_id: workflow_id.into(), run_id: String::new() }),
    };
    client.connection().workflow_service().delete_workflow_execution(Request::new(request)).await?;
    platform
        .await_that("the engine has forgotten the workflow", async || {
            Ok(platform.engine().history(workflow_id).await?.is_none().then_some(()))
        })
        .await
}
