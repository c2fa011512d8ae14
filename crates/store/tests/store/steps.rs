//! Steps: tried again and counted, done once.

use domain::{
    ids::Attempt,
    run::{RunState, Step},
};
use serde_json::json;
use store::{
    PgConnection, StepState, attempts,
    steps::{self, Entry, StepKey},
};

use crate::world::{World, at};

#[tokio::test]
async fn a_step_may_be_begun_again_until_it_is_done() {
    let world = World::new().await;
    let key = StepKey { run: world.run(1).await, attempt: Attempt::FIRST, step: Step::Clone };
    let mut conn = world.conn().await;
    assert_eq!(steps::output(&mut conn, key).await.unwrap(), None);
    let row = steps::begin(&mut conn, key, at(1)).await.unwrap();
    assert_eq!((row.tries, row.state), (1, StepState::Running));
    steps::failed(&mut conn, key, "the forge\0 does not answer", at(2)).await.unwrap();
    let row = steps::begin(&mut conn, key, at(3)).await.unwrap();
    assert_eq!((row.tries, row.state, row.started_at), (2, StepState::Running, at(1)));
    assert_eq!(row.error.as_deref(), Some("the forge\u{fffd} does not answer"));
    steps::done(&mut conn, key, &json!({ "base_sha": "a" }), at(4)).await.unwrap();

    // Everything after the end changes the count alone.
    steps::done(&mut conn, key, &json!({ "base_sha": "b" }), at(5)).await.unwrap();
    steps::failed(&mut conn, key, "late", at(6)).await.unwrap();
    let row = steps::begin(&mut conn, key, at(8)).await.unwrap();
    assert_eq!((row.tries, row.state, row.finished_at, row.error), (3, StepState::Done, Some(at(4)), None));
    assert_eq!(steps::output(&mut conn, key).await.unwrap(), Some(json!({ "base_sha": "a" })));
}

#[tokio::test]
async fn steps_are_listed_in_their_order() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    for (step, seconds) in [(Step::Slot, 9), (Step::Authorise, 10), (Step::Settle, 8)] {
        let key = StepKey { run, attempt: Attempt::FIRST, step };
        steps::begin(&mut conn, key, at(seconds)).await.unwrap();
    }
    let key = StepKey { run, attempt: Attempt::FIRST, step: Step::Publish };
    steps::failed(&mut conn, key, "not now", at(11)).await.unwrap();
    let rows = steps::list(&mut conn, run).await.unwrap();
    let seen: Vec<_> = rows.iter().map(|row| (row.step, row.state)).collect();
    let running = StepState::Running;
    assert_eq!(
        seen,
        [
            (Step::Authorise, running),
            (Step::Slot, running),
            (Step::Publish, StepState::Failed),
            (Step::Settle, running)
        ]
    );
}

#[tokio::test]
async fn a_retry_from_a_step_takes_over_what_was_done_before_it() {
    let world = World::new().await;
    let run = world.run(1).await;
    let (first, second) = (Attempt::FIRST, Attempt(2));
    let mut conn = world.conn().await;
    attempts::insert(&mut conn, run, second, at(20)).await.unwrap();
    for step in [Step::Authorise, Step::Slot, Step::Clone, Step::Prompt, Step::Launch] {
        let key = StepKey { run, attempt: first, step };
        steps::done(&mut conn, key, &json!({ "of": step }), at(1)).await.unwrap();
    }
    let failed = StepKey { run, attempt: first, step: Step::Agent };
    steps::failed(&mut conn, failed, "gone", at(2)).await.unwrap();
    attempts::set_workspace_blob(&mut conn, run, first, "w").await.unwrap();
    attempts::set_prompt(&mut conn, run, first, "do it").await.unwrap();
    attempts::store_report(&mut conn, run, first, &json!({})).await.unwrap();

    assert_eq!(steps::copy_outputs(&mut conn, run, second, Step::Launch).await.unwrap(), 2);
    assert_eq!(steps::copy_outputs(&mut conn, run, second, Step::Launch).await.unwrap(), 0);
    let prompt = StepKey { run, attempt: second, step: Step::Prompt };
    assert_eq!(steps::output(&mut conn, prompt).await.unwrap(), Some(json!({ "of": "prompt" })));
    let own = StepKey { run, attempt: second, step: Step::Authorise };
    assert_eq!(
        steps::output(&mut conn, own).await.unwrap(),
        None,
        "who asked for the first says nothing about who asks now"
    );
    let launch = StepKey { run, attempt: second, step: Step::Launch };
    assert_eq!(steps::output(&mut conn, launch).await.unwrap(), None);
    let attempt = attempts::get(&mut conn, run, second).await.unwrap();
    assert_eq!((attempt.workspace_blob.as_deref(), attempt.prompt.as_deref()), (Some("w"), Some("do it")));
    assert_eq!(attempts::report(&mut conn, run, second).await.unwrap(), None, "the agent works again");
    steps::copy_outputs(&mut conn, run, second, Step::Collect).await.unwrap();
    assert_eq!(attempts::report(&mut conn, run, second).await.unwrap(), Some(json!({})));
}

#[tokio::test]
async fn a_retry_begins_where_the_attempt_before_has_come_to() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    let beginnings = async |conn: &mut PgConnection| {
        let mut at = Vec::new();
        for wanted in [Step::Clone, Step::Prompt, Step::Agent, Step::Publish] {
            at.push(steps::latest_beginning(conn, run, wanted).await.unwrap());
        }
        at
    };
    assert_eq!(beginnings(&mut conn).await, [Step::Clone; 4]);
    let clone = StepKey { run, attempt: Attempt::FIRST, step: Step::Clone };
    steps::failed(&mut conn, clone, "no such branch", at(1)).await.unwrap();
    assert_eq!(beginnings(&mut conn).await, [Step::Clone; 4]);
    steps::done(&mut conn, clone, &json!({}), at(1)).await.unwrap();
    assert_eq!(beginnings(&mut conn).await, [Step::Clone, Step::Prompt, Step::Prompt, Step::Prompt]);
    attempts::set_prompt(&mut conn, run, Attempt::FIRST, "do it").await.unwrap();
    assert_eq!(beginnings(&mut conn).await, [Step::Clone, Step::Prompt, Step::Agent, Step::Launch]);
    attempts::store_report(&mut conn, run, Attempt::FIRST, &json!({})).await.unwrap();
    let without_bundles = beginnings(&mut conn).await;
    assert_eq!(without_bundles.last(), Some(&Step::Launch), "there is nothing to publish any more");
    attempts::set_workspace_blob(&mut conn, run, Attempt::FIRST, "w").await.unwrap();
    assert_eq!(beginnings(&mut conn).await, [Step::Clone, Step::Prompt, Step::Agent, Step::Publish]);
}

#[tokio::test]
async fn a_step_that_waits_says_until_when_and_forgets_it_when_it_goes_on() {
    let world = World::new().await;
    let key = StepKey { run: world.run(1).await, attempt: Attempt::FIRST, step: Step::Publish };
    let mut conn = world.conn().await;
    steps::begin(&mut conn, key, at(0)).await.unwrap();
    steps::waits(&mut conn, key, "the forge limits our requests", at(90)).await.unwrap();
    let waiting = &steps::list(&mut conn, key.run).await.unwrap()[0];
    assert_eq!((waiting.state, waiting.wait_until), (StepState::Running, Some(at(90))));
    assert_eq!(waiting.error.as_deref(), Some("the forge limits our requests"));
    assert_eq!(steps::begin(&mut conn, key, at(91)).await.unwrap().wait_until, None);
    steps::done(&mut conn, key, &json!(null), at(92)).await.unwrap();
    steps::waits(&mut conn, key, "late", at(200)).await.unwrap();
    assert_eq!(steps::list(&mut conn, key.run).await.unwrap()[0].wait_until, None);
}

#[tokio::test]
async fn those_are_told_that_wait_where_they_are() {
    let world = World::new().await;
    let (one, other) = (world.run(1).await, world.run(2).await);
    let mut conn = world.conn().await;
    let key = |run, step| StepKey { run, attempt: Attempt::FIRST, step };
    let entry = Entry { state: RunState::Working, heard_until: at(500), now: at(1) };
    for run in [one, other] {
        steps::enter(&mut conn, key(run, Step::Agent), entry).await.unwrap();
    }
    assert_eq!(steps::waiting_at(&mut conn, Step::Agent).await.unwrap(), []);
    steps::waits(&mut conn, key(one, Step::Agent), "the model API limits our requests", at(90)).await.unwrap();
    assert_eq!(steps::waiting_at(&mut conn, Step::Agent).await.unwrap(), [(one, Attempt::FIRST, at(90))]);
    assert_eq!(steps::waiting_at(&mut conn, Step::Publish).await.unwrap(), []);
    steps::enter(&mut conn, key(one, Step::Publish), entry).await.unwrap();
    assert_eq!(steps::waiting_at(&mut conn, Step::Agent).await.unwrap(), [], "it has moved on");
    steps::waits(&mut conn, key(other, Step::Agent), "the model API limits our requests", at(91)).await.unwrap();
    assert_eq!(steps::waiting_at(&mut conn, Step::Agent).await.unwrap().len(), 1);
    steps::waits_no_longer(&mut conn, key(other, Step::Agent)).await.unwrap();
    assert_eq!(steps::waiting_at(&mut conn, Step::Agent).await.unwrap(), []);
}
