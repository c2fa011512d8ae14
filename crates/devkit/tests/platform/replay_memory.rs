//! What is left of a workflow once it has ended and the worker has let it go: nothing. A worker that keeps runs grows until it is killed.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use serde_json::{Value, json};
use temporalio_client::WorkflowHistory;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    workflow_interceptors::{WorkflowInterceptor, WorkflowInterceptorConstructor},
    workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions},
};
use temporalio_workflow::{WorkflowContext, WorkflowResult};
use workflows::AgentRun;

use super::replay::{folder, histories};

/// One belongs to each workflow in memory, and goes with it.
struct Part {
    _of: Arc<()>,
}

impl WorkflowInterceptor for Part {}

/// Replays a history; how many workflows were in memory meanwhile, and how many are left there.
async fn replayed(mut options: WorkflowReplayerOptions, history: WorkflowHistory) -> anyhow::Result<(usize, usize)> {
    let (whole, made) = (Arc::new(()), Arc::new(AtomicUsize::new(0)));
    let (of, counted) = (Arc::clone(&whole), Arc::clone(&made));
    options.workflow_interceptor(WorkflowInterceptorConstructor::new(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Part { _of: Arc::clone(&of) }
    }));
    let replayer = WorkflowReplayer::new(options)?;
    replayer.replay_workflow(history).await?;
    drop(replayer);
    Ok((made.load(Ordering::Relaxed), Arc::strong_count(&whole) - 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_has_ended_is_not_kept_in_memory() -> anyhow::Result<()> {
    for (name, json) in histories()? {
        let options = WorkflowReplayerOptions::new().register_workflow::<AgentRun>()?.build();
        let (made, left) = replayed(options, WorkflowHistory::from_json(&json)?).await?;
        assert!(made > 0 && left == 0, "{name}: {left} of {made} are left");
    }
    Ok(())
}

/// Drops a timer that is cancelled by the workflow's own token, as a timer is unless it is told of another one.
#[workflow]
#[derive(Default)]
struct DropsATimer;

#[workflow_methods]
impl DropsATimer {
    #[run(name = "DropsATimer")]
    async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        drop(ctx.timer(Duration::from_secs(60)));
        Ok(())
    }
}

/// Its history: begun as any other, a timer, the end.
fn of_a_dropped_timer() -> anyhow::Result<WorkflowHistory> {
    let mut history: Value = serde_json::from_slice(&fs::read(folder().join("agent-run-refused.json"))?)?;
    let events = history["events"].as_array_mut().context("a history has events")?;
    events.truncate(4);
    let begun = &mut events[0]["attributes"]["WorkflowExecutionStartedEventAttributes"];
    begun["workflow_type"]["name"] = "DropsATimer".into();
    begun["input"] = Value::Null;
    let timer =
        json!({"timer_id": "1", "start_to_fire_timeout": "60.000000000s", "workflow_task_completed_event_id": 4});
    let end = json!({"result": null, "workflow_task_completed_event_id": 4, "new_execution_run_id": ""});
    let more = [
        (17, json!({"TimerStartedEventAttributes": timer})),
        (2, json!({"WorkflowExecutionCompletedEventAttributes": end})),
    ];
    for (kind, attributes) in more {
        let mut event = events[3].clone();
        event["event_id"] = (events.len() + 1).into();
        event["event_type"] = kind.into();
        event["attributes"] = attributes;
        events.push(event);
    }
    Ok(WorkflowHistory::from_json(history.to_string().as_bytes())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_keeps_a_workflow_that_drops_a_timer_of_its_own_token() -> anyhow::Result<()> {
    let options = WorkflowReplayerOptions::new().register_workflow::<DropsATimer>()?.build();
    let counts = replayed(options, of_a_dropped_timer()?).await?;
    assert_eq!(counts, (1, 1), "if none is left, the SDK was mended, and half of what workflows/src/timer.rs is for");
    Ok(())
}
