//! Cancels, and a platform that knows the run no more.

use axum::http::StatusCode;
use domain::job::{AgentEnd, LogStream};

use crate::job::{Job, Setup, processes_of};

/// A job whose agent is in the middle of a command.
async fn in_the_middle(setup: Setup) -> Job {
    let job = setup.start().await;
    job.gateway.wait_for(|told| told.text(LogStream::Codex).contains(r#""status":"in_progress""#)).await;
    assert!(!processes_of(job.work.path()).is_empty());
    job
}

#[tokio::test]
async fn sigterm_ends_the_agent_and_is_reported() {
    let job = in_the_middle(Setup::plain("slow")).await;
    job.terminate();
    let done = job.end().await;
    assert_eq!(done.report().end, AgentEnd::Cancelled);
    assert!(done.report().thread_id.is_some());
    assert!(done.told.result.is_none());
}

#[tokio::test]
async fn the_platform_cancels_by_the_answer_to_a_heartbeat() {
    let job = in_the_middle(Setup::plain("slow")).await;
    job.gateway.cancel();
    assert_eq!(job.end().await.report().end, AgentEnd::Cancelled);
}

#[tokio::test]
async fn a_cancel_also_ends_a_check_that_does_not_want_to_end() {
    let job = Setup::playing("echo new > new.txt")
        .check("stubborn", "trap '' TERM; echo started; while :; do sleep 1; done")
        .start()
        .await;
    job.gateway.wait_for(|told| told.text(LogStream::Check).contains("started")).await;
    job.terminate();
    let done = job.end().await;
    assert_eq!(done.report().end, AgentEnd::Cancelled);
    assert!(done.told.result.is_none() && done.report().head_sha.is_none());
}

#[tokio::test]
async fn a_run_that_is_known_no_more_is_ended_without_a_report() {
    let job = in_the_middle(Setup::plain("slow")).await;
    job.gateway.refuse_all(StatusCode::UNAUTHORIZED);
    let done = job.end().await;
    assert!(!done.status.success());
    assert!(done.told.report.is_none());
}
