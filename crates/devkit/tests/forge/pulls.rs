//! Pull requests, reviews, statuses.

use std::collections::BTreeSet;

use devkit::github::{CheckRun, LineNote};
use forge::{
    BranchName, CheckRunId, CommitSha, ForgeError, IssueNumber, ItemState, NewPull, NewStatus, Pull, PullUpdate,
    RepositoryProvider, StatusState,
};

use crate::{
    described::failed_job,
    world::{BOT, REPOSITORY, World},
};

const MARKER: &str = "<!-- codex-k8s:run:7 -->";

fn branch() -> BranchName {
    "codex/1-names".parse().unwrap()
}

async fn open(world: &World) -> (CommitSha, Pull) {
    let sha = world.commit(BOT, "codex/1-names", "NOTES.md", "notes\n").await;
    let new = NewPull { title: "Trim names", body: "Why and how.", head: &branch(), base: "main", draft: false };
    (sha, world.github.create_pull(&world.repo, &new).await.unwrap())
}

#[tokio::test]
async fn a_pull_request_is_opened_once_and_found_again() {
    let world = World::start().await;
    let (github, repo) = (&world.github, &world.repo);
    assert_eq!(github.pull_by_head(repo, branch().as_str()).await, Ok(None));
    let (sha, made) = open(&world).await;
    assert_eq!(made.head_sha, sha);
    assert_eq!((made.head_ref.as_str(), made.base_ref.as_str()), ("codex/1-names", "main"));
    assert!(!made.head_is_fork && !made.merged && !made.draft);
    assert_eq!(made.author, Some(world.account(BOT)));

    let found = github.pull_by_head(repo, branch().as_str()).await.unwrap().unwrap();
    assert_eq!((found.number, &found.head_sha), (made.number, &sha));
    let new = NewPull { title: "Again", body: "", head: &branch(), base: "main", draft: false };
    let twice = github.create_pull(repo, &new).await.unwrap_err();
    let ForgeError::Validation { fields, .. } = &twice else { panic!("{twice:?}") };
    assert!(fields.iter().any(|field| field.contains("already exists")), "{fields:?}");
    assert!(github.issue(repo, made.number.as_issue()).await.unwrap().is_pull_request);
}

#[tokio::test]
async fn a_pull_request_is_changed_and_closed() {
    let world = World::start().await;
    let (github, repo) = (&world.github, &world.repo);
    let (_, made) = open(&world).await;
    let update = PullUpdate { body: Some("More."), ..PullUpdate::default() };
    let changed = github.update_pull(repo, made.number, &update).await.unwrap();
    assert_eq!((changed.title.as_str(), changed.body.as_str()), ("Trim names", "More."));
    let update = PullUpdate { state: Some(ItemState::Closed), title: Some("Closed"), body: None };
    github.update_pull(repo, made.number, &update).await.unwrap();
    let now = github.pull(repo, made.number).await.unwrap();
    assert_eq!((now.title.as_str(), now.body.as_str(), now.state), ("Closed", "More.", ItemState::Closed));
    assert_eq!(github.pull_by_head(repo, branch().as_str()).await, Ok(None));
}

#[tokio::test]
async fn a_merged_one_says_so() {
    let world = World::start().await;
    let (_, made) = open(&world).await;
    let number = u64::try_from(made.number.get()).unwrap();
    world.stand_in.merge_pull("maintainer", REPOSITORY, number).await.unwrap();
    let now = world.github.pull(&world.repo, made.number).await.unwrap();
    assert!(now.merged);
    assert_eq!(now.state, ItemState::Closed);
}

#[tokio::test]
async fn the_diff_is_that_of_the_branch() {
    let world = World::start().await;
    let (_, made) = open(&world).await;
    let whole = world.github.pull_diff(&world.repo, made.number, 1 << 20).await.unwrap();
    assert!(whole.text.contains("+++ b/NOTES.md") && whole.text.contains("+notes"), "{}", whole.text);
    assert!(!whole.truncated);
    let cut = world.github.pull_diff(&world.repo, made.number, 10).await.unwrap();
    assert!(cut.truncated);
    assert_eq!(cut.text, whole.text[..10]);
}

#[tokio::test]
async fn a_head_in_a_fork_is_told() {
    let world = World::start().await;
    let fork = world.stand_in.fork_repo("outsider", REPOSITORY).await.unwrap();
    let changes = [("EVIL.md", Some("x"))];
    world.stand_in.commit("outsider", &fork, "codex/1-names", &changes).await.unwrap();
    let issue =
        world.stand_in.open_pull("outsider", REPOSITORY, "outsider:codex/1-names", "From a fork").await.unwrap();
    let number = forge::PullNumber(issue.number.try_into().unwrap());
    assert!(world.github.pull(&world.repo, number).await.unwrap().head_is_fork);
    // A branch of that name in a fork is not ours.
    assert_eq!(world.github.pull_by_head(&world.repo, branch().as_str()).await, Ok(None));
}

#[tokio::test]
async fn our_review_is_found_again() {
    let world = World::start().await;
    let (github, repo) = (&world.github, &world.repo);
    let (sha, made) = open(&world).await;
    let number = u64::try_from(made.number.get()).unwrap();
    let copied = ("COMMENT", MARKER);
    world.stand_in.review("writer", (REPOSITORY, number), copied, Vec::<LineNote>::new()).await.unwrap();
    assert_eq!(github.find_review(repo, made.number, MARKER).await, Ok(None));
    let posted = github.create_review(repo, made.number, &sha, &format!("{MARKER}\nLooks fine.")).await.unwrap();
    assert_eq!(posted.commit.as_deref(), Some(sha.as_str()));
    let found = github.find_review(repo, made.number, MARKER).await.unwrap().unwrap();
    assert_eq!((found.id, found.author), (posted.id, Some(world.account(BOT))));
}

#[tokio::test]
async fn the_latest_status_of_a_context_counts() {
    let world = World::start().await;
    let (github, repo) = (&world.github, &world.repo);
    let sha = world.commit(BOT, "codex/1-names", "a", "a").await;
    let status = |state, context, description| NewStatus { state, context, description, target_url: None };
    let long = "x".repeat(300);
    let page = NewStatus {
        target_url: Some("https://example.org/run"),
        ..status(StatusState::Success, "codex-k8s/run", &long)
    };
    github.set_status(repo, &sha, &status(StatusState::Pending, "codex-k8s/run", "at work")).await.unwrap();
    github.set_status(repo, &sha, &status(StatusState::Failure, "other", "bad")).await.unwrap();
    github.set_status(repo, &sha, &page).await.unwrap();

    let mut seen = github.statuses(repo, &sha).await.unwrap();
    seen.sort_by(|a, b| a.context.cmp(&b.context));
    let states: Vec<_> = seen.iter().map(|status| (status.context.as_str(), status.state)).collect();
    assert_eq!(states, [("codex-k8s/run", StatusState::Success), ("other", StatusState::Failure)]);
    assert_eq!(seen[0].description, "x".repeat(140));
    assert_eq!(seen[0].target_url.as_deref(), Some("https://example.org/run"));
}

#[tokio::test]
async fn an_issue_is_no_pull_request() {
    let world = World::start().await;
    assert_eq!(world.github.pull(&world.repo, forge::PullNumber(1)).await, Err(ForgeError::NotFound));
    assert!(world.github.issue(&world.repo, IssueNumber(1)).await.is_ok());
}

#[tokio::test]
async fn failing_check_runs_are_read_with_their_words_and_the_end_of_their_log() {
    let world = World::start().await;
    let (github, repo) = (&world.github, &world.repo);
    let sha = world.commit(BOT, "codex/1-names", "NOTES.md", "notes\n").await;
    assert_eq!(github.failed_checks(repo, &sha).await, Ok(Vec::new()));
    let end = |run| world.stand_in.end_check_run(REPOSITORY, run).unwrap();
    end(CheckRun { conclusion: "success".to_owned(), name: "lint".to_owned(), log: None, ..failed_job(&sha, "") });
    let log = "a line of it\n".repeat(50_000) + "##[error]the end\n";
    let first = end(failed_job(&sha, "older"));
    let job = end(failed_job(&sha, &log));
    let other = end(CheckRun { name: "other".to_owned(), log: None, ..failed_job(&sha, "") });
    let found = github.failed_checks(repo, &sha).await.unwrap();
    let ids: BTreeSet<i64> = found.iter().map(|check| check.id.get()).collect();
    assert_eq!(ids, [job, other].map(|id| i64::try_from(id).unwrap()).into(), "{first} is not the newest: {found:?}");
    let check = found.iter().find(|check| check.name == "unit").unwrap();
    assert_eq!((check.title.as_str(), check.summary.as_str()), ("2 of 40 tests fail", "They are about **names**."));
    assert_eq!((check.annotations, check.job), (1, Some(check.id)));
    assert!(found.iter().any(|check| check.name == "other" && check.job.is_none()));
    let notes = github.annotations(repo, check.id, 10).await.unwrap();
    assert_eq!(
        (notes[0].path.as_str(), notes[0].line, notes[0].message.as_str()),
        ("greeter/greeting.py", 3, "expected Ann")
    );
    // The log lies on another host, which must not see the token, and is longer than what is wanted of it.
    assert_eq!(github.job_log(repo, check.id, 28).await.unwrap(), "line of it\n##[error]the end\n");
    let gone = github.job_log(repo, CheckRunId(i64::try_from(other).unwrap()), 31).await;
    assert_eq!(gone, Err(ForgeError::NotFound));
}
