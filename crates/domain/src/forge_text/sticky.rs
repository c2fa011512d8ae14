//! The one comment about a run, edited as it goes on.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};

use super::words::{cut, neutral};
use crate::{
    egress::{self, EgressRefusal},
    ids::{Attempt, RunId},
    model::Cost,
    run::{Outcome, RunState, Step, comment_marker},
    services_yaml::AgentName,
};

/// Longest cause that is shown.
const MAX_CAUSE_CHARS: usize = 2_000;

/// Most hosts that are shown.
const MAX_HOSTS: usize = 10;

/// What the comment shows.
#[derive(Clone, Debug)]
pub struct StickyComment<'a> {
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Attempt,
    /// Its agent.
    pub agent: &'a AgentName,
    /// Login of the person who asked.
    pub requested_by: &'a str,
    /// Where it is.
    pub state: RunState,
    /// What it does now.
    pub step: Option<Step>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why it ended so.
    pub cause: Option<&'a str>,
    /// Its place in the queue for a slot, 1 being next.
    pub slot_place: Option<u32>,
    /// Number of its pull request.
    pub pull_request: Option<i64>,
    /// Why the attempt before was lost, if this one was begun because of that and nobody asked for it.
    pub after_lost: Option<&'a str>,
    /// What this attempt goes on from.
    pub continues: Continues,
    /// When the run's work was last kept.
    pub kept_at: Option<DateTime<Utc>>,
    /// The steps so far, in order.
    pub steps: &'a [StepLine],
    /// Where programs of this attempt were not let out, in the order in which they first tried.
    pub not_let_out: &'a [NotLetOut<'a>],
    /// Calls of the model.
    pub model_calls: u32,
    /// Tokens, in and out.
    pub tokens: u64,
    /// What they cost.
    pub cost: Cost,
}

/// What an attempt goes on from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Continues {
    /// Nobody asked for it.
    #[default]
    NotAsked,
    /// It was asked for, but there was nothing that could be used.
    Nothing,
    /// The work of an earlier attempt.
    Work {
        /// When it was kept.
        at: DateTime<Utc>,
        /// Whose it is.
        attempt: Attempt,
    },
    /// The same, without the agent's own memory of it.
    WithoutThread {
        /// When it was kept.
        at: DateTime<Utc>,
        /// Whose it is.
        attempt: Attempt,
    },
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepLine {
    /// Which.
    pub step: Step,
    /// When it was begun.
    pub started_at: DateTime<Utc>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
    /// How often it was begun.
    pub tries: u32,
    /// Until when it waits, because the forge or our own pace said so.
    pub wait_until: Option<DateTime<Utc>>,
}

/// Where programs wanted to go and were not let out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLetOut<'a> {
    /// The host; none: further ones that are not told apart.
    pub host: Option<&'a str>,
    /// The port.
    pub port: u16,
    /// Why not.
    pub reason: EgressRefusal,
    /// How often.
    pub count: u64,
}

/// Writes the comment. Its first line is the hidden marker by which it is found again.
#[must_use]
pub fn sticky_comment(of: &StickyComment<'_>) -> String {
    let mut text = format!("{}\n### {}\n\n", comment_marker(of.run), headline(of));
    if let Some(number) = of.pull_request {
        let _ = writeln!(text, "The change is in pull request #{number}.\n");
    }
    if let Some(cause) = of.cause.map(str::trim).filter(|cause| !cause.is_empty()) {
        let _ = writeln!(text, "{}\n", sentence(&cut(&neutral(cause), MAX_CAUSE_CHARS)));
    }
    if let Some(cause) = of.after_lost.map(str::trim).filter(|cause| !cause.is_empty()) {
        let before = of.attempt.0.saturating_sub(1);
        let cause = sentence(&cut(&neutral(cause), MAX_CAUSE_CHARS));
        let _ = writeln!(text, "Attempt {before} was lost, and the run went on by itself. {cause}\n");
        if of.outcome == Some(Outcome::Lost) {
            text.push_str("As it was lost again, it does not go on by itself any more.\n\n");
        }
    }
    if let Some(words) = continues(of.continues) {
        let _ = writeln!(text, "{words}\n");
    }
    if !of.steps.is_empty() {
        text.push_str(&table(of));
    }
    text.push_str(&not_let_out(of.not_let_out));
    let _ = writeln!(text, "\n{}\n", hint(of));
    text.push_str(&footer(of));
    text
}

fn headline(of: &StickyComment<'_>) -> String {
    let agent = of.agent;
    match (of.state, of.outcome) {
        (RunState::Queued, _) => format!("Agent `{agent}`: accepted"),
        (RunState::Waiting, _) => match of.slot_place.filter(|&place| place > 0) {
            Some(1) => format!("Agent `{agent}`: waiting for a free slot, next in line"),
            Some(place) => format!("Agent `{agent}`: waiting for a free slot, number {place} in line"),
            None => format!("Agent `{agent}`: waiting for a free slot"),
        },
        (RunState::Working, _) => match of.step {
            Some(step) => format!("Agent `{agent}`: {}", step.describe()),
            None => format!("Agent `{agent}`: at work"),
        },
        (RunState::Finished, Some(outcome)) => format!("Agent `{agent}`: {}", outcome.describe()),
        (RunState::Finished, None) => format!("Agent `{agent}`: ended"),
    }
}

fn table(of: &StickyComment<'_>) -> String {
    let mut table = "| step | begun (UTC) | took |\n|---|---|---|\n".to_owned();
    for line in of.steps {
        let took = match (line.finished_at, of.state) {
            (Some(end), _) => duration(end - line.started_at),
            (None, RunState::Finished) => "did not end".to_owned(),
            (None, _) => line.wait_until.map_or_else(
                || "at it".to_owned(),
                |until| format!("limits of requests make it wait until {}", until.format("%H:%M:%S")),
            ),
        };
        let tries = if line.tries > 1 { format!(", {} tries", line.tries) } else { String::new() };
        let begun = line.started_at.format("%Y-%m-%d %H:%M:%S");
        let _ = writeln!(table, "| {} | {begun} | {took}{tries} |", line.step.describe());
    }
    table
}

fn continues(from: Continues) -> Option<String> {
    match from {
        Continues::NotAsked => None,
        Continues::Nothing => Some("There was no kept work to go on from, so the agent began anew.".to_owned()),
        Continues::Work { at, attempt } => {
            Some(format!("This attempt goes on from the work of {} (attempt {attempt}).", moment(at)))
        }
        Continues::WithoutThread { at, attempt } => Some(format!(
            "This attempt goes on from the work of {} (attempt {attempt}). The agent's own thread could not be used, so a \
             fresh one took the work over.",
            moment(at)
        )),
    }
}

fn moment(at: DateTime<Utc>) -> String {
    at.format("%H:%M UTC").to_string()
}

/// A list, bounded: a program may try a thousand hosts.
fn not_let_out(refusals: &[NotLetOut<'_>]) -> String {
    if refusals.is_empty() {
        return String::new();
    }
    let mut text = "\nPrograms of this run were not let out:\n\n".to_owned();
    for refusal in refusals.iter().take(MAX_HOSTS) {
        let words = match refusal.host {
            Some(host) => egress::sentence(host, refusal.port, refusal.reason),
            None => "further hosts".to_owned(),
        };
        let often = if refusal.count > 1 { format!(" ({} times)", refusal.count) } else { String::new() };
        let _ = writeln!(text, "- {}{often}", neutral(&words));
    }
    if let Some(more) = refusals.len().checked_sub(MAX_HOSTS).filter(|more| *more > 0) {
        let _ = writeln!(text, "- and {more} more");
    }
    text
}

fn hint(of: &StickyComment<'_>) -> String {
    if let (RunState::Finished, Some(outcome), Some(at)) = (of.state, of.outcome, of.kept_at)
        && !outcome.is_success()
    {
        return format!(
            "Comment `/retry continue` to let the agent go on from its work of {}, `/retry` to try again from the start, or \
             `/retry from <step>` to keep what was done before that step.",
            moment(at)
        );
    }
    let words = match (of.state, of.outcome) {
        (RunState::Finished, Some(outcome)) if outcome.is_success() => {
            "Comment `/run <agent>` with further instructions to go on from here."
        }
        (RunState::Finished, _) => {
            "Comment `/retry` to try again, or `/retry from <step>` to keep what was done before that step."
        }
        _ => "Comment `/cancel` to end the run; taking its label off or closing the issue does the same.",
    };
    words.to_owned()
}

fn footer(of: &StickyComment<'_>) -> String {
    let spent = match of.model_calls {
        0 => String::new(),
        1 => format!(" · 1 model call, {} tokens, {}", of.tokens, of.cost),
        calls => format!(" · {calls} model calls, {} tokens, {}", of.tokens, of.cost),
    };
    let by = neutral(of.requested_by);
    format!("<sub>run `{}` · attempt {} · asked for by {by}{spent}</sub>\n", of.run, of.attempt)
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?', ']']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

/// Rounded down to whole seconds.
pub(super) fn duration(took: TimeDelta) -> String {
    let secs = took.num_seconds().max(0);
    match (secs / 3600, secs / 60 % 60, secs % 60) {
        (0, 0, secs) => format!("{secs} s"),
        (0, minutes, secs) => format!("{minutes} min {secs} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment<'a>(agent: &'a AgentName, state: RunState, outcome: Option<Outcome>) -> StickyComment<'a> {
        StickyComment {
            run: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
            attempt: Attempt::FIRST,
            agent,
            requested_by: "ann",
            state,
            step: Some(Step::Agent),
            outcome,
            cause: None,
            slot_place: None,
            pull_request: None,
            after_lost: None,
            continues: Continues::NotAsked,
            kept_at: None,
            steps: &[],
            not_let_out: &[],
            model_calls: 0,
            tokens: 0,
            cost: Cost::default(),
        }
    }

    fn line(step: Step, from: i64, to: Option<i64>, tries: u32) -> StepLine {
        let at = |secs| DateTime::from_timestamp(1_790_000_000 + secs, 0).unwrap();
        StepLine { step, started_at: at(from), finished_at: to.map(at), tries, wait_until: None }
    }

    #[test]
    fn a_run_at_work_shows_its_steps() {
        let agent = "dev".parse().unwrap();
        let steps = [line(Step::Clone, 0, Some(75), 2), line(Step::Agent, 75, None, 1)];
        let text = sticky_comment(&StickyComment { steps: &steps, ..comment(&agent, RunState::Working, None) });
        assert_eq!(
            text,
            "<!-- codex-k8s:run:01890a5d-ac96-774b-bcce-b302099a8057 -->\n\
             ### Agent `dev`: the agent is working\n\n\
             | step | begun (UTC) | took |\n|---|---|---|\n\
             | cloning the repository | 2026-09-21 14:13:20 | 1 min 15 s, 2 tries |\n\
             | the agent is working | 2026-09-21 14:14:35 | at it |\n\n\
             Comment `/cancel` to end the run; taking its label off or closing the issue does the same.\n\n\
             <sub>run `01890a5d-ac96-774b-bcce-b302099a8057` · attempt 1 · asked for by ann</sub>\n"
        );
    }

    #[test]
    fn who_was_not_let_out_is_told_what_helps() {
        let agent = "dev".parse().unwrap();
        let refusal = |host, count| NotLetOut { host, port: 443, reason: EgressRefusal::NotListed, count };
        let refusals = [refusal(Some("example.com"), 1), refusal(Some("b.example.com"), 3)];
        let working = comment(&agent, RunState::Working, None);
        let text = sticky_comment(&StickyComment { not_let_out: &refusals, ..working.clone() });
        let words = "Programs of this run were not let out:\n\n- `example.com` is not on this project's list; add it to \
                     `egress.allow` in `services.yaml`\n- `b.example.com` is not";
        assert!(text.contains(words) && text.contains("`services.yaml` (3 times)\n"), "{text}");
        let many = vec![refusal(None, 900); 14];
        let text = sticky_comment(&StickyComment { not_let_out: &many, ..working });
        assert!(text.contains("- further hosts (900 times)\n") && text.contains("- and 4 more\n"), "{text}");
    }

    #[test]
    fn a_wait_shows_its_end() {
        let agent = "dev".parse().unwrap();
        let until = DateTime::from_timestamp(1_790_003_600, 0);
        let steps = [StepLine { wait_until: until, ..line(Step::Publish, 0, None, 2) }];
        let text = sticky_comment(&StickyComment { steps: &steps, ..comment(&agent, RunState::Working, None) });
        assert!(text.contains("| limits of requests make it wait until 15:13:20, 2 tries |"), "{text}");
    }

    #[test]
    fn every_end_names_cause_and_way_on() {
        let agent = "dev".parse().unwrap();
        for &outcome in Outcome::ALL {
            let text = sticky_comment(&StickyComment {
                cause: Some("the check `a` fails for @bob"),
                pull_request: Some(8),
                model_calls: 3,
                tokens: 1234,
                cost: Cost { known: "0.25".parse().unwrap(), ..Cost::default() },
                ..comment(&agent, RunState::Finished, Some(outcome))
            });
            assert!(text.contains(outcome.describe()), "{text}");
            assert!(text.contains("\nThe check `a` fails for @\u{200b}bob.\n"), "{text}");
            assert!(
                text.contains("pull request #8") && text.contains("3 model calls, 1234 tokens, $0.25</sub>"),
                "{text}"
            );
            assert_eq!(text.contains("`/retry`"), !outcome.is_success(), "{text}");
            assert!(!text.contains("`/cancel`"), "{text}");
        }
    }

    #[test]
    fn kept_work_is_offered_after_a_bad_end_and_named_where_it_is_used() {
        let agent = "dev".parse().unwrap();
        let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        for (state, outcome, offered) in [
            (RunState::Finished, Some(Outcome::Lost), true),
            (RunState::Finished, Some(Outcome::PullRequestOpen), false),
            (RunState::Working, None, false),
        ] {
            let text = sticky_comment(&StickyComment { kept_at: Some(at), ..comment(&agent, state, outcome) });
            let words = "Comment `/retry continue` to let the agent go on from its work of 14:13 UTC, ";
            assert_eq!(text.contains(words), offered, "{text}");
        }
        for (continues, words) in [
            (Continues::Nothing, "There was no kept work to go on from, so the agent began anew."),
            (Continues::Work { at, attempt: Attempt(2) }, "goes on from the work of 14:13 UTC (attempt 2).\n"),
            (Continues::WithoutThread { at, attempt: Attempt(2) }, "a fresh one took the work over."),
        ] {
            let text = sticky_comment(&StickyComment { continues, ..comment(&agent, RunState::Working, None) });
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn a_run_that_went_on_by_itself_says_why() {
        let agent = "dev".parse().unwrap();
        let after_lost = Some("the Job's pod was evicted: no `disk`. Give it more room.");
        let of = StickyComment { attempt: Attempt(2), after_lost, ..comment(&agent, RunState::Working, None) };
        let words = "Attempt 1 was lost, and the run went on by itself. The Job's pod was evicted: no";
        let text = sticky_comment(&of);
        assert!(text.contains(words) && text.contains("Give it more room.\n\n"), "{text}");
        let stops = "does not go on by itself any more";
        assert!(!text.contains(stops), "{text}");
        let lost = StickyComment { state: RunState::Finished, outcome: Some(Outcome::Lost), ..of };
        let text = sticky_comment(&lost);
        assert!(text.contains(words) && text.contains(stops), "{text}");
    }

    #[test]
    fn a_waiting_run_shows_its_place() {
        let agent = "dev".parse().unwrap();
        for (place, expected) in [
            (Some(1), "waiting for a free slot, next in line\n"),
            (Some(4), "waiting for a free slot, number 4 in line\n"),
            (None, "waiting for a free slot\n"),
        ] {
            let waiting = comment(&agent, RunState::Waiting, None);
            let text = sticky_comment(&StickyComment { slot_place: place, ..waiting });
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn durations_are_short() {
        for (secs, expected) in [(-5, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7_260, "2 h 1 min")] {
            assert_eq!(duration(TimeDelta::seconds(secs)), expected);
        }
    }
}
