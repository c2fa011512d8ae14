//! Why a run ended as it did, and what it waits for.

use super::sentences;

sentences! {
    cancelled_by(by: Text) = "Cancelled by {by}.";
    cancelled_by_how(by: Text, how: Either) = "Cancelled by {by} ({how}).";
    cancelled_in_console() = "cancelled it in the console";
    cancelled_in_console_for(reason: Either) = "cancelled it in the console: {reason}";
    paused_for(reason: Text) = "paused: {reason}";
    detached_for(repository: Text, reason: Either) = "{repository} was detached: {reason}";
    project_deleted_for(reason: Text) = "its project is deleted: {reason}";
    cancelled_before_begin() = "Cancelled before it had begun.";
    run_cancelled() = "the run was cancelled";
    while_step(step: Sentence, cause: Either) = "While {step}: {cause}";
    step_authorise() = "checking who asked";
    step_slot() = "waiting for a free slot";
    step_clone() = "cloning the repository";
    step_prompt() = "writing the prompt";
    step_launch() = "starting the agent";
    step_agent() = "the agent is working";
    step_collect() = "looking at the result";
    step_publish() = "publishing the result";
    step_settle() = "closing the run";

    agent_time_up() = "the agent's time was up before it had finished";
    agent_not_started(words: Text) = "the agent could not be started: {words}";
    agent_failed(words: Text) = "the agent failed: {words}";
    agent_silent() = "the agent ended without a word";
    agent_reviewed() = "the agent wrote a review";
    agent_answered() = "the agent wrote an answer";
    agent_changed_nothing() = "the agent changed no file";
    setup_exit(command: Text, exit_code: Text) = "set-up command `{command}` failed with exit {exit_code}";
    setup_exit_output(command: Text, exit_code: Text, output: Text) = "set-up command `{command}` failed with exit {exit_code}: {output}";
    setup_endless(command: Text) = "set-up command `{command}` did not end by itself";
    setup_endless_output(command: Text, output: Text) = "set-up command `{command}` did not end by itself: {output}";
    file_changed() = "1 file is changed";
    files_changed(files: Text) = "{files} files are changed";
    changed_unchecked(changed: Sentence) = "{changed}; the project has no checks";
    changed_check_passes(changed: Sentence) = "{changed} and the check passes";
    changed_checks_pass(changed: Sentence, checks: Text) = "{changed} and all {checks} checks pass";
    changed_check_fails(changed: Sentence, check: Text) = "{changed}, but check {check} fails";
    changed_checks_fail(changed: Sentence, checks: Text) = "{changed}, but checks {checks} fail";

    model_quota_spent(words: Text) = "the model's quota is spent: {words}";
    model_asked_too_often(words: Text) = "the model was asked too often and refused: {words}";
    model_refused_key(words: Text) = "the model refused our key: {words}";
    model_away(words: Text) = "the model could not be reached: {words}";
    model_broke_off(words: Text) = "the model's answer broke off: {words}";
    model_not_allowed(model: Text, models: Text) = "This agent may not use the model `{model}`, only {models}. To allow it, name it under `models` of the agent in services.yaml.";
    budget_spent_run(limit: Text, raise: Sentence) = "The model budget of this run, {limit}, is spent: {raise}, then retry.";
    budget_spent_day(limit: Text, raise: Sentence) = "The project's model budget of this day, {limit}, is spent. It begins anew at midnight UTC; {raise}.";
    budget_spent_month(limit: Text, raise: Sentence) = "The project's model budget of this month, {limit}, is spent. It begins anew with the next month (UTC); {raise}.";
    budget_ceiling(variable: Text) = "it is the most that this platform allows (its operator's `{variable}`)";
    budget_raise(field: Text) = "to allow more, raise `{field}` in services.yaml";
    model_unpriced(field: Text, instead: Text) = "`{field}` limits money, but this model has no price here, so what it costs can't be known. Give its price in the model gateway's price table, or limit tokens instead (`{instead}`).";
    model_budget_held() = "Other calls under way hold what is left of the model budget, and the agent's time is up. Retry when they have ended.";

    no_write_access(login: Text, repository: Text) = "{login} may not write to {repository}, and only people who may can have an agent work there.";
    pull_request_of_fork() = "The pull request comes from a fork; its code is not run on this platform.";
    pull_request_closed() = "The pull request was closed before the agent could go on.";
    branch_without_commit(branch: Text, words: Text) = "the branch `{branch}` has no commit to work on: {words}";
    agent_not_at_base(agent: Text) = "services.yaml has no agent `{agent}` at the base commit";
    slot_over() = "This attempt has given its slot back, or a later one has it.";
    write_limit_reached(until: Text) = "Our own limit of writes to the forge is reached until {until}.";
    result_missing() = "The Job reported a change but handed back no commits.";
    result_mismatch() = "The commits that came back are not those that were reported.";
    ended_while_starting() = "the attempt ended while its Job was being started";

    push_conflict(branch: Text, files: Text) = "Somebody else has pushed to `{branch}`, and the change conflicts with it in {files}. Nothing was overwritten.";
    commits_unrelated() = "The agent's commits do not follow the commit it was given.";
    change_refused(why: Either) = "The change is not published: {why}.";
    row(one: Sentence, others: Sentence) = "{one}; {others}";
    path_protected(path: Text, pattern: Text) = "`{path}` is protected by `{pattern}`";
    too_many_files(files: Text, limit: Text) = "{files} files are changed; {limit} is the limit";
    diff_too_long(bytes: Text, limit: Text) = "the diff has {bytes} bytes; {limit} is the limit";
    secret_found(places: Text) = "The change is not published because it seems to hold a secret: {places}.";
    secret_in_words() = "The agent's words are not posted because they seem to hold a secret.";
    pull_request_has_commit(number: Text) = "Pull request #{number} has another commit.";
    pull_request_open(number: Text) = "Pull request #{number} is open.";
    review_posted() = "The review is posted.";
    answer_posted() = "The answer is posted.";

    start_too_late() = "The start could not be delivered in time; ask again if it is still wanted.";
    start_refused(words: Text) = "Temporal refused to start it: {words}";
    workflow_ended(status: Text) = "Its workflow was ended in the engine ({status}).";
    workflow_unknown() = "The engine does not know its workflow.";
    workflow_terminated() = "Its workflow was terminated in the engine.";
    workflow_terminated_for(reason: Either) = "Its workflow was terminated in the engine: {reason}.";
    workflow_terminated_by(by: Text) = "Its workflow was terminated by {by} in the engine.";
    workflow_terminated_by_for(by: Text, reason: Either) = "Its workflow was terminated by {by} in the engine: {reason}.";
    ended_by_force(by: Text) = "ended by force by {by}";
    ended_by_force_for(by: Text, reason: Text) = "ended by force by {by}: {reason}";
    not_heard_of_before() = "Nothing was heard of it until its deadline; it stood at: before its first step.";
    not_heard_of(step: Sentence) = "Nothing was heard of it until its deadline; it stood at: {step}.";
}
