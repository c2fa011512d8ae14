//! The model gateway in front of a small model API that remembers what it was asked.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
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
};
use futures::{StreamExt, stream};
use gateway::model_gateway::ModelGateway;
use http::{HeaderMap, StatusCode};
use role::SecretText;
use store::model_calls;
use telemetry::{Telemetry, TelemetrySettings, catalogue::Role};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    runner::{TOKEN, launched},
    world::{World, eventually, problem, serve},
};

const KEY: &str = "sk-the-real-key-0123456789";

const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{}}\n\n";

const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\
    \"input_tokens\":120,\"input_tokens_details\":{\"cached_tokens\":100},\"output_tokens\":30,\
    \"output_tokens_details\":{\"reasoning_tokens\":10}}}}\n\n";

const USED: Usage =
    Usage { input_tokens: 120, cached_input_tokens: 100, output_tokens: 30, reasoning_output_tokens: 10 };

/// What was asked, and when to break off.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(HeaderMap, Bytes)>>>, Arc<Notify>);

/// What is asked for in the body is how the answer goes.
async fn answer(State(seen): State<Seen>, headers: HeaderMap, body: Bytes) -> Response {
    let authorization = headers["authorization"].to_str().unwrap().to_owned();
    seen.0.lock().unwrap().push((headers, body.clone()));
    let events = [("content-type", "text/event-stream"), ("openai-model", "m"), ("set-cookie", "a=b")];
    let pieces =
        |texts: Vec<String>| stream::iter(texts.into_iter().map(|text| Ok::<_, std::io::Error>(Bytes::from(text))));
    match &body[..] {
        b"good" => (events, Body::from_stream(pieces(vec![CREATED.into(), COMPLETED.into()]))).into_response(),
        b"whole" => ([("content-type", "application/json")], "{\"usage\":{\"input_tokens\":4,\"output_tokens\":1}}")
            .into_response(),
        b"stall" => (events, Body::from_stream(pieces(vec![CREATED.into()]).chain(stream::pending()))).into_response(),
        b"cut" => {
            let cut = stream::once(async move {
                seen.1.notified().await;
                Err(std::io::Error::other("cut"))
            });
            (events, Body::from_stream(pieces(vec![CREATED.into()]).chain(cut))).into_response()
        }
        b"linger" => {
            let texts = vec![CREATED.into(), COMPLETED.into()];
            (events, Body::from_stream(pieces(texts).chain(stream::pending()))).into_response()
        }
        b"tell" => {
            let told = format!("data: you are {authorization}\n\n");
            let bytes: Vec<String> = told.chars().map(String::from).collect();
            (events, Body::from_stream(pieces(bytes))).into_response()
        }
        _ => {
            let told = format!("{{\"error\":{{\"message\":\"wrong key: {authorization}\"}}}}");
            (StatusCode::UNAUTHORIZED, [("content-type", "application/json"), ("retry-after", "3")], told)
                .into_response()
        }
    }
}

struct Model {
    world: World,
    run: RunId,
    gateway: ModelGateway,
    address: SocketAddr,
    seen: Seen,
    servers: Vec<JoinHandle<()>>,
}

impl Model {
    async fn new() -> Self {
        let seen = Seen::default();
        let upstream = Router::new()
            .route("/v1/responses", post(answer))
            .route("/v1/models", get(|| async { "{\"data\":[]}" }))
            .with_state(seen.clone());
        let (upstream, server) = serve(upstream).await;
        let mut model = Self::before(&format!("http://{upstream}")).await;
        model.seen = seen;
        model.servers.push(server);
        model
    }

    async fn before(upstream: &str) -> Self {
        let (world, run) = launched().await;
        let key = SecretText::new(KEY);
        let telemetry = Arc::new(Telemetry::new(Role::ModelGateway, &TelemetrySettings::default()).unwrap());
        let upstream = upstream.parse().unwrap();
        let gateway = ModelGateway::new(world.store().clone(), &upstream, key, Arc::new(Utc::now), telemetry).unwrap();
        let (address, server) = serve(gateway.router()).await;
        Self { world, run, gateway, address, seen: Seen::default(), servers: vec![server] }
    }

    async fn call(&self, body: &'static str) -> reqwest::Response {
        let request =
            self.world.client.post(format!("http://{}/v1/responses", self.address)).bearer_auth(model_token(TOKEN));
        request
            .header("openai-beta", "x")
            .header("cookie", "c=d")
            .header("accept-encoding", "gzip")
            .body(body)
            .send()
            .await
            .unwrap()
    }

    /// Calls, their statuses and their tokens, once all ends are written down.
    async fn counted(&self) -> (Vec<Option<i32>>, Usage) {
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
        assert_eq!(spent.calls as usize, statuses.len());
        (statuses, spent.usage)
    }
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
    let (headers, body) = model.seen.0.lock().unwrap()[0].clone();
    assert_eq!((&headers["authorization"], &body[..]), (&format!("Bearer {KEY}").parse().unwrap(), &b"good"[..]));
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
async fn a_call_that_ends_early_is_counted_too() {
    let model = Model::new().await;
    let mut stalled = model.call("stall").await.bytes_stream();
    assert_eq!(stalled.next().await.unwrap().unwrap(), CREATED);
    drop(stalled);
    assert_eq!(model.counted().await, (vec![Some(499)], Usage::default()));

    let mut cut = model.call("cut").await.bytes_stream();
    assert_eq!(cut.next().await.unwrap().unwrap(), CREATED);
    model.seen.1.notify_one();
    assert!(cut.next().await.unwrap().is_err());
    assert_eq!(model.counted().await.0, [Some(499), Some(502)]);

    // Who has heard the final event may hang up: nothing is missing.
    let mut lingering = model.call("linger").await.bytes_stream();
    let mut heard = Vec::new();
    while heard.len() < CREATED.len() + COMPLETED.len() {
        heard.extend_from_slice(&lingering.next().await.unwrap().unwrap());
    }
    drop(lingering);
    assert_eq!(model.counted().await, (vec![Some(499), Some(502), Some(200)], USED));
}

#[tokio::test]
async fn a_call_without_a_run_is_refused_and_not_counted() {
    let model = Model::new().await;
    let url = format!("http://{}/v1/responses", model.address);
    let nobody = model.world.client.post(&url).body("good").send().await.unwrap();
    assert_eq!(problem(nobody).await, (401, "token_missing".to_owned()));
    let real_key = model.world.client.post(&url).bearer_auth(KEY).body("good").send().await.unwrap();
    assert_eq!(problem(real_key).await, (401, "token_unknown".to_owned()));
    assert!(model.seen.0.lock().unwrap().is_empty());
    let models = model.world.client.get(format!("http://{}/v1/models", model.address));
    assert_eq!(models.bearer_auth(model_token(TOKEN)).send().await.unwrap().text().await.unwrap(), "{\"data\":[]}");
    assert!(model.counted().await.0.is_empty());
}

#[tokio::test]
async fn a_model_api_that_is_not_there_is_502() {
    let model = Model::before("http://127.0.0.1:1").await;
    let answer = model.call("good").await;
    assert_eq!(problem(answer).await, (502, "model_unreachable".to_owned()));
    assert_eq!(model.counted().await, (vec![None], Usage::default()));
}

#[tokio::test]
async fn each_token_opens_its_own_door_alone() {
    let model = Model::new().await;
    let run_token = model.world.client.get(format!("http://{}/v1/models", model.address)).bearer_auth(TOKEN);
    assert_eq!(problem(run_token.send().await.unwrap()).await, (403, "token_misplaced".to_owned()));
    let model_token = model.world.client.get(model.world.url("/runner/v1/job")).bearer_auth(model_token(TOKEN));
    assert_eq!(problem(model_token.send().await.unwrap()).await, (403, "token_misplaced".to_owned()));
}
