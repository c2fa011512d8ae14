//! Permissions, issues, comments, labels.

use devkit::github::Knob;
use domain::run::StateLabel;
use forge::{
    AccountId, CommentSearch, ForgeError, IssueNumber, ItemState, Permission, RepositoryProvider, labels::LabelPlan,
};

use crate::world::{BOT, REPOSITORY, World, set_state_label};

const ISSUE: IssueNumber = IssueNumber(1);
const MARKER: &str = "<!-- codex-k8s:run:7 -->";

fn ours() -> CommentSearch<'static> {
    CommentSearch { marker: MARKER, since: None, author_is_me: true }
}

#[tokio::test]
async fn permission_is_that_of_the_person() {
    let world = World::start().await;
    let may = async |login: &str| world.github.permission(&world.repo, &world.account(login)).await.unwrap();
    assert_eq!(may("maintainer").await, Permission::Admin);
    assert_eq!(may("writer").await, Permission::Write);
    assert!(!may("outsider").await.can_write());

    let mut somebody = world.account("writer");
    somebody.id = AccountId(somebody.id.get() + 1);
    assert_eq!(world.github.permission(&world.repo, &somebody).await, Ok(Permission::None));
    somebody.login = "nobody-of-that-name".to_owned();
    assert_eq!(world.github.permission(&world.repo, &somebody).await, Ok(Permission::None));
    // Whoever may not ask is told so, and not that nobody may do anything.
    let outsider = world.client_of("outsider");
    let asked = outsider.permission(&world.repo, &world.account("writer")).await;
    assert!(matches!(asked, Err(ForgeError::Forbidden { .. })), "{asked:?}");
}

#[tokio::test]
async fn an_issue_is_read() {
    let world = World::start().await;
    world.stand_in.label_issue("writer", REPOSITORY, 1, "bug").unwrap();
    let issue = world.github.issue(&world.repo, ISSUE).await.unwrap();
    assert_eq!(issue.number, ISSUE);
    assert_eq!(issue.state, ItemState::Open);
    assert_eq!(issue.labels, ["bug"]);
    assert_eq!(issue.author, Some(world.account("maintainer")));
    assert!(!issue.title.is_empty() && !issue.body.is_empty() && !issue.is_pull_request);
    world.stand_in.close_issue("maintainer", REPOSITORY, 1).unwrap();
    assert_eq!(world.github.issue(&world.repo, ISSUE).await.unwrap().state, ItemState::Closed);
    assert_eq!(world.github.issue(&world.repo, IssueNumber(99)).await, Err(ForgeError::NotFound));
}

#[tokio::test]
async fn the_sticky_comment_is_found_edited_and_missed() {
    let world = World::start().await;
    let (github, repo) = (&world.github, &world.repo);
    assert_eq!(github.find_comment(repo, ISSUE, ours()).await, Ok(None));
    // Somebody copies the marker before we write.
    world.stand_in.comment("outsider", REPOSITORY, 1, &format!("{MARKER} mine")).unwrap();
    assert_eq!(github.find_comment(repo, ISSUE, ours()).await, Ok(None));
    let made = github.create_comment(repo, ISSUE, &format!("{MARKER}\nqueued")).await.unwrap();
    assert_eq!(made.author, Some(world.account(BOT)));
    let edited = github.update_comment(repo, made.id, &format!("{MARKER}\ndone")).await.unwrap();
    assert_eq!(edited.id, made.id);
    let found = github.find_comment(repo, ISSUE, ours()).await.unwrap().unwrap();
    assert_eq!((found.id, found.body.as_str()), (made.id, format!("{MARKER}\ndone").as_str()));

    let id = u64::try_from(made.id.get()).unwrap();
    world.stand_in.delete_comment("maintainer", REPOSITORY, id).unwrap();
    assert_eq!(github.update_comment(repo, made.id, "again").await, Err(ForgeError::NotFound));
    assert_eq!(github.find_comment(repo, ISSUE, ours()).await, Ok(None));
}

#[tokio::test]
async fn a_comment_on_the_third_page_is_found() {
    let world = World::start().await;
    for number in 0..205 {
        world.stand_in.comment("writer", REPOSITORY, 1, &format!("comment {number}")).unwrap();
    }
    let made = world.github.create_comment(&world.repo, ISSUE, MARKER).await.unwrap();
    let found = world.github.find_comment(&world.repo, ISSUE, ours()).await.unwrap();
    assert_eq!(found.map(|comment| comment.id), Some(made.id));
    let all = world.github.issue_comments(&world.repo, ISSUE, None, 1000).await.unwrap();
    assert_eq!(all.len(), 206);
    let bodies: Vec<&str> = all.iter().take(2).map(|comment| comment.body.as_str()).collect();
    assert_eq!(bodies, ["comment 0", "comment 1"]);
    assert_eq!(world.github.issue_comments(&world.repo, ISSUE, None, 101).await.unwrap().len(), 101);
}

#[tokio::test]
async fn comments_since_a_time() {
    let world = World::start().await;
    world.stand_in.comment("writer", REPOSITORY, 1, "old").unwrap();
    world.stand_in.knob(Knob::AdvanceClock { seconds: 60 }).await.unwrap();
    let new = world.stand_in.comment("writer", REPOSITORY, 1, "new").unwrap();
    let since = Some(new.created_at);
    let found = world.github.issue_comments(&world.repo, ISSUE, since, 10).await.unwrap();
    let bodies: Vec<&str> = found.iter().map(|comment| comment.body.as_str()).collect();
    assert_eq!(bodies, ["new"]);
}

#[tokio::test]
async fn one_state_label_at_a_time() {
    let world = World::start().await;
    world.stand_in.label_issue("writer", REPOSITORY, 1, "bug").unwrap();
    let set = async |label| set_state_label(&world, ISSUE, label).await;
    let labels = || {
        let mut labels = world.stand_in.labels(REPOSITORY, 1).unwrap();
        labels.sort();
        labels
    };
    assert_eq!(set(StateLabel::Queued).await, LabelPlan { remove: vec![], add: true });
    assert_eq!(labels(), ["bug", "codex:queued"]);
    assert_eq!(set(StateLabel::Working).await, LabelPlan { remove: vec![StateLabel::Queued], add: true });
    assert_eq!(labels(), ["bug", "codex:working"]);
    // Run twice.
    assert_eq!(set(StateLabel::Working).await, LabelPlan { remove: vec![], add: false });
    assert_eq!(labels(), ["bug", "codex:working"]);
    set(StateLabel::Done).await;
    assert_eq!(labels(), ["bug", "codex:done"]);

    let done = world.get("/repos/acme/greeter/labels/codex:done").await;
    assert_eq!(done["color"], "0e8a16");
    assert_eq!(done["description"], "The agent run ended with a result");
    // Taking off what is not there is fine; on an issue that is not there it is as well gone.
    world.github.remove_label(&world.repo, ISSUE, "codex:failed").await.unwrap();
}

#[tokio::test]
async fn a_label_somebody_recoloured_stays_as_it_is() {
    let world = World::start().await;
    let style = forge::labels::LabelStyle { color: "000000", description: "ours" };
    world.github.add_label(&world.repo, ISSUE, "bug", style).await.unwrap();
    assert_eq!(world.get("/repos/acme/greeter/labels/bug").await["color"], "d73a4a");
    assert_eq!(world.stand_in.labels(REPOSITORY, 1).unwrap(), ["bug"]);
}
