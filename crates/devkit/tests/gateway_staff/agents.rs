//! Agents of a project and their versions. How versions come about: `platform/agents.rs`.

use domain::{
    agents::{self, Agent, BuiltIn},
    services_yaml::{AgentName, ServicesYaml},
};
use serde_json::{Value, json};
use store::{
    agent_versions::{self, SeenDefinition},
    repositories,
};

use crate::{runs::repositories as with_repositories, world::World};

const SETTINGS: &str = "version: 1
agents:
  fast: {extends: planner, model: small, limits: {minutes: 5}}
triggers:
  labels: {quick: fast, go: dev}
schedules:
  - {name: nightly, cron: 0 3 * * *, agent: fast, title: Look}
";

fn named<'a>(shown: &'a Value, name: &str) -> &'a Value {
    shown["items"].as_array().unwrap().iter().find(|item| item["name"] == name).unwrap()
}

#[tokio::test]
async fn agents_are_shown_with_what_they_are_and_what_starts_them() {
    let world = World::start().await;
    let (greeter, vault) = with_repositories(&world).await;
    let reader = world.signed_in("reader").await;
    let shown = reader.get("/api/v1/projects/demo/agents").await.ok();
    assert_eq!(shown["items"].as_array().unwrap().len(), 4, "without settings: those that are built in");
    let dev = named(&shown, "dev");
    assert_eq!((&dev["own"], &dev["newest"]), (&json!(false), &Value::Null));
    assert_eq!(dev["starters"]["labels"], json!(["run:dev"]));
    assert_eq!(named(&shown, "reviewer")["starters"]["pull_request_labels"], json!(["need:reviewer"]));

    let config = ServicesYaml::parse(SETTINGS).unwrap();
    let mut tx = world.store().begin().await.unwrap();
    let stored = Some(serde_json::to_value(&config).unwrap());
    repositories::set_config(&mut tx, greeter, stored, "abc", None).await.unwrap();
    let fast = agents::find(&config, "fast").unwrap();
    for (agent, sha) in [(Agent::built_in(BuiltIn::Dev), None), (fast, Some("abc"))] {
        let definition = agent.definition();
        let now = world.now();
        let seen = SeenDefinition { repository: greeter, agent: &agent.name, definition: &definition, sha, now };
        agent_versions::note(&mut tx, seen).await.unwrap();
    }
    tx.commit().await.unwrap();
    let shown = reader.get("/api/v1/projects/demo/agents").await.ok();
    let fast = named(&shown, "fast");
    assert_eq!((&fast["own"], &fast["full_name"]), (&json!(true), &json!("acme/greeter")));
    let newest = &fast["newest"];
    assert_eq!(
        (&newest["base"], &newest["role"], &newest["model"]),
        (&json!("planner"), &json!("answer"), &json!("small"))
    );
    assert_eq!((&newest["minutes"], &newest["version"], &newest["sha"]), (&json!(5), &json!(1), &json!("abc")));
    let starters = json!({"labels": ["quick"], "pull_request_labels": [], "command": true, "schedules": ["nightly"]});
    assert_eq!(fast["starters"], starters);
    assert_eq!(
        named(&shown, "docs")["starters"]["labels"],
        json!([]),
        "labels of their own take the place of the usual"
    );

    // Agents of others are as if they were not there.
    reader.get("/api/v1/projects/secret/agents").await.refused(404, "project_not_found");
    let foreign = format!("/api/v1/repositories/{vault}/agents/dev/versions");
    reader.get(&foreign).await.refused(404, "repository_not_found");
    for (agent, code) in [("nobody", "agent_not_found"), ("No-Name", "not_found")] {
        reader.get(&format!("/api/v1/repositories/{greeter}/agents/{agent}/versions")).await.refused(404, code);
    }
}

#[tokio::test]
async fn versions_come_with_their_prompts_the_newest_first() {
    let world = World::start().await;
    let (greeter, _) = with_repositories(&world).await;
    let name: AgentName = "dev".parse().unwrap();
    let mut tx = world.store().begin().await.unwrap();
    for words in ["", "Use tabs."] {
        let definition = Agent { prompt_addition: words.into(), ..Agent::built_in(BuiltIn::Dev) }.definition();
        let seen =
            SeenDefinition { repository: greeter, agent: &name, definition: &definition, sha: None, now: world.now() };
        agent_versions::note(&mut tx, seen).await.unwrap();
    }
    tx.commit().await.unwrap();
    let reader = world.signed_in("reader").await;
    let shown = reader.get(&format!("/api/v1/repositories/{greeter}/agents/dev/versions")).await.ok();
    let prompts: Vec<(u64, bool)> = shown["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["what"]["version"].as_u64().unwrap(), item["prompt"].as_str().unwrap().contains("Use tabs.")))
        .collect();
    assert_eq!(prompts, [(2, true), (1, false)]);
}
