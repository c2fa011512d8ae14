//! Small parts of the sentences in verdicts.

use crate::{
    sentences,
    services_yaml::{AgentName, ServicesYaml},
};

use super::{Effect, Facts, KnownRun, Verdict, VerdictKind};

/// Longest foreign text that a reason repeats.
const MAX_QUOTE_CHARS: usize = 100;

/// Foreign text to stand between backticks: shortened, without line ends and without backticks of its own.
pub(super) fn quoted(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(MAX_QUOTE_CHARS)
        .map(|c| {
            if c.is_control() {
                ' '
            } else if c == '`' {
                '\''
            } else {
                c
            }
        })
        .collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The agents of a project in a row.
pub(super) fn agent_list(config: &ServicesYaml) -> String {
    let names: Vec<AgentName> = crate::agents::names(config);
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A verdict with no effect.
pub(super) fn plain(kind: VerdictKind, reason: impl Into<String>) -> Verdict {
    Verdict { kind, reason: reason.into(), run: None, effect: Effect::None }
}

/// A verdict that a rule is missing. It names the run at work, for whoever wonders what became of the event.
pub(super) fn no_rule(facts: &Facts, reason: &str) -> Verdict {
    let mut verdict = plain(VerdictKind::NoRule, reason);
    if let Some(active) = &facts.active_run {
        verdict.reason = sentences::beside_work(reason, active.id, &active.agent);
        verdict.run = Some(active.id);
    }
    verdict
}

/// Says which run is at work.
pub(super) fn at_work(run: &KnownRun) -> String {
    sentences::at_work(run.id, &run.agent)
}
