//! Providers in trouble: further tries, other keys, waits; all before the first byte of an answer.

use std::time::Duration;

use domain::{
    ids::Attempt,
    job::Usage,
    model::{Limits, ModelPolicy},
    run::Step,
};
use futures::StreamExt;
use store::steps::{self, StepKey};

use crate::{
    model::{COMPLETED, CREATED, KEY, Model, USED},
    world::{eventually, problem},
};

/// The ids under which the model API was asked.
fn ids(model: &Model) -> Vec<String> {
    let asked = model.seen.asked.lock().unwrap();
    asked.iter().map(|(headers, _)| headers["idempotency-key"].to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_failure_before_the_answer_is_tried_again_under_the_same_id() {
    let model = Model::new().await;
    assert_eq!(model.call("broken once").await.text().await.unwrap(), COMPLETED);
    let ids = ids(&model);
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    assert_eq!(model.counted().await, (vec![Some(200)], USED));
    let row: (i32, String, String) = sqlx::query_as("select tries, provider, key_id from model_calls")
        .fetch_one(model.world.store().pool())
        .await
        .unwrap();
    assert_eq!(row, (2, "small".to_owned(), "key-0".to_owned()));
}

#[tokio::test]
async fn nothing_is_tried_again_once_the_answer_has_begun() {
    let model = Model::new().await;
    let mut cut = model.call("cut").await.bytes_stream();
    assert_eq!(cut.next().await.unwrap().unwrap(), CREATED);
    model.seen.cut.notify_one();
    assert!(cut.next().await.unwrap().is_err());
    assert_eq!((model.counted().await.0, model.asked()), (vec![Some(502)], 1));
}

#[tokio::test]
async fn tries_are_bounded_and_a_key_that_goes_on_failing_is_left_alone() {
    let model = Model::new().await;
    let answer = model.call("broken").await;
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (500, "{\"error\":{}}"));
    assert_eq!(model.asked(), 3);
    // Two more failures in a row open the breaker; from then on nobody is asked.
    assert_eq!(model.call("broken").await.status(), 500);
    assert_eq!(model.asked(), 5);
    let refused = model.call("good").await;
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 15);
    assert_eq!(problem(refused).await, (503, "model_unavailable".to_owned()));
    assert_eq!(model.asked(), 5);
    // None of it cost anything.
    assert_eq!(model.counted().await, (vec![Some(500), Some(500), None], Usage::default()));
}

#[tokio::test]
async fn an_empty_account_has_the_other_key_used() {
    let model = Model::with_keys(&[KEY, "sk-the-other-key-0123456789"]).await;
    assert_eq!(model.call("first key is empty").await.text().await.unwrap(), COMPLETED);
    assert_eq!(model.asked(), 2);
    // The empty one is not even asked the next time.
    assert_eq!(model.call("first key is empty").await.text().await.unwrap(), COMPLETED);
    assert_eq!(model.asked(), 3);
    model.counted().await;
    let keys: Vec<String> = sqlx::query_scalar("select key_id from model_calls order by started_at")
        .fetch_all(model.world.store().pool())
        .await
        .unwrap();
    assert_eq!(keys, ["key-1", "key-1"]);
}

#[tokio::test]
async fn a_rate_limit_is_a_wait_that_shows_on_the_run() {
    let model = Model::new().await;
    model.allow(&ModelPolicy { models: vec!["m".to_owned()], agent_secs: 600, ..ModelPolicy::default() }).await;
    let key = StepKey { run: model.run, attempt: Attempt::FIRST, step: Step::Agent };
    let mut conn = model.world.store().acquire().await.unwrap();
    steps::begin(&mut conn, key, chrono::Utc::now()).await.unwrap();
    let began = std::time::Instant::now();
    let (answer, ()) = tokio::join!(
        async { model.call("limited once").await.text().await.unwrap() },
        eventually("the wait shows", async || {
            let mut conn = model.world.store().acquire().await.unwrap();
            steps::list(&mut conn, model.run).await.unwrap()[0].wait_until.is_some()
        })
    );
    assert_eq!(answer, COMPLETED);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(steps::list(&mut conn, model.run).await.unwrap()[0].wait_until, None);
    assert_eq!((model.counted().await, model.asked()), ((vec![Some(200)], USED), 2));
    let waited: i64 =
        sqlx::query_scalar("select waited_ms from model_calls").fetch_one(model.world.store().pool()).await.unwrap();
    assert!(waited >= 900, "{waited}");
}

#[tokio::test]
async fn a_limit_beyond_the_agents_time_is_passed_on() {
    let model = Model::new().await;
    let policy =
        ModelPolicy { models: vec!["m".to_owned()], limits: Limits::default(), record_bodies: false, agent_secs: 1 };
    model.allow(&policy).await;
    let key = StepKey { run: model.run, attempt: Attempt::FIRST, step: Step::Agent };
    let before = chrono::Utc::now() - chrono::TimeDelta::milliseconds(500);
    steps::begin(&mut model.world.store().acquire().await.unwrap(), key, before).await.unwrap();
    let refused = model.call("limited once").await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"1".parse().unwrap()));
    assert_eq!((model.counted().await, model.asked()), ((vec![Some(429)], Usage::default()), 1));
}
