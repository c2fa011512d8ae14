//! Bad input to every operation of the description: always 4xx, with a code and a sentence, and never a trace of ours.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{browser::Browser, world::World};

/// An operation of the description.
struct Operation {
    method: Method,
    path: String,
    parameters: Vec<Value>,
    has_body: bool,
}

/// The id of nothing; a path parameter that is no id; and one that is too long to be anything.
const NOTHING: &str = "01900000-0000-7000-8000-000000000000";

fn operations() -> Vec<Operation> {
    let described = serde_json::to_value(gateway::api::openapi()).unwrap();
    let paths = described["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| Operation {
            method: method.to_uppercase().parse().unwrap(),
            path: path.clone(),
            parameters: operation["parameters"].as_array().cloned().unwrap_or_default(),
            has_body: operation.get("requestBody").is_some(),
        })
    });
    each.collect()
}

impl Operation {
    fn named(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Its address with this in the place of every parameter of the path.
    fn at(&self, place: &str) -> String {
        let parts = self.path.split('/').map(|part| if part.starts_with('{') { place } else { part });
        parts.collect::<Vec<_>>().join("/")
    }

    fn is_about_something(&self) -> bool {
        self.path.contains('{')
    }

    fn query(&self) -> impl Iterator<Item = (&str, &Value)> {
        let query = self.parameters.iter().filter(|parameter| parameter["in"] == "query");
        query.map(|parameter| (parameter["name"].as_str().unwrap(), &parameter["schema"]))
    }

    async fn try_with(&self, owner: &Browser<'_>, path: &str, body: Option<Vec<u8>>) -> Result<(), String> {
        let mut request = owner.request(self.method.clone(), path);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = owner.send(request).await;
        let (code, detail) = (answer.body["code"].as_str(), answer.body["detail"].as_str());
        let told = code.is_some_and(|code| !code.is_empty()) && detail.is_some_and(|detail| detail.contains(' '));
        if (400..500).contains(&answer.status) && told && answer.body["request_id"].is_string() {
            return Ok(());
        }
        let shown: String = path.chars().take(120).collect();
        Err(format!("{} at {shown}: {} {}", self.named(), answer.status, answer.body))
    }
}

#[tokio::test]
async fn what_is_not_there_is_4xx_everywhere() {
    let world = World::start().await;
    let owner = world.signed_in("owner").await;
    let long = "x".repeat(5_000);
    let mut wrong = Vec::new();
    for operation in operations().iter().filter(|operation| operation.is_about_something()) {
        for place in [NOTHING, "nothing", "-1", "%00", "%ff", "..%2f..", &long] {
            let body = operation.has_body.then(|| b"{}".to_vec());
            wrong.extend(operation.try_with(&owner, &operation.at(place), body).await.err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn bodies_that_do_not_fit_are_4xx_everywhere() {
    let world = World::start().await;
    let owner = world.signed_in("owner").await;
    let mut wrong = Vec::new();
    for operation in operations().iter().filter(|operation| operation.has_body) {
        let path = operation.at(NOTHING);
        let bodies: [Vec<u8>; 9] = [
            Vec::new(),
            b"{".to_vec(),
            b"null".to_vec(),
            b"[]".to_vec(),
            b"\"text\"".to_vec(),
            b"\xff\xfe".to_vec(),
            json!({"no_such_field": 1}).to_string().into_bytes(),
            format!("{{\"x\":{}", "[".repeat(20_000)).into_bytes(),
            json!({"reason": "x".repeat(100_000)}).to_string().into_bytes(),
        ];
        for body in bodies {
            wrong.extend(operation.try_with(&owner, &path, Some(body)).await.err());
        }
        let plain = owner.request(operation.method.clone(), &path).header("content-type", "text/plain").body("{}");
        let answer = owner.send(plain).await;
        if answer.status != 415 {
            wrong.push(format!("{} as text: {} {}", operation.named(), answer.status, answer.body));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn queries_that_do_not_fit_are_4xx_everywhere() {
    let world = World::start().await;
    let owner = world.signed_in("owner").await;
    let mut wrong = Vec::new();
    // A stream that begins is no answer that ends; `live.rs` tries what it refuses.
    for operation in operations().into_iter().filter(|operation| operation.path != "/api/v1/live") {
        for (name, schema) in operation.query() {
            let text = schema.to_string();
            let is_free_text = text.contains("\"string\"") && !text.contains("format") && name != "cursor";
            let bad: &[&str] =
                if is_free_text { &["%ff"] } else { &["", "nothing", "-1", "99999999999999999999", "%ff"] };
            for value in bad {
                // Unpaired bytes are replaced in a free text, which then fits nothing; that is an answer, too.
                if is_free_text && *value == "%ff" {
                    continue;
                }
                let path = format!("{}?{name}={value}", operation.at(NOTHING));
                wrong.extend(operation.try_with(&owner, &path, None).await.err());
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_key_that_is_none_is_4xx_everywhere() {
    let world = World::start().await;
    let owner = world.signed_in("owner").await;
    let mut wrong = Vec::new();
    for operation in operations() {
        if !operation.parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key") {
            continue;
        }
        for key in ["a b".to_owned(), "x".repeat(201)] {
            let request =
                owner.request(operation.method.clone(), &operation.at(NOTHING)).header("idempotency-key", key);
            let answer = owner.send(request.json(&json!({"reason": "x"}))).await;
            if !(400..500).contains(&answer.status) {
                wrong.push(format!("{}: {} {}", operation.named(), answer.status, answer.body));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn sign_ins_without_end_are_held_back() {
    let world = World::start().await;
    let browser = world.browser();
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(browser.get("/auth/login").await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 30);
    let refused = browser.get("/auth/login").await;
    refused.refused(429, "too_many_sign_ins");
    assert_eq!(refused.header("retry-after"), "1");
    world.pass(chrono::TimeDelta::seconds(2));
    assert_eq!(browser.get("/auth/login").await.status, 303);
}

#[tokio::test]
async fn answers_of_github_without_end_are_held_back() {
    let world = World::start().await;
    let browser = world.browser();
    let asked = browser.begin().await;
    let back = browser.agree(&asked, "writer").await;
    let other = world.browser();
    for _ in 0..30 {
        other.get("/auth/callback?code=x&state=y").await.refused(400, "sign_in_stale");
    }
    let refused = browser.get(&back).await;
    refused.refused(429, "too_many_sign_ins");
    assert_eq!(refused.header("retry-after"), "1");
    // What begins is counted apart, and nothing of the sign-in was spent.
    assert_eq!(other.get("/auth/login").await.status, 303);
    world.pass(chrono::TimeDelta::seconds(1));
    assert_eq!(browser.get(&back).await.status, 303);
    browser.get("/api/v1/me").await.ok();
}
