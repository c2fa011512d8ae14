//! Output on its way to the platform.

use std::time::Duration;

use domain::job::{AgentEnd, LogStream};

use crate::job::Setup;

#[tokio::test]
async fn huge_output_is_capped_and_the_rest_counted() {
    let limit = 100_000;
    let done = Setup::plain("huge-output").run_with(|spec| spec.limits.log_bytes = limit).await;
    let report = done.report();
    assert_eq!(report.end, AgentEnd::Completed);
    assert!(report.dropped_log_bytes > 1_000_000, "{}", report.dropped_log_bytes);
    let kept = done.told.text(LogStream::Codex).len() + done.told.text(LogStream::CodexStderr).len();
    assert_eq!(kept as u64, limit);
    let ours = done.told.text(LogStream::Runner);
    assert!(ours.contains("too much output") && ours.contains("turn ended"), "{ours}");
    assert_eq!(report.head_sha.is_some(), done.told.result.is_some());
    assert!(report.head_sha.is_some());
}

#[tokio::test]
async fn terminal_sequences_and_invalid_bytes_arrive_as_text() {
    let done = Setup::playing("echo new > new.txt")
        .check("bytes", "printf '\\033[1mbold\\033[0m \\377 \\000 end\\r\\n'")
        .run()
        .await;
    assert_eq!(done.told.text(LogStream::Check), "\u{1b}[1mbold\u{1b}[0m \u{fffd} \u{fffd} end\r\n");
}

#[tokio::test]
async fn a_gateway_that_is_away_for_a_while_loses_no_line() {
    let lines = "i=0; while [ $i -lt 300 ]; do i=$((i + 1)); echo \"line $i\"; sleep 0.02; done";
    let job = Setup::playing("echo new > new.txt").check("lines", lines).start().await;
    job.gateway.wait_for(|told| told.text(LogStream::Check).contains("line 1\n")).await;
    job.gateway.leave().await;
    let seen = job.gateway.told().chunks.len();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(job.gateway.told().chunks.len(), seen, "nothing comes through while it is away");
    job.gateway.come_back().await;
    let done = job.end().await;

    let expected: String = (1..=300).map(|line| format!("line {line}\n")).collect();
    assert_eq!(done.told.text(LogStream::Check), expected);
    assert!(done.told.chunks.keys().copied().eq(0..done.told.chunks.len() as u64), "no chunk is missing");
    assert!(done.report().checks[0].passed);
    assert!(done.told.result.is_some());
}

#[tokio::test]
async fn a_report_waits_for_a_gateway_that_is_away() {
    let job = Setup::playing("echo new > new.txt").check("sign", "echo checked; sleep 0.5").start().await;
    job.gateway.wait_for(|told| told.text(LogStream::Check).contains("checked")).await;
    job.gateway.leave().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    job.gateway.come_back().await;
    let done = job.end().await;
    assert_eq!(done.report().end, AgentEnd::Completed);
    assert!(done.told.result.is_some());
}
