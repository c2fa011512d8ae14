//! Staff at a terminal: the program itself, against a gateway.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use devkit::{
    github::{Effect, Fault},
    harness::Platform,
};
use domain::run::{Outcome, Step};
use serde_json::Value;
use tokio::process::Command;

use super::staff::{TOKEN, staff};

/// Exit code where the gateway said no.
const REFUSED: i32 = 4;

/// Exit code where a run ended without what was asked for.
const INCOMPLETE: i32 = 3;

/// Longest that a command may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Somebody's terminal.
struct Terminal {
    program: PathBuf,
    gateway: String,
    token_file: PathBuf,
}

/// What a command did.
#[derive(Debug)]
struct Said {
    status: ExitStatus,
    out: String,
    err: String,
}

impl Said {
    fn well(self) -> anyhow::Result<String> {
        ensure!(self.status.success(), "{self:?}");
        Ok(self.out)
    }
}

impl Terminal {
    fn of(platform: &Platform) -> anyhow::Result<Self> {
        let program = Path::new(env!("CARGO_BIN_EXE_dev")).with_file_name("codex-k8s");
        ensure!(program.is_file(), "{} is not built: cargo build -p codex-k8s", program.display());
        let token_file = platform.folder().join("token");
        std::fs::write(&token_file, TOKEN)?;
        Ok(Self { program, gateway: platform.gateway_url.clone(), token_file })
    }

    async fn says(&self, words: &[&str]) -> anyhow::Result<Said> {
        let mut command = Command::new(&self.program);
        command.args(words).stdin(Stdio::null()).kill_on_drop(true).env_clear();
        command.env("CODEX_K8S_URL", &self.gateway).env("CODEX_K8S_TOKEN_FILE", &self.token_file);
        let ended = tokio::time::timeout(LIMIT, command.output()).await.with_context(|| format!("{words:?}"))??;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Said { status: ended.status, out: text(ended.stdout), err: text(ended.stderr) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_is_found_explained_and_retried() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    staff(&platform).await?;
    let terminal = Terminal::of(&platform)?;
    let number = platform.open_issue("good-fix")?;
    platform.forge.fail(Fault {
        method: Some("POST".into()),
        path: Some("/repos/*/pulls".into()),
        times: 1,
        effect: Effect::Error(422),
    });
    let started = ["run", "start", devkit::harness::REPOSITORY, &number.to_string(), "--agent", "dev"];
    let id = terminal.says(&started).await?.well()?.trim().to_owned();
    let run = platform.await_end(number).await?;
    assert_eq!((run.id.to_string(), run.outcome), (id.clone(), Some(Outcome::Failed)));

    let listed = terminal.says(&["run", "list", "--outcome", "failed"]).await?.well()?;
    assert!(listed.lines().nth(1).is_some_and(|line| line.starts_with(&id) && line.contains("failed")), "{listed}");
    let why = terminal.says(&["why", &id]).await?.well()?;
    assert!(why.starts_with("It ended as failed.") && why.contains(&format!("codex-k8s retry {id}")), "{why}");
    let retried = ["retry", &id, "--from", "publish", "--reason", "the forge had refused"];
    terminal.says(&retried).await?.well()?;
    let again = |run: &store::runs::Run| run.attempt.0 == 2 && run.outcome.is_some();
    let run = platform.await_run(number, "tried again", again).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");

    let shown = terminal.says(&["run", "show", &id, "--json"]).await?.well()?;
    let shown: Value = serde_json::from_str(&shown)?;
    assert_eq!(shown["attempts"].as_array().map(Vec::len), Some(2), "{shown}");
    let log = terminal.says(&["logs", &id, "--attempt", "1"]).await?.well()?;
    assert!(log.contains("check"), "the checks' output is among it: {log}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_at_work_is_followed_and_cancelled() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    staff(&platform).await?;
    let terminal = Terminal::of(&platform)?;
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    let id = run.id.to_string();
    let why = terminal.says(&["why", &id]).await?.well()?;
    assert!(why.contains("It is at the step agent."), "{why}");
    let follow = ["logs", &id, "--follow"];
    let cancel = ["cancel", &id, "--reason", "it goes round and round"];
    let (followed, cancelled) = tokio::join!(terminal.says(&follow), terminal.says(&cancel));
    cancelled?.well()?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
    assert!(run.cause.as_deref().is_some_and(|cause| cause.contains("it goes round and round")), "{:?}", run.cause);
    // Following ends with the attempt, and says how it ended by its exit code.
    let followed = followed?;
    assert_eq!(followed.status.code(), Some(INCOMPLETE), "{followed:?}");

    let again = terminal.says(&cancel).await?;
    assert_eq!(again.status.code(), Some(REFUSED), "{again:?}");
    assert!(again.err.contains("ended already"), "{again:?}");
    let nothing = terminal.says(&["why", "00000000-0000-7000-8000-000000000000"]).await?;
    assert_eq!(nothing.status.code(), Some(REFUSED), "{nothing:?}");
    platform.finish().await
}
