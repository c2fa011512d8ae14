//! Staff at a terminal: the program itself, against a gateway.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use devkit::{
    github::{Effect, Fault},
    harness::{Platform, REPOSITORY},
};
use domain::{
    people::{ProjectRole, Scope},
    run::{Outcome, Step},
};
use serde_json::Value;
use store::{hooks, repositories, runs, testing::audited};
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::staff::{TOKEN, staff, staff_as};

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
        self.answers(words, "").await
    }

    /// The same, where it is told something.
    async fn answers(&self, words: &[&str], told: &str) -> anyhow::Result<Said> {
        let mut command = Command::new(&self.program);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true).env_clear();
        command.env("CODEX_K8S_URL", &self.gateway).env("CODEX_K8S_TOKEN_FILE", &self.token_file);
        let mut child = command.spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(told.as_bytes()).await?;
        }
        let ended = child.wait_with_output();
        let ended = tokio::time::timeout(LIMIT, ended).await.with_context(|| format!("{words:?}"))??;
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
    platform.forge.fail(Fault::once("POST", "/repos/*/pulls", Effect::Error(422)));
    let started = ["run", "start", REPOSITORY, &number.to_string(), "--agent", "dev"];
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

/// A run at work, and another that waits for its slot.
async fn busy(platform: &Platform) -> anyhow::Result<[u64; 2]> {
    let (at_work, queued) = (platform.open_issue("endless-loop")?, platform.open_issue("slow")?);
    platform.label(at_work, "run:dev")?;
    platform.await_run(at_work, "at work", |run| run.step == Some(Step::Agent)).await?;
    platform.label(queued, "run:dev")?;
    platform.await_run(queued, "waiting", |run| run.step == Some(Step::Slot)).await?;
    Ok([at_work, queued])
}

async fn all_are_cancelled(platform: &Platform, numbers: [u64; 2], reason: &str) -> anyhow::Result<()> {
    for number in numbers {
        let run = platform.await_end(number).await?;
        assert_eq!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
        assert!(run.cause.as_deref().is_some_and(|cause| cause.contains(reason)), "{:?}", run.cause);
    }
    assert!(platform.forge.hooks(REPOSITORY)?.is_empty());
    Ok(())
}

fn kinds(lines: &str) -> anyhow::Result<Vec<String>> {
    let kind =
        |line: &str| anyhow::Ok(serde_json::from_str::<Value>(line)?["kind"].as_str().unwrap_or_default().to_owned());
    lines.lines().map(kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_exported_and_deleted() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    staff_as(&platform, ProjectRole::Admin, Scope::Admin).await?;
    let terminal = Terminal::of(&platform)?;
    let slug = platform.project().await?.to_string();
    let numbers = busy(&platform).await?;
    let printed = kinds(&terminal.says(&["project", "export", &slug]).await?.well()?)?;
    assert_eq!((printed[0].as_str(), printed.last().map(String::as_str)), ("project", Some("end")));
    assert_eq!(printed.iter().filter(|kind| *kind == "run").count(), 2, "{printed:?}");
    let file = platform.folder().join("export.jsonl");
    let to = file.to_string_lossy().into_owned();
    let said = terminal.says(&["project", "export", &slug, "--to", &to]).await?.well()?;
    let written = kinds(&std::fs::read_to_string(&file)?)?;
    assert_eq!(said.trim(), format!("{} lines are in {to}.", written.len()));
    assert_eq!(written.iter().filter(|kind| *kind == "run").count(), 2, "{written:?}");

    let delete = ["project", "delete", &slug, "--reason", "It is over."];
    let other = terminal.answers(&delete, "another\n").await?;
    assert_eq!(other.status.code(), Some(REFUSED), "{other:?}");
    assert!(other.err.contains(REPOSITORY) && other.err.contains("name_differs"), "{other:?}");
    let silent = terminal.says(&delete).await?;
    assert_eq!(silent.status.code(), Some(1), "{silent:?}");
    assert!(silent.err.contains("nothing was deleted"), "{silent:?}");
    assert!(audited(platform.store(), "project.deleting").await?.is_empty());

    let deleted = terminal.answers(&delete, &format!("{slug}\n")).await?;
    assert!(deleted.err.contains("It has begun"), "{deleted:?}");
    assert!(deleted.well()?.contains(&format!("Project {slug} is deleted.")));
    // It has waited until nothing was left.
    assert_eq!(audited(platform.store(), "project_deleted").await?.len(), 1);
    all_are_cancelled(&platform, numbers, "It is over.").await?;
    let again = terminal.says(&[&delete[..], &["--confirm", &slug]].concat()).await?;
    assert_eq!(again.status.code(), Some(REFUSED), "it is nobody's any more: {again:?}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_detached_with_its_runs() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    staff_as(&platform, ProjectRole::Admin, Scope::Admin).await?;
    let terminal = Terminal::of(&platform)?;
    let numbers = busy(&platform).await?;
    let detach = ["repo", "detach", REPOSITORY, "--reason", "It moves.", "--cancel-runs"];
    let said = terminal.says(&detach).await?.well()?;
    assert!(said.contains(REPOSITORY), "{said}");
    all_are_cancelled(&platform, numbers, "It moves.").await?;
    let mut tx = platform.store().begin().await?;
    let row = repositories::get(&mut tx, platform.repository.id).await?;
    assert!(row.detached_at.is_some() && row.credential.is_none(), "{row:?}");
    assert!(hooks::of_repository(&mut tx, row.id).await?.is_empty());
    let run = runs::get(&mut tx, platform.await_end(numbers[0]).await?.id).await?;
    assert_eq!(run.repository_id, row.id, "what was done stays");
    drop(tx);
    let again = terminal.says(&detach).await?;
    assert_eq!(again.status.code(), Some(REFUSED), "{again:?}");
    assert!(again.err.contains("repository_detached"), "{again:?}");
    let unknown = terminal.says(&["repo", "detach", "acme/nothing", "--reason", "x", "--cancel-runs"]).await?;
    assert_eq!(unknown.status.code(), Some(REFUSED), "{unknown:?}");
    platform.finish().await
}
