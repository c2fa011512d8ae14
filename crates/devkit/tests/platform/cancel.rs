//! People end runs: by a command, by taking the label off, by closing the issue.

use std::{fs, path::Path};

use devkit::harness::{Platform, REPOSITORY};
use domain::{
    job_tokens::{self, TokenKind},
    run::{Outcome, Step},
};
use store::{audit, tokens};

async fn cancelled_by(end: impl AsyncFnOnce(&Platform, u64) -> anyhow::Result<()>) -> anyhow::Result<()> {
    cancelled_on(super::platform_with(1).await?, end).await
}

async fn cancelled_on(
    platform: Platform,
    end: impl AsyncFnOnce(&Platform, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    end(&platform, number).await?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
    assert!(platform.forge.pulls(REPOSITORY)?.is_empty());
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_command_ends_the_run_and_its_job() -> anyhow::Result<()> {
    cancelled_by(async |platform, number| {
        platform.forge.comment("maintainer", REPOSITORY, number, "/cancel")?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apps_run_is_cancelled_too() -> anyhow::Result<()> {
    cancelled_on(super::platform_as_app(1).await?, async |platform, number| {
        platform.forge.comment("maintainer", REPOSITORY, number, "/cancel")?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_the_label_off_ends_the_run() -> anyhow::Result<()> {
    cancelled_by(async |platform, number| {
        platform.forge.remove_label("maintainer", REPOSITORY, number, "run:dev")?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outsider_cannot_cancel() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("slow")?;
    platform.label(number, "run:dev")?;
    platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    platform.forge.comment("outsider", REPOSITORY, number, "/cancel")?;
    let run = platform.await_end(number).await?;
    assert_ne!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
    platform.finish().await
}

/// A process of the Job that has Codex's token in its environment.
struct AtWork {
    user: u32,
    model_url: String,
    model_token: String,
}

/// Codex of every Job on this machine, as root sees it from outside of them.
fn codex_at_work() -> Vec<AtWork> {
    let variable = |environment: &[u8], name: &str| {
        let prefix = format!("{name}=");
        let found = environment.split(|byte| *byte == 0).find(|entry| entry.starts_with(prefix.as_bytes()))?;
        Some(String::from_utf8_lossy(&found[prefix.len()..]).into_owned())
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let seen: Vec<_> = processes
        .filter_map(|process| {
            let environment = fs::read(process.join("environ")).ok()?;
            // By its own word: the folder of a process that hides belongs to root.
            Some((user_of(&process)?, environment))
        })
        .collect();
    let url_of = |user: u32| {
        let own = seen.iter().filter(|(owner, _)| *owner == user);
        own.filter_map(|(_, environment)| variable(environment, "CODEX_K8S_MODEL_URL")).next()
    };
    let codex = seen.iter().filter_map(|(user, environment)| {
        let model_token = variable(environment, "CODEX_K8S_MODEL_TOKEN")?;
        Some(AtWork { user: *user, model_url: url_of(*user)?, model_token })
    });
    codex.collect()
}

fn user_of(process: &Path) -> Option<u32> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.parse().ok()
}

fn processes_of(user: u32) -> usize {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let alive = |process: &Path| fs::read_to_string(process.join("stat")).is_ok_and(|stat| !stat.contains(") Z "));
    processes.filter(|process| user_of(process) == Some(user) && alive(process)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_cancel_no_process_lives_and_no_token_opens() -> anyhow::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        super::skipped("after_a_cancel_no_process_lives_and_no_token_opens", "only root gives a Job a user of its own");
        return Ok(());
    }
    let platform = super::platform_with(1).await?;
    // Other tests of this program have Jobs, too: ours is the one whose model token is of our database.
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    let job = platform
        .await_that("Codex works", async || {
            let mut conn = platform.store().acquire().await?;
            for job in codex_at_work() {
                let hash = job_tokens::hash(&job.model_token);
                if tokens::owner(&mut conn, TokenKind::Model, &hash).await?.is_some_and(|owner| owner.run == run.id) {
                    return Ok(Some(job));
                }
            }
            Ok(None)
        })
        .await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let ask = async || {
        let request = client.get(format!("{}v1/models", job.model_url)).bearer_auth(&job.model_token);
        anyhow::Ok(request.send().await?)
    };
    assert_ne!(ask().await?.status().as_u16(), 401, "it opens while the run works");
    assert!(processes_of(job.user) > 0);
    let began = std::time::Instant::now();
    platform.forge.comment("maintainer", REPOSITORY, number, "/cancel")?;
    platform.await_that("nothing of it lives", async || Ok((processes_of(job.user) == 0).then_some(()))).await?;
    assert!(began.elapsed().as_secs() < 15, "{:?}", began.elapsed());
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
    let refused = ask().await?;
    assert_eq!(refused.status().as_u16(), 401);
    assert_eq!(refused.json::<serde_json::Value>().await?["code"], "attempt_ended");
    let told = audit::list_for_run(&mut *platform.store().acquire().await?, run.id).await?;
    assert!(
        told.iter().any(|event| event.kind == "token_refused" && event.detail["door"] == "model token"),
        "{told:?}"
    );
    platform.finish().await
}
