//! Who may do what: every operation of the description against every role. An operation that the table does not name fails.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use domain::ids::{DeliveryId, RunId};
use store::runs;

use crate::{browser::Browser, replays::kept, runs::ended_run, world::World};

/// Everybody that an operation is tried as.
const ROLES: [&str; 7] = ["nobody", "outsider", "reader", "writer", "project-admin", "admin", "owner"];

/// How an operation is asked for, and what each of [`ROLES`] gets.
struct Row {
    operation: &'static str,
    path: &'static str,
    body: Option<Value>,
    statuses: [u16; 7],
}

fn row(operation: &'static str, path: &'static str, body: Option<Value>, statuses: [u16; 7]) -> Row {
    Row { operation, path, body, statuses }
}

/// `{writer}` is the writer's id; `{run}` a run of the project, which has ended; `{delivery}` one whose body is gone; `{repository}` one without a credential; `{pause}` a pause that is over; `{connection}` a repository that is being attached; `{none}` the id of nothing. Each write is one that changes nothing that another row needs.
fn table() -> Vec<Row> {
    let known = [401, 200, 200, 200, 200, 200, 200];
    let platform = |good| [401, 403, 403, 403, 403, good, good];
    // Who is no member does not learn that there is such a project.
    let members = |read, write, admin| [401, 404, read, write, admin, admin, admin];
    let nothing = "/api/v1/me/sessions/01900000-0000-7000-8000-000000000000";
    let no_token = "/api/v1/me/tokens/01900000-0000-7000-8000-000000000000";
    vec![
        row("GET /api/v1/me", "/api/v1/me", None, known),
        row("PATCH /api/v1/me", "/api/v1/me", Some(json!({"theme": "dark"})), known),
        row("GET /api/v1/me/sessions", "/api/v1/me/sessions", None, known),
        row("DELETE /api/v1/me/sessions/{session}", nothing, None, [401, 404, 404, 404, 404, 404, 404]),
        row("GET /api/v1/me/tokens", "/api/v1/me/tokens", None, known),
        row(
            "POST /api/v1/me/tokens",
            "/api/v1/me/tokens",
            Some(json!({"name": "n", "scopes": ["read"], "days": 1})),
            [401, 201, 201, 201, 201, 201, 201],
        ),
        row("DELETE /api/v1/me/tokens/{token}", no_token, None, [401, 404, 404, 404, 404, 404, 404]),
        row("GET /api/v1/people", "/api/v1/people", None, platform(200)),
        row("POST /api/v1/people", "/api/v1/people", Some(json!({"email": "reader@people.example"})), platform(409)),
        row("GET /api/v1/people/{person}", "/api/v1/people/{writer}", None, platform(200)),
        row(
            "PATCH /api/v1/people/{person}",
            "/api/v1/people/{writer}",
            Some(json!({"disabled": false})),
            platform(200),
        ),
        row(
            "POST /api/v1/people/{person}/operator-grant",
            "/api/v1/people/{writer}/operator-grant",
            Some(json!({"reason": "r"})),
            [401, 403, 403, 403, 403, 403, 409],
        ),
        row(
            "POST /api/v1/people/{person}/operator-grant/withdraw",
            "/api/v1/people/{writer}/operator-grant/withdraw",
            Some(json!({"reason": "r"})),
            [401, 403, 403, 403, 403, 403, 409],
        ),
        row("GET /api/v1/projects", "/api/v1/projects", None, known),
        row("GET /api/v1/projects/{project}", "/api/v1/projects/demo", None, members(200, 200, 200)),
        row(
            "PATCH /api/v1/projects/{project}",
            "/api/v1/projects/demo",
            Some(json!({"slots": 3})),
            members(403, 403, 200),
        ),
        row("GET /api/v1/projects/{project}/settings", "/api/v1/projects/demo/settings", None, members(200, 200, 200)),
        row("GET /api/v1/projects/{project}/export", "/api/v1/projects/demo/export", None, members(403, 403, 200)),
        row(
            "POST /api/v1/projects/{project}/delete",
            "/api/v1/projects/demo/delete",
            Some(json!({"name": "another", "reason": "x"})),
            members(403, 403, 400),
        ),
        row("POST /api/v1/projects", "/api/v1/projects", Some(json!({"slug": "demo"})), platform(409)),
        row("GET /api/v1/settings", "/api/v1/settings", None, platform(200)),
        row("GET /api/v1/projects/{project}/members", "/api/v1/projects/demo/members", None, members(200, 200, 200)),
        row(
            "POST /api/v1/projects/{project}/members",
            "/api/v1/projects/demo/members",
            Some(json!({"email": "writer@people.example", "role": "write"})),
            members(403, 403, 200),
        ),
        row(
            "DELETE /api/v1/projects/{project}/members/{person}",
            "/api/v1/projects/demo/members/{none}",
            None,
            members(403, 403, 404),
        ),
        row("GET /api/v1/deliveries", "/api/v1/deliveries", None, known),
    ]
}

/// The same for runs, and what is said of them as they go on.
fn of_runs() -> Vec<Row> {
    let known = [401, 200, 200, 200, 200, 200, 200];
    let members = |read, write, admin| [401, 404, read, write, admin, admin, admin];
    vec![
        row("GET /api/v1/runs", "/api/v1/runs", None, known),
        row("GET /api/v1/runs/{run}", "/api/v1/runs/{run}", None, members(200, 200, 200)),
        row(
            "GET /api/v1/runs/{run}/attempts/{attempt}/log",
            "/api/v1/runs/{run}/attempts/1/log",
            None,
            members(200, 200, 200),
        ),
        row(
            "GET /api/v1/runs/{run}/attempts/{attempt}/log/search",
            "/api/v1/runs/{run}/attempts/1/log/search?q=x",
            None,
            members(200, 200, 200),
        ),
        row(
            "GET /api/v1/runs/{run}/attempts/{attempt}/log/download",
            "/api/v1/runs/{run}/attempts/1/log/download",
            None,
            members(200, 200, 200),
        ),
        row(
            "GET /api/v1/runs/{run}/attempts/{attempt}/prompt",
            "/api/v1/runs/{run}/attempts/1/prompt",
            None,
            members(404, 404, 404),
        ),
        row(
            "GET /api/v1/runs/{run}/attempts/{attempt}/diff",
            "/api/v1/runs/{run}/attempts/1/diff",
            None,
            members(404, 404, 404),
        ),
        row(
            "GET /api/v1/runs/{run}/attempts/{attempt}/job",
            "/api/v1/runs/{run}/attempts/1/job",
            None,
            members(200, 200, 200),
        ),
        // There is no engine in this world, and nothing is archived.
        row(
            "GET /api/v1/runs/{run}/attempts/{attempt}/history",
            "/api/v1/runs/{run}/attempts/1/history",
            None,
            members(503, 503, 503),
        ),
        row("POST /api/v1/runs/{run}/force", "/api/v1/runs/{run}/force", Some(json!({})), members(403, 409, 409)),
        row("POST /api/v1/runs/{run}/cancel", "/api/v1/runs/{run}/cancel", Some(json!({})), members(403, 409, 409)),
        row(
            "POST /api/v1/runs/{run}/retry",
            "/api/v1/runs/{run}/retry",
            Some(json!({"from": "nowhere"})),
            members(403, 400, 400),
        ),
        row("GET /api/v1/live", "/api/v1/live?run={run}", None, members(200, 200, 200)),
    ]
}

/// What needs attention, deliveries once more, pauses, repositories, the audit.
fn of_staff() -> Vec<Row> {
    let known = [401, 200, 200, 200, 200, 200, 200];
    let members = |read, write, admin| [401, 404, read, write, admin, admin, admin];
    vec![
        row("GET /api/v1/deliveries/{delivery}", "/api/v1/deliveries/{delivery}", None, members(200, 200, 200)),
        row(
            "GET /api/v1/deliveries/{delivery}/decision",
            "/api/v1/deliveries/{delivery}/decision",
            None,
            members(409, 409, 409),
        ),
        row(
            "POST /api/v1/deliveries/{delivery}/replay",
            "/api/v1/deliveries/{delivery}/replay",
            Some(json!({"reason": "again"})),
            members(403, 409, 409),
        ),
        row("GET /api/v1/attention", "/api/v1/attention", None, known),
        row("GET /api/v1/repositories", "/api/v1/repositories", None, known),
        row(
            "POST /api/v1/projects/{project}/repositories",
            "/api/v1/projects/demo/repositories",
            Some(json!({"repository": "not a name", "token": "t"})),
            members(403, 403, 400),
        ),
        row(
            "POST /api/v1/repositories/{repository}/check",
            "/api/v1/repositories/{repository}/check",
            None,
            members(403, 409, 409),
        ),
        row(
            "POST /api/v1/repositories/{repository}/rotate",
            "/api/v1/repositories/{repository}/rotate",
            Some(json!({})),
            members(403, 403, 409),
        ),
        row(
            "POST /api/v1/repositories/{repository}/detach",
            "/api/v1/repositories/{repository}/detach",
            Some(json!({"reason": " "})),
            members(403, 403, 400),
        ),
        row("GET /api/v1/connections/{connection}", "/api/v1/connections/{connection}", None, members(403, 200, 200)),
        row("GET /api/v1/projects/{project}/agents", "/api/v1/projects/demo/agents", None, members(200, 200, 200)),
        row(
            "GET /api/v1/repositories/{repository}/agents/{agent}/versions",
            "/api/v1/repositories/{repository}/agents/dev/versions",
            None,
            members(404, 404, 404),
        ),
        row("GET /api/v1/audit", "/api/v1/audit", None, known),
        row("GET /api/v1/audit/export", "/api/v1/audit/export?kind=none", None, known),
        row(
            "POST /api/v1/runs",
            "/api/v1/runs",
            Some(json!({"repository": "acme/greeter", "number": 0, "agent": "dev"})),
            members(403, 400, 400),
        ),
        row("GET /api/v1/pauses", "/api/v1/pauses", None, known),
        row(
            "POST /api/v1/pauses",
            "/api/v1/pauses",
            Some(json!({"project": "demo", "reason": " "})),
            members(403, 403, 400),
        ),
        row("POST /api/v1/pauses/{pause}/end", "/api/v1/pauses/{pause}/end", Some(json!({})), members(403, 403, 409)),
    ]
}

/// What is no operation of the API, and belongs to people all the same. There is no engine's UI in this world, which only those are told
/// who may open it.
fn outside() -> Vec<Row> {
    let ends = "/ops/temporal/api/v1/namespaces/default/workflows/x/terminate";
    let platform = [401, 404, 404, 404, 404, 503, 503];
    vec![
        row("GET /ops/temporal/", "/ops/temporal/", None, platform),
        row("GET /ops/temporal/api/v1/namespaces", "/ops/temporal/api/v1/namespaces", None, platform),
        row("POST of a write to /ops/temporal", ends, Some(json!({})), platform),
    ]
}

async fn delivery_of(world: &World, run: RunId) -> DeliveryId {
    let repository = runs::get(&mut world.store().acquire().await.unwrap(), run).await.unwrap().repository_id;
    kept(world, Some(repository), ("of-rights", 1), None).await
}

/// A pause of the project that is over, and a repository that is being attached to it.
async fn pause_and_connection(admin: &Browser<'_>) -> (String, String) {
    let pause = admin.post("/api/v1/pauses", json!({"project": "demo", "agent": "docs", "reason": "r"})).await.ok();
    let pause = pause["pause"]["id"].as_str().unwrap().to_owned();
    admin.post(&format!("/api/v1/pauses/{pause}/end"), json!({})).await.ok();
    let wish = json!({"repository": "acme/attached", "token": "github_pat_x"});
    let begun = admin.post("/api/v1/projects/demo/repositories", wish).await.ok();
    (pause, begun["connection"].as_str().unwrap().to_owned())
}

fn described() -> Vec<String> {
    let described = serde_json::to_value(gateway::api::openapi()).unwrap();
    let paths = described["paths"].as_object().unwrap().clone();
    let operation = |path: &str, method: &str| format!("{} {path}", method.to_uppercase());
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(|method| operation(path, method)).collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn every_operation_is_tried_as_everybody() {
    let world = World::start().await;
    let mut people: BTreeMap<&str, Browser<'_>> = BTreeMap::new();
    for role in ROLES {
        let browser = if role == "nobody" { world.browser() } else { world.signed_in(role).await };
        people.insert(role, browser);
    }
    let writer = world.person("writer").await.id.to_string();
    let run = ended_run(&world).await;
    let delivery = delivery_of(&world, run).await.to_string();
    let repository =
        runs::get(&mut world.store().acquire().await.unwrap(), run).await.unwrap().repository_id.to_string();
    let run = run.to_string();
    let (pause, connection) = pause_and_connection(&people["project-admin"]).await;
    let table: Vec<Row> = table().into_iter().chain(of_runs()).chain(of_staff()).collect();
    let mut wrong: Vec<String> = described()
        .into_iter()
        .filter(|operation| table.iter().filter(|row| row.operation == operation).count() != 1)
        .map(|operation| format!("{operation} has not exactly one row"))
        .collect();
    let outside = outside();
    for row in table.iter().chain(&outside) {
        let is_outside = outside.iter().any(|other| other.operation == row.operation);
        if !is_outside && !described().iter().any(|operation| operation == row.operation) {
            wrong.push(format!("{} is in the table alone", row.operation));
        }
        let method: Method = row.operation.split(' ').next().unwrap().parse().unwrap();
        let path = row
            .path
            .replace("{writer}", &writer)
            .replace("{run}", &run)
            .replace("{delivery}", &delivery)
            .replace("{repository}", &repository)
            .replace("{pause}", &pause)
            .replace("{connection}", &connection)
            .replace("{none}", "01900000-0000-7000-8000-000000000000");
        for (role, expected) in ROLES.iter().zip(row.statuses) {
            let browser = &people[role];
            let request = browser.request(method.clone(), &path);
            let request = if let Some(body) = &row.body { request.json(body) } else { request };
            let answer = browser.send(request).await;
            if answer.status != expected {
                wrong.push(format!(
                    "{} as {role}: {} instead of {expected}: {}",
                    row.operation, answer.status, answer.body
                ));
            } else if answer.status >= 400 {
                answer.code();
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_may_not_be_seen_looks_like_what_is_not_there() {
    let world = World::start().await;
    let outsider = world.signed_in("outsider").await;
    let mut answers = Vec::new();
    for path in ["/api/v1/projects/demo", "/api/v1/projects/nothing"] {
        let mut answer = outsider.get(path).await;
        answer.refused(404, "project_not_found");
        answer.body["request_id"] = Value::Null;
        answers.push(answer.body);
    }
    assert_eq!(answers[0], answers[1]);
}
