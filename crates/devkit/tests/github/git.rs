//! Clone, fetch and push with real git.

use crate::{
    receiver::{Receiver, SECRET},
    world::{REPOSITORY, World, git},
};

#[tokio::test]
async fn a_public_repository_is_cloned_by_anybody_and_pushed_to_by_writers() {
    let world = World::start().await;
    let url = format!("{}/acme/greeter.git", world.stand_in.url());
    let clone = world.folder("clone");
    git(world.data.path(), &["clone", "--quiet", &url, "clone"]).await.unwrap();
    assert!(clone.join("greeter/greeting.py").exists());
    git(&clone, &["commit", "--quiet", "--allow-empty", "-m", "Nothing"]).await.unwrap();
    let refused = git(&clone, &["push", "--quiet", "origin", "main"]).await.unwrap_err();
    assert!(refused.contains("could not read Username") || refused.contains("Authentication"), "{refused}");
    let outsider = world.clone_url("outsider", REPOSITORY);
    let refused = git(&clone, &["push", "--quiet", &outsider, "main"]).await.unwrap_err();
    assert!(refused.contains("403"), "{refused}");
    git(&clone, &["push", "--quiet", &world.clone_url("writer", REPOSITORY), "main"]).await.unwrap();
    let head = git(&clone, &["rev-parse", "HEAD"]).await.unwrap();
    assert_eq!(world.stand_in.refs(REPOSITORY).await.unwrap()["refs/heads/main"], head);
}

#[tokio::test]
async fn a_commit_can_be_fetched_by_its_id() {
    let world = World::start().await;
    let sha = world.stand_in.commit("writer", REPOSITORY, "side", &[("a", Some("a"))]).await.unwrap();
    world.stand_in.commit("writer", REPOSITORY, "side", &[("a", Some("b"))]).await.unwrap();
    let folder = world.folder("fetch");
    git(world.data.path(), &["init", "--quiet", "fetch"]).await.unwrap();
    let url = world.clone_url("codex-bot", REPOSITORY);
    git(&folder, &["fetch", "--quiet", "--depth=1", &url, &sha]).await.unwrap();
    assert_eq!(git(&folder, &["rev-parse", "FETCH_HEAD"]).await.unwrap(), sha);
}

#[tokio::test]
async fn a_private_repository_asks_for_a_password_and_hides_from_outsiders() {
    let world = World::start().await;
    let new = devkit::github::NewRepo { name: "secret".into(), description: None, private: true };
    world.stand_in.create_repo("acme", new).await.unwrap();
    world.stand_in.add_collaborator("acme/secret", "writer", devkit::github::Role::Read).unwrap();
    let path = "/acme/secret.git/info/refs?service=git-upload-pack";
    let nobody = world.nobody().get(path).await;
    assert_eq!(nobody.status, 401);
    assert!(nobody.headers.contains_key("www-authenticate"));
    assert_eq!(world.person("outsider").get(path).await.status, 404);
    assert_eq!(world.person("writer").get(path).await.status, 200);
    assert_eq!(world.with_token("made-up").get(path).await.status, 401);
}

#[tokio::test]
async fn a_push_tells_what_moved_and_its_pull_requests_follow() {
    let world = World::start().await;
    let number = world.pull("notes").await;
    let receiver = Receiver::start().await;
    world.stand_in.create_hook(REPOSITORY, &receiver.url, SECRET, &["push", "pull_request"]).unwrap();
    let clone = world.folder("clone");
    let url = world.clone_url("writer", REPOSITORY);
    git(world.data.path(), &["clone", "--quiet", "--branch", "notes", &url, "clone"]).await.unwrap();
    let before = git(&clone, &["rev-parse", "HEAD"]).await.unwrap();
    for message in ["First", "Second"] {
        git(&clone, &["commit", "--quiet", "--allow-empty", "-m", message]).await.unwrap();
    }
    let after = git(&clone, &["rev-parse", "HEAD"]).await.unwrap();
    git(&clone, &["push", "--quiet", "origin", "HEAD"]).await.unwrap();
    let events = receiver.wait_for(2).await;
    let push = &events[0].payload;
    assert_eq!((push["ref"].as_str(), push["before"].as_str()), (Some("refs/heads/notes"), Some(before.as_str())));
    assert_eq!((push["after"].as_str(), push["forced"].as_bool()), (Some(after.as_str()), Some(false)));
    let messages: Vec<_> = push["commits"].as_array().unwrap().iter().map(|one| &one["message"]).collect();
    assert_eq!(messages, ["First", "Second"]);
    assert_eq!(push["pusher"]["name"], "writer");
    assert_eq!(events[1].name(), "pull_request.synchronize");
    assert_eq!((&events[1].payload["before"], &events[1].payload["after"]), (&push["before"], &push["after"]));
    assert_eq!(events[1].payload["number"], number);
    git(&clone, &["reset", "--quiet", "--hard", &before]).await.unwrap();
    git(&clone, &["commit", "--quiet", "--allow-empty", "-m", "Third"]).await.unwrap();
    git(&clone, &["push", "--quiet", "--force", "origin", "HEAD"]).await.unwrap();
    assert_eq!(receiver.wait_for(4).await[2].payload["forced"], true);
    git(&clone, &["push", "--quiet", "--delete", "origin", "notes"]).await.unwrap();
    let names: Vec<_> = receiver.wait_for(6).await[4..].iter().map(crate::receiver::Received::name).collect();
    assert_eq!(names, ["push", "pull_request.closed"]);
}

#[tokio::test]
async fn a_push_that_brings_the_commits_of_a_pull_request_merges_it() {
    let world = World::start().await;
    let number = world.pull("notes").await;
    let clone = world.folder("clone");
    let url = world.clone_url("writer", REPOSITORY);
    git(world.data.path(), &["clone", "--quiet", &url, "clone"]).await.unwrap();
    git(&clone, &["merge", "--quiet", "--no-ff", "origin/notes", "-m", "Merge"]).await.unwrap();
    git(&clone, &["push", "--quiet", "origin", "main"]).await.unwrap();
    let pull = world.stand_in.issue(REPOSITORY, number).unwrap();
    assert!(!pull.open && pull.pull.unwrap().merged_at.is_some());
}
