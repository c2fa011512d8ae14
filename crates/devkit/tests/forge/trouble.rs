//! Limits, outages, renames, revoked tokens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::Duration as Span;
use devkit::github::{Effect, Fault, Knob};
use forge::{
    CommentSearch, ForgeError, IssueNumber, Outage, PullNumber, RepositoryProvider, Secret,
    github::{GitHub, SharedLimit, Timeouts},
};

use crate::world::{BOT, REPOSITORY, World, now};

const ISSUE: IssueNumber = IssueNumber(1);
const MARKER: &str = "<!-- codex-k8s:run:7 -->";

fn next_comment(effect: Effect) -> Fault {
    Fault::once("POST", "/repos/*/comments", effect)
}

fn ours() -> CommentSearch<'static> {
    CommentSearch { marker: MARKER, since: None, author_is_me: true }
}

#[tokio::test]
async fn a_secondary_limit_says_when_to_go_on() {
    let world = World::start().await;
    for status in [403, 429] {
        world.stand_in.fail(next_comment(Effect::SecondaryLimit { status, retry_after: 90 }));
        let error = world.github.create_comment(&world.repo, ISSUE, MARKER).await.unwrap_err();
        assert_eq!(error, ForgeError::RateLimited { retry_at: now() + Span::seconds(90), secondary: true });
        assert!(error.is_retryable() && !error.may_have_been_stored());
    }
    assert!(world.stand_in.comments(REPOSITORY, 1).unwrap().is_empty());
}

#[tokio::test]
async fn nothing_is_asked_while_the_limit_holds() {
    let world = World::start().await;
    let (clock, asked) = (Arc::new(AtomicI64::new(0)), || world.stand_in.exchanges().len());
    let ticking = {
        let clock = Arc::clone(&clock);
        move || now() + Span::seconds(clock.load(Ordering::Relaxed))
    };
    let token = Secret::new(world.stand_in.token(BOT).unwrap());
    let limit = SharedLimit::default();
    let client = || {
        let clock = ticking.clone();
        let github = GitHub::new(world.stand_in.url(), token.clone(), Arc::new(clock), Timeouts::default()).unwrap();
        github.sharing(limit.clone())
    };
    let (github, other) = (client(), client());
    world.stand_in.fail(next_comment(Effect::SecondaryLimit { status: 403, retry_after: 90 }));
    let error = github.create_comment(&world.repo, ISSUE, MARKER).await.unwrap_err();
    let before = asked();
    assert_eq!(github.issue(&world.repo, ISSUE).await.unwrap_err().retry_at(), error.retry_at());
    assert_eq!(other.issue(&world.repo, ISSUE).await.unwrap_err().retry_at(), error.retry_at(), "of one credential");
    assert_eq!(asked(), before, "it was not even sent");
    clock.store(90, Ordering::Relaxed);
    assert_eq!(github.issue(&world.repo, ISSUE).await.unwrap().number, ISSUE);
}

#[tokio::test]
async fn an_error_after_the_write_is_mended_by_a_look() {
    let world = World::start().await;
    world.stand_in.fail(next_comment(Effect::ErrorAfter(502)));
    let error = world.github.create_comment(&world.repo, ISSUE, MARKER).await.unwrap_err();
    assert_eq!(error, ForgeError::Unavailable { outage: Outage::Status(502), retry_at: None });
    assert!(error.may_have_been_stored());
    let found = world.github.find_comment(&world.repo, ISSUE, ours()).await.unwrap();
    assert_eq!(found.map(|comment| comment.body).as_deref(), Some(MARKER));
    assert_eq!(world.stand_in.comments(REPOSITORY, 1).unwrap().len(), 1);
}

#[tokio::test]
async fn an_error_before_the_write_leaves_nothing() {
    let world = World::start().await;
    world.stand_in.fail(next_comment(Effect::Error(503)));
    let error = world.github.create_comment(&world.repo, ISSUE, MARKER).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(world.github.find_comment(&world.repo, ISSUE, ours()).await, Ok(None));
    // Nothing was repeated behind our back: the fault was for one request.
    assert!(world.stand_in.comments(REPOSITORY, 1).unwrap().is_empty());
}

#[tokio::test]
async fn a_slow_forge_times_out() {
    let world = World::start().await;
    let timeouts = Timeouts { whole: Duration::from_millis(200), ..Timeouts::default() };
    let token = Secret::new(world.stand_in.token(BOT).unwrap());
    let github = GitHub::new(world.stand_in.url(), token, Arc::new(now), timeouts).unwrap();
    world.stand_in.fail(next_comment(Effect::Latency(60_000)));
    let error = github.create_comment(&world.repo, ISSUE, MARKER).await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable { outage: Outage::TimedOut, .. }), "{error:?}");
}

#[tokio::test]
async fn a_renamed_repository_is_followed() {
    let world = World::start().await;
    let (github, repo) = (&world.github, &world.repo);
    let rename = |from: &str, to: &str| Knob::RenameRepository { repository: from.to_owned(), name: to.to_owned() };
    world.stand_in.knob(rename(REPOSITORY, "host")).await.unwrap();

    // The very first request may be a write.
    github.create_comment(repo, ISSUE, MARKER).await.unwrap();
    let now = github.renamed(repo).expect("the new name was learnt");
    assert_eq!((now.owner.as_str(), now.name.as_str(), now.forge_id), ("acme", "host", repo.forge_id));
    assert_eq!(github.find_comment(repo, ISSUE, ours()).await.unwrap().unwrap().body, MARKER);
    assert_eq!(world.stand_in.comments("acme/host", 1).unwrap().len(), 1);
    assert_eq!(github.repository(repo.forge_id).await.unwrap().repo, now);

    // Once more, with a client that has learnt the first new name.
    world.stand_in.knob(rename("acme/host", "usher")).await.unwrap();
    assert_eq!(github.issue(repo, ISSUE).await.unwrap().number, ISSUE);
    assert_eq!(github.pull(repo, PullNumber(77)).await, Err(ForgeError::NotFound));
    assert_eq!(github.renamed(repo).unwrap().name, "usher");
    github.remove_label(repo, ISSUE, "codex:queued").await.unwrap();
}

#[tokio::test]
async fn a_revoked_token_is_told_and_not_shown() {
    let world = World::start().await;
    let token = world.stand_in.token(BOT).unwrap();
    world.stand_in.knob(Knob::RevokeTokens { login: BOT.to_owned() }).await.unwrap();
    let error = world.github.issue(&world.repo, ISSUE).await.unwrap_err();
    assert_eq!(error, ForgeError::Unauthorised);
    assert!(!error.is_retryable());
    assert!(!format!("{error} {error:?}").contains(&token));
}
