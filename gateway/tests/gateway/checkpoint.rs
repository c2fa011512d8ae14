//! Checkpoints, as runners store and fetch them.

use chrono::Utc;
use domain::{
    event::Sender,
    ids::{Attempt, RunId},
    job_tokens,
    run::{Outcome, Step},
    run_limits::UNHEARD_LIMIT,
    triggers::{BusinessKey, EarlierWork},
};
use reqwest::{Method, RequestBuilder};
use store::{
    JobState,
    attempts::{self, JobUpdate},
    checkpoints,
    runs::{self, End, NewAttempt},
};

use crate::{
    runner::{TOKEN, claim_as, launched},
    world::{World, describing, problem},
};

const THREAD: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const NEXT_TOKEN: &str = "cxs_2222222222222222222222222222222222222222222222222222222222222222";
const NEXT_LAUNCH: &str = "cxl_2222222222222222222222222222222222222222222222222222222222222222";

fn put(world: &World, query: &str) -> RequestBuilder {
    world.client.put(world.url(&format!("/runner/v1/checkpoint?{query}"))).bearer_auth(TOKEN)
}

async fn keep(world: &World, seq: u64, thread: &str, work: &str) {
    let query = format!("seq={seq}&thread_id={THREAD}&thread_bytes={}", thread.len());
    // Piece by piece, as it comes over a slow line.
    let whole = format!("{thread}{work}").into_bytes();
    let body: Vec<_> = whole.chunks(3).map(<[u8]>::to_vec).collect();
    let body = futures::stream::iter(body.into_iter().map(Ok::<_, std::io::Error>));
    let stored = describing(put(world, &query), &whole).body(reqwest::Body::wrap_stream(body)).send().await.unwrap();
    assert_eq!(stored.status().as_u16(), 204);
}

/// Thread and work of the newest checkpoint.
async fn newest(world: &World, run: RunId) -> (u64, String, String) {
    let kept = checkpoints::newest(&mut world.store().acquire().await.unwrap(), run).await.unwrap().unwrap();
    let text = async |key| String::from_utf8(world.blobs.get(key).await.unwrap().to_vec()).unwrap();
    let thread = kept.thread.unwrap();
    assert_eq!(thread.id, THREAD);
    (kept.seq, text(&thread.blob).await, text(&kept.work).await)
}

async fn blobs(world: &World, run: RunId) -> usize {
    let folder = world.folder().join(format!("runs/{run}/1/checkpoints"));
    let mut found = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        found += std::fs::read_dir(entry.path()).unwrap().count();
    }
    found
}

#[tokio::test]
async fn the_newest_checkpoint_wins_and_only_its_blobs_stay() {
    let (world, run) = launched().await;
    keep(&world, 1, "a thread", "some work").await;
    keep(&world, 3, "a longer thread", "more work").await;
    for seq in [1, 2, 3] {
        keep(&world, seq, "late", "late").await;
    }
    assert_eq!(newest(&world, run).await, (3, "a longer thread".to_owned(), "more work".to_owned()));
    assert_eq!(blobs(&world, run).await, 2);
    let without = describing(put(&world, "seq=4"), b"work alone").body("work alone").send().await.unwrap();
    assert_eq!(without.status().as_u16(), 204);
    let kept = checkpoints::newest(&mut world.store().acquire().await.unwrap(), run).await.unwrap().unwrap();
    assert_eq!((kept.thread, kept.bytes), (None, 10));
    assert_eq!(blobs(&world, run).await, 1);
}

#[tokio::test]
async fn a_half_or_odd_checkpoint_is_never_seen() {
    let (world, run) = launched().await;
    keep(&world, 1, "a thread", "some work").await;
    for (query, status, code) in [
        ("seq=2&thread_bytes=5".to_owned(), 400, "checkpoint_invalid"),
        (format!("seq=2&thread_id={THREAD}"), 400, "checkpoint_invalid"),
        ("seq=0".to_owned(), 400, "checkpoint_invalid"),
        ("seq=2&thread_id=../../x&thread_bytes=1".to_owned(), 400, "request_invalid"),
        (format!("seq=2&thread_id={THREAD}&thread_bytes=50"), 400, "checkpoint_invalid"),
        (format!("seq=2&thread_id={THREAD}&thread_bytes={}", 1_u64 << 40), 413, "checkpoint_too_large"),
    ] {
        let refused = describing(put(&world, &query), b"thread and work").body("thread and work").send().await.unwrap();
        assert_eq!(problem(refused).await, (status, code.to_owned()), "{query}");
    }
    let broken = futures::stream::iter([Ok("begin"), Err(std::io::Error::other("the machine dies"))]);
    let query = format!("seq=2&thread_id={THREAD}&thread_bytes=2");
    let request = describing(put(&world, &query), b"begin and end").body(reqwest::Body::wrap_stream(broken));
    assert!(request.send().await.is_err());
    assert_eq!(newest(&world, run).await, (1, "a thread".to_owned(), "some work".to_owned()));
}

/// Ends the first attempt and launches a second one.
async fn try_again(world: &World, run: RunId, earlier_work: EarlierWork) {
    let mut conn = world.store().acquire().await.unwrap();
    let end = End { attempt: Attempt::FIRST, outcome: Outcome::Lost, cause: "Killed.", now: Utc::now() };
    assert!(runs::finish(&mut conn, run, end).await.unwrap());
    let new = NewAttempt {
        run,
        from_step: Some(Step::Launch),
        earlier_work,
        business_key: &BusinessKey::by_hand("again"),
        requested_by: &Sender { id: 5, login: "ann".to_owned(), is_bot: false },
        deadline_at: Utc::now() + UNHEARD_LIMIT,
        now: Utc::now(),
    };
    let attempt = runs::begin_attempt(&mut conn, new).await.unwrap();
    let hash = job_tokens::hash(NEXT_LAUNCH);
    let job = JobUpdate { state: JobState::Launching, name: Some("job-2"), token_hash: Some(&hash), now: Utc::now() };
    assert!(attempts::set_job(&mut conn, run, attempt, job).await.unwrap());
    drop(conn);
    claim_as(world, (run, attempt), NEXT_TOKEN).await;
}

async fn fetch(world: &World, part: &str) -> (u16, String) {
    let url = world.url(&format!("/runner/v1/checkpoint/{part}"));
    let answer = world.client.request(Method::GET, url).bearer_auth(NEXT_TOKEN).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn the_attempt_that_goes_on_gets_it_and_the_one_before_has_lost_its_say() {
    let (world, run) = launched().await;
    keep(&world, 1, "a thread", "some work").await;
    try_again(&world, run, EarlierWork::Kept(Attempt::FIRST)).await;
    let late = describing(put(&world, "seq=2"), b"late").body("late").send().await.unwrap();
    assert_eq!(problem(late).await, (401, "attempt_ended".to_owned()));
    assert_eq!(fetch(&world, "thread").await, (200, "a thread".to_owned()));
    assert_eq!(fetch(&world, "work").await, (200, "some work".to_owned()));
}

#[tokio::test]
async fn an_attempt_that_begins_anew_gets_none() {
    let (world, run) = launched().await;
    keep(&world, 1, "a thread", "some work").await;
    try_again(&world, run, EarlierWork::NotAsked).await;
    for part in ["thread", "work"] {
        assert_eq!(fetch(&world, part).await, (204, String::new()), "{part}");
    }
}
