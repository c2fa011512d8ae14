//! What an agent can't get at, though it runs on the same machine and as the same user as the runner.

use activities::run_token::RunTokenKey;
use domain::{ids::Attempt, job::LogStream, run::Step};
use serde_json::json;

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
    let launch = RunTokenKey::parse(&"5a".repeat(32))?.token(run.id, Attempt::FIRST);
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
