//! Tokens of attempts: whose they are, what ends them, who claimed first.

use chrono::{TimeDelta, Utc};
use domain::{
    ids::{Attempt, RunId},
    job_tokens::{self, SessionHashes, TokenKind, egress_token, launch_token, model_token, session_token},
    run::Outcome,
};
use sqlx::PgConnection;
use store::{
    JobState, StoreError,
    attempts::{self, AttemptEnd, JobUpdate},
    audit, runs,
    tokens::{self, Claim, Claimed, RefusedToken, Standing},
};

use crate::world::{World, at};

const FIRST: Attempt = Attempt::FIRST;

async fn launched(world: &World, number: i64, secret: u8) -> RunId {
    let run = world.run(number).await;
    let hash = job_tokens::hash(&launch_token([secret; 32]));
    let mut conn = world.conn().await;
    // The database's own clock judges, and the world's is long over.
    runs::heard(&mut conn, run, FIRST, Utc::now() + TimeDelta::hours(1)).await.unwrap();
    let job = JobUpdate { state: JobState::Launching, name: Some("run-1"), token_hash: Some(&hash), now: at(1) };
    assert!(attempts::set_job(&mut conn, run, FIRST, job).await.unwrap());
    run
}

async fn standing(conn: &mut PgConnection, token: &str) -> Option<(RunId, Standing)> {
    let kind = TokenKind::of(token).unwrap();
    let owner = tokens::owner(conn, kind, &job_tokens::hash(token)).await.unwrap();
    owner.map(|owner| (owner.run, owner.standing))
}

fn claim<'a>(run: RunId, by: &'a str, session: &str) -> Claim<'a> {
    Claim { run, attempt: FIRST, by, hashes: SessionHashes::of(session), now: at(2) }
}

#[tokio::test]
async fn the_first_claim_wins_and_brings_its_tokens() {
    let world = World::new().await;
    let run = launched(&world, 1, 1).await;
    let mut conn = world.conn().await;
    let (mine, other) = (session_token([5; 32]), session_token([6; 32]));
    assert_eq!(standing(&mut conn, &launch_token([1; 32])).await, Some((run, Standing::Good)));
    assert_eq!(standing(&mut conn, &mine).await, None);
    assert_eq!(tokens::claim(&mut conn, claim(run, "pod-1", &mine)).await.unwrap(), Claimed::First);
    assert_eq!(tokens::claim(&mut conn, claim(run, "pod-1", &mine)).await.unwrap(), Claimed::Again);
    for (by, session) in [("pod-2", &mine), ("pod-1", &other), ("pod-2", &other)] {
        assert_eq!(tokens::claim(&mut conn, claim(run, by, session)).await.unwrap(), Claimed::Taken, "{by}");
    }
    for token in [mine.clone(), model_token(&mine), egress_token(&mine)] {
        assert_eq!(standing(&mut conn, &token).await, Some((run, Standing::Good)));
    }
    assert_eq!(standing(&mut conn, &other).await, None);
    let told = audit::list_for_run(&mut conn, run).await.unwrap();
    assert_eq!(told.iter().filter(|event| event.kind == "attempt_claimed").count(), 1);
    assert!(!format!("{told:?}").contains("cxs_"));
}

#[tokio::test]
async fn of_claims_at_once_one_wins() {
    let world = World::new().await;
    let run = launched(&world, 1, 1).await;
    let store = world.store();
    let claims = (1_u8..=12).map(|number| {
        let store = store.clone();
        async move {
            let session = session_token([number; 32]);
            tokens::claim(&mut store.acquire().await.unwrap(), claim(run, "pod-1", &session)).await.unwrap()
        }
    });
    let ended = futures::future::join_all(claims).await;
    assert_eq!(ended.iter().filter(|claimed| **claimed == Claimed::First).count(), 1, "{ended:?}");
    assert_eq!(ended.iter().filter(|claimed| **claimed == Claimed::Taken).count(), 11, "{ended:?}");
}

#[tokio::test]
async fn a_session_is_of_one_attempt_alone() {
    let world = World::new().await;
    let (run, other) = (launched(&world, 1, 1).await, launched(&world, 2, 2).await);
    let mut conn = world.conn().await;
    let session = session_token([5; 32]);
    tokens::claim(&mut conn, claim(run, "pod-1", &session)).await.unwrap();
    let stolen = tokens::claim(&mut conn, claim(other, "pod-2", &session)).await;
    assert!(matches!(stolen, Err(StoreError::Conflict { constraint }) if constraint == "attempts_session"));
}

#[tokio::test]
async fn no_token_outlives_its_attempt_its_job_or_its_deadline() {
    let world = World::new().await;
    let session = session_token([5; 32]);
    let all = [launch_token([1; 32]), session.clone(), model_token(&session), egress_token(&session)];
    let run = launched(&world, 1, 1).await;
    let mut conn = world.conn().await;
    tokens::claim(&mut conn, claim(run, "pod-1", &session)).await.unwrap();

    sqlx::query("update runs set deadline_at = now() - interval '1 second'").execute(&mut *conn).await.unwrap();
    for token in &all {
        assert_eq!(standing(&mut conn, token).await, Some((run, Standing::Expired)));
    }
    tokens::revoke(&mut conn, run, FIRST, at(3)).await.unwrap();
    for token in &all {
        assert_eq!(standing(&mut conn, token).await, Some((run, Standing::Revoked)));
    }
    let end = AttemptEnd { outcome: Outcome::NoChange, cause: "Nothing to do.", now: at(9) };
    assert!(attempts::finish(&mut conn, run, FIRST, end).await.unwrap());
    for token in &all {
        assert_eq!(standing(&mut conn, token).await, Some((run, Standing::Ended)));
    }
    let late = tokens::claim(&mut conn, claim(run, "pod-2", &session_token([6; 32]))).await.unwrap();
    assert_eq!(late, Claimed::Taken);
}

#[tokio::test]
async fn an_attempt_that_has_ended_is_claimed_by_nobody() {
    let world = World::new().await;
    let run = launched(&world, 1, 1).await;
    world.finish(run, Outcome::Lost).await;
    let session = session_token([5; 32]);
    let mut conn = world.conn().await;
    assert_eq!(tokens::claim(&mut conn, claim(run, "pod-1", &session)).await.unwrap(), Claimed::Taken);
    assert_eq!(standing(&mut conn, &session).await, None);
}

#[tokio::test]
async fn a_flood_of_refused_tokens_is_one_line_for_each_reason() {
    let world = World::new().await;
    let (run, other) = (world.run(1).await, world.run(2).await);
    let mut conn = world.conn().await;
    for _ in 0..50 {
        for of in [Some((run, FIRST)), Some((other, FIRST)), None] {
            for code in ["attempt_ended", "token_misplaced"] {
                tokens::note_refused(&mut conn, RefusedToken { of, code, door: "session token" }).await.unwrap();
            }
        }
    }
    let told = "select count(*) from audit.flow_events where kind = 'token_refused'";
    assert_eq!(sqlx::query_scalar::<_, i64>(told).fetch_one(&mut *conn).await.unwrap(), 6);
    let mine = audit::list_for_run(&mut conn, run).await.unwrap();
    let codes: Vec<_> =
        mine.iter().filter(|event| event.kind == "token_refused").map(|event| event.detail["code"].clone()).collect();
    assert_eq!(codes, ["attempt_ended", "token_misplaced"]);

    let later = "update token_refusals set told_at = told_at - interval '3 hours'";
    sqlx::query(later).execute(&mut *conn).await.unwrap();
    let again = RefusedToken { of: None, code: "attempt_ended", door: "session token" };
    tokens::note_refused(&mut conn, again).await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, i64>(told).fetch_one(&mut *conn).await.unwrap(), 7);
    let lines = "select count(*) from token_refusals";
    assert_eq!(sqlx::query_scalar::<_, i64>(lines).fetch_one(&mut *conn).await.unwrap(), 1, "old lines go");
}
