//! What the forge and the engine stood against, and how the attaching of a repository goes.

use super::sentences;

sentences! {
    forge_unauthorised() = "the forge does not accept the credential: it is wrong, expired or revoked; make a new one, and connect the repository with it again (`codex-k8s repo add`)";
    forge_forbidden(words: Text) = "the forge forbids it: {words}";
    forge_not_found() = "not found on the forge";
    forge_gone(words: Text) = "gone from the forge: {words}";
    forge_archived() = "the repository is archived";
    forge_invalid(words: Text, fields: Text) = "the forge finds the request invalid: {words} ({fields})";
    forge_limited(until: Text) = "the forge limits our requests until {until}";
    forge_conflict(words: Text) = "conflict on the forge: {words}";
    forge_away(outage: Either) = "the forge is not available: {outage}";
    outage_status(status: Text) = "status {status}";
    outage_timed_out() = "no answer in time";
    forge_unexpected(words: Text) = "unexpected: {words}";
    app_key_unusable() = "the App's private key can't sign: make a new one in the App's settings";
    app_unauthorised(app: Text) = "the forge does not accept the signature of App {app}: its id, its private key or this machine's clock is wrong; make a new private key in the App's settings if it is the key";
    app_not_installed(app: Text, repository: Text) = "App {app} is not installed on {repository}: open the App's page, choose Install App, and add the repository";
    app_suspended(app: Text, repository: Text, words: Text) = "the installation of App {app} on {repository} can't be used ({words}): is it suspended?";
    app_lacks_rights(app: Text, repository: Text, words: Text, again: Text) = "the installation of App {app} on {repository} does not grant what is needed ({words}): `codex-k8s repo check {again}` shows what is missing";
    git_failed(operation: Text, class: Text, exit: Text, words: Text) = "git {operation} failed ({class}, {exit}): {words}";
    git_not_started() = "git could not be started";
    git_too_slow(operation: Text, after: Text) = "git {operation} took longer than {after}";
    launcher_away(words: Text) = "the Job launcher is not available: {words}";
    launch_refused(words: Text) = "the Job can't be started: {words}";

    engine_not_connected(words: Text) = "Temporal is not connected: {words}";
    engine_without_namespace(words: Text) = "Temporal does not have our namespace: {words}";
    engine_away(words: Text) = "Temporal is not reachable: {words}";
    engine_refused(words: Text) = "Temporal refused the command: {words}";
    engine_lacks_this_namespace() = "Temporal answers, and does not have this namespace.";
    engine_says_nothing() = "Temporal answers, and refuses to say what it is.";
    engine_silent() = "Temporal does not answer at this address just now.";

    connection_rights() = "checking the rights of the credential";
    connection_repository() = "reading what the repository is";
    connection_hook() = "making the webhook";
    connection_settings() = "reading services.yaml";
    connection_secret() = "giving the webhook its new secret";
    connection_schedules() = "taking its schedules back";
    connection_unhook() = "taking the webhook away";
    connection_runs() = "waiting for the end of its runs";
    connection_withdraw() = "withdrawing the credential";
    connection_tried_again(step: Sentence, error: Either) = "{step} failed and is tried again: {error}";
    repository_connected(repository: Text) = "{repository} is connected.";
    rights_complete(repository: Text) = "The credential may do everything that is needed in {repository}.";
    secret_renewed(repository: Text) = "The webhook of {repository} signs with its new secret; the old one is refused.";
    repository_detached_now(repository: Text) = "{repository} is detached.";
    repository_detached_with_hook(repository: Text, left: Either) = "{repository} is detached, but its webhook may still be there. {left}. Delete it on the forge: Settings > Webhooks.";
    right_missing(right: Text) = "The credential lacks the right {right}: grant what is missing, then try again.";
    rights_missing(rights: Text) = "The credential lacks the rights {rights}: grant what is missing, then try again.";
    repository_unseen_by_token(repository: Text) = "the credential sees no repository {repository}: check the name, and if it is right add it to the token: Settings > Developer settings > Fine-grained tokens > the token > Repository access";
    repository_unseen_by_app(repository: Text) = "the credential sees no repository {repository}: check the name, and if it is right add it to the App's installation: Settings > Applications > the App > Repository access";
    unarchive_first(repository: Text) = "{repository} is archived, so nothing can be written there: unarchive it (its Settings > General > Danger Zone), then connect it again";
    name_taken(repository: Text) = "another connected repository is still known as {repository}: rename it back on the forge or wait for its next webhook";
    hooks_unseen(repository: Text) = "the credential no longer sees the webhooks of {repository}, or the repository is gone";
    hook_gone() = "the webhook is gone from the forge: attach the repository again, and it is made anew";
    hook_secret_gone() = "the secret of the webhook is gone: ask for this once more";
    connection_ended() = "this connection has ended already";
    attached_again() = "the repository was attached again meanwhile";
    project_deleted_meanwhile() = "its project was deleted meanwhile";
    no_credential(repository: Text) = "{repository} has no credential: connect it again (`codex-k8s repo add`)";
    credential_withdrawn() = "the credential of this repository was taken back: connect it again (`codex-k8s repo add`)";
    deletion_cluster() = "What the cluster keeps for it is taken away.";
    deletion_waits(repositories: Text, runs: Text) = "Waiting for {repositories} repositories to be detached, and for the end of {runs} runs.";

    right_metadata() = "find the repository, and ask who may start a run";
    right_contents() = "fetch the code and push branches";
    right_issues() = "comment on issues and label them";
    right_pull_requests() = "open pull requests and review them";
    right_statuses() = "show a run's state on its commit";
    right_webhooks() = "make the webhook that tells of labels and comments";
    grant_to_token(right: Text, level: Text) = "Settings > Developer settings > Fine-grained tokens > the token > Repository permissions > {right}: {level}";
    grant_to_app(right: Text, level: Text) = "the App's settings > Permissions & events > Repository permissions > {right}: {level}; then accept the change where the App is installed";
    role_then_grant(login: Text, role: Text, grant: Sentence) = "the repository's Settings > Collaborators and teams: @{login}, whose token it is, needs the role {role}; then {grant}";
    feature_switched_off(feature: Text, words: Text) = "the repository's Settings > General > Features: switch {feature} on ({words})";
}
