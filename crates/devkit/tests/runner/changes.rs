//! What the agent changes, what the checks say about it, and what is handed back.

use domain::job::{AgentEnd, LogStream, Usage};

use crate::{
    job::{Done, Setup},
    workspace::Repository,
};

/// The result as commits above the base: subject and trailers of each, newest first.
fn commits(done: &Done) -> Vec<String> {
    done.repository.take_in(done.told.result.as_ref().unwrap_or_else(|| panic!("no result: {:?}", done.told.report)));
    assert_eq!(Some(done.repository.git(&["rev-parse", "result"])), done.report().head_sha);
    let format = "--format=%s|%an <%ae>|%(trailers:key=Codex-Run,valueonly,separator=%x2C)";
    done.repository.git(&["log", format, "base..result"]).lines().map(str::to_owned).collect()
}

fn changed(done: &Done) -> String {
    done.repository.git(&["diff", "--name-only", "base", "result"])
}

#[tokio::test]
async fn a_good_fix_passes_the_check_and_comes_back_as_one_commit() {
    let setup = Setup::new(Repository::demo(), "good-fix").check("tests", "python3 -m unittest");
    let run = setup.spec.run;
    let done = setup.run().await;

    let report = done.report();
    assert_eq!(report.end, AgentEnd::Completed);
    assert!(report.thread_id.is_some());
    assert!(report.last_message.as_ref().unwrap().starts_with("I found the cause"));
    assert!(report.checks[0].passed, "{}", report.checks[0].output_tail);
    assert_eq!(report.checks[0].exit_code, Some(0));
    assert!(report.checks[0].output_tail.contains("OK"), "{}", report.checks[0].output_tail);
    assert_eq!(report.changed_files, 1);
    assert_eq!(report.dropped_log_bytes, 0);
    assert!(report.started_at < report.finished_at);

    let author = "codex-k8s <codex-k8s@users.noreply.github.com>";
    assert_eq!(commits(&done), [format!("Fix the issue|{author}|{run}")]);
    assert_eq!(changed(&done), "greeter/greeting.py", "what the check wrote is not committed");

    let mut reported = Usage::default();
    for usage in done.model.requests().into_iter().map(|request| request.usage.unwrap()) {
        reported.input_tokens += usage.input_tokens;
        reported.cached_input_tokens += usage.cached_input_tokens;
        reported.output_tokens += usage.output_tokens;
        reported.reasoning_output_tokens += usage.reasoning_output_tokens;
    }
    assert_eq!(report.usage, reported);
    assert!(done.told.text(LogStream::Codex).contains(r#""type":"file_change""#));
}

#[tokio::test]
async fn no_change_is_no_result_and_needs_no_check() {
    let done = Setup::plain("no-change").check("never", "exit 1").run().await;
    let report = done.report();
    assert_eq!(report.end, AgentEnd::Completed);
    assert_eq!((report.head_sha.as_ref(), report.changed_files), (None, 0));
    assert!(report.checks.is_empty());
    assert!(done.told.result.is_none());
}

#[tokio::test]
async fn broken_tests_are_evidence_beside_the_result() {
    let done = Setup::new(Repository::demo(), "broken-tests")
        .check("tests", "python3 -m unittest")
        .check("colours", "printf '\\033[31mred\\033[0m\\n'; exit 3")
        .check("slow", "sleep 60")
        .run_with(|spec| spec.checks[2].timeout_secs = 1)
        .await;
    let report = done.report();
    assert_eq!(report.end, AgentEnd::Completed);
    let results: Vec<_> =
        report.checks.iter().map(|check| (check.name.as_str(), check.passed, check.exit_code)).collect();
    assert_eq!(results, [("tests", false, Some(1)), ("colours", false, Some(3)), ("slow", false, None)]);
    assert!(report.checks[0].output_tail.contains("FAILED"));
    assert_eq!(report.checks[1].output_tail, "red\n");
    assert!(report.checks[2].duration_ms >= 1_000);
    assert_eq!(commits(&done).len(), 1);
    assert!(done.told.text(LogStream::Check).contains("\u{1b}[31mred"));
}

#[tokio::test]
async fn the_agents_own_commits_are_kept_below_ours() {
    let setup = Setup::plain("own-commit");
    let run = setup.spec.run;
    let done = setup.run().await;
    let author = "codex-k8s <codex-k8s@users.noreply.github.com>";
    assert_eq!(commits(&done), [format!("Fix the issue|{author}|{run}"), format!("Write the first part|{author}|")]);
    assert_eq!(changed(&done), "FIRST.md\nSECOND.md");
    assert_eq!(done.report().changed_files, 2);
}

#[tokio::test]
async fn ignored_files_and_rewritten_history_stay_out() {
    let done = Setup::playing(
        "echo 'secret.env' > .gitignore; echo x > secret.env; echo kept > kept.txt
         git checkout -q --orphan other && git add kept.txt && git commit -q -m 'Forget the past'",
    )
    .run()
    .await;
    assert_eq!(commits(&done).len(), 1);
    assert_eq!(changed(&done), ".gitignore\nkept.txt");
    assert_eq!(done.repository.git(&["rev-parse", "result^"]), done.repository.head());
}

#[tokio::test]
async fn work_is_saved_when_the_agent_throws_its_repository_away() {
    let done = Setup::playing("mv .git ../thrown-away; echo new > new.txt").run().await;
    assert_eq!(commits(&done).len(), 1);
    assert_eq!(changed(&done), "new.txt");
}

#[tokio::test]
async fn an_answer_is_all_that_counts_when_no_change_is_wanted() {
    let done =
        Setup::playing("echo new > new.txt").check("never", "exit 1").run_with(|spec| spec.wants_changes = false).await;
    let report = done.report();
    assert_eq!(report.end, AgentEnd::Completed);
    assert_eq!(report.last_message.as_deref(), Some("Done."));
    assert_eq!((report.head_sha.as_ref(), report.checks.len()), (None, 0));
    assert!(done.told.result.is_none());
}
