//! What an agent can't get at, though it runs on the same machine and as the same user as the runner; and that the model API's
//! key is with the model gateway alone.

use activities::run_token::RunTokenKey;
use anyhow::Context;
use devkit::harness::{Hosting, MODEL_KEY, REPOSITORY, RUN_TOKEN_KEY, canary};
use domain::{
    ids::Attempt,
    job::LogStream,
    run::{Outcome, Step},
};
use serde_json::json;
use store::model_calls;

#[tokio::test(flavor = "multi_thread")]
async fn the_run_token_is_out_of_the_agents_reach() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("seek-token")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    let seen = platform.output(&run, LogStream::Codex).await?;
    // That Codex's own token is found shows that the search is one.
    assert!(seen.contains("runner's tokens: 0\\nmodel tokens: ") && !seen.contains("model tokens: 0"), "{seen}");
    assert!(seen.contains("runners: True open: False"), "{seen}");
    platform.finish().await
}

/// Whoever reads the file of the Job, or makes its token, comes too late: the runner has claimed the attempt.
#[tokio::test(flavor = "multi_thread")]
async fn the_launch_token_is_worthless_while_the_agent_works() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("slow")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    // What `launch_job` has handed out.
    let launch = RunTokenKey::parse(RUN_TOKEN_KEY)?.token(run.id, Attempt::FIRST);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let session = domain::job_tokens::session_token([9; 32]);
    let answers = [
        ("claim", json!({ "pod_uid": "another", "session": session }), "attempt_claimed"),
        ("logs", json!({ "chunks": [] }), "token_misplaced"),
        ("report", json!({}), "token_misplaced"),
    ];
    platform
        .await_that("claimed", || async {
            let told = store::audit::list_for_run(&mut *platform.store().acquire().await?, run.id).await?;
            Ok(told.iter().any(|event| event.kind == "attempt_claimed").then_some(()))
        })
        .await?;
    for (path, body, code) in answers {
        let url = format!("{}/runner/v1/{path}", platform.gateway_url);
        let answer = client.post(url).bearer_auth(launch.expose()).json(&body).send().await?;
        let problem: serde_json::Value = answer.json().await?;
        assert_eq!(problem["code"], code, "{path}: {problem}");
    }
    let run = platform.await_end(number).await?;
    let told = store::audit::list_for_run(&mut *platform.store().acquire().await?, run.id).await?;
    let refused: Vec<_> = told.iter().filter(|event| event.kind == "token_refused").collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    platform.finish().await
}

/// Model gateway and scripted model are in the test's own process, everything else in others: gateway, worker, Temporal, the
/// runner and the real Codex.
#[tokio::test(flavor = "multi_thread")]
async fn the_models_key_is_nowhere_but_with_the_model_gateway() -> anyhow::Result<()> {
    let platform = super::start(1, Hosting::Processes).await?;
    let number = platform.open_issue("held")?;
    platform.label(number, "run:dev")?;
    platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    platform
        .await_that("Codex has asked the model", async || {
            let run = platform.run_of(number).await?.context("there is a run")?;
            let asked = model_calls::any(&mut *platform.store().acquire().await?, run.id, run.attempt).await?;
            Ok(asked.then_some(()))
        })
        .await?;

    let seen = canary::below_this_process(MODEL_KEY)?;
    let named = |name: &str| seen.programs.iter().any(|program| program.ends_with(name));
    assert!(named("/codex") && named("/dev"), "what was searched: {:?}", seen.programs);
    assert!(seen.holders.is_empty(), "the key is in {:?}", seen.holders);
    assert!(canary::in_this_process(MODEL_KEY)?, "that it is found where it has to be shows that the search is one");

    platform.model.let_go(&format!("#{number}"));
    platform.model.let_go("held");
    let run = platform.await_end(number).await?;
    assert!(run.outcome.is_some_and(Outcome::is_success), "{run:?}");
    let files = canary::files_with(platform.folder(), MODEL_KEY)?;
    assert!(files.looked_at > 20, "{}", files.looked_at);
    assert!(files.holding.is_empty(), "logs, blobs, payloads and work folders: {:?}", files.holding);
    let tables = store::testing::tables_with(platform.store(), MODEL_KEY).await?;
    assert!(tables.is_empty(), "{tables:?}");
    // The same search finds what is there.
    assert!(!store::testing::tables_with(platform.store(), REPOSITORY).await?.is_empty());
    platform.finish().await
}
