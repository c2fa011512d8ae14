//! The model gateway in front of a small model API that remembers what it was asked.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use chrono::Utc;
use domain::{
    ids::{Attempt, RunId},
    job::Usage,
    job_tokens::model_token,
    model::{Cost, ModelPolicy, Usd},
};
use futures::{StreamExt, stream};
use gateway::model_gateway::{KeySettings, ModelGateway, ModelGatewayParts, Prices, ProviderSettings};
use http::{HeaderMap, StatusCode};
use role::SecretText;
use serde_json::{Value, json};
use store::model_calls::{self, Spent};
use telemetry::{Telemetry, TelemetrySettings, catalogue::Role};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    runner::{TOKEN, launched},
    world::{World, eventually, problem, serve},
};

pub const KEY: &str = "sk-the-real-key-0123456789";

pub const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{}}\n\n";

pub const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\
    \"input_tokens\":120,\"input_tokens_details\":{\"cached_tokens\":100},\"output_tokens\":30,\
    \"output_tokens_details\":{\"reasoning_tokens\":10}}}}\n\n";

pub const USED: Usage =
    Usage { input_tokens: 120, cached_input_tokens: 100, output_tokens: 30, reasoning_output_tokens: 10 };

/// What was asked, and when to break off.
#[derive(Clone, Default)]
pub struct Seen {
    pub asked: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    pub cut: Arc<Notify>,
    /// Answers whose stream somebody still reads.
    pub open: Arc<AtomicUsize>,
}

/// Counts an answer that is being read.
struct Reading(Arc<AtomicUsize>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The `input` of a call is how its answer goes.
async fn answer(State(seen): State<Seen>, headers: HeaderMap, body: Bytes) -> Response {
    let authorization = headers["authorization"].to_str().unwrap().to_owned();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    seen.asked.lock().unwrap().push((headers, body));
    let times = seen.asked.lock().unwrap().len();
    let events = [("content-type", "text/event-stream"), ("openai-model", "m"), ("set-cookie", "a=b")];
    let pieces =
        |texts: Vec<String>| stream::iter(texts.into_iter().map(|text| Ok::<_, std::io::Error>(Bytes::from(text))));
    let json = [("content-type", "application/json")];
    match asked["input"].as_str().unwrap() {
        "good" => (events, Body::from_stream(pieces(vec![CREATED.into(), COMPLETED.into()]))).into_response(),
        "whole" => (json, "{\"usage\":{\"input_tokens\":4,\"output_tokens\":1}}").into_response(),
        "silent" => (events, Body::from_stream(pieces(vec![CREATED.into()]))).into_response(),
        "stall" => {
            seen.open.fetch_add(1, Ordering::SeqCst);
            let reading = Reading(Arc::clone(&seen.open));
            let for_ever = stream::pending().map(move |never| {
                let _ = &reading;
                never
            });
            (events, Body::from_stream(pieces(vec![CREATED.into()]).chain(for_ever))).into_response()
        }
        "cut" => {
            let cut = stream::once(async move {
                seen.cut.notified().await;
                Err(std::io::Error::other("cut"))
            });
            (events, Body::from_stream(pieces(vec![CREATED.into()]).chain(cut))).into_response()
        }
        "linger" => {
            let texts = vec![CREATED.into(), COMPLETED.into()];
            (events, Body::from_stream(pieces(texts).chain(stream::pending()))).into_response()
        }
        "tell" => {
            let told = format!("data: you are {authorization}\n\n");
            let bytes: Vec<String> = told.chars().map(String::from).collect();
            (events, Body::from_stream(pieces(bytes))).into_response()
        }
        "full" => {
            let bound = asked["max_output_tokens"].as_u64().unwrap();
            let event = json!({ "type": "response.incomplete", "response": {
                "incomplete_details": { "reason": "max_output_tokens" },
                "usage": { "input_tokens": 120, "output_tokens": bound } } });
            (events, format!("data: {event}\n\n")).into_response()
        }
        "broken once" if times == 1 => (StatusCode::BAD_GATEWAY, json, "{}").into_response(),
        "broken once" => (events, COMPLETED).into_response(),
        "broken" => (StatusCode::INTERNAL_SERVER_ERROR, json, "{\"error\":{}}").into_response(),
        "limited once" if times == 1 => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], "{\"error\":{}}").into_response()
        }
        "limited once" => (events, COMPLETED).into_response(),
        "first key is empty" if authorization.ends_with(KEY) => {
            let told = "{\"error\":{\"code\":\"insufficient_quota\"}}";
            (StatusCode::TOO_MANY_REQUESTS, json, told).into_response()
        }
        "first key is empty" => (events, COMPLETED).into_response(),
        _ => {
            let told = format!("{{\"error\":{{\"message\":\"wrong key: {authorization}\"}}}}");
            (StatusCode::UNAUTHORIZED, [("content-type", "application/json"), ("retry-after", "3")], told)
                .into_response()
        }
    }
}

async fn vectors(State(seen): State<Seen>, headers: HeaderMap, body: Bytes) -> Response {
    seen.asked.lock().unwrap().push((headers, body));
    let told = "{\"data\":[],\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}";
    ([("content-type", "application/json")], told).into_response()
}

pub struct Model {
    pub world: World,
    pub run: RunId,
    pub gateway: ModelGateway,
    pub address: SocketAddr,
    pub upstream: SocketAddr,
    pub seen: Seen,
    servers: Vec<JoinHandle<()>>,
}

impl Model {
    pub async fn new() -> Self {
        Self::with_keys(&[KEY]).await
    }

    /// One provider with these keys, in front of the small model API.
    pub async fn with_keys(keys: &[&str]) -> Self {
        let seen = Seen::default();
        let upstream = Router::new()
            .route("/v1/responses", post(answer))
            .route("/v1/embeddings", post(vectors))
            .route("/v1/models", get(|| async { "{\"data\":[]}" }))
            .with_state(seen.clone());
        let (upstream, server) = serve(upstream).await;
        let mut model = Self::before(&format!("http://{upstream}"), keys).await;
        model.upstream = upstream;
        model.seen = seen;
        model.servers.push(server);
        model
    }

    async fn before(upstream: &str, keys: &[&str]) -> Self {
        let (world, run) = launched().await;
        let gateway = gateway(&world, upstream, keys);
        let (address, server) = serve(gateway.router()).await;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        Self { world, run, gateway, address, upstream: nowhere, seen: Seen::default(), servers: vec![server] }
    }

    /// Calls with an answer that goes so.
    pub async fn call(&self, how: &str) -> reqwest::Response {
        self.post("/v1/responses", &json!({ "model": "m", "input": how, "stream": true })).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        self.post_to(self.address, path, body.clone()).await
    }

    /// The same through another gateway.
    pub async fn post_to(&self, gateway: SocketAddr, path: &str, body: Value) -> reqwest::Response {
        let request = self.world.client.post(format!("http://{gateway}{path}")).bearer_auth(model_token(TOKEN));
        request
            .header("openai-beta", "x")
            .header("cookie", "c=d")
            .header("accept-encoding", "gzip")
            .json(&body)
            .send()
            .await
            .unwrap()
    }

    /// Has the run's attempt keep to this.
    pub async fn allow(&self, policy: &ModelPolicy) {
        let mut conn = self.world.store().acquire().await.unwrap();
        model_calls::set_policy(&mut conn, self.run, Attempt::FIRST, policy).await.unwrap();
    }

    /// How often the model API was asked.
    pub fn asked(&self) -> usize {
        self.seen.asked.lock().unwrap().len()
    }

    pub async fn spent(&self) -> Spent {
        self.counted().await;
        let mut conn = self.world.store().acquire().await.unwrap();
        model_calls::sum_for_attempt(&mut conn, self.run, Attempt::FIRST).await.unwrap()
    }

    /// Calls, their statuses and their tokens, once all ends are written down.
    pub async fn counted(&self) -> (Vec<Option<i32>>, Usage) {
        let store = self.world.store();
        eventually("every call has ended", async || {
            self.gateway.settle().await;
            let open = sqlx::query_scalar::<_, i64>("select count(*) from model_calls where finished_at is null");
            open.fetch_one(store.pool()).await.unwrap() == 0
        })
        .await;
        let statuses = sqlx::query_scalar("select status from model_calls order by started_at, id");
        let statuses = statuses.fetch_all(store.pool()).await.unwrap();
        let mut conn = store.acquire().await.unwrap();
        let spent = model_calls::sum_for_attempt(&mut conn, self.run, Attempt::FIRST).await.unwrap();
        (statuses, spent.usage)
    }
}

/// A model gateway over the world's database, with prices for the model `m`.
pub fn gateway(world: &World, upstream: &str, keys: &[&str]) -> ModelGateway {
    let key =
        |(number, key): (usize, &&str)| KeySettings { id: format!("key-{number}"), secret: SecretText::new(*key) };
    let provider = ProviderSettings {
        name: "small".to_owned(),
        base_url: upstream.parse().unwrap(),
        models: Some(vec!["m".to_owned(), "unpriced".to_owned()]),
        keys: keys.iter().enumerate().map(key).collect(),
    };
    let prices = "[models.m]\ninput_usd_per_million = 1\ncached_input_usd_per_million = 0.1\noutput_usd_per_million = 10\n\
         max_output_tokens = 5000\n";
    ModelGateway::new(ModelGatewayParts {
        store: world.store().clone(),
        providers: vec![provider],
        prices: Prices::parse(prices).unwrap(),
        blobs: Some(world.blobs.clone()),
        clock: Arc::new(Utc::now),
        telemetry: Arc::new(Telemetry::new(Role::ModelGateway, &TelemetrySettings::default()).unwrap()),
    })
    .unwrap()
}

impl Drop for Model {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

#[tokio::test]
async fn a_call_passes_with_the_real_key_and_is_counted() {
    let model = Model::new().await;
    let answer = model.call("good").await;
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["openai-model"], "m");
    assert!(!answer.headers().contains_key("set-cookie"));
    assert_eq!(answer.text().await.unwrap(), format!("{CREATED}{COMPLETED}"));
    let (headers, body) = model.seen.asked.lock().unwrap()[0].clone();
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    let sent: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(sent, json!({ "model": "m", "input": "good", "stream": true }), "without limits nothing is changed");
    assert_eq!(headers["openai-beta"], "x");
    assert!(!headers.contains_key("cookie") && !headers.contains_key("accept-encoding"), "{headers:?}");
    assert_eq!(model.counted().await, (vec![Some(200)], USED));

    assert_eq!(model.call("whole").await.status().as_u16(), 200);
    let both = Usage { input_tokens: 124, output_tokens: 31, ..USED };
    assert_eq!(model.counted().await, (vec![Some(200), Some(200)], both));
}

#[tokio::test]
async fn the_key_never_comes_back() {
    let model = Model::new().await;
    let told = model.call("tell").await.text().await.unwrap();
    assert_eq!(told, "data: you are Bearer [removed]\n\n");
    let refused = model.call("other").await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (401, &"3".parse().unwrap()));
    assert_eq!(refused.text().await.unwrap(), "{\"error\":{\"message\":\"wrong key: Bearer [removed]\"}}");
    assert_eq!(model.counted().await.0, [Some(200), Some(401)]);
}

#[tokio::test]
async fn a_call_that_ends_early_is_booked_with_what_it_reserved() {
    let model = Model::new().await;
    let mut stalled = model.call("stall").await.bytes_stream();
    assert_eq!(stalled.next().await.unwrap().unwrap(), CREATED);
    assert_eq!(model.seen.open.load(Ordering::SeqCst), 1);
    drop(stalled);
    // Who leaves has the model API stop, too.
    eventually("the model API is left alone", async || model.seen.open.load(Ordering::SeqCst) == 0).await;
    assert_eq!(model.counted().await.0, [Some(499)]);
    // 43 bytes of a call are counted as 15 tokens; the longest answer is that of the price table.
    let estimate = Usage { input_tokens: 15, output_tokens: 5_000, ..Usage::default() };
    let spent = model.spent().await;
    assert_eq!((spent.usage, spent.cost.estimated_calls), (estimate, 1));
    assert_eq!(spent.cost.known, Usd::from_nano(15 * 1_000 + 5_000 * 10_000));

    let mut cut = model.call("cut").await.bytes_stream();
    assert_eq!(cut.next().await.unwrap().unwrap(), CREATED);
    model.seen.cut.notify_one();
    assert!(cut.next().await.unwrap().is_err());
    assert_eq!(model.counted().await.0, [Some(499), Some(502)]);
    assert_eq!(model.call("silent").await.text().await.unwrap(), CREATED);
    assert_eq!(model.spent().await.cost.estimated_calls, 3);

    // Who has heard the final event may hang up: nothing is missing.
    let mut lingering = model.call("linger").await.bytes_stream();
    let mut heard = Vec::new();
    while heard.len() < CREATED.len() + COMPLETED.len() {
        heard.extend_from_slice(&lingering.next().await.unwrap().unwrap());
    }
    drop(lingering);
    assert_eq!(model.counted().await.0, [Some(499), Some(502), Some(200), Some(200)]);
    assert_eq!(model.spent().await.cost.estimated_calls, 3);
}

#[tokio::test]
async fn a_call_without_a_run_is_refused_and_not_counted() {
    let model = Model::new().await;
    let url = format!("http://{}/v1/responses", model.address);
    let nobody = model.world.client.post(&url).body("{}").send().await.unwrap();
    assert_eq!(problem(nobody).await, (401, "token_missing".to_owned()));
    let real_key = model.world.client.post(&url).bearer_auth(KEY).body("{}").send().await.unwrap();
    assert_eq!(problem(real_key).await, (401, "token_unknown".to_owned()));
    assert_eq!(model.asked(), 0);
    let models = model.world.client.get(format!("http://{}/v1/models", model.address));
    assert_eq!(models.bearer_auth(model_token(TOKEN)).send().await.unwrap().text().await.unwrap(), "{\"data\":[]}");
    assert!(model.counted().await.0.is_empty());
}

#[tokio::test]
async fn a_model_api_that_is_not_there_is_502() {
    let model = Model::before("http://127.0.0.1:1", &[KEY]).await;
    let answer = model.call("good").await;
    assert_eq!(problem(answer).await, (502, "model_unreachable".to_owned()));
    // It never got there: it cost nothing.
    assert_eq!(model.counted().await, (vec![None], Usage::default()));
    assert_eq!(model.spent().await.cost, Cost::default());
}

#[tokio::test]
async fn each_token_opens_its_own_door_alone() {
    let model = Model::new().await;
    let run_token = model.world.client.get(format!("http://{}/v1/models", model.address)).bearer_auth(TOKEN);
    assert_eq!(problem(run_token.send().await.unwrap()).await, (403, "token_misplaced".to_owned()));
    let model_token = model.world.client.get(model.world.url("/runner/v1/job")).bearer_auth(model_token(TOKEN));
    assert_eq!(problem(model_token.send().await.unwrap()).await, (403, "token_misplaced".to_owned()));
}
