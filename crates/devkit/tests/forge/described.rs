//! What we ask, held to GitHub's published description of its interface.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use devkit::{
    github::{CheckRun, openapi::Description},
    harness::{RegisteredApp, all_rights},
};
use domain::run::StateLabel;
use forge::{
    BranchName, CommentSearch, CommitSha, HookLog, HookNumber, HookSpec, IssueNumber, ItemState, LogPage, NewPull,
    NewStatus, PullUpdate, RepositoryProvider, Secret, StatusState, system_clock,
};

use crate::world::{BOT, REPOSITORY, World, app_client, set_state_label};

const ISSUE: IssueNumber = IssueNumber(1);

/// Everything the adapter ever asks. A new request belongs into this list and into the walk below.
const ASKED: [&str; 38] = [
    "DELETE /repos/{owner}/{repo}/hooks/{hook_id}",
    "DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}",
    "GET /app",
    "GET /repos/{owner}/{repo}",
    "GET /repos/{owner}/{repo}/actions/jobs/{job_id}/logs",
    "GET /repos/{owner}/{repo}/collaborators/{username}/permission",
    "GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations",
    "GET /repos/{owner}/{repo}/commits/{ref}/check-runs",
    "GET /repos/{owner}/{repo}/commits/{ref}/statuses",
    "GET /repos/{owner}/{repo}/contents/{path}",
    "GET /repos/{owner}/{repo}/hooks",
    "GET /repos/{owner}/{repo}/hooks/{hook_id}/deliveries",
    "GET /repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}",
    "GET /repos/{owner}/{repo}/installation",
    "GET /repos/{owner}/{repo}/issues",
    "GET /repos/{owner}/{repo}/issues/{issue_number}",
    "GET /repos/{owner}/{repo}/issues/{issue_number}/comments",
    "GET /repos/{owner}/{repo}/issues/{issue_number}/labels",
    "GET /repos/{owner}/{repo}/labels/{name}",
    "GET /repos/{owner}/{repo}/pulls",
    "GET /repos/{owner}/{repo}/pulls/{pull_number}",
    "GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews",
    "GET /user",
    "GET /users/{username}",
    "PATCH /repos/{owner}/{repo}/git/refs/{ref}",
    "PATCH /repos/{owner}/{repo}/hooks/{hook_id}",
    "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}",
    "PATCH /repos/{owner}/{repo}/pulls/{pull_number}",
    "POST /app/installations/{installation_id}/access_tokens",
    "POST /repos/{owner}/{repo}/hooks",
    "POST /repos/{owner}/{repo}/hooks/{hook_id}/pings",
    "POST /repos/{owner}/{repo}/issues",
    "POST /repos/{owner}/{repo}/issues/{issue_number}/comments",
    "POST /repos/{owner}/{repo}/issues/{issue_number}/labels",
    "POST /repos/{owner}/{repo}/labels",
    "POST /repos/{owner}/{repo}/pulls",
    "POST /repos/{owner}/{repo}/pulls/{pull_number}/reviews",
    "POST /repos/{owner}/{repo}/statuses/{sha}",
];

#[tokio::test]
async fn every_request_and_answer_is_as_described() {
    let world = World::start().await;
    issues(&world).await;
    pulls(&world).await;
    hook_log(&world).await;
    rights_and_hooks(&world).await;
    let description = Description::from_env().unwrap();
    let exchanges = world.stand_in.exchanges();
    let complaints = description.complaints(&exchanges);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    let asked: BTreeSet<String> =
        exchanges.iter().filter_map(|exchange| description.operation(&exchange.method, &exchange.path)).collect();
    assert_eq!(asked, ASKED.map(str::to_owned).into());
}

async fn hook_log(world: &World) {
    let hook = world.stand_in.create_hook(REPOSITORY, "http://127.0.0.1:9/", "s", &["push"]).unwrap().id;
    world.stand_in.wait_until(|forge| forge.deliveries(hook).iter().all(|one| one.delivered_at.is_some())).await;
    let (hook, newest) = (HookNumber(hook.try_into().unwrap()), LogPage::Newest { unless: None });
    let log = world.github.hook_log(&world.repo, hook, newest).await.unwrap();
    let HookLog::Page { deliveries, .. } = log else { panic!("{log:?}") };
    world.github.delivered_event(&world.repo, hook, deliveries[0].number).await.unwrap();
}

async fn rights_and_hooks(world: &World) {
    let (github, repo) = (world.client_of("maintainer"), &world.repo);
    assert!(github.rights(repo).await.unwrap().iter().all(|check| check.held));
    let secret = Secret::new("s");
    let spec = |secret, active| HookSpec { url: "http://127.0.0.1:9/hook", secret, active, events: &["issues"] };
    let hook = github.create_hook(repo, &spec(Some(&secret), false)).await.unwrap();
    let woken = github.update_hook(repo, hook.id, &spec(None, true)).await.unwrap();
    assert!(woken.active && woken.url == hook.url);
    github.ping_hook(repo, hook.id).await.unwrap();
    assert!(github.hooks(repo).await.unwrap().contains(&woken));
    github.delete_hook(repo, hook.id).await.unwrap();
    assert!(!github.hooks(repo).await.unwrap().contains(&woken));
    github.delete_hook(repo, hook.id).await.unwrap();

    let app = RegisteredApp::install(&world.stand_in, "poster", None, all_rights()).unwrap();
    let github = app_client(world, app.credential().unwrap(), system_clock());
    assert!(github.rights(repo).await.unwrap().iter().all(|check| check.held));
    github.me().await.unwrap();
}

async fn issues(world: &World) {
    let (github, repo) = (&world.github, &world.repo);
    github.me().await.unwrap();
    github.repository(repo.forge_id).await.unwrap();
    github.repository_by_name("acme", "greeter").await.unwrap();
    let made = github.create_issue(repo, "Ours", "<!-- marker -->").await.unwrap();
    assert_eq!(github.find_issue(repo, "<!-- marker -->").await.unwrap().map(|issue| issue.number), Some(made.number));
    github.permission(repo, &world.account("writer")).await.unwrap();
    github.issue(repo, ISSUE).await.unwrap();
    let comment = github.create_comment(repo, ISSUE, "one").await.unwrap();
    github.update_comment(repo, comment.id, "two").await.unwrap();
    let since = Some(DateTime::<Utc>::UNIX_EPOCH);
    github.issue_comments(repo, ISSUE, since, 10).await.unwrap();
    let search = CommentSearch { marker: "two", since, author_is_me: true };
    assert!(github.find_comment(repo, ISSUE, search).await.unwrap().is_some());
    set_state_label(world, ISSUE, StateLabel::Queued).await;
    set_state_label(world, ISSUE, StateLabel::Working).await;
    assert!(github.file(repo, "services.yaml", "main").await.unwrap().is_some());
    assert_eq!(github.file(repo, "no such/file", "main").await.unwrap(), None);
}

async fn pulls(world: &World) {
    let (github, repo) = (&world.github, &world.repo);
    let branch: BranchName = "codex/1-names".parse().unwrap();
    let sha = world.commit(BOT, branch.as_str(), "NOTES.md", "notes\n").await;
    let new = NewPull { title: "Notes", body: "Text", head: &branch, base: "main", draft: true };
    let made = github.create_pull(repo, &new).await.unwrap();
    let update = PullUpdate { title: Some("More notes"), body: Some("More"), state: Some(ItemState::Open) };
    github.update_pull(repo, made.number, &update).await.unwrap();
    assert!(github.pull_by_head(repo, branch.as_str()).await.unwrap().is_some());
    github.pull(repo, made.number).await.unwrap();
    github.pull_diff(repo, made.number, 1000).await.unwrap();
    github.create_review(repo, made.number, &sha, "marker").await.unwrap();
    assert!(github.find_review(repo, made.number, "marker").await.unwrap().is_some());
    let status = NewStatus {
        state: StatusState::Error,
        context: "codex-k8s/run",
        description: "lost",
        target_url: Some("https://example.org"),
    };
    github.set_status(repo, &sha, &status).await.unwrap();
    assert_eq!(github.statuses(repo, &sha).await.unwrap().len(), 1);
    let run = failed_job(&sha, "it broke\n");
    let id = world.stand_in.end_check_run(REPOSITORY, run).unwrap();
    let found = github.failed_checks(repo, &sha).await.unwrap();
    assert_eq!(found.iter().map(|check| check.id.get()).collect::<Vec<_>>(), [i64::try_from(id).unwrap()]);
    github.annotations(repo, found[0].id, 10).await.unwrap();
    github.job_log(repo, found[0].job.unwrap(), 100).await.unwrap();
}

/// A job of a workflow that failed.
pub fn failed_job(sha: &CommitSha, log: &str) -> CheckRun {
    CheckRun {
        sha: sha.to_string(),
        name: "unit".to_owned(),
        conclusion: "failure".to_owned(),
        title: Some("2 of 40 tests fail".to_owned()),
        summary: Some("They are about **names**.".to_owned()),
        annotations: vec![("greeter/greeting.py".to_owned(), 3, "expected Ann".to_owned())],
        log: Some(log.to_owned()),
        ..CheckRun::default()
    }
}
