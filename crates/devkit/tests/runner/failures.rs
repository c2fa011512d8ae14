//! How turns fail, and what the report makes of it.

use domain::job::{AgentEnd, AgentFailure, JobReport};

use crate::job::Setup;

fn class(report: &JobReport) -> AgentFailure {
    match &report.end {
        AgentEnd::Failed { class, message } => {
            assert!(!message.is_empty());
            *class
        }
        other => panic!("not a failed turn: {other:?}"),
    }
}

async fn failure_of(scenario: &str) -> AgentFailure {
    let done = Setup::plain(scenario).check("never", "exit 0").run().await;
    let report = done.report();
    assert!(report.checks.is_empty() && report.head_sha.is_none());
    assert_eq!(done.model.requests().len(), 1, "nothing is asked twice");
    class(report)
}

#[tokio::test]
async fn the_model_refuses_the_key() {
    assert_eq!(failure_of("unauthorised").await, AgentFailure::Unauthorised);
}

#[tokio::test]
async fn the_model_is_asked_too_often() {
    assert_eq!(failure_of("rate-limited").await, AgentFailure::RateLimited);
}

#[tokio::test]
async fn the_account_is_empty() {
    assert_eq!(failure_of("quota-exceeded").await, AgentFailure::QuotaExceeded);
}

#[tokio::test]
async fn the_model_fails() {
    assert_eq!(failure_of("server-error").await, AgentFailure::ModelUnavailable);
}

#[tokio::test]
async fn the_answer_breaks_off() {
    assert_eq!(failure_of("cut-stream").await, AgentFailure::StreamCut);
}

#[tokio::test]
async fn an_endless_loop_ends_at_the_deadline() {
    let done = Setup::plain("endless-loop").run_with(|spec| spec.limits.agent_secs = 4).await;
    assert_eq!(done.report().end, AgentEnd::DeadlineExceeded);
    assert!(done.model.requests().len() > 1);
    assert!(done.told.result.is_none());
}

#[tokio::test]
async fn a_model_that_never_answers_ends_at_the_deadline() {
    let done = Setup::plain("stall").run_with(|spec| spec.limits.agent_secs = 3).await;
    assert_eq!(done.report().end, AgentEnd::DeadlineExceeded);
    assert_eq!(done.model.requests()[0].status, None);
}

#[tokio::test]
async fn a_missing_codex_is_told() {
    let mut setup = Setup::plain("good-fix");
    setup.codex = "/does/not/exist/codex".into();
    let done = setup.run().await;
    assert!(matches!(&done.report().end, AgentEnd::NotStarted { message } if message.contains("Codex")));
}

#[tokio::test]
async fn another_base_than_the_pinned_one_is_told() {
    let done = Setup::plain("good-fix").run_with(|spec| spec.base_sha = "1".repeat(40)).await;
    let AgentEnd::NotStarted { message } = &done.report().end else { panic!("{:?}", done.report().end) };
    assert!(message.contains(&"1".repeat(40)), "{message}");
    assert!(done.model.requests().is_empty());
}

#[tokio::test]
async fn the_agent_is_never_started_twice() {
    let mut job = Setup::plain("no-change").start().await;
    let first = job.gateway.wait_for(|told| told.report.is_some()).await;
    job.runner.wait().await.unwrap();
    let asked = job.model.requests().len();
    job.start_again();
    let done = job.end().await;
    assert!(!done.status.success());
    assert_eq!(done.model.requests().len(), asked);
    assert_eq!(done.told.report, first.report);
    assert_eq!(done.told.chunks, first.chunks);
}
