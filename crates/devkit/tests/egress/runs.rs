//! A run whose agent looks for a way out, from label to comment.

use std::path::PathBuf;

use devkit::harness::{Hosting, Identity, Options, Platform, REPOSITORY};
use domain::{egress::EgressRefusal, hook_log::WebhookMode, ids::EngineNamespace, job::LogStream, run::comment_marker};
use store::egress;

use crate::{
    proxy::{Proxy, free_port, squid_root},
    skipped,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_agent_could_not_reach_is_shown_on_the_run() -> anyhow::Result<()> {
    let Some(root) = squid_root() else {
        skipped("what_the_agent_could_not_reach_is_shown_on_the_run", "there is no squid, and no apt to get one with");
        return Ok(());
    };
    let port = free_port();
    let platform = Platform::start(Options {
        program: PathBuf::from(env!("CARGO_BIN_EXE_dev")),
        slots: 1,
        hosting: Hosting::InProcess,
        tamper: None,
        webhooks: WebhookMode::Push,
        namespace: EngineNamespace::default(),
        identity: Identity::Person,
        otlp_endpoint: None,
        budgets: domain::services_yaml::PlatformBudgets::default(),
        cluster: None,
        binary: None,
        egress_proxy: Some(format!("http://127.0.0.1:{port}").parse()?),
    })
    .await?;
    let _proxy = Proxy::start(&root, port, &platform.gateway_url, "").await;
    let number = platform.open_issue("way-out")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    let seen = platform.output(&run, LogStream::Codex).await?;
    assert!(seen.contains("not-listed.example: 403") && seen.contains("10.20.30.40: 403"), "{seen}");
    let mut conn = platform.store().acquire().await?;
    let refused = egress::list(&mut conn, run.id, run.attempt).await?;
    drop(conn);
    let lines: Vec<_> = refused.iter().map(|line| (line.host.as_str(), line.port, line.reason)).collect();
    let expected =
        [("not-listed.example", 443, EgressRefusal::NotListed), ("10.20.30.40", 443, EgressRefusal::Address)];
    assert_eq!(lines, expected);
    platform
        .await_that("the refusals are on the comment", async || {
            let comments = platform.forge.comments(REPOSITORY, number)?;
            let ours = comments.iter().find(|comment| comment.body.contains(&comment_marker(run.id)));
            let words = "- `not-listed.example` is not on this project's list; add it to `egress.allow` in `services.yaml`\n\
                         - `10.20.30.40` is an address;";
            Ok(ours.filter(|comment| comment.body.contains(words)).map(|_| ()))
        })
        .await?;
    platform.finish().await
}
