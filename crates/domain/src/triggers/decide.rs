//! The decision itself: first what holds for every event, then a rule for each kind.

use super::{
    Effect, Facts, KnownRepository, Verdict, VerdictKind, cancel,
    reason::{no_rule, plain, quoted},
    retry, revise, start,
};
use crate::{
    commands::{self, Command},
    event::{
        CommentCreated, Event, EventKind, PullRequestAction, PullRequestEvent, Push, RepositoryAction, ReviewState,
        Subject, SubjectKind,
    },
    pauses, sentences,
};

/// Decides about an event.
#[must_use]
pub fn decide(event: &Event, facts: &Facts) -> Verdict {
    let verdict = by_the_rules(event, facts);
    held_by_pause(&verdict, facts).unwrap_or(verdict)
}

/// What would start is only written down while a pause holds. Everything else goes on: above all, what is at work can end.
fn held_by_pause(verdict: &Verdict, facts: &Facts) -> Option<Verdict> {
    let (agent, retry) = match &verdict.effect {
        Effect::Start(run) => (&run.agent, false),
        Effect::Retry(_) => (&facts.last_run.as_ref()?.agent, true),
        _ => return None,
    };
    let pause = pauses::holding(&facts.pauses, agent)?.sentence();
    let reason = match retry {
        false => sentences::start_held_by_pause(pause, agent),
        true => sentences::retry_held_by_pause(pause, agent),
    };
    Some(plain(VerdictKind::Paused, reason))
}

fn by_the_rules(event: &Event, facts: &Facts) -> Verdict {
    let Some(repository) = &event.repository else {
        return no_repository(event);
    };
    let Some(known) = &facts.repository else {
        let name = quoted(&repository.full_name());
        return plain(VerdictKind::RepositoryUnknown, sentences::repository_not_connected(name));
    };
    if known.detached {
        let name = quoted(&repository.full_name());
        return plain(VerdictKind::RepositoryUnknown, sentences::repository_detached(name));
    }
    if let EventKind::Repository(action) = &event.kind {
        return repository_changed(action, repository);
    }
    if facts.echo {
        return plain(VerdictKind::Echo, sentences::own_write());
    }
    if repository.archived.unwrap_or(known.archived) {
        let name = quoted(&repository.full_name());
        return plain(VerdictKind::Archived, sentences::repository_archived(name));
    }
    by_kind(event, known, facts)
}

fn by_kind(event: &Event, known: &KnownRepository, facts: &Facts) -> Verdict {
    match &event.kind {
        EventKind::IssueLabeled(on) => start::issue_labeled(event, on, facts),
        EventKind::IssueUnlabeled(on) => {
            let subject = Subject { kind: SubjectKind::Issue, number: on.issue.number };
            cancel::unlabeled(event, subject, &on.label, on.issue.updated_at, facts)
        }
        EventKind::IssueClosed(issue) => cancel::closed(event, SubjectKind::Issue, issue.updated_at, facts),
        EventKind::IssueOther(_) | EventKind::Other { reason: None } => no_rule(facts, &starts_nothing(event)),
        EventKind::Other { reason: Some(reason) } => plain(VerdictKind::Ignored, reason.clone()),
        EventKind::CommentCreated(on) => comment_created(event, on, facts),
        EventKind::PullRequest(on) => pull_request(event, on, facts),
        EventKind::ReviewSubmitted(review) => match review.state {
            ReviewState::ChangesRequested => revise::after_review(event, review, facts),
            ReviewState::Approved | ReviewState::Commented | ReviewState::Other => {
                no_rule(facts, sentences::review_starts_nothing())
            }
        },
        EventKind::CheckEnded(check) => revise::after_check(event, check, facts),
        EventKind::Push(push) => pushed(event, push, known),
        EventKind::Scheduled(moment) => start::scheduled(event, moment, facts),
        EventKind::ByHand(wish) => start::by_hand(event, wish, facts),
        EventKind::Ping => plain(VerdictKind::Ignored, sentences::hook_tried()),
        EventKind::Repository(_) => plain(VerdictKind::Ignored, starts_nothing(event)),
    }
}

fn starts_nothing(event: &Event) -> String {
    match &event.action {
        Some(action) => sentences::event_action_starts_nothing(quoted(&event.name), quoted(action)),
        None => sentences::event_starts_nothing(quoted(&event.name)),
    }
}

fn no_repository(event: &Event) -> Verdict {
    let reason = match &event.kind {
        EventKind::Ping => sentences::hook_tried().to_owned(),
        EventKind::Other { reason: Some(reason) } => reason.clone(),
        _ => sentences::event_without_repository(quoted(&event.name)),
    };
    plain(VerdictKind::Ignored, reason)
}

fn repository_changed(action: &RepositoryAction, repository: &crate::event::Repository) -> Verdict {
    let name = quoted(&repository.full_name());
    let reason = match action {
        RepositoryAction::Renamed => sentences::repository_renamed(name),
        RepositoryAction::Transferred => sentences::repository_transferred(name),
        RepositoryAction::Archived => sentences::repository_archived_now(name),
        RepositoryAction::Unarchived => sentences::repository_unarchived(name),
        RepositoryAction::Privatized => sentences::repository_private_now(name),
        RepositoryAction::Publicized => sentences::repository_public_now(name),
        RepositoryAction::Edited => sentences::repository_edited(name),
        RepositoryAction::Deleted => return plain(VerdictKind::Ignored, sentences::repository_gone()),
        RepositoryAction::Other(action) => {
            return plain(VerdictKind::NoRule, sentences::repository_action_starts_nothing(quoted(action)));
        }
    };
    Verdict {
        kind: VerdictKind::RepositoryUpdated,
        reason,
        run: None,
        effect: Effect::UpdateRepository(repository.clone()),
    }
}

fn pushed(event: &Event, push: &Push, known: &KnownRepository) -> Verdict {
    let default = event
        .repository
        .as_ref()
        .and_then(|repository| repository.default_branch.as_deref())
        .unwrap_or(&known.default_branch);
    let Some(branch) = push.branch() else {
        return plain(VerdictKind::NoRule, sentences::push_to_no_branch(quoted(&push.git_ref)));
    };
    if branch != default {
        return plain(VerdictKind::NoRule, sentences::push_to_other_branch(quoted(branch), quoted(default)));
    }
    if push.deleted {
        return plain(VerdictKind::Ignored, sentences::default_branch_deleted(quoted(branch)));
    }
    Verdict {
        kind: VerdictKind::ConfigRefresh,
        reason: sentences::settings_read_again(quoted(branch)),
        run: None,
        effect: Effect::RefreshConfig { sha: push.after.clone() },
    }
}

fn pull_request(event: &Event, on: &PullRequestEvent, facts: &Facts) -> Verdict {
    let subject = Subject { kind: SubjectKind::PullRequest, number: on.pull_request.number };
    let at = on.pull_request.updated_at;
    match &on.action {
        PullRequestAction::Labeled(label) => start::pull_request_labeled(event, &on.pull_request, label, facts),
        PullRequestAction::Unlabeled(label) => cancel::unlabeled(event, subject, label, at, facts),
        PullRequestAction::Closed { .. } => cancel::closed(event, SubjectKind::PullRequest, at, facts),
        PullRequestAction::Opened
        | PullRequestAction::Reopened
        | PullRequestAction::Synchronize
        | PullRequestAction::ReadyForReview
        | PullRequestAction::Other(_) => no_rule(facts, &starts_nothing(event)),
    }
}

fn comment_created(event: &Event, on: &CommentCreated, facts: &Facts) -> Verdict {
    if has_marker(&on.comment.body) {
        return plain(VerdictKind::Echo, sentences::own_marker());
    }
    let command = match commands::parse(&on.comment.body) {
        Ok(Some(command)) => command,
        Ok(None) => return no_rule(facts, sentences::no_command()),
        Err(commands::CommandError::RunWithoutAgent) => {
            let agents = super::reason::agent_list(&facts.config);
            return no_rule(facts, &sentences::run_without_agent_of(agents));
        }
        Err(error) => return no_rule(facts, &error.to_string()),
    };
    if !facts.config.triggers.commands {
        return no_rule(facts, sentences::commands_off());
    }
    match command {
        Command::Run { agent, instructions } => start::run_command(event, on, &agent, instructions, facts),
        Command::Retry { from } => retry::command(event, on, from, facts),
        Command::Cancel => cancel::command(event, on, facts),
    }
}

/// Whether a line begins with a marker of ours. A line that quotes one does not count.
fn has_marker(body: &str) -> bool {
    body.lines().any(|line| line.trim_start().starts_with(crate::run::MARKER_PREFIX))
}
