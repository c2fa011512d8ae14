//! The decision itself: first what holds for every event, then a rule for each kind.

use super::{
    Effect, Facts, KnownRepository, Verdict, VerdictKind, cancel,
    reason::{no_rule, plain, quote},
    retry, revise, start,
};
use crate::{
    commands::{self, Command},
    event::{
        CommentCreated, Event, EventKind, PullRequestAction, PullRequestEvent, Push, RepositoryAction, ReviewState,
        Subject, SubjectKind,
    },
    pauses,
};

/// Decides about an event.
#[must_use]
pub fn decide(event: &Event, facts: &Facts) -> Verdict {
    let verdict = by_the_rules(event, facts);
    held_by_pause(&verdict, facts).unwrap_or(verdict)
}

/// What would start is only written down while a pause holds. Everything else goes on: above all, what is at work can end.
fn held_by_pause(verdict: &Verdict, facts: &Facts) -> Option<Verdict> {
    let (agent, what) = match &verdict.effect {
        Effect::Start(run) => (&run.agent, "starts then"),
        Effect::Retry(_) => (&facts.last_run.as_ref()?.agent, "begins again then"),
        _ => return None,
    };
    let pause = pauses::holding(&facts.pauses, agent)?;
    let reason = format!("{}; replay this when the pause is over, and agent `{agent}` {what}", pause.sentence());
    Some(plain(VerdictKind::Paused, reason))
}

fn by_the_rules(event: &Event, facts: &Facts) -> Verdict {
    let Some(repository) = &event.repository else {
        return no_repository(event);
    };
    let Some(known) = &facts.repository else {
        let name = quote(&repository.full_name());
        return plain(VerdictKind::RepositoryUnknown, format!("repository {name} is not connected"));
    };
    if known.detached {
        let name = quote(&repository.full_name());
        let reason = format!("repository {name} was detached: nothing starts there until it is attached again");
        return plain(VerdictKind::RepositoryUnknown, reason);
    }
    if let EventKind::Repository(action) = &event.kind {
        return repository_changed(action, repository);
    }
    if facts.echo {
        return plain(VerdictKind::Echo, "this is our own write coming back");
    }
    if repository.archived.unwrap_or(known.archived) {
        let name = quote(&repository.full_name());
        return plain(VerdictKind::Archived, format!("repository {name} is archived"));
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
        EventKind::IssueClosed(issue) => cancel::closed(event, "issue", issue.updated_at, facts),
        EventKind::IssueOther(_) | EventKind::Other { reason: None } => no_rule(facts, &starts_nothing(event)),
        EventKind::Other { reason: Some(reason) } => plain(VerdictKind::Ignored, reason.clone()),
        EventKind::CommentCreated(on) => comment_created(event, on, facts),
        EventKind::PullRequest(on) => pull_request(event, on, facts),
        EventKind::ReviewSubmitted(review) => match review.state {
            ReviewState::ChangesRequested => revise::after_review(event, review, facts),
            ReviewState::Approved | ReviewState::Commented | ReviewState::Other => {
                no_rule(facts, "only a review that asks for changes could start something")
            }
        },
        EventKind::CheckEnded(check) => revise::after_check(event, check, facts),
        EventKind::Push(push) => pushed(event, push, known),
        EventKind::Scheduled(moment) => start::scheduled(event, moment, facts),
        EventKind::ByHand(wish) => start::by_hand(event, wish, facts),
        EventKind::Ping => plain(VerdictKind::Ignored, "the forge tries the hook out, and it works"),
        EventKind::Repository(_) => plain(VerdictKind::Ignored, starts_nothing(event)),
    }
}

fn starts_nothing(event: &Event) -> String {
    match &event.action {
        Some(action) => format!("event {} with action {} starts nothing", quote(&event.name), quote(action)),
        None => format!("event {} starts nothing", quote(&event.name)),
    }
}

fn no_repository(event: &Event) -> Verdict {
    let reason = match &event.kind {
        EventKind::Ping => "the forge tries the hook out, and it works".to_owned(),
        EventKind::Other { reason: Some(reason) } => reason.clone(),
        _ => format!("event {} is not about a repository", quote(&event.name)),
    };
    plain(VerdictKind::Ignored, reason)
}

fn repository_changed(action: &RepositoryAction, repository: &crate::event::Repository) -> Verdict {
    let what = match action {
        RepositoryAction::Renamed => "has a new name",
        RepositoryAction::Transferred => "has a new owner",
        RepositoryAction::Archived => "is archived now",
        RepositoryAction::Unarchived => "is no longer archived",
        RepositoryAction::Privatized => "is private now",
        RepositoryAction::Publicized => "is public now",
        RepositoryAction::Edited => "has other settings",
        RepositoryAction::Deleted => {
            return plain(VerdictKind::Ignored, "the repository is gone from the forge; its history is kept here");
        }
        RepositoryAction::Other(action) => {
            return plain(VerdictKind::NoRule, format!("action {} of a repository starts nothing", quote(action)));
        }
    };
    Verdict {
        kind: VerdictKind::RepositoryUpdated,
        reason: format!("repository {} {what}", quote(&repository.full_name())),
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
        return plain(
            VerdictKind::NoRule,
            format!("{} is not a branch; only the default branch counts", quote(&push.git_ref)),
        );
    };
    if branch != default {
        let reason =
            format!("a push to {} starts nothing; only the default branch {} counts", quote(branch), quote(default));
        return plain(VerdictKind::NoRule, reason);
    }
    if push.deleted {
        return plain(VerdictKind::Ignored, format!("the default branch {} was deleted", quote(branch)));
    }
    Verdict {
        kind: VerdictKind::ConfigRefresh,
        reason: format!("the default branch {} moved, so the project's settings are read again", quote(branch)),
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
        PullRequestAction::Closed { .. } => cancel::closed(event, "pull request", at, facts),
        PullRequestAction::Opened
        | PullRequestAction::Reopened
        | PullRequestAction::Synchronize
        | PullRequestAction::ReadyForReview
        | PullRequestAction::Other(_) => no_rule(facts, &starts_nothing(event)),
    }
}

fn comment_created(event: &Event, on: &CommentCreated, facts: &Facts) -> Verdict {
    if has_marker(&on.comment.body) {
        return plain(VerdictKind::Echo, "the comment carries our own marker");
    }
    let command = match commands::parse(&on.comment.body) {
        Ok(Some(command)) => command,
        Ok(None) => return no_rule(facts, "the comment does not begin with a command"),
        Err(commands::CommandError::RunWithoutAgent) => {
            let agents = super::reason::agent_list(&facts.config);
            return no_rule(facts, &format!("`/run` needs the name of an agent; there are {agents}"));
        }
        Err(error) => return no_rule(facts, &error.to_string()),
    };
    if !facts.config.triggers.commands {
        return no_rule(facts, "commands in comments are switched off in this project");
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
