//! The outcome of a run, judged from the evidence in its report.

use crate::{
    agents::AgentRole,
    job::{AgentEnd, AgentFailure, JobReport},
    model::{ModelStop, Stopped},
    run::Outcome,
    sentences,
};

/// Longest foreign message repeated in a cause.
const MAX_MESSAGE_CHARS: usize = 300;
/// Longest command repeated in a cause.
const MAX_COMMAND_CHARS: usize = 80;

/// What a report is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The outcome. A successful one is reached once the result is published.
    pub outcome: Outcome,
    /// Why, as a sentence for people.
    pub cause: String,
}

/// Judges a turn that failed because the model gateway stopped a call. It knows why; Codex only repeats what it understood.
/// None: the turn ended otherwise, and the report decides.
#[must_use]
pub fn judge_stopped(report: &JobReport, stopped: &Stopped) -> Option<Judgement> {
    if !matches!(report.end, AgentEnd::Failed { .. }) {
        return None;
    }
    let outcome = match stopped.stop {
        ModelStop::Budget | ModelStop::OutputCut => Outcome::BudgetSpent,
        ModelStop::NotAllowed | ModelStop::Unpriced | ModelStop::Unserved => Outcome::Failed,
    };
    Some(is(outcome, stopped.problem.clone()))
}

/// Judges a report. The agent's own claims count for nothing: work tree and checks decide.
#[must_use]
pub fn judge(report: &JobReport, role: AgentRole) -> Judgement {
    match &report.end {
        AgentEnd::Completed => completed(report, role),
        AgentEnd::Failed { class, message } => failed(*class, message),
        AgentEnd::DeadlineExceeded => is(Outcome::BudgetSpent, sentences::agent_time_up()),
        AgentEnd::Cancelled => is(Outcome::Cancelled, sentences::run_cancelled()),
        AgentEnd::SetupFailed { command, exit_code, output_tail } => {
            is(Outcome::SetupFailed, setup_failed(command, *exit_code, output_tail))
        }
        AgentEnd::NotStarted { message } => is(Outcome::Failed, sentences::agent_not_started(shorten(message))),
    }
}

fn setup_failed(command: &str, exit_code: Option<i32>, output_tail: &str) -> String {
    let command: String = command.lines().next().unwrap_or_default().chars().take(MAX_COMMAND_CHARS).collect();
    let command = command.trim().replace('`', "'");
    let last = last_lines(output_tail);
    match (exit_code, last.is_empty()) {
        (Some(code), true) => sentences::setup_exit(command, code),
        (Some(code), false) => sentences::setup_exit_output(command, code, last),
        (None, true) => sentences::setup_endless(command),
        (None, false) => sentences::setup_endless_output(command, last),
    }
}

/// The end of an output, on one line.
fn last_lines(output: &str) -> String {
    let line = output.split_whitespace().collect::<Vec<_>>().join(" ");
    let over = line.chars().count().saturating_sub(MAX_MESSAGE_CHARS);
    if over == 0 { line } else { ['…'].into_iter().chain(line.chars().skip(over)).collect() }
}

fn completed(report: &JobReport, role: AgentRole) -> Judgement {
    let answered = report.last_message.as_deref().is_some_and(|message| !message.trim().is_empty());
    match role {
        AgentRole::Review if answered => is(Outcome::ReviewPosted, sentences::agent_reviewed()),
        AgentRole::Answer if answered => is(Outcome::AnswerPosted, sentences::agent_answered()),
        AgentRole::Review | AgentRole::Answer => is(Outcome::Failed, sentences::agent_silent()),
        AgentRole::Changes => changed(report),
    }
}

fn changed(report: &JobReport) -> Judgement {
    if report.head_sha.is_none() || report.changed_files == 0 {
        return is(Outcome::NoChange, sentences::agent_changed_nothing());
    }
    let failed: Vec<String> =
        report.checks.iter().filter(|check| !check.passed).map(|check| format!("`{}`", check.name)).collect();
    let files = match report.changed_files {
        1 => sentences::file_changed().to_owned(),
        files => sentences::files_changed(files),
    };
    match (failed.as_slice(), report.checks.len()) {
        ([], 0) => is(Outcome::PullRequestOpen, sentences::changed_unchecked(files)),
        ([], 1) => is(Outcome::PullRequestOpen, sentences::changed_check_passes(files)),
        ([], checks) => is(Outcome::PullRequestOpen, sentences::changed_checks_pass(files, checks)),
        ([name], _) => is(Outcome::ChecksFailed, sentences::changed_check_fails(files, name)),
        (names, _) => is(Outcome::ChecksFailed, sentences::changed_checks_fail(files, names.join(", "))),
    }
}

fn failed(class: AgentFailure, message: &str) -> Judgement {
    let message = shorten(message);
    match class {
        AgentFailure::QuotaExceeded => is(Outcome::BudgetSpent, sentences::model_quota_spent(message)),
        AgentFailure::RateLimited => is(Outcome::Failed, sentences::model_asked_too_often(message)),
        AgentFailure::Unauthorised => is(Outcome::Failed, sentences::model_refused_key(message)),
        AgentFailure::ModelUnavailable => is(Outcome::Failed, sentences::model_away(message)),
        AgentFailure::StreamCut => is(Outcome::Failed, sentences::model_broke_off(message)),
        AgentFailure::Other => is(Outcome::Failed, sentences::agent_failed(message)),
    }
}

fn is(outcome: Outcome, cause: impl Into<String>) -> Judgement {
    Judgement { outcome, cause: cause.into() }
}

fn shorten(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MAX_MESSAGE_CHARS {
        return line;
    }
    line.chars().take(MAX_MESSAGE_CHARS).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::job::{CheckResult, Usage};

    type Case = (AgentEnd, u32, &'static [(&'static str, bool)], Outcome, &'static str);

    fn report(end: AgentEnd, changed_files: u32, checks: &[(&str, bool)]) -> JobReport {
        JobReport {
            end,
            thread_id: None,
            last_message: Some("done".into()),
            usage: Usage::default(),
            checks: checks
                .iter()
                .map(|&(name, passed)| CheckResult {
                    name: name.into(),
                    passed,
                    exit_code: Some(i32::from(!passed)),
                    output_tail: String::new(),
                    duration_ms: 1,
                })
                .collect(),
            head_sha: (changed_files > 0).then(|| "a".repeat(40)),
            changed_files,
            dropped_log_bytes: 0,
            resumed: None,
            started_at: DateTime::UNIX_EPOCH,
            finished_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_stopped_call_explains_a_failed_turn_and_no_other() {
        let failed = AgentEnd::Failed { class: AgentFailure::QuotaExceeded, message: "Quota exceeded.".into() };
        let stopped = |stop| Stopped { stop, problem: "The budget is spent.".into() };
        for (stop, outcome) in [
            (ModelStop::Budget, Outcome::BudgetSpent),
            (ModelStop::OutputCut, Outcome::BudgetSpent),
            (ModelStop::NotAllowed, Outcome::Failed),
            (ModelStop::Unpriced, Outcome::Failed),
            (ModelStop::Unserved, Outcome::Failed),
        ] {
            let judged = judge_stopped(&report(failed.clone(), 0, &[]), &stopped(stop)).unwrap();
            assert_eq!((judged.outcome, judged.cause.as_str()), (outcome, "The budget is spent."));
        }
        for end in [AgentEnd::Completed, AgentEnd::Cancelled, AgentEnd::DeadlineExceeded] {
            assert_eq!(judge_stopped(&report(end, 1, &[]), &stopped(ModelStop::Budget)), None);
        }
    }

    #[test]
    fn changes_are_judged_by_work_tree_and_checks() {
        let failed = |class| AgentEnd::Failed { class, message: "  boom\n boom ".into() };
        let table: [Case; 12] = [
            (AgentEnd::Completed, 0, &[], Outcome::NoChange, "the agent changed no file"),
            (AgentEnd::Completed, 0, &[("test", false)], Outcome::NoChange, "the agent changed no file"),
            (AgentEnd::Completed, 1, &[], Outcome::PullRequestOpen, "1 file is changed; the project has no checks"),
            (
                AgentEnd::Completed,
                1,
                &[("t", true)],
                Outcome::PullRequestOpen,
                "1 file is changed and the check passes",
            ),
            (
                AgentEnd::Completed,
                2,
                &[("t", true), ("l", true)],
                Outcome::PullRequestOpen,
                "2 files are changed and all 2 checks pass",
            ),
            (
                AgentEnd::Completed,
                2,
                &[("t", false), ("l", true)],
                Outcome::ChecksFailed,
                "2 files are changed, but check `t` fails",
            ),
            (
                AgentEnd::Completed,
                2,
                &[("t", false), ("l", false)],
                Outcome::ChecksFailed,
                "2 files are changed, but checks `t`, `l` fail",
            ),
            (
                AgentEnd::DeadlineExceeded,
                2,
                &[],
                Outcome::BudgetSpent,
                "the agent's time was up before it had finished",
            ),
            (AgentEnd::Cancelled, 2, &[], Outcome::Cancelled, "the run was cancelled"),
            (
                failed(AgentFailure::QuotaExceeded),
                2,
                &[],
                Outcome::BudgetSpent,
                "the model's quota is spent: boom boom",
            ),
            (failed(AgentFailure::Other), 2, &[("t", true)], Outcome::Failed, "the agent failed: boom boom"),
            (
                AgentEnd::NotStarted { message: "no disk".into() },
                0,
                &[],
                Outcome::Failed,
                "the agent could not be started: no disk",
            ),
        ];
        for (end, files, checks, outcome, cause) in table {
            let judged = judge(&report(end.clone(), files, checks), AgentRole::Changes);
            assert_eq!((judged.outcome, judged.cause.as_str()), (outcome, cause), "{end:?} {files} {checks:?}");
        }
    }

    #[test]
    fn a_failed_set_up_is_told_by_its_command_and_its_last_lines() {
        let failed = |exit_code, output: &str| {
            let end =
                AgentEnd::SetupFailed { command: "npm ci\nnpm test".into(), exit_code, output_tail: output.into() };
            let judged = judge(&report(end, 0, &[]), AgentRole::Answer);
            assert_eq!(judged.outcome, Outcome::SetupFailed);
            judged.cause
        };
        assert_eq!(
            failed(Some(1), "npm ERR!\n  no lock\n"),
            "set-up command `npm ci` failed with exit 1: npm ERR! no lock"
        );
        assert_eq!(failed(None, ""), "set-up command `npm ci` did not end by itself");
        let long = failed(Some(7), &"x ".repeat(5_000));
        assert!(long.chars().count() < 400 && long.contains(": …"), "{long}");
    }

    #[test]
    fn reviews_and_answers_are_judged_by_their_words() {
        let mut report = report(AgentEnd::Completed, 3, &[]);
        assert_eq!(judge(&report, AgentRole::Review).outcome, Outcome::ReviewPosted);
        assert_eq!(judge(&report, AgentRole::Answer).outcome, Outcome::AnswerPosted);
        report.last_message = Some(" \n".into());
        assert_eq!(judge(&report, AgentRole::Review).outcome, Outcome::Failed);
        report.last_message = None;
        assert_eq!(judge(&report, AgentRole::Answer).outcome, Outcome::Failed);
    }
}
