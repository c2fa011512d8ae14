//! However a run came to where it is: while it has not ended it has a deadline, and the reconciler of lost runs finds it.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    event::Sender,
    ids::{Attempt, RunId},
    run::{Outcome, RunState, Step},
    run_limits::UNHEARD_LIMIT,
    triggers::{BusinessKey, EarlierWork},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use store::{
    ends::{self, Due},
    runs::{self, End, Facts, NewAttempt},
    slots,
    steps::{self, Entry, StepKey},
};

use crate::world::{World, ada, at};

/// What can happen to a run, in any order.
#[derive(Clone, Debug)]
enum Event {
    Moves(RunState, Step),
    Claims,
    Releases,
    Ends(Outcome),
    IsTriedAgain,
    FactsAreFound,
}

fn event() -> impl Strategy<Value = Event> {
    let step = proptest::sample::select(Step::ALL);
    let state = proptest::sample::select(&[RunState::Queued, RunState::Waiting, RunState::Working][..]);
    prop_oneof![
        6 => (state, step).prop_map(|(state, step)| Event::Moves(state, step)),
        2 => Just(Event::Claims),
        1 => Just(Event::Releases),
        1 => proptest::sample::select(Outcome::ALL).prop_map(Event::Ends),
        1 => Just(Event::IsTriedAgain),
        1 => Just(Event::FactsAreFound),
    ]
}

async fn happen(world: &World, run: RunId, event: &Event, now: DateTime<Utc>) {
    let mut tx = world.begin().await;
    let attempt = runs::get(&mut tx, run).await.unwrap().attempt;
    match event {
        Event::Moves(state, step) => {
            let entry = Entry { state: *state, heard_until: now + UNHEARD_LIMIT, now };
            steps::enter(&mut tx, StepKey { run, attempt, step: *step }, entry).await.unwrap();
        }
        Event::Claims => drop(slots::claim(&mut tx, run, attempt, world.project, now).await.unwrap()),
        Event::Releases => drop(slots::release(&mut tx, run, attempt, now).await.unwrap()),
        Event::Ends(outcome) => {
            let end = End { attempt, outcome: *outcome, cause: "The test said so.", now };
            runs::finish(&mut tx, run, end).await.unwrap();
            slots::release(&mut tx, run, attempt, now).await.unwrap();
        }
        Event::IsTriedAgain => {
            let key = BusinessKey::by_hand(&format!("{run}-{now}"));
            let by: Sender = ada();
            let deadline_at = now + UNHEARD_LIMIT;
            let earlier_work = EarlierWork::NotAsked;
            let new = NewAttempt {
                run,
                from_step: None,
                earlier_work,
                business_key: &key,
                requested_by: &by,
                deadline_at,
                now,
            };
            // A run that has not ended is not tried again.
            let _ = runs::begin_attempt(&mut tx, new).await;
        }
        Event::FactsAreFound => runs::set_facts(&mut tx, run, Facts::default()).await.unwrap(),
    }
    tx.commit().await.unwrap();
}

async fn has_an_owner(world: &World, run: RunId, now: DateTime<Utc>) {
    let mut conn = world.conn().await;
    let row = runs::get(&mut conn, run).await.unwrap();
    let found = runs::unfinished_before(&mut conn, now + TimeDelta::days(3650)).await.unwrap();
    let place = slots::places(&mut conn, world.project).await.unwrap();
    let mine = place.iter().any(|place| place.run == run);
    if row.state == RunState::Finished {
        assert!(!found.iter().any(|found| found.id == run), "{row:?}");
        assert!(!mine, "a run that has ended holds no slot, and waits for none: {row:?}");
        return;
    }
    assert!(found.iter().any(|found| found.id == run), "nobody finds {row:?}");
    assert!(row.deadline_at.is_some_and(|deadline| deadline > row.created_at), "{row:?}");
    let due = runs::unfinished_before(&mut conn, row.deadline_at.unwrap() + TimeDelta::milliseconds(1)).await.unwrap();
    assert!(due.iter().any(|found| found.id == run), "its deadline comes and nobody acts: {row:?}");
}

#[tokio::test]
async fn every_unfinished_run_has_a_deadline_and_is_found() {
    let world = World::new().await;
    let mut cases = TestRunner::new(Config::default());
    let histories = proptest::collection::vec(event(), 1..12);
    for number in 0..40 {
        let history = histories.new_tree(&mut cases).unwrap().current();
        let run = world.run(100 + number).await;
        has_an_owner(&world, run, at(0)).await;
        for (nth, event) in history.iter().enumerate() {
            let now = at(10 + i64::try_from(nth).unwrap());
            happen(&world, run, event, now).await;
            has_an_owner(&world, run, now).await;
        }
        // So that the next one is alone in the project.
        happen(&world, run, &Event::Ends(Outcome::Lost), at(1000)).await;
        has_an_owner(&world, run, at(1000)).await;
    }
}

#[tokio::test]
async fn a_run_without_a_deadline_is_refused() {
    let world = World::new().await;
    let run = world.run(1).await;
    let refused = sqlx::query("update runs set deadline_at = null where id = $1")
        .bind(run.as_uuid())
        .execute(&mut *world.conn().await)
        .await;
    assert!(refused.unwrap_err().to_string().contains("runs_unfinished_has_a_deadline"));
    world.finish(run, Outcome::Lost).await;
}

#[tokio::test]
async fn hearing_of_a_run_never_brings_its_deadline_nearer() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    for (heard, expected) in [(at(10_000), at(10_000)), (at(5_000), at(10_000)), (at(20_000), at(20_000))] {
        runs::heard(&mut conn, run, Attempt::FIRST, heard).await.unwrap();
        assert_eq!(runs::get(&mut conn, run).await.unwrap().deadline_at, Some(expected));
    }
    runs::heard(&mut conn, run, Attempt(2), at(30_000)).await.unwrap();
    assert_eq!(runs::get(&mut conn, run).await.unwrap().deadline_at, Some(at(20_000)), "another attempt");
}

#[tokio::test]
async fn a_claim_that_comes_after_the_end_gets_no_slot() {
    let world = World::new().await;
    let run = world.run(1).await;
    world.finish(run, Outcome::Lost).await;
    let mut tx = world.begin().await;
    let answer = slots::claim(&mut tx, run, Attempt::FIRST, world.project, at(101)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(answer, slots::SlotAnswer::Over);
    assert!(slots::places(&mut *world.conn().await, world.project).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_end_is_owed_until_it_is_shown() {
    let world = World::new().await;
    let (dropped, settled, open) = (world.run(1).await, world.run(2).await, world.run(3).await);
    let mut conn = world.conn().await;
    let settle = StepKey { run: settled, attempt: Attempt::FIRST, step: Step::Settle };
    steps::begin(&mut conn, settle, at(99)).await.unwrap();
    world.finish(dropped, Outcome::Cancelled).await;
    world.finish(settled, Outcome::NoChange).await;
    let patience = TimeDelta::seconds(60);
    let due = |seconds| Due { now: at(seconds), patience, give_up: TimeDelta::hours(1) };
    let owed = async |conn: &mut store::PgConnection, seconds| {
        let owed = ends::owed(conn, due(seconds)).await.unwrap();
        owed.iter().map(|end| (end.run, end.tries)).collect::<Vec<_>>()
    };
    assert_eq!(owed(&mut conn, 101).await, [(dropped, 0)], "its workflow shows the other one");
    assert_eq!(owed(&mut conn, 161).await, [(dropped, 0), (settled, 0)]);
    ends::postpone(&mut conn, dropped, Attempt::FIRST, at(200)).await.unwrap();
    assert_eq!(owed(&mut conn, 161).await, [(settled, 0)]);
    assert_eq!(owed(&mut conn, 201).await, [(dropped, 1), (settled, 0)]);
    ends::shown(&mut conn, settled, Attempt::FIRST, at(201)).await.unwrap();
    ends::shown(&mut conn, open, Attempt::FIRST, at(201)).await.unwrap();
    assert_eq!(owed(&mut conn, 202).await, [(dropped, 1)]);
    world.finish(open, Outcome::Failed).await;
    assert_eq!(owed(&mut conn, 202).await.len(), 2, "what had not ended was not shown");
    assert!(owed(&mut conn, 4000).await.is_empty(), "old news");
}
