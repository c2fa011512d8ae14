//! Keep the engine's history beyond its retention: as canonical JSON, in the object store.

use domain::workflow_id;
use futures::StreamExt;
use store::{
    blobs::BlobKey,
    histories::{self, History},
};
use temporalio_client::WorkflowFetchHistoryOptions;
use workflows::{AgentRun, messages::RunRef};

use crate::{failure::StepError, platform::Platform};

/// Copies the engine's history of an attempt to the blob store.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<(), StepError> {
    let workflow_id = workflow_id::agent_run(platform.dispatcher.instance(), at.run, at.attempt);
    let client = platform.dispatcher.engine().client().await.map_err(StepError::passing)?;
    let handle = client.get_workflow_handle::<AgentRun>(workflow_id);
    let mut events = handle.fetch_history(WorkflowFetchHistoryOptions::builder().build());
    let mut lines = Vec::new();
    let mut count = 0;
    while let Some(event) = events.next().await {
        let event = event.map_err(StepError::passing)?;
        serde_json::to_writer(&mut lines, &event).map_err(StepError::passing)?;
        lines.push(b'\n');
        count += 1;
    }
    let key = BlobKey::history(at.run, at.attempt);
    platform.blobs.put(&key, lines.into()).await?;
    let mut tx = platform.store.begin().await?;
    let history = History { blob: key.as_str().to_owned(), events: count, archived_at: platform.now() };
    histories::record(&mut tx, at.run, at.attempt, &history).await?;
    tx.commit().await.map_err(store::StoreError::from)?;
    Ok(())
}
