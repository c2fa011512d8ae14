//! Title and body of our pull requests.

use std::fmt::Write as _;

use chrono::TimeDelta;

use super::{
    quoted_words,
    sticky::duration,
    words::{cell, code_block, neutral},
};
use crate::{
    agents::read_answers,
    event::{Subject, SubjectKind},
    ids::RunId,
    job::{CheckResult, JobReport},
    model::Cost,
    services_yaml::AgentName,
};

/// Longest title; the forge takes 256.
const MAX_TITLE_CHARS: usize = 200;

/// Most checks whose output is shown.
const MAX_OUTPUTS: usize = 3;

/// Most checks in the table.
const MAX_CHECKS: usize = 50;

/// What the body says.
#[derive(Clone, Copy, Debug)]
pub struct PullRequestText<'a> {
    /// The run.
    pub run: RunId,
    /// What it is about.
    pub subject: Subject,
    /// Its agent.
    pub agent: &'a AgentName,
    /// Login of the person who asked.
    pub requested_by: &'a str,
    /// The evidence.
    pub report: &'a JobReport,
    /// Head of the branch as it was pushed.
    pub head_sha: &'a str,
    /// Calls of the model, as the model gateway counted them.
    pub model_calls: u32,
    /// What they cost.
    pub cost: Cost,
    /// What asked for it, where it goes on with a pull request: `review`, `failing checks`.
    pub after: &'a str,
}

/// The title: that of the issue, with its number.
#[must_use]
pub fn pull_request_title(title: &str, number: i64) -> String {
    let line = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).take(MAX_TITLE_CHARS).collect();
    if line.is_empty() { format!("Work on #{number}") } else { format!("{} (#{number})", line.trim_end()) }
}

/// The body: what was done, why, how it was checked, what it cost.
#[must_use]
pub fn pull_request_body(of: &PullRequestText<'_>) -> String {
    let report = of.report;
    let done = match report.last_message.as_deref().map(str::trim).filter(|words| !words.is_empty()) {
        Some(words) => quoted_words(words),
        None => "The agent left no message.".to_owned(),
    };
    let closes = match of.subject.kind {
        SubjectKind::Issue => format!("Closes #{}.", of.subject.number),
        SubjectKind::PullRequest => format!("Belongs to #{}.", of.subject.number),
    };
    format!(
        "<!-- codex-k8s:pull-request:{run} -->\n## What was done\n\n{done}\n\n## Why\n\n{closes} Asked for by {by}; done by the \
         agent `{agent}`.\n\n## How it was checked\n\n{checks}\n## What it cost\n\n{cost}\n\n<sub>run `{run}` · {files} at \
         `{head}`</sub>\n",
        run = of.run,
        by = neutral(of.requested_by),
        agent = of.agent,
        checks = checks(&report.checks),
        cost = cost(of),
        files = if report.changed_files == 1 { "1 file".to_owned() } else { format!("{} files", report.changed_files) },
        head = cell(of.head_sha),
    )
}

/// The body of a pull request after another commit: what stood there, and what was done now. Once more changes nothing.
#[must_use]
pub fn revised_body(before: &str, of: &PullRequestText<'_>) -> String {
    let marker = format!("<!-- codex-k8s:revision:{} -->", of.run);
    if before.contains(&marker) {
        return before.to_owned();
    }
    let words = of.report.last_message.as_deref().map(|message| read_answers(message).rest).unwrap_or_default();
    let words = if words.is_empty() { "The agent left no message.".to_owned() } else { quoted_words(&words) };
    let section = format!(
        "\n{marker}\n## What was done after the {after}\n\n{words}\n\n{checks}\n<sub>run `{run}` · at `{head}`</sub>\n",
        after = of.after,
        checks = checks(&of.report.checks),
        run = of.run,
        head = cell(of.head_sha),
    );
    // The forge takes no longer body; then the oldest words stay, and the comment on the pull request tells the rest.
    if before.chars().count() + section.chars().count() > super::MAX_CHARS {
        return before.to_owned();
    }
    format!("{}\n{section}", before.trim_end())
}

fn checks(checks: &[CheckResult]) -> String {
    if checks.is_empty() {
        return "The project names no checks in `services.yaml`.\n".to_owned();
    }
    let mut text = "| check | result | took |\n|---|---|---|\n".to_owned();
    for check in checks.iter().take(MAX_CHECKS) {
        let result = match (check.passed, check.exit_code) {
            (true, _) => "passes".to_owned(),
            (false, Some(code)) => format!("**fails** with exit code {code}"),
            (false, None) => "**fails**: ended from outside".to_owned(),
        };
        let took = duration(TimeDelta::milliseconds(i64::try_from(check.duration_ms).unwrap_or(i64::MAX / 2)));
        let _ = writeln!(text, "| `{}` | {result} | {took} |", cell(&check.name));
    }
    if checks.len() > MAX_CHECKS {
        let _ = writeln!(text, "\n{} more are not shown.", checks.len() - MAX_CHECKS);
    }
    let failed = checks.iter().filter(|check| !check.passed && !check.output_tail.trim().is_empty());
    for check in failed.take(MAX_OUTPUTS) {
        let _ = writeln!(
            text,
            "\nEnd of the output of `{}`:\n\n{}",
            cell(&check.name),
            code_block(&shown(&check.output_tail))
        );
    }
    text
}

/// Output in a block of code: mentions do nothing there, but a marker is searched for as text.
fn shown(output: &str) -> String {
    output.replace("<!--", "<! --")
}

fn cost(of: &PullRequestText<'_>) -> String {
    let usage = of.report.usage;
    let took = duration(of.report.finished_at - of.report.started_at);
    let calls = if of.model_calls == 1 { "1 model call".to_owned() } else { format!("{} model calls", of.model_calls) };
    format!(
        "{calls}, {}; {} tokens in ({} of them cached), {} tokens out ({} of them reasoning); {took} of work.",
        of.cost, usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.reasoning_output_tokens
    )
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::{
        forge_text::MAX_CHARS,
        job::{AgentEnd, Usage},
    };

    fn report(message: Option<&str>, checks: Vec<CheckResult>) -> JobReport {
        JobReport {
            end: AgentEnd::Completed,
            thread_id: None,
            last_message: message.map(str::to_owned),
            usage: Usage {
                input_tokens: 300,
                cached_input_tokens: 100,
                output_tokens: 50,
                reasoning_output_tokens: 20,
            },
            checks,
            head_sha: Some("b".repeat(40)),
            changed_files: 2,
            dropped_log_bytes: 0,
            resumed: None,
            started_at: DateTime::UNIX_EPOCH,
            finished_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(90),
        }
    }

    fn check(name: &str, exit_code: Option<i32>, output: &str) -> CheckResult {
        CheckResult {
            name: name.into(),
            passed: exit_code == Some(0),
            exit_code,
            output_tail: output.into(),
            duration_ms: 61_500,
        }
    }

    fn body(report: &JobReport) -> String {
        pull_request_body(&PullRequestText {
            run: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
            subject: Subject { kind: SubjectKind::Issue, number: 12 },
            agent: &"dev".parse().unwrap(),
            requested_by: "ann",
            report,
            head_sha: "bbbb",
            model_calls: 4,
            cost: Cost { known: "0.25".parse().unwrap(), ..Cost::default() },
            after: "review",
        })
    }

    #[test]
    fn titles_fit() {
        for (title, expected) in
            [("Fix the sum", "Fix the sum (#12)"), ("  two\nlines\t ", "two lines (#12)"), ("", "Work on #12")]
        {
            assert_eq!(pull_request_title(title, 12), expected);
        }
        assert!(pull_request_title(&"ö".repeat(1000), i64::MAX).chars().count() < 256);
    }

    #[test]
    fn the_body_says_what_why_how_and_cost() {
        let checks = vec![
            check("test", Some(0), "ok"),
            check("li|nt", Some(1), "bad\n```\n<!-- x -->"),
            check("slow", None, ""),
        ];
        let text = body(&report(Some("I fixed it. Fixes #99, @bob."), checks));
        assert_eq!(
            text,
            "<!-- codex-k8s:pull-request:01890a5d-ac96-774b-bcce-b302099a8057 -->\n\
             ## What was done\n\nI fixed it. Fixes #\u{200b}99, @\u{200b}bob.\n\n\
             ## Why\n\nCloses #12. Asked for by ann; done by the agent `dev`.\n\n\
             ## How it was checked\n\n\
             | check | result | took |\n|---|---|---|\n\
             | `test` | passes | 1 min 1 s |\n\
             | `li¦nt` | **fails** with exit code 1 | 1 min 1 s |\n\
             | `slow` | **fails**: ended from outside | 1 min 1 s |\n\n\
             End of the output of `li¦nt`:\n\n````text\nbad\n```\n<! -- x -->\n````\n\n\n\
             ## What it cost\n\n\
             4 model calls, $0.25; 300 tokens in (100 of them cached), 50 tokens out (20 of them reasoning); 1 min 30 s of work.\n\n\
             <sub>run `01890a5d-ac96-774b-bcce-b302099a8057` · 2 files at `bbbb`</sub>\n"
        );
    }

    #[test]
    fn an_endless_report_still_fits() {
        let checks = (0..500).map(|n| check(&format!("{n}{}", "x".repeat(56)), Some(1), &"y".repeat(4096))).collect();
        let text = body(&report(Some(&"```\n@a ".repeat(60_000)), checks));
        assert!(text.chars().count() <= MAX_CHARS, "{}", text.chars().count());
        assert!(text.contains("450 more are not shown."));
        let silent = body(&report(None, Vec::new()));
        assert!(silent.contains("The agent left no message.") && silent.contains("names no checks"));
    }
}
