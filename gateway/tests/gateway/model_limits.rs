//! What an agent may ask of the model API, and what it may use up.

use domain::{
    ids::Attempt,
    job::Usage,
    model::{Limit, Limits, ModelPolicy, ModelStop, Usd},
};
use futures::{StreamExt, future::join_all};
use serde_json::{Value, json};
use store::{blobs::BlobKey, model_calls};

use crate::{
    model::{CREATED, KEY, Model, USED, gateway},
    world::{eventually, serve},
};

fn policy(limits: Limits) -> ModelPolicy {
    let models = ["m", "unpriced", "unserved"].map(str::to_owned).to_vec();
    ModelPolicy { models, limits, record_bodies: false, agent_secs: 600 }
}

fn per_run(tokens: Option<u64>, usd: Option<u64>) -> ModelPolicy {
    policy(Limits { run: Limit { tokens, usd: usd.map(Usd::from_nano), ..Limit::default() }, ..Limits::default() })
}

/// The error of an answer in the form of the model API.
async fn error(answer: reqwest::Response) -> (u16, String, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let text = |field: &str| body["error"][field].as_str().unwrap().to_owned();
    (status, text("code"), text("message"))
}

async fn stopped(model: &Model) -> Option<ModelStop> {
    let mut conn = model.world.store().acquire().await.unwrap();
    model_calls::stopped(&mut conn, model.run, Attempt::FIRST).await.unwrap().map(|stopped| stopped.stop)
}

#[tokio::test]
async fn a_run_stops_at_its_budget() {
    let model = Model::new().await;
    // Each call uses 150 tokens of 5,500; the answer is cut to what is left.
    model.allow(&per_run(Some(5_500), None)).await;
    let mut bounds = Vec::new();
    let refused = loop {
        let answer = model.call("good").await;
        model.gateway.settle().await;
        if answer.status() != 200 {
            break answer;
        }
        answer.text().await.unwrap();
        let (_, body) = model.seen.asked.lock().unwrap().last().unwrap().clone();
        bounds.push(serde_json::from_slice::<Value>(&body).unwrap()["max_output_tokens"].as_u64().unwrap());
        model.counted().await;
    };
    let (status, code, message) = error(refused).await;
    assert_eq!((status, code.as_str()), (429, "insufficient_quota"));
    assert!(
        message.contains("this run, 5500 tokens, is spent") && message.contains("`budget.per_run_tokens`"),
        "{message}"
    );
    assert_eq!((bounds[0], bounds[3]), (5_000, 5_000));
    assert_eq!(bounds[4], 5_500 - 4 * 150 - 14, "{bounds:?}");
    assert!(*bounds.last().unwrap() >= 256, "{bounds:?}");
    let spent = model.spent().await;
    assert_eq!(spent.calls as usize, bounds.len());
    assert_eq!(spent.calls as usize, model.asked(), "a refused call is not made");
    let used = spent.usage.input_tokens + spent.usage.output_tokens;
    assert!(used == 150 * u64::from(spent.calls) && used <= 5_500, "{spent:?}");
    assert_eq!(stopped(&model).await, Some(ModelStop::Budget));
}

#[tokio::test]
async fn money_is_counted_by_the_price_table_and_needs_one() {
    let model = Model::new().await;
    // 20 fresh tokens in, 100 cached, 30 out: 330 millionths of a dollar.
    model.allow(&per_run(None, Some(1_000_000_000))).await;
    model.call("good").await.text().await.unwrap();
    let spent = model.spent().await;
    assert_eq!((spent.usage, spent.cost.known), (USED, Usd::from_nano(20_000 + 10_000 + 300_000)));

    let unpriced = json!({ "model": "unpriced", "input": "good" });
    let (status, code, message) = error(model.post("/v1/responses", &unpriced).await).await;
    assert_eq!((status, code.as_str()), (400, "model_unpriced"));
    assert!(message.contains("`budget.per_run_usd`"), "{message}");
    assert_eq!((model.asked(), stopped(&model).await), (1, Some(ModelStop::Unpriced)));

    // Where only tokens are limited it may be used, and its cost is said to be unknown.
    model.allow(&per_run(Some(1_000_000), None)).await;
    model.post("/v1/responses", &unpriced).await.text().await.unwrap();
    let cost = model.spent().await.cost;
    assert_eq!(cost.unpriced_calls, 1);
    assert!(cost.to_string().ends_with("and 1 call of unknown cost"), "{cost}");
}

#[tokio::test]
async fn an_answer_that_the_budget_ends_is_known_as_such() {
    let model = Model::new().await;
    model.allow(&per_run(Some(1_000), None)).await;
    let told = model.call("full").await.text().await.unwrap();
    assert!(told.contains("max_output_tokens"), "{told}");
    assert_eq!(model.spent().await.usage.output_tokens, 986);
    assert_eq!(stopped(&model).await, Some(ModelStop::OutputCut));
}

#[tokio::test]
async fn two_gateways_never_overshoot_one_budget() {
    const LIMIT: u64 = 30_000;
    let model = Model::new().await;
    let upstream = format!("http://{}", model.upstream);
    let other = gateway(&model.world, &upstream, &[KEY]);
    let (address, server) = serve(other.router()).await;
    model.allow(&per_run(Some(LIMIT), None)).await;
    // Each uses all that it is granted, so that only reserving beforehand can keep them within the limit.
    let calls = (0..24).map(|number| {
        let at = if number % 2 == 0 { model.address } else { address };
        model.post_to(at, "/v1/responses", json!({ "model": "m", "input": "full", "stream": true }))
    });
    let answers: Vec<u16> = join_all(calls.map(|call| async move {
        let answer = call.await;
        let status = answer.status().as_u16();
        answer.text().await.unwrap();
        status
    }))
    .await;
    other.settle().await;
    let spent = model.spent().await;
    let output = spent.usage.output_tokens;
    // The small model API says 120 tokens in where 14 were estimated: that much a call can be beyond.
    let beyond = u64::from(spent.calls) * 106;
    assert!(output + spent.usage.input_tokens <= LIMIT + beyond, "{spent:?}");
    assert!(output > LIMIT - 5_000, "what fits is used: {spent:?}");
    assert!(answers.contains(&200) && answers.contains(&429), "{answers:?}");
    server.abort();
}

#[tokio::test]
async fn a_call_waits_for_what_others_only_hold() {
    let model = Model::new().await;
    model.allow(&per_run(Some(5_200), None)).await;
    let mut held = model.call("cut").await.bytes_stream();
    assert_eq!(held.next().await.unwrap().unwrap(), CREATED);
    let waiting = model.call("good");
    tokio::pin!(waiting);
    let early = tokio::time::timeout(std::time::Duration::from_millis(400), &mut waiting).await;
    assert!(early.is_err() && model.asked() == 1, "it waits");
    // The other breaks off: what it had reserved is booked, and nothing is left.
    model.seen.cut.notify_one();
    assert!(held.next().await.unwrap().is_err());
    drop(held);
    let (status, code, _) = error(waiting.await).await;
    assert_eq!((status, code.as_str()), (429, "insufficient_quota"));
}

#[tokio::test]
async fn only_the_agents_models_are_to_be_had() {
    let model = Model::new().await;
    let policy = ModelPolicy { models: vec!["m".to_owned(), "unserved".to_owned()], ..policy(Limits::default()) };
    model.allow(&policy).await;
    assert_eq!(model.call("good").await.status(), 200);
    let other = json!({ "model": "unpriced", "input": "good" });
    let (status, code, message) = error(model.post("/v1/responses", &other).await).await;
    assert_eq!((status, code.as_str()), (400, "model_not_allowed"));
    assert!(message.contains("`unpriced`") && message.contains("`m`"), "{message}");
    let unserved = json!({ "model": "unserved", "input": "good" });
    let (status, code, _) = error(model.post("/v1/responses", &unserved).await).await;
    assert_eq!((status, code.as_str(), model.asked()), (400, "model_not_found", 1));
    model.counted().await;
    assert_eq!(stopped(&model).await, Some(ModelStop::Unserved));
}

#[tokio::test]
async fn embeddings_are_counted_and_limited_like_answers() {
    let model = Model::new().await;
    model.allow(&per_run(Some(100), None)).await;
    let call = json!({ "model": "m", "input": ["a", "b"] });
    let answer = model.post("/v1/embeddings", &call).await;
    assert_eq!(answer.json::<Value>().await.unwrap()["usage"]["prompt_tokens"], 8);
    let (_, body) = model.seen.asked.lock().unwrap()[0].clone();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), call, "there is no answer to bound");
    let spent = model.spent().await;
    assert_eq!(spent.usage, Usage { input_tokens: 8, ..Usage::default() });
    assert_eq!(spent.cost.known, Usd::from_nano(8_000));
    let long = json!({ "model": "m", "input": "x".repeat(400) });
    assert_eq!(error(model.post("/v1/embeddings", &long).await).await.1, "insufficient_quota");
}

#[tokio::test]
async fn what_was_said_is_kept_only_where_it_is_wanted_and_without_secrets() {
    let model = Model::new().await;
    let token = format!("ghp_{}", "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY2zA4");
    let call = json!({ "model": "m", "input": "good", "stream": true, "instructions": format!("use {token} now") });
    model.post("/v1/responses", &call).await.text().await.unwrap();
    model.allow(&ModelPolicy { record_bodies: true, ..policy(Limits::default()) }).await;
    model.post("/v1/responses", &call).await.text().await.unwrap();
    model.post("/v1/responses", &json!({ "model": "m", "input": "tell" })).await.text().await.unwrap();
    model.counted().await;
    let mut conn = model.world.store().acquire().await.unwrap();
    let keys = model_calls::bodies(&mut conn, model.run, Attempt::FIRST, 10).await.unwrap();
    assert_eq!(keys.len(), 2, "the first call was made before it was wanted");
    let read = async |key: &BlobKey| String::from_utf8(model.world.blobs.get(key).await.unwrap().to_vec()).unwrap();
    let kept = read(&keys[0]).await;
    assert!(
        !kept.contains(&token) && kept.contains("use [removed] now") && kept.contains("response.completed"),
        "{kept}"
    );
    let kept = read(&keys[1]).await;
    assert!(!kept.contains(KEY) && kept.contains("you are Bearer"), "{kept}");
}

#[tokio::test]
async fn a_gateway_that_is_gone_has_its_calls_booked_by_another() {
    let model = Model::new().await;
    let mut stalled = model.call("stall").await.bytes_stream();
    assert_eq!(stalled.next().await.unwrap().unwrap(), CREATED);
    let store = model.world.store();
    assert_eq!(model.gateway.look_after().await.unwrap(), 0, "it is at work");
    // As if it had been silent for a minute.
    store::testing::silence_model_gateways(store).await.unwrap();
    let other = gateway(&model.world, "http://127.0.0.1:1", &[KEY]);
    assert_eq!(other.look_after().await.unwrap(), 1);
    assert_eq!(other.look_after().await.unwrap(), 0);
    let spent = model.spent().await;
    assert_eq!((spent.calls, spent.cost.estimated_calls, spent.usage.output_tokens), (1, 1, 5_000));
    drop(stalled);
    eventually("the model API is left alone", async || model.seen.open.load(std::sync::atomic::Ordering::SeqCst) == 0)
        .await;
    model.gateway.settle().await;
    assert_eq!(model.spent().await, spent, "it is booked once");
}
