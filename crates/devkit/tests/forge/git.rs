//! git over HTTP with a credential.

use devkit::github::{Effect, Fault, Knob, NewRepo, Role};
use forge::{
    BranchName, CommitSha, Secret,
    git::{Git, GitAuth, GitErrorClass, Identity, Push, Pushed, Rebase, Rebased},
};

use crate::world::{BOT, REPOSITORY, World};

const BRANCH: &str = "codex/1-names";

fn branch() -> BranchName {
    BRANCH.parse().unwrap()
}

/// A mirror of the demo repository.
async fn mirror(world: &World) -> std::path::PathBuf {
    let dir = world.folder("mirror.git");
    Git::default().mirror_fetch(&dir, &world.clone_url(), Some(&world.auth_of(BOT))).await.unwrap();
    dir
}

/// The head of a branch on the stand-in.
async fn head(world: &World, name: &str) -> Option<CommitSha> {
    let refs = world.stand_in.refs(REPOSITORY).await.unwrap();
    refs.get(&format!("refs/heads/{name}")).map(|sha| sha.parse().unwrap())
}

#[tokio::test]
async fn a_mirror_has_what_was_pushed() {
    let world = World::start().await;
    let dir = mirror(&world).await;
    let next = world.commit("writer", "main", "a", "1").await;
    let git = Git::default();
    let auth = world.auth_of(BOT);
    assert_eq!(
        git.remote_branch_head(&world.clone_url(), Some(&auth), &"main".parse().unwrap()).await.unwrap(),
        Some(next.clone())
    );
    git.mirror_fetch(&dir, &world.clone_url(), Some(&auth)).await.unwrap();
    assert_eq!(git.rev_parse(&dir, "refs/heads/main").await.unwrap(), next);
    // The credential is nowhere in the mirror.
    let token = world.stand_in.token(BOT).unwrap();
    let config = std::fs::read_to_string(dir.join("config")).unwrap();
    assert!(!config.contains(&token) && !config.contains("extraHeader"), "{config}");
}

#[tokio::test]
async fn what_a_credential_may_not_do_is_told() {
    let world = World::start().await;
    let new = NewRepo { name: "vault".to_owned(), description: None, private: true };
    world.stand_in.create_repo("acme", new).await.unwrap();
    world.stand_in.add_collaborator("acme/vault", "writer", Role::Write).unwrap();
    world.stand_in.commit("writer", "acme/vault", "main", &[("a", Some("1"))]).await.unwrap();
    let url = format!("{}/acme/vault.git", world.stand_in.url());
    let git = Git::default();
    let read = async |auth: Option<&GitAuth>| {
        let head = git.remote_branch_head(&url, auth, &"main".parse().unwrap()).await;
        head.map(|sha| sha.is_some()).map_err(|error| (error.class(), error.to_string()))
    };
    assert_eq!(read(Some(&world.auth_of("writer"))).await, Ok(true));
    let wrong = GitAuth::new(&url, Secret::new("wrong-token")).unwrap();
    let (class, text) = read(Some(&wrong)).await.unwrap_err();
    assert_eq!(class, GitErrorClass::Auth, "{text}");
    assert!(!text.contains("wrong-token"), "{text}");
    assert_eq!(read(None).await.unwrap_err().0, GitErrorClass::Auth);
    let (class, text) = read(Some(&world.auth_of("outsider"))).await.unwrap_err();
    assert_eq!(class, GitErrorClass::NotFound, "{text}");
}

#[tokio::test]
async fn a_push_without_the_right_is_told() {
    let world = World::start().await;
    let dir = mirror(&world).await;
    let git = Git::default();
    let sha = git.rev_parse(&dir, "refs/heads/main").await.unwrap();
    let push = Push { sha: &sha, branch: &branch(), expect: None };
    let error = git.push(&dir, &world.clone_url(), Some(&world.auth_of("outsider")), push).await.unwrap_err();
    assert_eq!(error.class(), GitErrorClass::Auth, "{error}");
    assert_eq!(head(&world, BRANCH).await, None);
}

#[tokio::test]
async fn an_outage_can_be_retried() {
    let world = World::start().await;
    let fault = Fault { method: None, path: Some("*/info/refs".to_owned()), times: 1, effect: Effect::Error(503) };
    world.stand_in.fail(fault);
    let (git, dir, auth) = (Git::default(), world.folder("mirror.git"), world.auth_of(BOT));
    let error = git.mirror_fetch(&dir, &world.clone_url(), Some(&auth)).await.unwrap_err();
    assert_eq!(error.class(), GitErrorClass::Network, "{error}");
    assert!(error.is_retryable());
    git.mirror_fetch(&dir, &world.clone_url(), Some(&auth)).await.unwrap();
}

#[tokio::test]
async fn a_push_that_loses_a_race_is_rebased() {
    let world = World::start().await;
    let (git, auth, url) = (Git::default(), world.auth_of(BOT), world.clone_url());
    // Our branch is there, with one commit; a second one is made on a copy.
    let first = world.commit(BOT, BRANCH, "ours-1", "1").await;
    let dir = mirror(&world).await;
    let scratch = world.folder("work.git");
    git.scratch_repository(&dir, &scratch).await.unwrap();
    let second = commit_on(&scratch, &first);

    world
        .stand_in
        .knob(Knob::PushLosesRace { repository: REPOSITORY.to_owned(), by: "writer".to_owned(), times: 1 })
        .await
        .unwrap();
    let push = Push { sha: &second, branch: &branch(), expect: Some(&first) };
    let error = git.push(&scratch, &url, Some(&auth), push).await.unwrap_err();
    assert_eq!(error.class(), GitErrorClass::NonFastForward, "{error}");
    let theirs = head(&world, BRANCH).await.unwrap();
    assert!(theirs != first && theirs != second);

    // Again without looking: still not.
    assert!(git.push(&scratch, &url, Some(&auth), push).await.is_err());
    assert_eq!(head(&world, BRANCH).await, Some(theirs.clone()));

    git.mirror_fetch(&dir, &url, Some(&auth)).await.unwrap();
    let committer = Identity { name: "codex-k8s".to_owned(), email: "codex@example.org".to_owned() };
    let rebase = Rebase { from: &first, head: &second, onto: &theirs, committer: &committer };
    let Rebased::Head(moved) = git.rebase_onto(&scratch, rebase).await.unwrap() else { panic!("a conflict") };
    let push = Push { sha: &moved, branch: &branch(), expect: Some(&theirs) };
    assert_eq!(git.push(&scratch, &url, Some(&auth), push).await.unwrap(), Pushed::Updated);
    assert_eq!(head(&world, BRANCH).await, Some(moved));
}

#[tokio::test]
async fn a_branch_that_appears_in_between_is_not_overwritten() {
    let world = World::start().await;
    let dir = mirror(&world).await;
    let git = Git::default();
    let base = git.rev_parse(&dir, "refs/heads/main").await.unwrap();
    let ours = commit_on(&dir, &base);
    let theirs = world.commit("writer", BRANCH, "theirs", "1").await;
    let push = Push { sha: &ours, branch: &branch(), expect: None };
    let error = git.push(&dir, &world.clone_url(), Some(&world.auth_of(BOT)), push).await.unwrap_err();
    assert_eq!(error.class(), GitErrorClass::NonFastForward, "{error}");
    assert_eq!(head(&world, BRANCH).await, Some(theirs));
}

#[tokio::test]
async fn a_renamed_repository_is_followed() {
    let world = World::start().await;
    let url = world.clone_url();
    world
        .stand_in
        .knob(Knob::RenameRepository { repository: REPOSITORY.to_owned(), name: "host".to_owned() })
        .await
        .unwrap();
    let dir = world.folder("mirror.git");
    let (git, auth) = (Git::default(), world.auth_of(BOT));
    git.mirror_fetch(&dir, &url, Some(&auth)).await.unwrap();
    let sha = git.rev_parse(&dir, "refs/heads/main").await.unwrap();
    let push = Push { sha: &sha, branch: &branch(), expect: None };
    assert_eq!(git.push(&dir, &url, Some(&auth), push).await.unwrap(), Pushed::Updated);
}

/// Makes a commit in a bare repository.
fn commit_on(dir: &std::path::Path, parent: &CommitSha) -> CommitSha {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .arg("-C")
            .arg(dir)
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(arguments)
            .env("GIT_INDEX_FILE", dir.join("test-index"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["read-tree", parent.as_str()]);
    let blob = git(&["hash-object", "-w", "--", "HEAD"]);
    git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},ours-2")]);
    let tree = git(&["write-tree"]);
    git(&["commit-tree", &tree, "-p", parent.as_str(), "-m", "Second"]).parse().unwrap()
}
