//! The scripted model by itself: who is let in, which step is played, how streams break.

use std::net::{Ipv4Addr, SocketAddr};

use devkit::model::{Options, ScriptedModel};
use domain::job::Usage;
use serde_json::{Value, json};

const KEY: &str = "model-key-of-the-tests";

async fn start() -> ScriptedModel {
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    ScriptedModel::start(Options { bind, api_key: KEY.to_owned(), scenario_dir: None }).await.unwrap()
}

async fn ask(model: &ScriptedModel, key: &str, prompt: &str, outputs: usize) -> reqwest::Response {
    let mut input = vec![json!({ "type": "message", "role": "user", "content": prompt })];
    input.extend((0..outputs).map(|_| json!({ "type": "function_call_output", "call_id": "c", "output": "x" })));
    let body = json!({ "model": "m", "stream": true, "input": input });
    let url = format!("{}/v1/responses", model.url());
    reqwest::Client::new().post(url).bearer_auth(key).json(&body).send().await.unwrap()
}

fn events(stream: &str) -> Vec<Value> {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[tokio::test]
async fn only_the_right_key_is_let_in() {
    let model = start().await;
    let refused = ask(&model, "another-key", "fix", 0).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "invalid_api_key");
    assert_eq!(ask(&model, KEY, "fix", 0).await.status(), 200);
    let records = model.requests();
    assert_eq!(records.iter().map(|record| record.status).collect::<Vec<_>>(), [Some(401), Some(200)]);
    assert_eq!(records[0].usage, None);
    model.shutdown().await;
}

#[tokio::test]
async fn the_outputs_choose_the_step_and_usage_is_reported() {
    let model = start().await;
    let first = events(&ask(&model, KEY, "look [scenario:no-change]", 0).await.text().await.unwrap());
    let kinds: Vec<_> = first.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["response.created", "response.output_item.done", "response.completed"]);
    assert_eq!(first[1]["item"]["type"], "function_call");
    let last = events(&ask(&model, KEY, "look [scenario:no-change]", 1).await.text().await.unwrap());
    assert_eq!(last[1]["item"]["type"], "message");
    let records = model.requests();
    assert_eq!(records.iter().map(|record| record.step).collect::<Vec<_>>(), [0, 1]);
    let usage = records[1].usage.unwrap();
    assert_ne!(usage, Usage::default());
    assert_eq!(last[2]["response"]["usage"]["output_tokens"], usage.output_tokens);
    model.shutdown().await;
}

#[tokio::test]
async fn failures_come_with_their_status() {
    let model = start().await;
    for (name, status) in [
        ("unauthorised", 401),
        ("rate-limited", 429),
        ("quota-exceeded", 429),
        ("server-error", 500),
        ("unheard-of", 400),
    ] {
        let answer = ask(&model, KEY, &format!("[scenario:{name}]"), 0).await;
        assert_eq!(answer.status(), status, "{name}");
        assert!(answer.json::<Value>().await.unwrap()["error"]["message"].is_string(), "{name}");
    }
    let limited = ask(&model, KEY, "[scenario:rate-limited]", 0).await;
    assert_eq!(limited.headers()["retry-after"], "1");
    model.shutdown().await;
}

#[tokio::test]
async fn a_cut_stream_begins_and_breaks() {
    let model = start().await;
    let mut answer = ask(&model, KEY, "[scenario:cut-stream]", 0).await;
    assert_eq!(answer.status(), 200);
    let begin = answer.chunk().await.unwrap().unwrap();
    assert!(begin.starts_with(b"event: response.created"));
    assert!(answer.chunk().await.is_err());
    model.shutdown().await;
}

#[tokio::test]
async fn a_stalled_request_is_heard_and_ends_with_the_server() {
    let model = start().await;
    let (answer, ()) = tokio::join!(ask(&model, KEY, "[scenario:stall]", 0), async {
        while model.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(model.requests()[0].status, None);
        model.stop();
    });
    assert_eq!(answer.status(), 503);
    model.shutdown().await;
}
