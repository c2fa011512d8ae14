//! Why a wish of a person's was not done.

use super::sentences;

sentences! {
    went_wrong() = "something went wrong here; the log has the cause under the request id";
    database_away() = "the database does not answer; try again in a moment";
    another_was_first() = "another request was first; try again in a moment";
    nothing_here() = "there is nothing at this address";
    changed_meanwhile() = "this was changed meanwhile: load it again, then make your change";
    key_of_another_wish() = "this Idempotency-Key was used for something else: take a new one";
    body_does_not_fit(words: Text) = "the body does not fit: {words}";
    query_does_not_fit(words: Text) = "the query does not fit: {words}";
    body_over_limit(limit: Text) = "send no more than {limit} kB";
    ask_for_entries(limit: Text) = "ask for 1 to {limit} entries";
    ask_for_events(limit: Text) = "ask for 1 to {limit} events";
    ask_for_chunks(limit: Text) = "ask for 1 to {limit} chunks";
    search_text_length(limit: Text) = "look for 1 to {limit} characters";
    cursor_of_no_page() = "begin the list anew: this cursor belongs to no page of it";
    too_many_pages() = "you have too many pages open: close some, or ask without a stream";
    too_many_pages_here() = "too many pages are open here: ask without a stream";

    nobody_signed_in() = "nobody is signed in: sign in, or send a token for scripts";
    nobody_signed_in_here() = "nobody is signed in here: sign in";
    sign_in_over() = "this sign-in is over: sign in again";
    sign_in_not_valid() = "this sign-in is not valid here: sign in again";
    sign_in_to_refresh() = "this sign-in needs to be refreshed";
    no_longer_listed() = "you are no longer on the list";
    locked_out() = "you are locked out here: ask an admin";
    browser_needed() = "a token for scripts may not do this: sign in with a browser";
    browser_first() = "sign in with a browser once first";
    owners_only() = "only an owner of the platform may do this";
    admins_only() = "only an owner or admin of the platform may do this";
    role_missing(needed: Text, role: Text) = "this needs the role `{needed}` in the project, and yours is `{role}`: ask one of its admins";
    scope_missing(needed: Text) = "this token for scripts lacks the scope `{needed}`: make one that has it";

    project_not_found() = "there is no such project, or you are no member of it";
    project_deleted() = "this project was deleted: what was done in it can be read, and nothing changed";
    project_deleted_named(project: Text) = "project {project} was deleted";
    project_deletes_already() = "this project is being deleted already, or was";
    project_name_differs() = "write the short name of the project that is to be deleted";
    project_exists(project: Text) = "there is a project `{project}` already, or there was";
    project_name_invalid() = "give 1 to 40 of a-z, 0-9 and `-`, with no `-` at either end";
    slots_invalid(limit: Text) = "give 0 to {limit} slots";
    reason_needed() = "say why: it stands in the audit";
    reason_too_long(limit: Text) = "give the reason in {limit} characters";
    person_not_found() = "there is no such person on the list";
    person_exists(email: Text) = "{email} is on the list already";
    person_not_listed(email: Text) = "{email} is not on the list of people: an admin of the platform adds them there first";
    member_not_found() = "there is no such member in this project";
    last_owner() = "this is the last owner: make somebody else an owner first";
    grant_for_admins() = "only an owner or admin who may sign in opens the engine's UI: make them one first";
    grant_not_held() = "they do not hold the operator grant";
    session_not_found() = "you have no such sign-in, or it is over already";
    token_not_found() = "you have no such token, or it was taken back already";
    token_name_invalid(limit: Text) = "name the token with 1 to {limit} characters";
    token_scopes_missing() = "say what the token may do: `read`, `write` or `admin`";
    token_days_invalid(limit: Text) = "let the token live 1 to {limit} days";
    too_many_tokens(limit: Text) = "you have {limit} tokens that work: take one back first";

    run_not_found() = "there is no such run, or you are no member of its project";
    run_ended() = "the run has ended already: there is nothing to cancel";
    run_at_work() = "the run is at work: cancel it first, or wait for its end";
    run_busy_there(run: Text) = "run {run} is at work on the same issue or pull request: wait for its end";
    end_pause_first(pause: Sentence) = "{pause}; end the pause first";
    retry_known() = "this retry was asked for before";
    retry_from_invalid() = "begin at `start`, `continue`, or at one of the steps of a run, such as `publish`";
    cancel_first() = "cancel the run first: most end by themselves within a minute";
    run_stopping() = "the run is stopping: give it a minute from the cancel";
    engine_not_asked() = "the engine can't be asked just now: try again in a moment";
    history_missing() = "the engine has nothing about this attempt, and nothing was archived: it was never started, or is too old";
    diff_missing() = "this attempt has changed nothing, or has not ended yet";
    prompt_missing() = "the prompt of this attempt is not written yet, or never was";
    number_invalid() = "issues and pull requests are numbered from 1";
    instructions_too_long(limit: Text) = "give the instructions in {limit} characters";
    repository_unknown_to_you(repository: Text) = "`{repository}` is not connected, or you are no member of its project: write it as owner/name";
    agent_not_found() = "no agent of this name is known in the repository";
    agent_name_invalid() = "no agent has such a name";
    pause_not_found() = "there is no such pause, or you are no member of its project";
    pause_over() = "this pause is over already";
    paused_already() = "this is paused already: end that pause first";

    delivery_not_found() = "there is no such delivery, or you are no member of its project";
    delivery_not_sent() = "no forge sent this: it was a schedule's moment or a wish by hand; start the agent by hand instead";
    delivery_body_gone() = "the body of this delivery is no longer kept: start the agent by hand instead";
    repository_not_found() = "there is no such repository, or you are no member of its project";
    repository_name_invalid() = "write owner/name, as in the repository's address";
    repository_not_connected_now(repository: Text) = "{repository} is not connected";
    repository_is_detached(repository: Text) = "{repository} is detached";
    repository_busy(repository: Text) = "something is being done to {repository} already: wait for its end";
    repository_without_credential(repository: Text) = "{repository} has no credential: attach it again with one";
    repository_without_hook(repository: Text) = "{repository} has no webhook of its own: attach it again, and one is made";
    platform_secret(repository: Text) = "the webhook of {repository} signs with the platform's own secret";
    attached_elsewhere() = "this repository belongs to another project: its admins attach it there";
    forge_token_invalid() = "this is no token: copy it once more from GitHub, one line without spaces";
    sealing_not_configured() = "this gateway can't seal secrets for the worker: set SEALING_PUBLIC_KEY_FILE, or use `codex-k8s repo`";
    connection_not_found() = "there is no such connection, or you are no member of its project";
}
