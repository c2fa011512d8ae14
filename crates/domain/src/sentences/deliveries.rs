//! What was decided about an event, and why.

use super::sentences;

sentences! {
    issue() = "issue";
    pull_request() = "pull request";
    issue_number(number: Text) = "issue #{number}";
    pull_request_number(number: Text) = "pull request #{number}";

    hook_tried() = "the forge tries the hook out, and it works";
    hook_of_another_repository(repository: Text) = "this hook is registered for another repository than `{repository}`";
    body_no_object() = "the body is not a JSON object";
    only_new_comments() = "only new comments are read";
    fact_missing(fact: Sentence) = "the event does not say {fact}";
    its_action() = "its action";
    which_commit() = "which commit it is about";
    when_it_happened() = "when it happened";
    number_of_issue() = "the issue's number";
    id_of_comment() = "the comment's id";
    when_commented() = "when the comment was written";
    which_label() = "which label";
    when_issue_changed() = "when the issue was changed";
    number_of_pull_request() = "the pull request's number";
    when_pull_request_changed() = "when the pull request was changed";
    which_commit_pushed() = "which commit was pushed";
    which_branch_pushed() = "which branch was pushed";
    id_of_review() = "the review's id";
    overtaken() = "other events about this came in between again and again; ask once more";
    event_without_repository(event: Text) = "event `{event}` is not about a repository";
    event_starts_nothing(event: Text) = "event `{event}` starts nothing";
    event_action_starts_nothing(event: Text, action: Text) = "event `{event}` with action `{action}` starts nothing";
    event_without_sender() = "the event does not say who caused it";
    own_write() = "this is our own write coming back";
    own_marker() = "the comment carries our own marker";
    own_status() = "this is our own commit status coming back";

    repository_not_connected(repository: Text) = "repository `{repository}` is not connected";
    repository_detached(repository: Text) = "repository `{repository}` was detached: nothing starts there until it is attached again";
    attach_again_first(repository: Text) = "{repository} was detached: attach it again first";
    repository_archived(repository: Text) = "repository `{repository}` is archived";
    repository_renamed(repository: Text) = "repository `{repository}` has a new name";
    repository_transferred(repository: Text) = "repository `{repository}` has a new owner";
    repository_archived_now(repository: Text) = "repository `{repository}` is archived now";
    repository_unarchived(repository: Text) = "repository `{repository}` is no longer archived";
    repository_private_now(repository: Text) = "repository `{repository}` is private now";
    repository_public_now(repository: Text) = "repository `{repository}` is public now";
    repository_edited(repository: Text) = "repository `{repository}` has other settings";
    repository_gone() = "the repository is gone from the forge; its history is kept here";
    repository_action_starts_nothing(action: Text) = "action `{action}` of a repository starts nothing";
    push_to_no_branch(pushed: Text) = "`{pushed}` is not a branch; only the default branch counts";
    push_to_other_branch(branch: Text, default: Text) = "a push to `{branch}` starts nothing; only the default branch `{default}` counts";
    default_branch_deleted(branch: Text) = "the default branch `{branch}` was deleted";
    settings_read_again(branch: Text) = "the default branch `{branch}` moved, so the project's settings are read again";

    platform_paused(by: Text, since: Text, reason: Text) = "the platform is paused by {by} since {since}: {reason}";
    project_paused(by: Text, since: Text, reason: Text) = "the project is paused by {by} since {since}: {reason}";
    agent_paused(agent: Text, by: Text, since: Text, reason: Text) = "agent `{agent}` is paused by {by} since {since}: {reason}";
    start_held_by_pause(pause: Sentence, agent: Text) = "{pause}; replay this when the pause is over, and agent `{agent}` starts then";
    retry_held_by_pause(pause: Sentence, agent: Text) = "{pause}; replay this when the pause is over, and agent `{agent}` begins again then";

    no_command() = "the comment does not begin with a command";
    commands_off() = "commands in comments are switched off in this project";
    run_without_agent() = "`/run` needs the name of an agent";
    run_without_agent_of(agents: Text) = "`/run` needs the name of an agent; there are {agents}";
    retry_tail(tail: Text) = "`/retry` is followed by `{tail}`; write `/retry`, `/retry from STEP` or `/retry continue`";
    unknown_step(step: Text, steps: Text) = "`{step}` is not a step; the steps are {steps}";
    label_starts_nothing(label: Text) = "label `{label}` starts nothing in this project";
    label_of_no_agent(label: Text, agents: Text) = "label `{label}` starts nothing in this project; there are the agents {agents}";
    label_starts_nothing_on_pull_request(label: Text) = "label `{label}` on a pull request starts nothing in this project";
    no_such_agent(agent: Text, agents: Text) = "there is no agent `{agent}`; there are {agents}";
    review_starts_nothing() = "only a review that asks for changes could start something";
    review_switched_off() = "a review that asks for changes starts nothing in this project";
    review_of_others() = "the pull request is not one of ours, so a review of it starts nothing";
    check_passed(check: Text) = "check `{check}` did not fail, so there is nothing to mend";
    check_of_others(check: Text) = "check `{check}` fails, but not on the head of a pull request of ours";
    checks_switched_off() = "a failing check starts nothing in this project";
    subject_closed(subject: Sentence) = "the {subject} is closed";
    agent_writes_changes(agent: Text) = "agent `{agent}` writes changes and is started from an issue, not from a pull request";
    agent_reviews(agent: Text) = "agent `{agent}` reviews pull requests and is started from one, not from an issue";
    two_agent_labels(one: Text, other: Text) = "labels `{one}` and `{other}` ask for two agents at once; take both off, then put one on";
    cancelled_before(by: Text, how: Either) = "@{by} {how} before this arrived";

    at_work(run: Text, agent: Text) = "run {run} of agent `{agent}` is at work here";
    beside_work(reason: Either, run: Text, agent: Text) = "{reason}; run {run} of agent `{agent}` is at work here";
    started_already(run: Text) = "run {run} was already started by this";
    retried_already(run: Text) = "run {run} was already retried by this";
    starts(asked: Sentence, agent: Text, subject: Sentence) = "{asked} starts agent `{agent}` on {subject}";
    starts_and_cancels(asked: Sentence, agent: Text, subject: Sentence, by: Text) = "{asked} starts agent `{agent}` on {subject}; the `/cancel` by @{by} that came first goes to it";
    by_label(label: Text, by: Text) = "label `{label}` by @{by}";
    by_command(by: Text) = "`/run` by @{by}";
    by_review(by: Text) = "the review by @{by}";
    by_check(check: Text) = "the failing check `{check}`";
    by_hand(by: Text) = "@{by} by hand";
    by_schedule(schedule: Text) = "schedule `{schedule}` of the settings";

    no_run_to_retry(subject: Sentence) = "no run was ever about this {subject}";
    new_attempt(by: Text, run: Text, begin: Sentence) = "`/retry` by @{by} starts a new attempt of run {run} {begin}";
    from_start() = "from the start";
    from_step(step: Text) = "from step `{step}`";
    from_kept_work(at: Text, attempt: Text) = "that goes on from the work of {at} (attempt {attempt})";
    no_kept_work() = "whose agent begins anew, since none of its work was kept";

    revised_too_often(number: Text, times: Text, limit: Text) = "pull request #{number} was revised {times} times; {limit} is the limit (`limits.revisions_per_pull_request`)";
    machines_in_a_row(runs: Text, limit: Text) = "{runs} runs in a row were caused by bots or failing checks, with nobody in between; {limit} is the limit (`limits.chain_depth`)";
    bots_too_often(runs: Text, subject: Sentence, limit: Text) = "bots have started {runs} runs about {subject} within the last hour; {limit} is the limit (`limits.chain_depth`)";
    runs_too_often(runs: Text, subject: Sentence, limit: Text) = "{runs} runs about {subject} have started within the last hour; {limit} is the limit";

    label_off_ends_nothing(label: Text) = "label `{label}` starts nothing in this project, so taking it off ends nothing";
    no_run_of_label(label: Text, subject: Sentence) = "no run of the label `{label}` is at work on this {subject}";
    no_run_at_work(subject: Sentence) = "no run is at work on this {subject}";
    before_the_run(run: Text) = "it happened before run {run} was asked for, so it does not end that run";
    asked_to_end(by: Text, how: Either, run: Text, agent: Text) = "@{by} {how}: run {run} of agent `{agent}` is asked to end";
    took_label_off(label: Text) = "took the label `{label}` off";
    closed_subject(subject: Sentence) = "closed the {subject}";
    wrote_cancel() = "wrote `/cancel`";
}
