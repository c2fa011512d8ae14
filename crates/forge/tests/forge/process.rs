//! What git is given, and that nothing of it stays.

use std::time::{Duration, Instant};

use forge::{
    Secret,
    git::{Git, GitAuth, GitError, Push},
};
use nix::{sys::signal::kill, unistd::Pid};

const SLOW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/forge/slow-git");
const TELLING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/forge/telling-git");

/// Waits until `done` says so; the deadline is there for a machine under load.
async fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn child_of(folder: &std::path::Path) -> Option<Pid> {
    let text = std::fs::read_to_string(folder.join("child")).ok()?;
    text.trim().parse().ok().map(Pid::from_raw)
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::default().with_program(SLOW).with_time_limit(Duration::from_secs(2));
    let error = git.rev_parse(folder.path(), "HEAD").await.unwrap_err();
    assert!(matches!(&error, GitError::TimedOut { operation, .. } if operation == "rev-parse"), "{error}");
    let child = child_of(folder.path()).expect("two seconds suffice to start a child");
    until("the end of the child", || kill(child, None).is_err()).await;
}

#[tokio::test]
async fn a_call_that_is_dropped_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let call = tokio::spawn(async move { Git::default().with_program(SLOW).rev_parse(&path, "HEAD").await });
    until("the start of the child", || child_of(folder.path()).is_some()).await;
    call.abort();
    let child = child_of(folder.path()).unwrap();
    until("the end of the child", || kill(child, None).is_err()).await;
}

#[tokio::test]
async fn the_credential_is_in_the_environment_alone() {
    let folder = tempfile::tempdir().unwrap();
    let url = "https://forge.example/o/n.git";
    let auth = GitAuth::new(url, Secret::new("t0ken")).unwrap();
    let git = Git::default().with_program(TELLING);
    let sha = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    let push = Push { sha: &sha, branch: &"b".parse().unwrap(), expect: None };
    let error = git.push(folder.path(), url, Some(&auth), push).await.unwrap_err();

    let arguments = std::fs::read_to_string(folder.path().join("arguments")).unwrap();
    assert!(arguments.contains("--force-with-lease=refs/heads/b: "), "{arguments}");
    assert!(!arguments.contains("t0ken") && !arguments.contains("Authorization"), "{arguments}");
    let env = std::fs::read_to_string(folder.path().join("env")).unwrap();
    assert!(env.contains("=Authorization: Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4="), "{env}");
    assert!(env.contains("GIT_ALLOW_PROTOCOL=https\n") && env.contains("GIT_TERMINAL_PROMPT=0\n"), "{env}");
    assert!(!env.contains("CARGO"), "the environment of the platform is passed on: {env}");
    // It repeated its environment in its error.
    let text = format!("{error} {error:?}");
    assert!(text.contains("[secret]") && !text.contains("eC1hY2Nlc3M"), "{text}");
}

#[tokio::test]
async fn a_missing_git_says_so() {
    let error =
        Git::default().with_program("/nowhere/git").rev_parse(std::path::Path::new("."), "HEAD").await.unwrap_err();
    assert!(matches!(error, GitError::Start { .. }), "{error}");
}
