//! After a cancel nothing of a run lives on, and its tokens open nothing.

use std::time::{Duration, Instant};

use anyhow::Context;
use devkit::harness::{Platform, REPOSITORY, canary};
use domain::run::Outcome;
use serde_json::json;

use super::scene::{self, AtWork};

/// Longest that anything of a run lives on.
const LIMIT: Duration = Duration::from_secs(15);

/// What a run's agent and runner work with.
struct Tokens {
    session: String,
    model: String,
    model_gateway: String,
}

impl Tokens {
    fn of(at_work: &AtWork) -> anyhow::Result<Self> {
        let processes = at_work.processes()?;
        let found = |prefix| processes.iter().find_map(|pid| canary::token_in(*pid, prefix).ok().flatten());
        let spec = at_work.pod.spec.as_ref().and_then(|spec| spec.containers.first()).context("it has a container")?;
        let mut told = spec.env.iter().flatten();
        let model_gateway = told.find(|variable| variable.name == "CODEX_K8S_MODEL_URL");
        Ok(Self {
            session: found("cxs_").context("the runner has a session")?,
            model: found("cmt_").context("Codex has a token for the model")?,
            model_gateway: model_gateway.and_then(|variable| variable.value.clone()).context("it is told where")?,
        })
    }

    /// What the runner endpoint and the model gateway answer.
    async fn tried(&self, platform: &Platform) -> anyhow::Result<(u16, u16)> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let logs = format!("{}/runner/v1/logs", platform.gateway_url);
        let logs = client.post(logs).bearer_auth(&self.session).json(&json!({ "chunks": [] })).send().await?;
        let model = format!("{}/v1/responses", self.model_gateway.trim_end_matches('/').trim_end_matches("/v1"));
        let model = client.post(model).bearer_auth(&self.model).body("no JSON").send().await?;
        Ok((logs.status().as_u16(), model.status().as_u16()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_cancel_no_process_lives_and_no_token_opens_anything() -> anyhow::Result<()> {
    let stage = scene::start().await?;
    let platform = &stage.platform;
    let at_work = AtWork::begin(&stage).await?;
    let tokens = Tokens::of(&at_work)?;
    let (logs, model) = tokens.tried(platform).await?;
    assert!(logs < 300 && model == 400, "before it they are good: {logs} {model}");

    platform.forge.comment("maintainer", REPOSITORY, at_work.number, "/cancel")?;
    let begun = Instant::now();
    // The agent's own token at once, while its pod is being ended; the runner's once nothing of it lives.
    platform
        .await_that("the agent's token is refused", async || Ok((tokens.tried(platform).await?.1 == 401).then_some(())))
        .await?;
    let refused = begun.elapsed();
    platform
        .await_that("no process of the pod lives", async || Ok(at_work.processes()?.is_empty().then_some(())))
        .await?;
    let ended = begun.elapsed();
    let run = platform.await_end(at_work.number).await?;
    let (logs, model) = tokens.tried(platform).await?;
    assert!(ended <= LIMIT, "processes lived for {ended:?}; the agent's token was good for {refused:?}");
    assert!(refused <= ended, "the agent's token was good for {refused:?}, its processes lived for {ended:?}");
    assert_eq!((logs, model), (401, 401));
    assert_eq!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
    stage.finish().await
}
