//! Bundles and pushes.

use forge::{
    BranchName, CommitSha,
    git::{Git, GitErrorClass, Push, Pushed},
};

use crate::fixture::{Bare, Tree, run};

fn branch() -> BranchName {
    "codex/1-fix".parse().unwrap()
}

async fn push(from: &Tree, to: &Bare, sha: &CommitSha, expect: Option<&CommitSha>) -> Result<Pushed, GitErrorClass> {
    let push = Push { sha, branch: &branch(), expect };
    Git::default().push(from.path(), &to.url(), None, push).await.map_err(|error| error.class())
}

#[tokio::test]
async fn a_workspace_travels_there_and_back() {
    let (origin, _) = Tree::with_file("a", "1");
    let base = origin.commit("a", "2");
    // A branch of theirs with the name of ours.
    origin.git(&["branch", "base", "HEAD~1"]);
    let mirror = origin.bare_copy();
    let folder = tempfile::tempdir().unwrap();
    let (there, back) = (folder.path().join("there.bundle"), folder.path().join("back.bundle"));
    let git = Git::default();
    git.bundle_create(&mirror.path(), &there, &base).await.unwrap();
    assert_eq!(mirror.branch("base"), Some(origin.head("HEAD~1")));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["there.bundle"]);

    let work = Tree::new();
    work.git(&["fetch", "--quiet", there.to_str().unwrap(), "refs/heads/base:refs/heads/work"]);
    work.git(&["checkout", "--quiet", "work"]);
    assert_eq!(work.head("HEAD"), base);
    let result = work.commit("b", "new");
    work.git(&["update-ref", "refs/heads/result", result.as_str()]);
    work.git(&["bundle", "create", "--quiet", back.to_str().unwrap(), &format!("{base}..refs/heads/result")]);

    let fetched = git.bundle_fetch(&mirror.path(), &back, "refs/heads/result", "refs/codex/7").await.unwrap();
    assert_eq!(fetched, result);
    assert!(git.is_ancestor(&mirror.path(), &base, &fetched).await.unwrap());
    // Again, as an activity that runs twice.
    assert_eq!(git.bundle_fetch(&mirror.path(), &back, "refs/heads/result", "refs/codex/7").await.unwrap(), result);
}

#[tokio::test]
async fn a_bundle_on_an_unknown_base_is_refused() {
    let (stranger, base) = Tree::with_file("a", "other");
    let head = stranger.commit("a", "more");
    stranger.git(&["update-ref", "refs/heads/result", head.as_str()]);
    let bundle = stranger.path().join("x.bundle");
    stranger.git(&["bundle", "create", "--quiet", bundle.to_str().unwrap(), &format!("{base}..refs/heads/result")]);
    let mirror = Tree::with_file("a", "1").0.bare_copy();
    let result = Git::default().bundle_fetch(&mirror.path(), &bundle, "refs/heads/result", "refs/codex/7").await;
    assert!(result.is_err());
}

#[tokio::test]
async fn a_bundle_with_a_treacherous_tree_is_refused() {
    let (work, base) = Tree::with_file("a", "1");
    let mirror = work.bare_copy();
    let blob = work.git(&["rev-parse", "HEAD:a"]);
    // A file that would lie in `.git` when checked out.
    let raw: Vec<u8> = (0..20).map(|place| u8::from_str_radix(&blob[2 * place..2 * place + 2], 16).unwrap()).collect();
    work.write("raw-tree", [b"100644 .git\0".as_slice(), &raw].concat());
    let tree = work.git(&["hash-object", "-t", "tree", "-w", "--literally", "raw-tree"]);
    let commit = work.git(&["commit-tree", &tree, "-p", base.as_str(), "-m", "evil"]);
    work.git(&["update-ref", "refs/heads/result", &commit]);
    let bundle = work.path().join("x.bundle");
    work.git(&["bundle", "create", "--quiet", bundle.to_str().unwrap(), &format!("{base}..refs/heads/result")]);
    let result = Git::default().bundle_fetch(&mirror.path(), &bundle, "refs/heads/result", "refs/codex/7").await;
    let text = result.unwrap_err().to_string();
    assert!(text.contains("hasDotgit"), "{text}");
    assert_eq!(run(&mirror.path(), &["for-each-ref", "refs/codex"]), "");
}

#[tokio::test]
async fn a_push_makes_a_branch_and_moves_it() {
    let (work, base) = Tree::with_file("a", "1");
    let remote = work.bare_copy();
    let git = Git::default();
    assert_eq!(git.remote_branch_head(&remote.url(), None, &branch()).await.unwrap(), None);
    let one = work.commit("a", "2");
    assert_eq!(push(&work, &remote, &one, None).await, Ok(Pushed::Updated));
    assert_eq!(git.remote_branch_head(&remote.url(), None, &branch()).await.unwrap(), Some(one.clone()));
    // The same again, as if the answer had been lost.
    assert_eq!(push(&work, &remote, &one, None).await, Ok(Pushed::UpToDate));
    let two = work.commit("a", "3");
    assert_eq!(push(&work, &remote, &two, Some(&one)).await, Ok(Pushed::Updated));
    assert_eq!(remote.branch("codex/1-fix"), Some(two));
    assert_eq!(remote.branch("main"), Some(base));
}

#[tokio::test]
async fn a_push_never_goes_over_commits_of_others() {
    let (work, base) = Tree::with_file("a", "1");
    let remote = work.bare_copy();
    let theirs = work.commit("a", "theirs");
    work.git(&["push", "--quiet", &remote.url(), &format!("{theirs}:refs/heads/codex/1-fix")]);
    work.git(&["reset", "--quiet", "--hard", base.as_str()]);
    let ours = work.commit("a", "ours");
    let refused = Err(GitErrorClass::NonFastForward);
    // The branch should be new and is not; it should be at the base and is not; it is where we think, but we do not follow it.
    assert_eq!(push(&work, &remote, &ours, None).await, refused);
    assert_eq!(push(&work, &remote, &ours, Some(&base)).await, refused);
    assert_eq!(push(&work, &remote, &ours, Some(&theirs)).await, refused);
    // It is at a commit we have never seen.
    let (stranger, unseen) = Tree::with_file("s", "1");
    assert_eq!(push(&work, &remote, &ours, Some(&unseen)).await, refused);
    drop(stranger);
    assert_eq!(remote.branch("codex/1-fix"), Some(theirs));
}

#[tokio::test]
async fn a_branch_that_vanished_is_not_made_again_in_silence() {
    let (work, base) = Tree::with_file("a", "1");
    let remote = work.bare_copy();
    let ours = work.commit("a", "2");
    assert_eq!(push(&work, &remote, &ours, Some(&base)).await, Err(GitErrorClass::NonFastForward));
    assert_eq!(remote.branch("codex/1-fix"), None);
}

#[tokio::test]
async fn a_server_can_refuse() {
    let (work, base) = Tree::with_file("a", "1");
    let next = work.commit("a", "2");
    let checked_out = Tree::with_file("b", "1").0;
    checked_out.git(&["fetch", "--quiet", work.url(), "main"]);
    checked_out.git(&["reset", "--quiet", "--hard", base.as_str()]);
    let push = Push { sha: &next, branch: &"main".parse().unwrap(), expect: Some(&base) };
    // Its current branch is `main`: receive.denyCurrentBranch refuses by default.
    let error = Git::default().push(work.path(), checked_out.url(), None, push).await.unwrap_err();
    assert_eq!(error.class(), GitErrorClass::Rejected, "{error}");
}
