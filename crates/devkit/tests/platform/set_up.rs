//! The project's set-up: before the agent, kept for the next run, and an end of its own when it fails.

use devkit::harness::{Platform, REPOSITORY};
use domain::{job::LogStream, run::Outcome};
use store::runs::Run;

async fn set_up_by(platform: &Platform, yaml: &str) -> anyhow::Result<()> {
    let files = [("services.yaml", Some(yaml)), (".gitignore", Some("modules\n")), ("lock.txt", Some("1\n"))];
    platform.forge.commit("writer", REPOSITORY, "main", &files).await?;
    Ok(())
}

async fn run_of(platform: &Platform, scenario: &str) -> anyhow::Result<Run> {
    let number = platform.open_issue(scenario)?;
    platform.label(number, "run:dev")?;
    platform.await_end(number).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_run_set_up_is_there_for_the_next_until_the_lock_file_changes() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let yaml = "version: 1\nsetup:\n  - {name: modules, run: \"echo making; mkdir modules; echo 1 > modules/tool\"}\n\
                cache: {key_files: [lock.txt], paths: [modules]}\n\
                checks:\n  - {name: modules, run: test -s modules/tool}\n";
    set_up_by(&platform, yaml).await?;
    let mut seen = Vec::new();
    for lock in [None, None, Some("2\n")] {
        if lock.is_some() {
            platform.forge.commit("writer", REPOSITORY, "main", &[("lock.txt", lock)]).await?;
        }
        let run = run_of(&platform, "good-fix").await?;
        assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
        seen.push(platform.output(&run, LogStream::Setup).await?);
    }
    assert_eq!(seen, ["making\n", "", "making\n"]);
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_set_up_ends_the_run_without_an_agent() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let yaml = "version: 1\nsetup:\n  - {name: modules, run: \"echo no such lock file; exit 3\"}\n";
    set_up_by(&platform, yaml).await?;
    let run = run_of(&platform, "good-fix").await?;
    assert_eq!(run.outcome, Some(Outcome::SetupFailed), "{run:?}");
    let cause = run.cause.unwrap_or_default();
    assert!(cause.contains("failed with exit 3: no such lock file"), "{cause}");
    assert!(platform.model.requests().is_empty(), "nothing is paid");
    assert!(platform.forge.pulls(REPOSITORY)?.is_empty());
    platform.finish().await
}
