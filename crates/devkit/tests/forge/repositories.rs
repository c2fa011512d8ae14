//! Repositories and files.

use devkit::github::{NewRepo, Role};
use forge::{CommentId, ForgeError, ForgeRepoId, IssueNumber, RepositoryProvider};

use crate::world::{BOT, REPOSITORY, World};

#[tokio::test]
async fn a_repository_is_found_by_number_and_by_name() {
    let world = World::start().await;
    let by_id = world.github.repository(world.repo.forge_id).await.unwrap();
    assert_eq!(by_id.repo, world.repo);
    assert_eq!((by_id.default_branch.as_str(), by_id.private, by_id.archived), ("main", false, false));
    assert_eq!(by_id.clone_url, world.clone_url());
    assert_eq!(world.github.repository_by_name("ACME", "Greeter").await.unwrap(), by_id);
    assert_eq!(world.github.repository(ForgeRepoId(1)).await, Err(ForgeError::NotFound));
    assert_eq!(world.github.me().await.unwrap(), world.account(BOT));
    assert_eq!(world.github.renamed(&world.repo), None);
}

#[tokio::test]
async fn a_private_repository_is_hidden_from_strangers() {
    let world = World::start().await;
    let new = NewRepo { name: "vault".to_owned(), description: None, private: true };
    world.stand_in.create_repo("acme", new).await.unwrap();
    world.stand_in.add_collaborator("acme/vault", "writer", Role::Write).unwrap();
    let seen = world.client_of("writer").repository_by_name("acme", "vault").await.unwrap();
    assert!(seen.private);
    assert_eq!(world.client_of("outsider").repository_by_name("acme", "vault").await, Err(ForgeError::NotFound));
}

#[tokio::test]
async fn an_archived_repository_takes_no_writes() {
    let world = World::start().await;
    world.stand_in.archive_repo("maintainer", REPOSITORY, true).await.unwrap();
    assert!(world.github.repository(world.repo.forge_id).await.unwrap().archived);
    let written = world.github.create_comment(&world.repo, IssueNumber(1), "x").await;
    assert_eq!(written, Err(ForgeError::Archived));
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let world = World::start().await;
    let outsider = world.client_of("outsider");
    let made = world.github.create_comment(&world.repo, IssueNumber(1), "ours").await.unwrap();
    let edited = outsider.update_comment(&world.repo, made.id, "theirs").await;
    assert!(matches!(edited, Err(ForgeError::Forbidden { .. } | ForgeError::NotFound)), "{edited:?}");
    assert_eq!(world.github.update_comment(&world.repo, CommentId(1), "x").await, Err(ForgeError::NotFound));
}

#[tokio::test]
async fn files_are_read_at_a_branch_or_commit() {
    let world = World::start().await;
    let first = world.commit("maintainer", "main", "docs/a b.txt", "ünï one\n").await;
    world.commit("maintainer", "main", "docs/a b.txt", "two\n").await;
    let read = async |path: &str, at: &str| {
        let bytes = world.github.file(&world.repo, path, at).await.unwrap();
        bytes.map(|bytes| String::from_utf8(bytes).unwrap())
    };
    assert_eq!(read("docs/a b.txt", "main").await.as_deref(), Some("two\n"));
    assert_eq!(read("docs/a b.txt", first.as_str()).await.as_deref(), Some("ünï one\n"));
    assert!(read("services.yaml", "main").await.is_some());
    assert_eq!(read("nothing.txt", "main").await, None);
    assert_eq!(read("docs", "main").await, None);
    assert!(world.github.file(&world.repo, "../secret", "main").await.is_err());
}
