//! The engine's own web UI through the gateway: the real one, of the suite's Temporal.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Body, extract::Request, response::Response};
use chrono::TimeDelta;
use http::HeaderMap;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::{
    browser::{Answer, Browser},
    world::World,
};

const API: &str = "/ops/temporal/api/v1";

fn real() -> String {
    std::env::var("CODEX_K8S_TEST_TEMPORAL_UI").unwrap()
}

/// Opens an address as a person does.
async fn open(browser: &Browser<'_>, path: &str) -> Answer {
    browser.send(browser.request(Method::GET, path).header("accept", "text/html,*/*;q=0.8")).await
}

/// A workflow that nobody works at, started at the engine itself.
struct Idle {
    id: String,
}

impl Idle {
    async fn start() -> Self {
        let id = format!("test:engine-ui:{}", Uuid::now_v7());
        let body = json!({
            "workflowType": {"name": "idle"}, "taskQueue": {"name": id}, "requestId": id, "identity": "test",
        });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(format!("{}{API}/namespaces/default/workflows/{id}", real())).json(&body);
        let answer = request.header("cookie", "_csrf=test").header("x-csrf-token", "test").send().await.unwrap();
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
        Self { id }
    }

    fn path(&self, rest: &str) -> String {
        format!("{API}/namespaces/default/workflows/{}{rest}", self.id.replace(':', "%3A"))
    }

    /// How it stands and, once it is closed, its last event.
    async fn seen_by(&self, browser: &Browser<'_>) -> (String, Value) {
        let told = browser.get(&self.path("")).await.ok();
        let last = browser.get(&self.path("/history-reverse")).await.ok()["history"]["events"][0].clone();
        (told["workflowExecutionInfo"]["status"].as_str().unwrap().to_owned(), last)
    }

    /// Ends it, so that the suite's engine is left as it was.
    async fn end(&self, operator: &Browser<'_>) {
        operator.post(&self.path("/terminate"), json!({"reason": "the test is over"})).await.ok();
    }
}

async fn grant(owner: &Browser<'_>, world: &World, login: &str, what: &str) -> Answer {
    let id = world.person(login).await.id;
    owner.post(&format!("/api/v1/people/{id}/operator-grant{what}"), json!({"reason": "on call"})).await
}

#[tokio::test]
async fn it_is_there_for_those_who_run_the_platform_and_for_nobody_else() {
    let world = World::before_engine_ui(&real()).await;
    for login in ["owner", "admin"] {
        let browser = world.signed_in(login).await;
        let page = open(&browser, "/ops/temporal/namespaces/default/workflows").await;
        assert_eq!(page.status, 200, "{login}: {page:?}");
        let text = page.body.as_str().unwrap();
        assert!(text.contains("/ops/temporal/_app/"), "{text}");
        let policy = page.headers.get_all("content-security-policy").iter().map(|line| line.to_str().unwrap());
        let policy: Vec<&str> = policy.collect();
        let own = policy.iter().find(|line| line.starts_with("default-src 'none'")).unwrap();
        assert!(
            own.contains(" 'sha256-") && own.contains(&format!("connect-src {}/ops/temporal/;", world.url())),
            "{own}"
        );
        assert!(!page.headers.contains_key("set-cookie"), "{:?}", page.headers);
        assert_eq!((page.header("x-content-type-options"), page.header("cache-control")), ("nosniff", "no-store"));
        let file = text.split('"').find(|part| part.starts_with("/ops/temporal/_app/")).unwrap();
        let script = browser.get(file).await;
        assert_eq!((script.status, script.header("content-type")), (200, "text/javascript; charset=utf-8"), "{file}");
        let list = browser.get(&format!("{API}/namespaces/default/workflows?pageSize=1")).await.ok();
        assert!(list.is_object(), "{list}");
        let told = browser.get("/api/v1/me").await.ok();
        let expected = json!({"path": "/ops/temporal", "namespace": "default", "writes": false});
        assert_eq!(told["engine_ui"], expected, "{login}");
    }
    for login in ["outsider", "reader", "writer", "project-admin"] {
        let browser = world.signed_in(login).await;
        assert_eq!(browser.get("/api/v1/me").await.ok()["engine_ui"], Value::Null);
        let mut unknown = browser.get("/ops/nothing").await;
        unknown.refused(404, "not_found");
        for path in ["/ops/temporal", "/ops/temporal/", &format!("{API}/namespaces"), "/ops/temporal/_app/x.js"] {
            let mut answer = open(&browser, path).await;
            answer.refused(404, "not_found");
            (answer.body["request_id"], unknown.body["request_id"]) = (Value::Null, Value::Null);
            assert_eq!(answer.body, unknown.body, "{login} {path}");
        }
        let idle = format!("{API}/namespaces/default/workflows/x/terminate");
        browser.post(&idle, json!({})).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn who_is_signed_out_is_led_to_the_sign_in_and_back() {
    let world = World::before_engine_ui(&real()).await;
    let nobody = world.browser();
    let wanted = "/ops/temporal/namespaces/default/workflows?query=a%26b";
    let led = open(&nobody, wanted).await;
    assert_eq!(led.status, 303);
    let renew = led.header("location").to_owned();
    assert!(renew.starts_with("/auth/renew?return_to=%2Fops%2Ftemporal%2F"), "{renew}");
    let led = open(&nobody, &renew).await;
    assert_eq!(led.status, 303);
    let expected =
        format!("{}/sign-in?to=%2Fops%2Ftemporal%2Fnamespaces%2Fdefault%2Fworkflows%3Fquery%3Da%2526b", world.url());
    assert_eq!(led.header("location"), expected);
    nobody.get(&format!("{API}/namespaces")).await.refused(401, "signed_out");
    nobody.get("/ops/temporal/").await.refused(401, "signed_out");
    let in_passing = nobody.request(Method::GET, &format!("{API}/namespaces")).header("sec-fetch-site", "same-origin");
    let led = nobody.send(in_passing).await;
    assert_eq!(led.status, 303);
    nobody.get(led.header("location")).await.refused(401, "signed_out");
    // A strict cookie does not come along from another site: a page of ours leads to the same place once more.
    let from_elsewhere =
        nobody.request(Method::GET, wanted).header("accept", "text/html").header("sec-fetch-site", "cross-site");
    let page = nobody.send(from_elsewhere).await;
    assert_eq!(page.status, 200);
    assert!(
        page.body
            .as_str()
            .unwrap()
            .contains("content=\"0;url=/ops/temporal/namespaces/default/workflows?query=a%26b\""),
        "{page:?}"
    );
}

#[tokio::test]
async fn a_page_whose_token_has_ended_goes_on_with_a_new_one() {
    let world = World::before_engine_ui(&real()).await;
    let owner = world.signed_in("owner").await;
    world.pass(TimeDelta::minutes(11));
    let (old, page) = (owner.cookie("access").unwrap(), "/ops/temporal/namespaces/default");
    owner.get(&format!("{API}/namespaces")).await.refused(401, "token_expired");
    // That is where the UI itself goes then.
    let login = format!("/ops/temporal/login?returnUrl={}{page}", world.url());
    let led = open(&owner, &login).await;
    let led = open(&owner, led.header("location")).await;
    assert_eq!((led.status, led.header("location")), (303, format!("{}{page}", world.url()).as_str()));
    assert_ne!(owner.cookie("access").unwrap(), old);
    assert_eq!(open(&owner, page).await.status, 200);
    let led = open(&owner, &login).await;
    assert_eq!((led.status, led.header("location")), (303, page), "who is signed in has no use for a login page");
    // What a page asks for in passing notices nothing.
    world.pass(TimeDelta::minutes(11));
    let asked = format!("{API}/namespaces?pageSize=1");
    let led = owner.send(owner.request(Method::GET, &asked).header("sec-fetch-site", "same-origin")).await;
    assert_eq!(led.status, 303);
    let led = owner.get(led.header("location")).await;
    assert_eq!((led.status, led.header("location")), (303, format!("{}{asked}", world.url()).as_str()));
    owner.get(&asked).await.ok();
    // What may change something is sent once and is not led about.
    world.pass(TimeDelta::minutes(11));
    let query = owner.request(Method::POST, &format!("{API}/namespaces/default/workflows/x/query/y")).json(&json!({}));
    owner.send(query.header("sec-fetch-site", "same-origin")).await.refused(401, "token_expired");
    // Whose sign-in was ended is out.
    assert_eq!(owner.send(owner.request(Method::POST, "/auth/logout")).await.status, 204);
    assert_eq!(open(&owner, page).await.status, 303);
}

#[tokio::test]
async fn only_who_holds_the_grant_writes_and_every_write_is_in_the_audit() {
    let world = World::before_engine_ui(&real()).await;
    let (owner, admin) = (world.signed_in("owner").await, world.signed_in("admin").await);
    let idle = Idle::start().await;
    let settings = format!("{API}/settings");
    assert_eq!(admin.get(&settings).await.ok()["DisableWriteActions"], true);
    let forged = json!({"reason": "stuck", "identity": "owner", "details": {"payloads": []}});
    for who in [&owner, &admin] {
        let refused = who.post(&idle.path("/terminate"), forged.clone()).await;
        refused.refused(403, "operator_grant_missing");
        assert_eq!(refused.body["message"], refused.body["detail"], "the UI shows what stands there");
    }
    assert_eq!(idle.seen_by(&admin).await.0, "WORKFLOW_EXECUTION_STATUS_RUNNING");
    assert!(world.audited("engine_ui.write_sent").await.is_empty());
    // A question is a POST, and no write.
    let asked = admin.post(&format!("{API}/namespaces/default/workflows/no-such/query/state"), json!({})).await;
    assert_eq!((asked.status, &asked.body["code"]), (404, &json!(5)), "{asked:?}");

    grant(&admin, &world, "admin", "").await.refused(403, "role_missing");
    let given = grant(&owner, &world, "admin", "").await.ok();
    assert_eq!(
        (&given["operator_grant"]["reason"], &given["operator_grant"]["given_by"]),
        (&json!("on call"), &json!("owner"))
    );
    assert_eq!(admin.get(&settings).await.ok()["DisableWriteActions"], false);
    assert_eq!(admin.get("/api/v1/me").await.ok()["engine_ui"]["writes"], true);
    // Another site's page writes nothing in the name of who holds it.
    admin.send(admin.bare(Method::POST, &idle.path("/terminate")).json(&forged)).await.refused(403, "origin_forbidden");
    admin.post(&idle.path("/terminate"), forged).await.ok();
    let (status, last) = idle.seen_by(&admin).await;
    let attributes = &last["workflowExecutionTerminatedEventAttributes"];
    assert_eq!(status, "WORKFLOW_EXECUTION_STATUS_TERMINATED");
    assert_eq!((&attributes["identity"], &attributes["reason"]), (&json!("admin"), &json!("stuck")), "{last}");

    let (sent, answered) =
        (world.audited("engine_ui.write_sent").await, world.audited("engine_ui.write_answered").await);
    assert_eq!((sent.len(), answered.len()), (1, 1));
    for (field, value) in [
        ("call", "TerminateWorkflowExecution"),
        ("namespace", "default"),
        ("workflow_id", idle.id.as_str()),
        ("reason", "stuck"),
        ("by", &world.person("admin").await.id.to_string()),
    ] {
        assert_eq!(sent[0][field], value, "{}", sent[0]);
    }
    assert_eq!((&answered[0]["write"], &answered[0]["status"]), (&sent[0]["write"], &json!(200)));
    // What the engine refuses stands there as well.
    assert_eq!(admin.post(&idle.path("/terminate"), json!({})).await.status, 404);
    assert_eq!(world.audited("engine_ui.write_answered").await[1]["status"], 404);

    grant(&owner, &world, "admin", "/withdraw").await.ok();
    grant(&owner, &world, "admin", "/withdraw").await.refused(409, "operator_grant_not_held");
    admin.post(&idle.path("/terminate"), json!({})).await.refused(403, "operator_grant_missing");
    let reasons: Vec<Value> =
        world.audited("operator_grant.withdrawn").await.iter().map(|told| told["reason"].clone()).collect();
    assert_eq!((world.audited("operator_grant.given").await.len(), reasons), (1, vec![json!("on call")]));
}

#[tokio::test]
async fn the_grant_goes_with_the_role() {
    let world = World::before_engine_ui(&real()).await;
    let owner = world.signed_in("owner").await;
    let id = world.person("admin").await.id;
    let person = format!("/api/v1/people/{id}");
    grant(&owner, &world, "admin", "").await.ok();
    grant(&owner, &world, "admin", "").await.ok();
    assert_eq!(world.audited("operator_grant.given").await.len(), 1, "given twice is given once");
    let listed = owner.get("/api/v1/people?q=admin@").await.ok();
    assert_eq!(listed["items"][0]["operator_grant"]["reason"], "on call", "{listed}");
    owner.patch(&person, json!({"role": "none"})).await.ok();
    let back = owner.patch(&person, json!({"role": "admin"})).await.ok();
    assert_eq!(back["operator_grant"], Value::Null);
    grant(&owner, &world, "admin", "").await.ok();
    owner.patch(&person, json!({"disabled": true})).await.ok();
    assert_eq!(owner.patch(&person, json!({"disabled": false})).await.ok()["operator_grant"], Value::Null);
    grant(&owner, &world, "writer", "").await.refused(409, "person_no_admin");
    owner.post(&format!("{person}/operator-grant"), json!({"reason": " "})).await.refused(400, "reason_missing");
}

#[tokio::test]
async fn what_nobody_knows_is_a_write_and_what_may_be_read_in_two_ways_is_nothing() {
    let world = World::before_engine_ui(&real()).await;
    let admin = world.signed_in("admin").await;
    for unknown in [
        format!("{API}/namespaces/default/a-new-call"),
        format!("{API}/namespaces/default%2Fworkflows"),
        "/ops/temporal/%61pi/v2/namespaces".to_owned(),
        "/ops/temporal/API/v1/namespaces".to_owned(),
    ] {
        admin.get(&unknown).await.refused(403, "origin_forbidden");
        let ours = admin.request(Method::GET, &unknown).header("origin", world.url());
        admin.send(ours).await.refused(403, "operator_grant_missing");
    }
    for path in ["/ops/temporal//api/v1/namespaces", "/ops/temporal/_app/%2e%2e%2fapi/v1/namespaces"] {
        admin.get(path).await.refused(404, "not_found");
    }
    let page = admin.request(Method::POST, "/ops/temporal/namespaces").json(&json!({}));
    admin.send(page).await.refused(405, "method_not_allowed");
    let with_token = admin.bare(Method::GET, "/ops/temporal/").header("authorization", "Bearer ck8s_x");
    assert_eq!(admin.send(with_token).await.status, 200, "the cookie counts, and nothing else");
    let large = vec![b'x'; 5 * 1024 * 1024];
    let query = admin.request(Method::POST, &format!("{API}/namespaces/default/workflows/x/query/y")).body(large);
    admin.send(query).await.refused(413, "body_too_large");
}

type Seen = Arc<Mutex<Vec<HeaderMap>>>;

/// Passes everything on to the real UI, and remembers the headers.
async fn watched() -> (String, Seen) {
    let seen = Seen::default();
    let (remembered, client) = (Arc::clone(&seen), reqwest::Client::builder().no_proxy().build().unwrap());
    let pass = move |request: Request| {
        let (remembered, client) = (Arc::clone(&remembered), client.clone());
        async move {
            let (parts, body) = request.into_parts();
            remembered.lock().unwrap().push(parts.headers.clone());
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let mut headers = parts.headers;
            headers.remove("host");
            let request = client.request(parts.method, format!("{}{}", real(), parts.uri)).headers(headers).body(body);
            let answer = request.send().await.unwrap();
            let mut response = Response::new(Body::empty());
            (*response.status_mut(), *response.headers_mut()) = (answer.status(), answer.headers().clone());
            response.headers_mut().remove("transfer-encoding");
            *response.body_mut() = Body::from(answer.bytes().await.unwrap());
            response
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(pass)).await.unwrap() });
    (url, seen)
}

#[tokio::test]
async fn cookies_and_authorisation_end_at_the_gateway() {
    let (url, seen) = watched().await;
    let world = World::before_engine_ui(&url).await;
    let owner = world.signed_in("owner").await;
    grant(&owner, &world, "owner", "").await.ok();
    let idle = Idle::start().await;
    let asked = owner.request(Method::GET, &idle.path(""));
    let asked = asked.header("authorization", "Bearer secret").header("x-http-method-override", "DELETE");
    owner.send(asked.header("x-forwarded-for", "192.0.2.1").header("te", "trailers")).await.ok();
    open(&owner, "/ops/temporal/").await;
    idle.end(&owner).await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    for headers in seen.iter() {
        for name in ["authorization", "x-http-method-override", "x-forwarded-for", "te", "origin", "sec-fetch-site"] {
            assert!(!headers.contains_key(name), "{name}: {headers:?}");
        }
        assert!(!format!("{headers:?}").contains("codexk8s-"), "{headers:?}");
    }
    assert_eq!(seen[2]["cookie"], "_csrf=gateway", "what the UI wants of whoever writes");
}

#[tokio::test]
async fn a_ui_that_is_away_is_said_in_words() {
    let world = World::before_engine_ui("http://127.0.0.1:1").await;
    let owner = world.signed_in("owner").await;
    let away = open(&owner, "/ops/temporal/").await;
    away.refused(503, "engine_ui_unavailable");
    assert!(away.body["detail"].as_str().unwrap().contains("Try again"), "{}", away.body);
    assert_eq!(away.header("retry-after"), "5");
    grant(&owner, &world, "owner", "").await.ok();
    let write = format!("{API}/namespaces/default/workflows/x/terminate");
    owner.post(&write, json!({"reason": "r"})).await.refused(503, "engine_ui_unavailable");
    let (sent, answered) =
        (world.audited("engine_ui.write_sent").await, world.audited("engine_ui.write_answered").await);
    assert_eq!((sent.len(), &answered[0]["unanswered"]), (1, &json!("engine_ui_unavailable")));
    owner.post(&write, json!([])).await.refused(400, "body_invalid");
}

#[tokio::test]
async fn a_gateway_without_a_ui_says_which_setting_is_missing() {
    let world = World::start().await;
    let owner = world.signed_in("owner").await;
    let answer = open(&owner, "/ops/temporal/").await;
    answer.refused(503, "engine_ui_not_configured");
    assert!(answer.body["detail"].as_str().unwrap().contains("TEMPORAL_UI_URL"), "{}", answer.body);
    assert_eq!(owner.get("/api/v1/me").await.ok()["engine_ui"], Value::Null);
    let writer = world.signed_in("writer").await;
    open(&writer, "/ops/temporal/").await.refused(404, "not_found");
}
