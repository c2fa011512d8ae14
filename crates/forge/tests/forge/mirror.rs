//! Mirrors and scratch repositories.

use std::time::Duration;

use forge::git::{Git, GitError, GitErrorClass};

use crate::fixture::{Tree, run};

#[tokio::test]
async fn a_mirror_follows_the_branches() {
    let (origin, first) = Tree::with_file("a", "1");
    origin.git(&["branch", "old"]);
    origin.git(&["tag", "v1"]);
    let folder = tempfile::tempdir().unwrap();
    let mirror = folder.path().join("deep/er/mirror.git");
    let git = Git::default();

    git.mirror_fetch(&mirror, origin.url(), None).await.unwrap();
    assert_eq!(git.rev_parse(&mirror, "refs/heads/old").await.unwrap(), first);

    origin.git(&["branch", "-D", "old"]);
    origin.write("a", "rewritten");
    origin.git(&["commit", "--quiet", "--all", "--amend", "--message", "Rewritten"]);
    git.mirror_fetch(&mirror, origin.url(), None).await.unwrap();
    assert_eq!(git.rev_parse(&mirror, "main").await.unwrap(), origin.head("main"));
    assert_eq!(git.rev_parse(&mirror, "refs/heads/old").await.unwrap_err().class(), GitErrorClass::NotFound);
    assert_eq!(run(&mirror, &["tag"]), "");
}

#[tokio::test]
async fn references_of_ours_survive_a_fetch() {
    let (origin, first) = Tree::with_file("a", "1");
    let folder = tempfile::tempdir().unwrap();
    let mirror = folder.path().join("mirror.git");
    let git = Git::default();
    git.mirror_fetch(&mirror, origin.url(), None).await.unwrap();
    run(&mirror, &["update-ref", "refs/codex/run", first.as_str()]);
    git.mirror_fetch(&mirror, origin.url(), None).await.unwrap();
    assert_eq!(git.rev_parse(&mirror, "refs/codex/run").await.unwrap(), first);
}

#[tokio::test]
async fn several_at_once_take_turns() {
    let (origin, first) = Tree::with_file("a", "1");
    let folder = tempfile::tempdir().unwrap();
    let mirror = folder.path().join("mirror.git");
    let git = Git::default();
    let fetch = || git.mirror_fetch(&mirror, origin.url(), None);
    let results = tokio::join!(fetch(), fetch(), fetch(), fetch());
    assert!(results.0.is_ok() && results.1.is_ok() && results.2.is_ok() && results.3.is_ok());
    assert_eq!(git.rev_parse(&mirror, "main").await.unwrap(), first);
}

#[tokio::test]
async fn a_lock_that_is_held_too_long_is_an_error() {
    let (origin, _) = Tree::with_file("a", "1");
    let folder = tempfile::tempdir().unwrap();
    let mirror = folder.path().join("mirror.git");
    let lock = std::fs::File::create(folder.path().join("mirror.git.lock")).unwrap();
    lock.lock().unwrap();
    let git = Git::default().with_time_limit(Duration::from_millis(120));
    let error = git.mirror_fetch(&mirror, origin.url(), None).await.unwrap_err();
    assert!(matches!(error, GitError::TimedOut { .. }), "{error}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn what_a_killed_git_has_locked_is_fetched_all_the_same() {
    let (origin, _) = Tree::with_file("a", "1");
    origin.git(&["branch", "deep/er"]);
    origin.git(&["branch", "old"]);
    let folder = tempfile::tempdir().unwrap();
    let mirror = folder.path().join("mirror.git");
    let git = Git::default();
    git.mirror_fetch(&mirror, origin.url(), None).await.unwrap();
    run(&mirror, &["pack-refs", "--all"]);
    let left = ["refs/heads/main.lock", "refs/heads/deep/er.lock", "packed-refs.lock", "config.lock", "HEAD.lock"];
    for lock in left {
        std::fs::create_dir_all(mirror.join(lock).parent().unwrap()).unwrap();
        std::fs::write(mirror.join(lock), "").unwrap();
    }
    let newest = origin.commit("a", "2");
    origin.git(&["branch", "--force", "deep/er"]);
    origin.git(&["branch", "-D", "old"]);
    git.mirror_fetch(&mirror, origin.url(), None).await.unwrap();
    for branch in ["main", "deep/er"] {
        assert_eq!(git.rev_parse(&mirror, branch).await.unwrap(), newest);
    }
    assert_eq!(git.rev_parse(&mirror, "refs/heads/old").await.unwrap_err().class(), GitErrorClass::NotFound);
    assert!(left.iter().all(|lock| !mirror.join(lock).exists()));
}

#[tokio::test]
async fn what_a_git_at_work_has_locked_stays_locked() {
    let (origin, first) = Tree::with_file("a", "1");
    let folder = tempfile::tempdir().unwrap();
    let mirror = folder.path().join("mirror.git");
    let git = Git::default();
    git.mirror_fetch(&mirror, origin.url(), None).await.unwrap();
    origin.commit("a", "2");
    let lock = mirror.join("refs/heads/main.lock");
    // One after the other, as if taken and given back again and again.
    let at_work = async {
        loop {
            std::fs::write(&lock, "").unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        fetched = git.mirror_fetch(&mirror, origin.url(), None) => assert!(fetched.is_err()),
        () = at_work => {}
    }
    assert!(lock.exists());
    std::fs::remove_file(&lock).unwrap();
    assert_eq!(git.rev_parse(&mirror, "main").await.unwrap(), first);
}

#[tokio::test]
async fn a_missing_origin_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let error =
        Git::default().mirror_fetch(&folder.path().join("m.git"), nowhere.to_str().unwrap(), None).await.unwrap_err();
    assert_eq!(error.class(), GitErrorClass::NotFound, "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_dead_server_is_a_network_failure() {
    let folder = tempfile::tempdir().unwrap();
    // Bound, so that nobody else listens there, but closed again.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/o/n.git");
    let error = Git::default().mirror_fetch(&folder.path().join("m.git"), &url, None).await.unwrap_err();
    assert_eq!(error.class(), GitErrorClass::Network, "{error}");
}

#[tokio::test]
async fn other_protocols_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let touched = folder.path().join("touched");
    let url = format!("ext::sh -c touch% {}", touched.display());
    let result = Git::default().mirror_fetch(&folder.path().join("m.git"), &url, None).await;
    assert!(result.is_err());
    assert!(!touched.exists());
}

#[tokio::test]
async fn a_scratch_repository_borrows() {
    let (origin, first) = Tree::with_file("a", "1");
    let bare = origin.bare_copy();
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join("scratch.git");
    let git = Git::default();
    git.scratch_repository(&bare.path(), &scratch).await.unwrap();
    assert_eq!(git.rev_parse(&scratch, first.as_str()).await.unwrap(), first);
    assert_eq!(run(&scratch, &["for-each-ref"]), "");
}
