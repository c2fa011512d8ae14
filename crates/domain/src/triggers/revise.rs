//! What asks for another commit on a pull request of ours: a review that requests changes, a check that fails.

use super::{
    Facts, OwnPull, Trigger, Verdict, VerdictKind,
    reason::{no_rule, plain, quoted},
    start::{Wish, judge},
};
use crate::{
    event::{Check, Event, Review, Sender, Subject, SubjectKind},
    run::STATUS_CONTEXT,
    sentences,
};

pub(super) fn after_review(event: &Event, review: &Review, facts: &Facts) -> Verdict {
    if !facts.config.triggers.revise_after_review {
        return no_rule(facts, sentences::review_switched_off());
    }
    let Some(own) = &facts.own_pull else {
        return no_rule(facts, sentences::review_of_others());
    };
    let pull = &review.pull_request;
    let at = review.submitted_at.unwrap_or(pull.updated_at);
    let trigger = Trigger::Review { review_id: review.id, at };
    revise(Asked { event, own, title: &pull.title, open: pull.open, trigger, by: event.sender.clone() }, facts)
}

pub(super) fn after_check(event: &Event, check: &Check, facts: &Facts) -> Verdict {
    if check.name == STATUS_CONTEXT {
        return plain(VerdictKind::Echo, sentences::own_status());
    }
    let name = quoted(&check.name);
    if !check.failed {
        return no_rule(facts, &sentences::check_passed(name));
    }
    let Some(own) = &facts.own_pull else {
        return no_rule(facts, &sentences::check_of_others(name));
    };
    if !facts.config.triggers.revise_after_failed_checks {
        return no_rule(facts, sentences::checks_switched_off());
    }
    let trigger = Trigger::Checks {
        head_sha: check.head_sha.clone(),
        name: check.name.clone(),
        url: check.url.clone(),
        at: check.at,
    };
    // A check has no rights of its own: the run goes on for the person who asked for the change.
    let by = Some(own.requested_by.clone());
    revise(Asked { event, own, title: &own.title, open: true, trigger, by }, facts)
}

/// Somebody or something wants another commit.
struct Asked<'a> {
    event: &'a Event,
    own: &'a OwnPull,
    title: &'a str,
    open: bool,
    trigger: Trigger,
    by: Option<Sender>,
}

fn revise(asked: Asked<'_>, facts: &Facts) -> Verdict {
    let Asked { event, own, title, open, trigger, by } = asked;
    let limit = facts.config.limits.revisions_per_pull_request;
    let untold = facts.run_by_key.is_none() && facts.active_run.is_none();
    if open && untold && own.revisions >= limit {
        return plain(VerdictKind::LoopGuard, sentences::revised_too_often(own.number, own.revisions, limit));
    }
    let subject = Subject { kind: SubjectKind::PullRequest, number: own.number };
    let agent = own.agent.as_str();
    judge(Wish { event, subject, title, agent, labels: &[], open, instructions: String::new(), trigger, by }, facts)
}
