//! What starts a run: a label, `/run`.

use std::collections::BTreeMap;

use super::{
    BusinessKey, CancelMark, Effect, Facts, NewRun, Trigger, Verdict, VerdictKind,
    reason::{agent_list, at_work, no_rule, plain, quoted},
    storm_guard,
};
use crate::{
    agents::{self, Agent, AgentRole},
    event::{CommentCreated, Event, HandWish, IssueLabel, PullRequest, ScheduledMoment, Sender, Subject, SubjectKind},
    sentences,
    services_yaml::{AgentName, ServicesYaml},
};

/// Prefix of the labels that name their agent.
pub const AGENT_LABEL_PREFIX: &str = "run:";

/// The label that asks for a review of a pull request.
pub const REVIEW_LABEL: &str = "need:reviewer";

/// The agent that a label asks for on an issue or pull request.
pub(super) fn agent_of_label(config: &ServicesYaml, on: SubjectKind, label: &str) -> Option<AgentName> {
    let triggers = &config.triggers;
    match on {
        SubjectKind::Issue => match &triggers.labels {
            Some(labels) => labels.get(label).cloned(),
            None => agents::find(config, label.strip_prefix(AGENT_LABEL_PREFIX)?).map(|agent| agent.name),
        },
        SubjectKind::PullRequest => match &triggers.pull_request_labels {
            Some(labels) => labels.get(label).cloned(),
            None => (label == REVIEW_LABEL).then(|| agents::BuiltIn::Reviewer.into()),
        },
    }
}

/// What starts an agent in a project, beside people who start it by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Starters {
    /// Labels on an issue.
    pub labels: Vec<String>,
    /// Labels on a pull request.
    pub pull_request_labels: Vec<String>,
    /// Whether `/run <agent>` in a comment does.
    pub command: bool,
    /// Names of schedules.
    pub schedules: Vec<String>,
}

impl Starters {
    /// Those of an agent.
    #[must_use]
    pub fn of(config: &ServicesYaml, agent: &AgentName) -> Self {
        let named = |labels: &Option<BTreeMap<String, AgentName>>, usual: Option<String>| match labels {
            Some(labels) => labels.iter().filter(|(_, of)| *of == agent).map(|(label, _)| label.clone()).collect(),
            None => Vec::from_iter(usual),
        };
        let triggers = &config.triggers;
        let reviews = *agent == AgentName::from(agents::BuiltIn::Reviewer);
        Self {
            labels: named(&triggers.labels, Some(format!("{AGENT_LABEL_PREFIX}{agent}"))),
            pull_request_labels: named(&triggers.pull_request_labels, reviews.then(|| REVIEW_LABEL.to_owned())),
            command: triggers.commands,
            schedules: config.schedules.iter().filter(|of| of.agent == *agent).map(|of| of.name.clone()).collect(),
        }
    }
}

pub(super) fn issue_labeled(event: &Event, on: &IssueLabel, facts: &Facts) -> Verdict {
    let subject = Subject { kind: SubjectKind::Issue, number: on.issue.number };
    let trigger = Trigger::Label { label: on.label.clone(), at: on.issue.updated_at };
    let Some(agent) = agent_of_label(&facts.config, subject.kind, &on.label) else {
        return no_rule(facts, &no_agent_behind(&on.label, &facts.config));
    };
    let wish = Wish {
        event,
        subject,
        title: event.subject_title(),
        by: sender_of(event),
        agent: agent.as_str(),
        labels: &on.issue.labels,
        open: on.issue.open,
        instructions: String::new(),
        trigger,
    };
    judge(wish, facts)
}

pub(super) fn pull_request_labeled(event: &Event, on: &PullRequest, label: &str, facts: &Facts) -> Verdict {
    let subject = Subject { kind: SubjectKind::PullRequest, number: on.number };
    let trigger = Trigger::Label { label: label.to_owned(), at: on.updated_at };
    let Some(agent) = agent_of_label(&facts.config, subject.kind, label) else {
        return no_rule(facts, &sentences::label_starts_nothing_on_pull_request(quoted(label)));
    };
    let wish = Wish {
        event,
        subject,
        title: event.subject_title(),
        by: sender_of(event),
        agent: agent.as_str(),
        labels: &on.labels,
        open: on.open,
        instructions: String::new(),
        trigger,
    };
    judge(wish, facts)
}

pub(super) fn run_command(
    event: &Event,
    on: &CommentCreated,
    agent: &str,
    instructions: String,
    facts: &Facts,
) -> Verdict {
    let trigger = Trigger::Command { comment_id: on.comment.id, at: on.comment.created_at };
    let wish = Wish {
        event,
        subject: on.subject,
        title: event.subject_title(),
        by: sender_of(event),
        agent,
        labels: &[],
        open: on.open,
        instructions,
        trigger,
    };
    judge(wish, facts)
}

pub(super) fn scheduled(event: &Event, on: &ScheduledMoment, facts: &Facts) -> Verdict {
    let subject = Subject { kind: SubjectKind::Issue, number: on.issue.number };
    let trigger = Trigger::Schedule { name: on.schedule.clone(), at: on.issue.updated_at };
    let (agent, instructions) = (on.agent.as_str(), on.instructions.clone());
    let wish = Wish {
        event,
        subject,
        title: &on.issue.title,
        agent,
        labels: &[],
        open: on.issue.open,
        instructions,
        trigger,
        by: event.sender.clone(),
    };
    judge(wish, facts)
}

pub(super) fn by_hand(event: &Event, on: &HandWish, facts: &Facts) -> Verdict {
    let wish = Wish {
        event,
        subject: on.subject,
        title: &on.title,
        by: sender_of(event),
        agent: &on.agent,
        labels: &[],
        // Whether it is, only the forge knows; the run finds out.
        open: true,
        instructions: on.instructions.clone(),
        trigger: Trigger::Manual { at: on.at },
    };
    judge(wish, facts)
}

fn no_agent_behind(label: &str, config: &ServicesYaml) -> String {
    let wants_agent = config.triggers.labels.is_none() && label.starts_with(AGENT_LABEL_PREFIX);
    if wants_agent {
        sentences::label_of_no_agent(quoted(label), agent_list(config))
    } else {
        sentences::label_starts_nothing(quoted(label))
    }
}

/// Somebody wants an agent to run.
pub(super) struct Wish<'a> {
    pub(super) event: &'a Event,
    pub(super) subject: Subject,
    pub(super) title: &'a str,
    pub(super) agent: &'a str,
    /// Labels on the subject, where the wish is one of them.
    pub(super) labels: &'a [String],
    pub(super) open: bool,
    pub(super) instructions: String,
    pub(super) trigger: Trigger,
    /// Whose right counts.
    pub(super) by: Option<Sender>,
}

/// Everything that may stand against a wish, in order; if nothing does, the run starts.
pub(super) fn judge(wish: Wish<'_>, facts: &Facts) -> Verdict {
    let (Some(sender), Some(business_key)) = (wish.by.clone(), BusinessKey::of(wish.event)) else {
        return plain(VerdictKind::Ignored, sentences::event_without_sender());
    };
    if let Some(run) = facts.run_by_key {
        return about(VerdictKind::Duplicate, sentences::started_already(run), run);
    }
    let Some(agent) = agents::find(&facts.config, wish.agent) else {
        return no_rule(facts, &sentences::no_such_agent(quoted(wish.agent), agent_list(&facts.config)));
    };
    if let Some(active) = &facts.active_run {
        return about(VerdictKind::AlreadyWorking, at_work(active), active.id);
    }
    if !wish.open {
        return no_rule(facts, &sentences::subject_closed(wish.subject.kind.describe()));
    }
    if let Some(reason) = unfit(&agent, wish.subject.kind).filter(|_| !wish.trigger.revises()) {
        return no_rule(facts, &reason);
    }
    if let Some(other) = other_agent_label(&wish, &agent, facts) {
        let own = wish.trigger.label().unwrap_or_default();
        return plain(VerdictKind::TwoAgentLabels, sentences::two_agent_labels(quoted(own), quoted(other)));
    }
    let mark = newest_mark(&wish.trigger, facts);
    if let Some(mark) = mark.filter(|mark| mark.request.trusted) {
        let reason = sentences::cancelled_before(&mark.request.by.login, &mark.request.how);
        return plain(VerdictKind::CancelledBeforeStart, reason);
    }
    let cause = storm_guard::Cause::of(&wish.trigger, &sender);
    if let Some(reason) = storm_guard::holds_back(cause, wish.subject, facts) {
        return plain(VerdictKind::LoopGuard, reason);
    }
    start(wish, agent, sender, business_key, mark, facts)
}

fn start(
    wish: Wish<'_>,
    agent: Agent,
    by: Sender,
    key: BusinessKey,
    mark: Option<&CancelMark>,
    facts: &Facts,
) -> Verdict {
    let asked = asked(&wish.trigger, &by);
    let reason = match mark {
        Some(mark) => sentences::starts_and_cancels(asked, &agent.name, wish.subject, &mark.request.by.login),
        None => sentences::starts(asked, &agent.name, wish.subject),
    };
    let run = NewRun {
        business_key: key,
        subject: wish.subject,
        subject_title: wish.title.to_owned(),
        agent: agent.name,
        instructions: wish.instructions,
        cause_chain: facts.parent.as_ref().map(|parent| parent.chain.clone()).unwrap_or_default(),
        machine_depth: storm_guard::depth(storm_guard::Cause::of(&wish.trigger, &by), facts),
        requested_by: by,
        trigger: wish.trigger,
        then_cancel: mark.map(|mark| mark.request.clone()),
    };
    Verdict { kind: VerdictKind::Started, reason, run: None, effect: Effect::Start(Box::new(run)) }
}

/// Who or what asked, as the beginning of a sentence.
fn asked(trigger: &Trigger, by: &Sender) -> String {
    let by = &by.login;
    match trigger {
        Trigger::Label { label, .. } => sentences::by_label(quoted(label), by),
        Trigger::Command { .. } => sentences::by_command(by),
        Trigger::Review { .. } => sentences::by_review(by),
        Trigger::Checks { name, .. } => sentences::by_check(quoted(name)),
        Trigger::Manual { .. } => sentences::by_hand(by),
        Trigger::Schedule { name, .. } => sentences::by_schedule(quoted(name)),
    }
}

/// Why an agent can't work on this kind of subject.
fn unfit(agent: &Agent, on: SubjectKind) -> Option<String> {
    match (agent.role(), on) {
        (AgentRole::Changes, SubjectKind::PullRequest) => Some(sentences::agent_writes_changes(&agent.name)),
        (AgentRole::Review, SubjectKind::Issue) => Some(sentences::agent_reviews(&agent.name)),
        _ => None,
    }
}

/// Another label on the subject that asks for another agent.
fn other_agent_label<'a>(wish: &Wish<'a>, agent: &Agent, facts: &Facts) -> Option<&'a str> {
    wish.labels
        .iter()
        .map(String::as_str)
        .find(|label| agent_of_label(&facts.config, wish.subject.kind, label).is_some_and(|other| other != agent.name))
}

/// The newest mark that holds this start back; one with proven rights counts before all others.
fn newest_mark<'a>(trigger: &Trigger, facts: &'a Facts) -> Option<&'a CancelMark> {
    facts
        .cancel_marks
        .iter()
        .filter(|mark| mark.at >= trigger.at())
        .filter(|mark| mark.label.is_none() || mark.label.as_deref() == trigger.label())
        .max_by_key(|mark| (mark.request.trusted, mark.at))
}

pub(super) fn sender_of(event: &Event) -> Option<Sender> {
    event.sender.clone()
}

pub(super) fn about(kind: VerdictKind, reason: String, run: crate::ids::RunId) -> Verdict {
    Verdict { kind, reason, run: Some(run), effect: Effect::None }
}
