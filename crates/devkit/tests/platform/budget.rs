//! Model budgets and limits over whole runs: the real Codex is told, and so is whoever reads the issue.

use std::path::Path;

use anyhow::Context;
use chrono::Utc;
use devkit::{
    harness::{LoneRun, MODEL_KEY, ModelGatewayProcess, Options, Platform, REPOSITORY, until},
    model::{self, ScriptedModel},
};
use domain::{
    ids::Attempt,
    job::Usage,
    model::Usd,
    run::{Outcome, RunState, comment_marker},
    services_yaml::{BudgetConfig, PlatformBudgets},
};
use futures::StreamExt as _;
use store::{
    model_calls::{self, Spent},
    testing::TestDatabase,
};

async fn with_defaults(defaults: BudgetConfig) -> anyhow::Result<Platform> {
    super::with(Options { budgets: PlatformBudgets { defaults, ..PlatformBudgets::default() }, ..super::defaults() })
        .await
}

async fn spent(platform: &Platform, run: &store::runs::Run) -> anyhow::Result<Spent> {
    let mut conn = platform.store().acquire().await?;
    Ok(model_calls::sum_for_attempt(&mut conn, run.id, run.attempt).await?)
}

/// What the scripted model says it has told, over all calls.
fn told(model: &ScriptedModel) -> Usage {
    model.requests().iter().filter_map(|request| request.usage).fold(Usage::default(), |sum, usage| Usage {
        input_tokens: sum.input_tokens + usage.input_tokens,
        cached_input_tokens: sum.cached_input_tokens + usage.cached_input_tokens,
        output_tokens: sum.output_tokens + usage.output_tokens,
        reasoning_output_tokens: sum.reasoning_output_tokens + usage.reasoning_output_tokens,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_when_its_budget_is_spent() -> anyhow::Result<()> {
    // Room for a few calls: each asks for some 9,000 tokens in, and up to 10,000 out, and uses 1,290.
    let budget = BudgetConfig { per_run_tokens: Some(20_000), ..BudgetConfig::default() };
    let platform = with_defaults(budget).await?;
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::BudgetSpent), "{run:?}");
    let cause = run.cause.clone().unwrap_or_default();
    assert!(cause.contains("this run, 20000 tokens, is spent") && cause.contains("`budget.per_run_tokens`"), "{cause}");

    let (spent, asked) = (spent(&platform, &run).await?, platform.model.requests().len());
    assert_eq!(spent.calls as usize, asked, "Codex did not try again after it was told");
    assert!(asked >= 2, "{asked}");
    assert_eq!(spent.usage, told(&platform.model), "what the model told and what is booked are equal to the token");
    assert!(spent.usage.input_tokens + spent.usage.output_tokens <= 20_000, "{spent:?}");
    // 400 fresh tokens in, 800 cached, 90 out, at the harness's prices.
    let call = Usd::from_nano(400 * 1_000 + 800 * 100 + 90 * 10_000);
    assert_eq!(spent.cost.known, call.times(u64::from(spent.calls)));
    let words = format!("{asked} model calls, {} tokens, {}<", 1_290 * asked, spent.cost);
    comment_says(&platform, number, &run, &words).await?;
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_project_gives_itself_more_than_the_platform_allows() -> anyhow::Result<()> {
    let ceiling = BudgetConfig { per_run_tokens: Some(20_000), ..BudgetConfig::default() };
    let budgets = PlatformBudgets { ceiling, ..PlatformBudgets::default() };
    let platform = super::with(Options { budgets, ..super::defaults() }).await?;
    let wish = "version: 1\nbudget:\n  per_run_tokens: 90000000\n";
    platform.forge.commit("writer", REPOSITORY, "main", &[("services.yaml", Some(wish))]).await?;
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    let cause = run.cause.clone().unwrap_or_default();
    assert_eq!(run.outcome, Some(Outcome::BudgetSpent), "{cause}");
    assert!(cause.contains("20000 tokens, is spent") && cause.contains("`BUDGET_MAX_PER_RUN_TOKENS`"), "{cause}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_days_budget_holds_for_all_runs_of_the_project() -> anyhow::Result<()> {
    let budget = BudgetConfig { per_day_usd: Some("0.02".parse()?), ..BudgetConfig::default() };
    let platform = with_defaults(budget).await?;
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        let number = platform.open_issue("no-change")?;
        platform.label(number, "run:dev")?;
        let run = platform.await_end(number).await?;
        outcomes.push(run.outcome);
        if run.outcome == Some(Outcome::BudgetSpent) {
            let cause = run.cause.unwrap_or_default();
            assert!(cause.contains("this day, $0.02, is spent") && cause.contains("midnight UTC"), "{cause}");
        }
    }
    assert_eq!((outcomes[0], outcomes[3]), (Some(Outcome::NoChange), Some(Outcome::BudgetSpent)), "{outcomes:?}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_waited_for_and_everybody_sees_it() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("limited-once")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.state == RunState::Working).await?;
    comment_says(&platform, number, &run, "| limits of requests make it wait until ").await?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    let statuses: Vec<_> = platform.model.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses[..2], [Some(429), Some(200)], "{statuses:?}");
    let spent = spent(&platform, &run).await?;
    assert_eq!(spent.calls as usize, statuses.len() - 1, "the call that waited is one");
    assert_eq!(spent.usage, told(&platform.model));
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_model_gateway_leaves_honest_estimates() -> anyhow::Result<()> {
    let (database, folder) = (TestDatabase::create().await, tempfile::tempdir()?);
    let store = database.store().clone();
    let options =
        model::Options { bind: ([127, 0, 0, 1], 0).into(), api_key: MODEL_KEY.to_owned(), scenario_dir: None };
    let scripted = ScriptedModel::start(options).await?;
    let run = LoneRun::make(&store, Utc::now()).await?;
    let program = Path::new(env!("CARGO_BIN_EXE_dev"));
    let start =
        async || ModelGatewayProcess::start(program, folder.path(), database.url(), &scripted.url(), MODEL_KEY).await;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let call = async |gateway: &ModelGatewayProcess, scenario: &str| {
        let body = serde_json::json!({ "model": "gpt-5-codex", "stream": true,
            "input": [{ "role": "user", "content": format!("[scenario:{scenario}]") }] });
        let url = format!("http://{}/v1/responses", gateway.address);
        client.post(url).bearer_auth(&run.model_token).json(&body).send().await
    };
    let sum = async || -> anyhow::Result<Spent> {
        let mut conn = store.acquire().await?;
        Ok(model_calls::sum_for_attempt(&mut conn, run.run, Attempt::FIRST).await?)
    };

    let gateway = start().await?;
    call(&gateway, "plan").await?.text().await?;
    let whole = until(devkit::harness::PATIENCE, async || {
        let spent = sum().await?;
        Ok((spent.usage.output_tokens > 0).then_some(spent))
    });
    let whole = whole.await?.context("the first call is booked")?;
    assert_eq!((whole.usage, whole.cost.estimated_calls), (told(&scripted), 0));
    // In the middle of an answer it dies.
    let mut streamed = call(&gateway, "streamed").await?.bytes_stream();
    streamed.next().await.context("the answer begins")??;
    gateway.kill().await?;
    while let Some(Ok(_)) = streamed.next().await {}
    assert_eq!(sum().await?.usage, whole.usage, "nobody knows yet");

    // As if it had been dead for a minute: the next one books what it had reserved.
    store::testing::silence_model_gateways(&store).await?;
    let next = start().await?;
    let booked = until(devkit::harness::PATIENCE, async || {
        let spent = sum().await?;
        Ok((spent.cost.estimated_calls == 1).then_some(spent))
    });
    let booked = booked.await?.context("the call is booked")?;
    assert_eq!(
        booked.usage.output_tokens,
        whole.usage.output_tokens + 10_000,
        "the longest answer that it could have had"
    );
    assert!(booked.cost.known > told_price(&scripted), "an estimate is not below what was used");
    let accounts = {
        let mut conn = store.acquire().await?;
        store::model_budgets::accounts(&mut conn, run.run, run.project, Utc::now()).await?
    };
    assert_eq!(accounts[0].reserved.tokens, 0);
    assert_eq!(accounts[0].spent.tokens, booked.usage.input_tokens + booked.usage.output_tokens);
    next.kill().await?;
    scripted.shutdown().await;
    Ok(())
}

/// What all told calls cost at the harness's prices.
fn told_price(model: &ScriptedModel) -> Usd {
    let usage = told(model);
    let fresh = usage.input_tokens - usage.cached_input_tokens;
    Usd::from_nano(fresh * 1_000 + usage.cached_input_tokens * 100 + usage.output_tokens * 10_000)
}

async fn comment_says(platform: &Platform, number: u64, run: &store::runs::Run, words: &str) -> anyhow::Result<()> {
    let marker = comment_marker(run.id);
    platform
        .await_that(words, async || {
            let comments = platform.forge.comments(REPOSITORY, number)?;
            let says = |body: &str| body.contains(&marker) && body.contains(words);
            Ok(comments.iter().any(|comment| says(&comment.body)).then_some(()))
        })
        .await
}
