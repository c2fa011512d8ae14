//! An agent of a real run looks around in its pod: Codex runs a program that tries everything that an agent could think of.

use std::{collections::BTreeMap, net::SocketAddr};

use activities::run_token::RunTokenKey;
use anyhow::Context;
use devkit::harness::{MODEL_KEY, Platform, REPOSITORY, RUN_TOKEN_KEY, WEBHOOK_SECRET};
use domain::{job::LogStream, run::Outcome};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::network::{FOR_A_NEW_POD, Metadata, probe, restricted, service},
    scene::{self, AtWork},
};
use crate::{forward::Forward, world::World};

/// What the program says.
#[derive(Debug, Deserialize)]
struct Found {
    reached: Vec<String>,
    held: BTreeMap<String, Vec<String>>,
    looked_at: usize,
    model_tokens: usize,
    launch_token: bool,
    asked: BTreeMap<String, Value>,
    account: bool,
    runner_memory: Vec<bool>,
    capabilities: String,
}

/// Addresses at which a pod could reach each thing, if only nothing held it back.
struct Places {
    by_name: BTreeMap<&'static str, SocketAddr>,
    _metadata: Metadata,
    _forwards: [Forward; 3],
}

impl Places {
    async fn open(world: &World) -> anyhow::Result<Self> {
        let ip = world.node_address;
        let metadata = Metadata::open().await;
        let database: url::Url = std::env::var("CODEX_K8S_TEST_POSTGRES_URL")?.parse()?;
        let database = format!("{}:{}", database.host_str().context("a host")?, database.port().unwrap_or(5432));
        let temporal = std::env::var("CODEX_K8S_TEST_TEMPORAL")?;
        let api = world.api_server().await;
        let any_port = SocketAddr::new(ip, 0);
        let forwards = [
            Forward::open(any_port, database).await?,
            Forward::open(any_port, temporal).await?,
            Forward::open(any_port, api).await?,
        ];
        let by_name = [
            ("database", forwards[0].address),
            ("temporal", forwards[1].address),
            ("kubernetes service", service(world).await),
            ("kubernetes", forwards[2].address),
            ("metadata", metadata.listener.address),
        ];
        Ok(Self { by_name: by_name.into(), _metadata: metadata, _forwards: forwards })
    }

    fn told(&self) -> Value {
        let told = self.by_name.iter().map(|(name, place)| ((*name).to_owned(), json!([place.ip(), place.port()])));
        told.collect::<serde_json::Map<_, _>>().into()
    }
}

/// What is looked for. The other run's token is among it.
fn needles(platform: &Platform, other: &AtWork) -> anyhow::Result<BTreeMap<&'static str, String>> {
    let read = |name: &str| std::fs::read_to_string(platform.folder().join(name)).map(|text| text.trim().to_owned());
    let others = RunTokenKey::parse(RUN_TOKEN_KEY)?.token(other.run.id, other.run.attempt);
    Ok([
        ("model key", MODEL_KEY.to_owned()),
        ("repository token", platform.forge.token("codex-bot").context("it has one")?),
        ("webhook secret", WEBHOOK_SECRET.to_owned()),
        ("sealing key", read("sealing.key")?),
        ("gateway key", read("gateway.key")?),
        ("run token key", RUN_TOKEN_KEY.to_owned()),
        ("another run's token", others.expose().to_owned()),
    ]
    .into())
}

/// The repository gets the program, and what it is to look for, written backwards.
async fn lay_out(platform: &Platform, places: &Value, needles: &BTreeMap<&str, String>) -> anyhow::Result<()> {
    let backwards =
        needles.iter().map(|(name, text)| ((*name).to_owned(), json!(text.chars().rev().collect::<String>())));
    let paths = ["/runner/v1/job", "/runner/v1/workspace", "/runner/v1/checkpoint/work", "/api/v1/runs", "/api/v1/me"];
    let told = json!({
        "places": places, "needles": backwards.collect::<serde_json::Map<_, _>>(),
        "gateway": platform.gateway_url, "paths": paths,
    });
    let files = [("probe.py", Some(include_str!("probe.py"))), ("targets.json", Some(&*told.to_string()))];
    platform.forge.commit("writer", REPOSITORY, "main", &files).await?;
    Ok(())
}

/// That each place is reached by a pod without policies.
async fn all_are_open(world: &World, places: &Places) {
    let free = world.namespace("free").await;
    let list: Vec<SocketAddr> = places.by_name.values().copied().collect();
    let (_, log) = free.run(restricted(&world.runner_image, &probe(&list, FOR_A_NEW_POD))).await;
    let reached = log.lines().filter(|line| line.starts_with("reached ")).count();
    assert_eq!(reached, list.len(), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_a_real_run_finds_nothing() -> anyhow::Result<()> {
    let world = World::new().await;
    let stage = scene::start().await?;
    let platform = &stage.platform;
    let mut places = Places::open(&world).await?;
    let other = AtWork::begin(&stage).await?;
    let (in_its_pod, _listening) = other.listen().await?;
    places.by_name.insert("another run's pod", in_its_pod);
    let needles = needles(platform, &other)?;
    lay_out(platform, &places.told(), &needles).await?;
    let closed_by_policies = places.by_name.remove("another run's pod").context("it was put in")?;
    all_are_open(&world, &places).await;

    let number = platform.open_issue("run-probe")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    assert!(run.outcome.is_some_and(Outcome::is_success), "{run:?}");
    let output = platform.output(&run, LogStream::Codex).await?;
    let found = found(&output).with_context(|| format!("{closed_by_policies}: {output}"))?;

    assert_eq!(found.reached, Vec::<String>::new());
    assert_eq!(found.held, BTreeMap::new());
    assert!(found.looked_at > 20 && found.model_tokens == 1 && found.launch_token, "the search is one: {found:?}");
    let let_in: Vec<_> = found.asked.iter().filter(|(_, status)| !matches!(status.as_u64(), Some(401 | 403))).collect();
    assert!(let_in.is_empty() && found.asked.len() == 15, "{let_in:?}");
    assert!(!found.account, "no account of the cluster");
    assert!(!found.runner_memory.is_empty() && !found.runner_memory.contains(&true), "{found:?}");
    assert_eq!(found.capabilities.trim_matches('0'), "");

    other.let_go(platform);
    platform.await_end(other.number).await?;
    stage.finish().await
}

/// The line of the program, in the output of Codex: there it is part of a JSON text.
fn found(output: &str) -> anyhow::Result<Found> {
    for line in output.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
        let text = event.pointer("/item/aggregated_output").and_then(Value::as_str).unwrap_or_default();
        if let Some(line) = text.lines().find_map(|line| line.strip_prefix("PROBE ")) {
            return Ok(serde_json::from_str(line)?);
        }
    }
    anyhow::bail!("the program said nothing")
}
