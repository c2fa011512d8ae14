//! The outbox: what one owner can do, and what becomes of starts that are not delivered.

use std::time::Duration;

use domain::ids::{Attempt, CommandId, RunId};
use serde_json::json;
use store::{
    CommandKind, CommandState, PgConnection,
    commands::{self, About, Command, FailedTry, Holder, NewCommand},
};
use uuid::Uuid;

use crate::world::{World, at};

const WORKFLOW: &str = "test:agent-run:x:1";
const SPAN: Duration = Duration::from_secs(30);

async fn enqueue(conn: &mut PgConnection, run: RunId, kind: CommandKind) -> CommandId {
    let name = (kind == CommandKind::Signal).then_some("slot_granted");
    let new = NewCommand {
        workflow_id: WORKFLOW,
        kind,
        about: About::Run(run, Attempt::FIRST),
        name,
        payload: json!({ "n": 1 }),
        now: at(0),
    };
    commands::enqueue(conn, new).await.unwrap()
}

async fn pending(conn: &mut PgConnection) -> Vec<Command> {
    commands::pending(conn, WORKFLOW, 100).await.unwrap()
}

async fn state(conn: &mut PgConnection, id: CommandId) -> CommandState {
    commands::get(conn, id).await.unwrap().state
}

/// A try fails with these words, in doubt or not; the next one may be made then.
async fn fail(conn: &mut PgConnection, id: CommandId, (error, in_doubt): (&str, bool), next_try: i64) {
    commands::mark_failed_try(conn, id, FailedTry { error, in_doubt, next_try_at: at(next_try) }).await.unwrap();
}

#[tokio::test]
async fn commands_wait_in_order_until_they_are_done() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    let start = enqueue(&mut conn, run, CommandKind::Start).await;
    let signal = enqueue(&mut conn, run, CommandKind::Signal).await;
    let waiting = pending(&mut conn).await;
    assert_eq!(waiting.iter().map(|command| (command.id, command.seq)).collect::<Vec<_>>(), [(start, 1), (signal, 2)]);
    assert_eq!(waiting[0].request_id, start.as_uuid());
    assert_eq!((waiting[1].name.as_deref(), &waiting[1].payload), (Some("slot_granted"), &json!({ "n": 1 })));
    commands::mark_done(&mut conn, start).await.unwrap();
    commands::mark_done(&mut conn, start).await.unwrap();
    assert_eq!(pending(&mut conn).await[0].id, signal);
    commands::mark_failed(&mut conn, signal, "the workflow has ended").await.unwrap();
    assert!(pending(&mut conn).await.is_empty());
    let all = commands::list_for_run(&mut conn, run).await.unwrap();
    assert_eq!(all.iter().map(|command| command.state).collect::<Vec<_>>(), [CommandState::Done, CommandState::Failed]);
}

#[tokio::test]
async fn a_lease_is_for_one_owner_until_it_runs_out() {
    let world = World::new().await;
    let run = world.run(1).await;
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    let mut conn = world.conn().await;
    assert!(!commands::lease(&mut conn, WORKFLOW, a, at(0), SPAN).await.unwrap(), "there is no such queue");
    let command = enqueue(&mut conn, run, CommandKind::Start).await;
    assert!(commands::lease(&mut conn, WORKFLOW, a, at(0), SPAN).await.unwrap());
    assert!(!commands::lease(&mut conn, WORKFLOW, b, at(29), SPAN).await.unwrap());
    assert!(commands::lease(&mut conn, WORKFLOW, a, at(29), SPAN).await.unwrap(), "the owner renews it");
    assert!(!commands::lease(&mut conn, WORKFLOW, b, at(31), SPAN).await.unwrap());
    assert!(commands::lease(&mut conn, WORKFLOW, b, at(59), SPAN).await.unwrap(), "it ran out");
    // Who lost it can neither deliver nor give back what is another's.
    assert!(!commands::begin_try(&mut conn, command, a, at(60)).await.unwrap());
    assert!(commands::release(&mut conn, WORKFLOW, a).await.unwrap());
    assert!(!commands::lease(&mut conn, WORKFLOW, a, at(60), SPAN).await.unwrap());
    assert!(commands::begin_try(&mut conn, command, b, at(60)).await.unwrap());
    assert!(!commands::begin_try(&mut conn, command, b, at(89)).await.unwrap(), "it ran out unnoticed");
    commands::mark_done(&mut conn, command).await.unwrap();
    assert!(!commands::release(&mut conn, WORKFLOW, b).await.unwrap(), "nothing is left");
    assert!(commands::lease(&mut conn, WORKFLOW, a, at(61), SPAN).await.unwrap());
}

#[tokio::test]
async fn a_lone_command_is_begun_and_ended_with_its_lease() {
    let world = World::new().await;
    let run = world.run(1).await;
    let (owner, other) = (Uuid::new_v4(), Uuid::new_v4());
    let mut conn = world.conn().await;
    let begin = async |owner: Uuid, seconds: i64, since: i64| {
        let holder = Holder { workflow_id: WORKFLOW, owner };
        commands::begin_lone_try(&mut *world.conn().await, holder, at(seconds), SPAN, at(since)).await.unwrap()
    };
    assert_eq!(begin(owner, 0, 0).await, None, "there is no such queue");
    let start = enqueue(&mut conn, run, CommandKind::Start).await;
    let waiting = pending(&mut conn).await.remove(0);
    assert_eq!(begin(owner, 0, 1).await, None, "so old a start is looked at first");
    let begun = begin(owner, 0, 0).await.unwrap();
    assert_eq!((begun.tries, &begun), (0, &waiting));
    assert_eq!(pending(&mut conn).await[0].tries, 1);
    assert_eq!(begin(other, 29, 0).await, None, "somebody has it");
    let signal = enqueue(&mut conn, run, CommandKind::Signal).await;
    assert!(commands::done_and_release(&mut conn, &begun, owner).await.unwrap(), "something came meanwhile");
    assert_eq!(state(&mut conn, start).await, CommandState::Done);

    let begun = begin(other, 2, 0).await.unwrap();
    assert_eq!(begun.id, signal, "the lease was given back");
    fail(&mut conn, signal, ("no answer", true), 9).await;
    assert_eq!(begin(other, 8, 0).await, None, "it is not due");
    assert_eq!(begin(other, 9, 0).await.map(|command| command.tries), Some(1));
    enqueue(&mut conn, run, CommandKind::Signal).await;
    enqueue(&mut conn, run, CommandKind::Signal).await;
    assert_eq!(begin(other, 9, 0).await, None, "it is not alone");
    assert!(!commands::done_and_release(&mut conn, &begun, owner).await.unwrap(), "it is another's now");
    assert_eq!(state(&mut conn, signal).await, CommandState::Done, "the engine has it all the same");
    let last = pending(&mut conn).await;
    commands::mark_done(&mut conn, last[0].id).await.unwrap();
    assert!(!commands::done_and_release(&mut conn, &last[1], other).await.unwrap(), "nothing is left");
    assert!(commands::lease(&mut conn, WORKFLOW, owner, at(10), SPAN).await.unwrap());
}

#[tokio::test]
async fn the_sweeper_finds_what_is_due_and_held_by_nobody() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    let start = enqueue(&mut conn, run, CommandKind::Start).await;
    enqueue(&mut conn, run, CommandKind::Signal).await;
    let found = async |older_than, now| {
        commands::workflows_with_pending(&mut *world.conn().await, at(older_than), at(now), 10).await.unwrap()
    };
    assert_eq!(found(5, 5).await, [WORKFLOW]);
    assert!(found(-1, 5).await.is_empty(), "too fresh");
    let owner = Uuid::new_v4();
    assert!(commands::lease(&mut conn, WORKFLOW, owner, at(0), SPAN).await.unwrap());
    assert!(found(5, 5).await.is_empty(), "somebody is at it");
    assert_eq!(found(5, 30).await, [WORKFLOW], "somebody was");
    commands::release(&mut conn, WORKFLOW, owner).await.unwrap();
    fail(&mut conn, start, ("no answer", true), 60).await;
    assert!(found(5, 59).await.is_empty(), "the signal behind it is due, but must not overtake it");
    assert_eq!(found(5, 60).await, [WORKFLOW]);
}

#[tokio::test]
async fn a_start_that_never_left_is_dropped_with_all_behind_it() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    assert!(!commands::drop_pending_start(&mut conn, WORKFLOW).await.unwrap());
    let start = enqueue(&mut conn, run, CommandKind::Start).await;
    let cancel = enqueue(&mut conn, run, CommandKind::Cancel).await;
    assert!(commands::drop_pending_start(&mut conn, WORKFLOW).await.unwrap());
    assert_eq!(state(&mut conn, start).await, CommandState::Dropped);
    assert_eq!(state(&mut conn, cancel).await, CommandState::Dropped);
    assert!(!commands::drop_pending_start(&mut conn, WORKFLOW).await.unwrap());
}

#[tokio::test]
async fn a_start_that_may_have_left_is_never_dropped() {
    let world = World::new().await;
    let run = world.run(1).await;
    let owner = Uuid::new_v4();
    let mut conn = world.conn().await;
    let start = enqueue(&mut conn, run, CommandKind::Start).await;
    assert!(commands::lease(&mut conn, WORKFLOW, owner, at(0), SPAN).await.unwrap());
    assert!(commands::begin_try(&mut conn, start, owner, at(0)).await.unwrap());
    assert!(!commands::drop_pending_start(&mut conn, WORKFLOW).await.unwrap(), "a try is under way");
    fail(&mut conn, start, ("connection refused", false), 1).await;
    {
        let mut tx = world.begin().await;
        assert!(commands::drop_pending_start(&mut tx, WORKFLOW).await.unwrap(), "it certainly did not leave");
        tx.rollback().await.unwrap();
    }
    // The next try is never heard of again: its process died. The one after that fails without having left.
    assert!(commands::begin_try(&mut conn, start, owner, at(2)).await.unwrap());
    assert!(commands::begin_try(&mut conn, start, owner, at(3)).await.unwrap());
    fail(&mut conn, start, ("connection refused", false), 4).await;
    assert!(!commands::drop_pending_start(&mut conn, WORKFLOW).await.unwrap());
    assert_eq!(commands::get(&mut conn, start).await.unwrap().tries, 3);
}

#[tokio::test]
async fn a_failed_try_leaves_doubt() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    let start = enqueue(&mut conn, run, CommandKind::Start).await;
    fail(&mut conn, start, ("timed out", true), 9).await;
    let command = commands::get(&mut conn, start).await.unwrap();
    assert_eq!((command.next_try_at, command.last_error.as_deref()), (at(9), Some("timed out")));
    assert!(!commands::drop_pending_start(&mut conn, WORKFLOW).await.unwrap());
}

#[tokio::test]
async fn a_stale_start_takes_along_what_is_behind_it() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    let start = enqueue(&mut conn, run, CommandKind::Start).await;
    let signal = enqueue(&mut conn, run, CommandKind::Signal).await;
    assert!(commands::mark_stale(&mut conn, start, "older than half the retention").await.unwrap());
    assert!(!commands::mark_stale(&mut conn, start, "once more").await.unwrap());
    assert_eq!(state(&mut conn, start).await, CommandState::Stale);
    assert_eq!(state(&mut conn, signal).await, CommandState::Dropped);
}
