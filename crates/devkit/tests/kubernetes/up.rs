//! `cargo dev up --kube`: the local platform with its Jobs in the cluster, and their way out.

use std::time::Duration;

use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use devkit::{
    harness::{REPOSITORY, until},
    layout::Layout,
    up::State,
};
use domain::{
    egress::EgressRefusal,
    run::{Outcome, RunState},
};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::DeleteParams};
use serde_json::{Value, json};
use store::{
    Store, egress,
    runs::{self, Page, RunFilter},
};

use crate::{tree::Tree, world::World};

/// Longest that a run takes here.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the agent runs: it tries a host that is on no list.
const PROBE: &str = r#"
import urllib.error, urllib.request
try:
    urllib.request.urlopen("http://example.com/", timeout=20)
except urllib.error.HTTPError as error:
    print("example.com", error.code)
"#;

#[test]
fn the_local_platform_has_its_jobs_in_the_cluster_and_a_way_out_for_them() {
    let tree = Tree::with_manifests(&Layout::find().unwrap());
    let said = tree.dev(&["up", "--kube", "--detach"]).succeeds();
    assert!(said.contains("egress-proxy"), "{said}");
    let state = State::read(&tree.state_file()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(an_agent_is_held_to_the_list(&state));
    runtime.block_on(remove_namespace());
    outcome.unwrap();
    assert!(tree.dev(&["down"]).succeeds().contains("The platform is down."));
    assert!(tree.ports_are_free());
}

async fn an_agent_is_held_to_the_list(state: &State) -> anyhow::Result<()> {
    let content = BASE64_STANDARD.encode(PROBE);
    forge(state, "writer", "PUT", "contents/probe.py", &json!({ "message": "Add a probe", "content": content }))
        .await?;
    let issue = json!({ "title": "Look outside [scenario:run-probe]", "body": "Run the probe." });
    let number = forge(state, "maintainer", "POST", "issues", &issue).await?["number"].clone();
    forge(state, "maintainer", "POST", &format!("issues/{number}/labels"), &json!({ "labels": ["run:dev"] })).await?;

    let store = Store::connect(&state.postgres_url, 2).await?;
    let mut last = None;
    let ended = until(PATIENCE, async || {
        let page = Page { before: None, limit: 1 };
        last = runs::list(&mut *store.acquire().await?, RunFilter::default(), page).await?.pop();
        Ok(last.clone().filter(|run| run.state == RunState::Finished))
    });
    let run = ended.await?.with_context(|| format!("the run did not end within {PATIENCE:?}: {last:?}"))?;
    assert!(run.outcome.is_some_and(Outcome::is_success), "{run:?}");
    let refused = egress::list(&mut *store.acquire().await?, run.id, run.attempt).await?;
    let lines: Vec<_> = refused.iter().map(|line| (line.host.as_str(), line.port, line.reason)).collect();
    assert_eq!(lines, [("example.com", 80, EgressRefusal::NotListed)]);
    store.pool().close().await;
    Ok(())
}

/// Does something on the stand-in, as somebody.
async fn forge(state: &State, login: &str, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}/repos/{REPOSITORY}/{path}", state.forge_url);
    let token = state.forge_tokens.get(login).context("the stand-in has a token of them")?;
    let request = client.request(method.parse()?, url).bearer_auth(token).header("user-agent", "test").json(body);
    Ok(request.send().await?.error_for_status()?.json().await?)
}

/// What the platform leaves in a cluster that is not its own.
async fn remove_namespace() {
    let world = World::new().await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let all = namespaces.list(&kube::api::ListParams::default().labels("codex-k8s.dev/instance=dev")).await.unwrap();
    for name in all.items.into_iter().filter_map(|namespace| namespace.metadata.name) {
        namespaces.delete(&name, &DeleteParams::default()).await.unwrap();
    }
}
