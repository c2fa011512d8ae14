//! Runs: one wish is one run, one run at work on an issue, and rows that never go back.

use chrono::TimeDelta;
use domain::{
    event::Sender,
    ids::{Attempt, RunId},
    run::{Outcome, RunState, Step},
    triggers::{BusinessKey, EarlierWork},
};
use futures::future::join_all;
use store::{
    PgConnection, StoreError, attempts,
    runs::{self, Cursor, End, Facts, NewAttempt, NewRunResult, Page, RecentCount, RetryError, RunFilter},
    steps::{self, Entry, StepKey},
};

use crate::world::{Wish, World, ada, at, issue};

async fn at_once(world: &World, wishes: impl IntoIterator<Item = Wish>) -> Vec<NewRunResult> {
    join_all(wishes.into_iter().map(|wish| {
        let (store, project, repository) = (world.store(), world.project, world.repository);
        tokio::spawn(async move {
            let mut tx = store.begin().await.unwrap();
            let result = runs::insert(&mut tx, &wish.on(project, repository)).await.unwrap();
            tx.commit().await.unwrap();
            result
        })
    }))
    .await
    .into_iter()
    .map(Result::unwrap)
    .collect()
}

fn started(results: &[NewRunResult]) -> RunId {
    let started: Vec<_> = results
        .iter()
        .filter_map(|result| match result {
            NewRunResult::Started(run) => Some(*run),
            _ => None,
        })
        .collect();
    assert_eq!(started.len(), 1, "{results:?}");
    started[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wish_told_by_many_at_once_is_one_run() {
    let world = World::new().await;
    let results = at_once(&world, (0..16).map(|_| Wish::new(1, "the same"))).await;
    let run = started(&results);
    let same = results.iter().filter(|result| **result == NewRunResult::SameKey(run)).count();
    assert_eq!(same, 15, "{results:?}");
    let attempts = attempts::list(&mut *world.conn().await, run).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].attempt, Attempt::FIRST);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_at_a_time_works_on_an_issue() {
    let world = World::new().await;
    let results = at_once(&world, (0..16).map(|wish| Wish::new(1, &format!("wish {wish}")))).await;
    let run = started(&results);
    let busy = results.iter().filter(|result| **result == NewRunResult::SubjectBusy(run)).count();
    assert_eq!(busy, 15, "{results:?}");
    let active = runs::active_for_subject(&mut *world.conn().await, world.repository, issue(1)).await.unwrap();
    assert_eq!(active.unwrap().id, run);
}

#[tokio::test]
async fn the_next_wish_after_the_end_is_a_new_run() {
    let world = World::new().await;
    let first = world.run(1).await;
    world.finish(first, Outcome::NoChange).await;
    let again = world.wish(&Wish { now: at(200), ..Wish::new(1, "later") }).await;
    let NewRunResult::Started(second) = again else { panic!("{again:?}") };
    assert_ne!(first, second);
    // The old wish is still known.
    assert_eq!(world.wish(&Wish::new(1, "run-1")).await, NewRunResult::SameKey(first));
    let mut conn = world.conn().await;
    let latest = runs::latest_for_subject(&mut conn, world.repository, issue(1)).await.unwrap();
    assert_eq!(latest.unwrap().id, second);
    assert!(runs::latest_for_subject(&mut conn, world.repository, issue(2)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_run_is_read_as_it_was_written() {
    let world = World::new().await;
    let cause = world.run(1).await;
    let wish = Wish { instructions: "be \0 quick".to_owned(), ..Wish::new(2, "b") };
    let mut tx = world.begin().await;
    let new = runs::NewRun { cause_chain: &[cause], ..wish.on(world.project, world.repository) };
    let NewRunResult::Started(id) = runs::insert(&mut tx, &new).await.unwrap() else { panic!() };
    let run = runs::get(&mut tx, id).await.unwrap();
    assert_eq!(run.subject, issue(2));
    assert_eq!(run.trigger, wish.trigger);
    assert_eq!(run.agent, wish.agent);
    assert_eq!(run.business_key, wish.key.as_str());
    assert_eq!((run.requested_by_login.as_str(), run.requested_by_id, run.requested_by_bot), ("ada", 7, false));
    assert_eq!(run.instructions, "be \u{fffd} quick");
    assert_eq!(run.cause_chain, [cause]);
    assert_eq!((run.state, run.attempt, run.slot_place), (RunState::Queued, Attempt::FIRST, None));
    assert_eq!((run.created_at, run.deadline_at), (at(0), Some(at(3600))));
    let by_key = runs::by_business_key(&mut tx, wish.key.as_str()).await.unwrap();
    assert_eq!(by_key.unwrap().id, id);
    let missing = RunId::from_uuid(uuid::Uuid::nil());
    assert!(runs::find(&mut tx, missing).await.unwrap().is_none());
    assert!(matches!(runs::get(&mut tx, missing).await, Err(StoreError::Missing { what: "run", .. })));
}

#[tokio::test]
async fn a_late_state_moves_nothing() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    let first = Attempt::FIRST;
    let told = async |conn: &mut PgConnection, state, step, now| {
        let entry = Entry { state, heard_until: now + TimeDelta::hours(10), now };
        steps::enter(conn, StepKey { run, attempt: first, step }, entry).await.unwrap();
        let row = runs::get(conn, run).await.unwrap();
        (row.state, row.step, row.started_at, row.deadline_at)
    };
    let expected = |heard| (RunState::Working, Some(Step::Agent), Some(at(10)), Some(at(heard) + TimeDelta::hours(10)));
    assert_eq!(told(&mut conn, RunState::Working, Step::Agent, at(10)).await, expected(10));
    // The run was heard of all the same.
    assert_eq!(told(&mut conn, RunState::Working, Step::Clone, at(12)).await, expected(12));
    assert_eq!(told(&mut conn, RunState::Waiting, Step::Agent, at(13)).await, expected(13));
    assert_eq!(
        told(&mut conn, RunState::Working, Step::Agent, at(11)).await,
        expected(13),
        "what is older than the last"
    );
    let tries: Vec<_> =
        steps::list(&mut conn, run).await.unwrap().iter().map(|row| (row.step, row.tries, row.started_at)).collect();
    assert_eq!(tries, [(Step::Clone, 1, at(12)), (Step::Agent, 3, at(10))]);

    let end = End { attempt: first, outcome: Outcome::Lost, cause: "Gone.", now: at(20) };
    assert!(runs::finish(&mut conn, run, end).await.unwrap());
    let second_end = End { outcome: Outcome::Failed, now: at(21), ..end };
    assert!(!runs::finish(&mut conn, run, second_end).await.unwrap());
    let reopened = told(&mut conn, RunState::Working, Step::Settle, at(22)).await;
    assert_eq!(reopened, (RunState::Finished, Some(Step::Agent), Some(at(10)), Some(at(13) + TimeDelta::hours(10))));
    let row = runs::get(&mut conn, run).await.unwrap();
    assert_eq!((row.outcome, row.finished_at), (Some(Outcome::Lost), Some(at(20))));
    let attempt = attempts::get(&mut conn, run, first).await.unwrap();
    assert_eq!((attempt.outcome, attempt.cause.as_deref()), (Some(Outcome::Lost), Some("Gone.")));
}

#[tokio::test]
async fn facts_add_up() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    let first = Facts { branch: Some("codex/1-x".into()), comment_id: Some(5), ..Facts::default() };
    runs::set_facts(&mut conn, run, first).await.unwrap();
    let second = Facts { head_sha: Some("a".repeat(40)), pr_number: Some(9), ..Facts::default() };
    runs::set_facts(&mut conn, run, second).await.unwrap();
    let row = runs::get(&mut conn, run).await.unwrap();
    assert_eq!((row.branch.as_deref(), row.comment_id, row.pr_number), (Some("codex/1-x"), Some(5), Some(9)));
    assert_eq!((row.head_sha, row.base_sha), (Some("a".repeat(40)), None));
    let by_pull = runs::by_pull_request(&mut conn, world.repository, 9).await.unwrap();
    assert_eq!(by_pull.unwrap().id, run);
}

fn retry<'a>(run: RunId, key: &'a BusinessKey, by: &'a Sender) -> NewAttempt<'a> {
    NewAttempt {
        run,
        from_step: Some(Step::Publish),
        earlier_work: EarlierWork::NotAsked,
        business_key: key,
        requested_by: by,
        deadline_at: at(9000),
        now: at(200),
    }
}

#[tokio::test]
async fn a_retry_is_a_new_attempt_of_the_same_run() {
    let world = World::new().await;
    let run = world.run(1).await;
    let (key, by) = (BusinessKey::by_hand("retry"), ada());
    let mut tx = world.begin().await;
    let early = runs::begin_attempt(&mut tx, retry(run, &key, &by)).await;
    assert!(matches!(early, Err(RetryError::Unfinished)), "{early:?}");
    tx.commit().await.unwrap();

    world.finish(run, Outcome::Failed).await;
    let mut tx = world.begin().await;
    assert_eq!(runs::begin_attempt(&mut tx, retry(run, &key, &by)).await.unwrap(), Attempt(2));
    tx.commit().await.unwrap();
    let mut conn = world.conn().await;
    let row = runs::get(&mut conn, run).await.unwrap();
    assert_eq!((row.state, row.attempt, row.outcome, row.finished_at), (RunState::Queued, Attempt(2), None, None));
    assert_eq!(attempts::get(&mut conn, run, Attempt(2)).await.unwrap().from_step, Some(Step::Publish));
    assert_eq!(runs::by_business_key(&mut conn, key.as_str()).await.unwrap().unwrap().id, run);

    // The first attempt has nothing to say any more, and the second begins its own sequence.
    let enter = async |conn: &mut PgConnection, attempt, state, step| {
        let entry = Entry { state, heard_until: at(9_000), now: at(201) };
        steps::enter(conn, StepKey { run, attempt, step }, entry).await.unwrap();
        let row = runs::get(conn, run).await.unwrap();
        (row.state, row.step, row.deadline_at)
    };
    let unmoved = (RunState::Queued, None, row.deadline_at);
    assert_eq!(enter(&mut conn, Attempt::FIRST, RunState::Working, Step::Settle).await, unmoved);
    let late_end = End { attempt: Attempt::FIRST, outcome: Outcome::Lost, cause: "Late.", now: at(201) };
    assert!(!runs::finish(&mut conn, run, late_end).await.unwrap());
    let moved = (RunState::Queued, Some(Step::Authorise), Some(at(9_000)));
    assert_eq!(enter(&mut conn, Attempt(2), RunState::Queued, Step::Authorise).await, moved);

    let again = runs::begin_attempt(&mut conn, retry(run, &key, &by)).await;
    assert!(matches!(again, Err(RetryError::SameKey { attempt: Attempt(2), .. })), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_told_by_many_at_once_is_one_attempt() {
    let world = World::new().await;
    let run = world.run(1).await;
    world.finish(run, Outcome::Failed).await;
    let results = join_all((0..8).map(|_| {
        let store = world.store();
        tokio::spawn(async move {
            let (key, by) = (BusinessKey::by_hand("retry"), ada());
            let mut tx = store.begin().await.unwrap();
            let result = runs::begin_attempt(&mut tx, retry(run, &key, &by)).await;
            tx.commit().await.unwrap();
            result
        })
    }))
    .await;
    let begun = results.into_iter().filter(|result| matches!(result, Ok(Ok(Attempt(2))))).count();
    assert_eq!(begun, 1);
}

#[tokio::test]
async fn a_retry_yields_to_the_run_at_work() {
    let world = World::new().await;
    let run = world.run(1).await;
    world.finish(run, Outcome::Failed).await;
    let NewRunResult::Started(newer) = world.wish(&Wish::new(1, "newer")).await else { panic!() };
    let (key, by) = (BusinessKey::by_hand("retry"), ada());
    let mut tx = world.begin().await;
    let refused = runs::begin_attempt(&mut tx, retry(run, &key, &by)).await;
    assert!(matches!(refused, Err(RetryError::SubjectBusy(busy)) if busy == newer), "{refused:?}");
    // The transaction still works.
    assert_eq!(runs::get(&mut tx, run).await.unwrap().attempt, Attempt::FIRST);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn runs_and_retries_of_the_last_hour_are_counted() {
    let world = World::new().await;
    let run = world.run(1).await;
    world.finish(run, Outcome::Failed).await;
    let bot = Sender { id: 8, login: "helper".to_owned(), is_bot: true };
    let key = BusinessKey::by_hand("retry");
    let mut conn = world.conn().await;
    runs::begin_attempt(&mut conn, retry(run, &key, &bot)).await.unwrap();
    let count = |since| {
        let (store, repository) = (world.store(), world.repository);
        async move {
            let mut conn = store.acquire().await.unwrap();
            runs::count_recent_for_subject(&mut conn, repository, issue(1), since).await.unwrap()
        }
    };
    assert_eq!(count(at(0)).await, RecentCount { all: 2, by_bots: 1 });
    assert_eq!(count(at(1)).await, RecentCount { all: 1, by_bots: 1 });
    assert_eq!(count(at(201)).await, RecentCount::default());
}

#[tokio::test]
async fn pages_are_complete_and_filters_narrow() {
    let world = World::new().await;
    let mut all = Vec::new();
    for number in 1..=7 {
        // Pairs of the same moment, as in a storm.
        let wish = Wish { now: at(number / 2), ..Wish::new(number, &format!("wish {number}")) };
        let NewRunResult::Started(run) = world.wish(&wish).await else { panic!() };
        all.push(run);
    }
    world.finish(all[0], Outcome::Cancelled).await;
    let mut conn = world.conn().await;
    let mut seen = Vec::new();
    let mut before: Option<Cursor> = None;
    loop {
        let page = runs::list(&mut conn, RunFilter::default(), Page { before, limit: 2 }).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(Cursor::from(last));
        seen.extend(page.into_iter().map(|run| run.id));
    }
    all.reverse();
    assert_eq!(seen, all);

    let page = Page { before: None, limit: 50 };
    let finished = RunFilter { state: Some(RunState::Finished), ..RunFilter::default() };
    assert_eq!(runs::list(&mut conn, finished, page).await.unwrap().len(), 1);
    let one = RunFilter { subject_number: Some(3), project: Some(world.project), ..RunFilter::default() };
    assert_eq!(runs::list(&mut conn, one, page).await.unwrap()[0].subject, issue(3));
    let none = RunFilter { agent: Some("planner"), ..RunFilter::default() };
    assert!(runs::list(&mut conn, none, page).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_past_its_deadline_is_found() {
    let world = World::new().await;
    let (early, late, ended) = (world.run(1).await, world.run(2).await, world.run(3).await);
    let mut conn = world.conn().await;
    for (run, deadline) in [(early, 50), (late, 500), (ended, 40)] {
        let facts = Facts { deadline_at: Some(at(deadline)), ..Facts::default() };
        runs::set_facts(&mut conn, run, facts).await.unwrap();
    }
    world.finish(ended, Outcome::Lost).await;
    let due = runs::unfinished_before(&mut conn, at(50) + TimeDelta::milliseconds(1)).await.unwrap();
    assert_eq!(due.iter().map(|run| run.id).collect::<Vec<_>>(), [early]);
}
