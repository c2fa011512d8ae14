//! What is still known about a run once it is over: what the agent saw and changed, and every event of the engine, there and
//! after the engine has forgotten them.

use anyhow::Context;
use devkit::harness::Platform;
use domain::{
    run::{Outcome, Step},
    workflow_id,
};
use serde_json::{Value, json};

use super::{
    in_engine::forget,
    staff::{TOKEN, post, staff},
};

async fn get(platform: &Platform, path: &str) -> anyhow::Result<(u16, Value)> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client.get(format!("{}{path}", platform.gateway_url)).bearer_auth(TOKEN).send().await?;
    let (status, text) = (answer.status().as_u16(), answer.text().await?);
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

async fn read(platform: &Platform, path: &str) -> anyhow::Result<Value> {
    let (status, body) = get(platform, path).await?;
    anyhow::ensure!(status == 200, "{path}: {status}: {body}");
    Ok(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_told_when_the_engine_has_forgotten_it() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    staff(&platform).await?;
    let number = platform.open_issue("good-fix")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    let attempt = format!("/api/v1/runs/{}/attempts/1", run.id);
    let workflow = workflow_id::agent_run(&platform.instance, run.id, run.attempt);
    let archived = platform
        .await_that("the history is archived", async || {
            let mut conn = platform.store().acquire().await?;
            Ok(store::histories::get(&mut conn, run.id, run.attempt).await?)
        })
        .await?;
    let there = read(&platform, &format!("{attempt}/history?limit=5000")).await?;
    assert_eq!((&there["source"], &there["workflow_id"]), (&json!("engine"), &json!(workflow)));
    let part = read(&platform, &format!("{attempt}/history?from=3&limit=2")).await?;
    assert_eq!(part["events"], json!(&there["events"].as_array().context("no events")?[2..4]));
    assert_eq!(part["next"], 5);

    forget(&platform, &workflow).await?;
    let kept = read(&platform, &format!("{attempt}/history?limit=5000")).await?;
    assert_eq!(kept["source"], "archive");
    assert_eq!(kept["total"], archived.events, "{kept}");
    // The archive is written by the last activity, so it lacks the few events of its own end.
    let (kept, there) = (kept["events"].as_array().context("no events")?, there["events"].as_array().context("none")?);
    assert!(kept.len() > 20 && there.len() - kept.len() < 12, "{} of {}", kept.len(), there.len());
    assert_eq!(kept[..], there[..kept.len()]);

    let prompt = read(&platform, &format!("{attempt}/prompt")).await?;
    let pieces = prompt["pieces"].as_array().context("no pieces")?;
    let whole: String = pieces.iter().filter_map(|piece| piece["text"].as_str()).collect();
    let row = store::attempts::get(&mut *platform.store().acquire().await?, run.id, run.attempt).await?;
    assert_eq!(Some(whole), row.prompt);
    assert!(pieces.iter().any(|piece| piece["trust"] == "outsider") && pieces[0]["trust"] == "platform", "{prompt}");
    let diff = read(&platform, &format!("{attempt}/diff")).await?;
    assert!(diff["diff"].as_str().is_some_and(|diff| diff.starts_with("diff --git ")), "{diff}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_does_not_stop_is_ended_by_force() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    staff(&platform).await?;
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    let force = format!("/api/v1/runs/{}/force", run.id);
    let refused = post(&platform, &force, json!({})).await.expect_err("was never cancelled").to_string();
    assert!(refused.contains("409") && refused.contains("cancel_first"), "{refused}");
    // As if somebody had cancelled it a minute ago, and nothing had come of it.
    let asked = chrono::Utc::now() - chrono::TimeDelta::seconds(61);
    let mut conn = platform.store().acquire().await?;
    store::attempts::request_cancel(&mut conn, run.id, run.attempt, asked).await?;
    drop(conn);
    post(&platform, &force, json!({"reason": "it hangs"})).await?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Lost), "{run:?}");
    assert!(run.cause.as_deref().is_some_and(|cause| cause.contains("terminated")), "{run:?}");
    platform.finish().await
}
