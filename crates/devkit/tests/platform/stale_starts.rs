//! A start that lay in the outbox for longer than half of the engine's retention is looked at before it is delivered.

use chrono::{DateTime, TimeDelta, Utc};
use devkit::harness::{Platform, REPOSITORY};
use dispatch::engine::{Target, WorkflowState};
use domain::{
    event::{Sender, Subject, SubjectKind},
    ids::{Attempt, CommandId, RunId},
    run::{Outcome, StateLabel, Step, comment_marker},
    run_limits::{START_MAX_AGE, UNHEARD_LIMIT},
    triggers::{BusinessKey, Trigger},
    workflow_id,
};
use serde_json::json;
use store::{
    CommandKind, CommandState,
    commands::{self, About, NewCommand},
    runs::{self, NewRun, NewRunResult},
};

/// A run whose start was stored then, and not delivered since.
struct Stored {
    number: u64,
    run: RunId,
    command: CommandId,
    workflow: String,
}

/// Stores a run as ingest did then. `known`: its start was delivered, but the dispatcher died before it could note that.
async fn store_start(platform: &Platform, at: DateTime<Utc>, known: bool) -> anyhow::Result<Stored> {
    let number = platform.open_issue("no-change")?;
    let maintainer = platform.forge.user("maintainer")?;
    let mut tx = platform.store().begin().await?;
    let new = NewRun {
        repository_id: platform.repository.id,
        project_id: platform.repository.project,
        subject: Subject { kind: SubjectKind::Issue, number: i64::try_from(number)? },
        subject_title: "Names with spaces are greeted badly",
        agent: &"dev".parse()?,
        trigger: &Trigger::Label { label: "run:dev".to_owned(), at },
        business_key: &BusinessKey::by_hand(&format!("stale-{number}")),
        requested_by: &Sender { id: i64::try_from(maintainer.id)?, login: maintainer.login, is_bot: false },
        instructions: "",
        cause_chain: &[],
        machine_depth: 0,
        deadline_at: at + UNHEARD_LIMIT,
        now: at,
    };
    let NewRunResult::Started(run) = runs::insert(&mut tx, &new).await? else { anyhow::bail!("it was there before") };
    let workflow = workflow_id::agent_run(&platform.instance, run, Attempt::FIRST);
    let payload = json!({ "run": run, "attempt": 1 });
    let start = NewCommand {
        workflow_id: &workflow,
        kind: CommandKind::Start,
        about: About::Run(run, Attempt::FIRST),
        name: None,
        payload: payload.clone(),
        now: at,
    };
    let command = commands::enqueue(&mut tx, start).await?;
    if known {
        let target = Target { workflow_id: &workflow, request_id: uuid::Uuid::now_v7() };
        platform.engine().start(target, "AgentRun", &payload).await?;
    }
    tx.commit().await?;
    Ok(Stored { number, run, command, workflow })
}

async fn settled_command(platform: &Platform, id: CommandId) -> anyhow::Result<commands::Command> {
    platform
        .await_that("the command is settled", async || {
            let command = commands::get(&mut *platform.store().acquire().await?, id).await?;
            Ok((command.state != CommandState::Pending).then_some(command))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_start_is_never_delivered_blindly() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let hour = TimeDelta::hours(1);
    let old = Utc::now() - START_MAX_AGE - hour;
    let (unknown, known) = (store_start(&platform, old, false).await?, store_start(&platform, old, true).await?);
    let young = store_start(&platform, Utc::now() - START_MAX_AGE + hour, false).await?;

    // The engine knows nothing of it, or forgot it: lost, told everywhere, never started.
    let command = settled_command(&platform, unknown.command).await?;
    assert_eq!((command.state, command.tries), (CommandState::Stale, 0), "{command:?}");
    let run = platform.await_end(unknown.number).await?;
    assert_eq!((run.id, run.outcome, run.step), (unknown.run, Some(Outcome::Lost), None), "{run:?}");
    assert!(run.cause.as_deref().is_some_and(|cause| cause.contains("could not be delivered in time")), "{run:?}");
    platform.await_agreement(unknown.number).await?;
    let marker = comment_marker(run.id);
    let comments = platform.forge.comments(REPOSITORY, unknown.number)?;
    let told = |body: &str| body.contains(&marker) && body.contains("could not be delivered in time");
    assert!(comments.iter().any(|comment| told(&comment.body)), "{comments:?}");
    assert_eq!(platform.forge.labels(REPOSITORY, unknown.number)?, [StateLabel::Failed.as_str()]);
    assert_eq!(platform.engine().state(&unknown.workflow).await?, WorkflowState::Unknown);

    // The engine has it: nothing is started a second time, and the run goes its way.
    let command = settled_command(&platform, known.command).await?;
    assert_eq!((command.state, command.tries), (CommandState::Done, 0), "{command:?}");
    let run = platform.await_end(known.number).await?;
    assert_eq!((run.id, run.outcome, run.step), (known.run, Some(Outcome::NoChange), Some(Step::Collect)), "{run:?}");

    // A start that is late, but not too late.
    let command = settled_command(&platform, young.command).await?;
    assert_eq!((command.state, command.tries), (CommandState::Done, 1), "{command:?}");
    let run = platform.await_end(young.number).await?;
    assert_eq!((run.id, run.outcome), (young.run, Some(Outcome::NoChange)), "{run:?}");
    assert_eq!(platform.model.requests().len(), 4, "two agents, two calls each");
    platform.finish().await
}
