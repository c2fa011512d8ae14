//! Deliveries that did not reach us, and platforms that none reaches.

use std::time::Duration;

use anyhow::Context;
use devkit::{
    github::NewRepo,
    harness::{Hosting, Options, Platform, REPOSITORY, Victim},
};
use domain::{
    hook_log::WebhookMode,
    ids::HookId,
    reconciler::Reconciler,
    run::Outcome,
    triggers::{DeliverySource, VerdictKind},
};
use store::{
    deliveries::{self, Delivery},
    hook_logs,
    hooks::{self, NewHook},
    reconcilers,
    repositories::{self, NewRepository},
};

/// The events that the gateway misses.
const EVENTS: usize = 200;

async fn ledger(platform: &Platform, source: DeliverySource) -> anyhow::Result<Vec<Delivery>> {
    let rows = deliveries::list_recent(&mut *platform.store().acquire().await?, 10_000).await?;
    Ok(rows.into_iter().filter(|row| row.source == source).collect())
}

async fn the_hook(platform: &Platform) -> anyhow::Result<hook_logs::HookLog> {
    let logs = hook_logs::list(&mut *platform.store().acquire().await?).await?;
    anyhow::ensure!(logs.len() == 1, "{logs:?}");
    logs.into_iter().next().context("no hook is registered")
}

async fn await_ping(platform: &Platform) -> anyhow::Result<()> {
    let look = async || Ok(ledger(platform, DeliverySource::Webhook).await?.first().map(|_| ()));
    platform.await_that("the ping arrives", look).await
}

/// Waits until the stand-in has tried to deliver everything.
async fn all_tried(platform: &Platform, hook: i64) -> anyhow::Result<()> {
    let hook = u64::try_from(hook)?;
    platform.forge.wait_until(|forge| forge.deliveries(hook).iter().all(|one| one.delivered_at.is_some())).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_forge_sent_while_the_gateway_was_off_is_read_back() -> anyhow::Result<()> {
    let mut platform = super::start(3, Hosting::Processes).await?;
    let hook = the_hook(&platform).await?.look.hook;
    await_ping(&platform).await?;
    // Looked at just now, so that it is nobody's turn while the gateway is off.
    platform.reconcile(Reconciler::MissedDeliveries).await?;
    platform.stop(Victim::Gateway).await?;
    let number = platform.open_issue("good-fix")?;
    platform.label(number, "run:dev")?;
    for text in 2..EVENTS {
        platform.forge.comment("writer", REPOSITORY, number, &format!("Remark {text}."))?;
    }
    all_tried(&platform, hook).await?;
    let missed = platform.forge.deliveries(u64::try_from(hook)?).iter().filter(|one| one.status_code != 202).count();
    assert_eq!(missed, EVENTS);

    platform.bring_up(Victim::Gateway).await?;
    let mut found = String::new();
    let told = platform.await_that("the gateway says that there was a gap", async || {
        Ok(the_hook(&platform).await?.look.wanted_at.map(|_| ()))
    });
    // The schedule may have been faster than we are.
    let looked = platform.await_that("the schedule looks by itself", async || {
        Ok((ledger(&platform, DeliverySource::ReadBack).await?.len() == EVENTS).then_some(()))
    });
    tokio::select! {
        told = told => {
            told?;
            found = platform.reconcile(Reconciler::MissedDeliveries).await?;
        }
        looked = looked => looked?,
    }
    let rows = ledger(&platform, DeliverySource::ReadBack).await?;
    assert_eq!(rows.len(), EVENTS, "{found}");
    let started = rows.iter().filter(|row| row.verdict == VerdictKind::Started).count();
    assert_eq!(started, 1, "one label, one run");
    // Newest first in the ledger: they were recorded in the order in which they happened.
    let (first, second) = (&rows[EVENTS - 1], &rows[EVENTS - 2]);
    assert_eq!((first.action.as_deref(), second.action.as_deref()), (Some("opened"), Some("labeled")));
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");

    // The forge is asked to send all of it again: every one is known, and nothing is started twice.
    let sent = platform.forge.deliveries(u64::try_from(hook)?);
    for delivery in sent.iter().filter(|one| one.status_code != 202) {
        platform.forge.redeliver(REPOSITORY, hook.try_into()?, delivery.id)?;
    }
    all_tried(&platform, hook).await?;
    platform.reconcile(Reconciler::MissedDeliveries).await?;
    assert_eq!(ledger(&platform, DeliverySource::ReadBack).await?.len(), EVENTS);
    assert_eq!(platform.run_of(number).await?.map(|run| run.id), Some(run.id));
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_had_to_refuse_is_read_back() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let hook = the_hook(&platform).await?;
    let (id, now) = (hook.look.hook, chrono::Utc::now());
    await_ping(&platform).await?;
    let register = async |secret: Option<&[u8]>| {
        let new = NewHook {
            id: HookId::from_uuid(uuid::Uuid::now_v7()),
            forge_hook_id: id,
            repository: Some(hook.repository),
            current: secret,
            previous: None,
            now,
        };
        let mut conn = platform.store().acquire().await?;
        let known = hooks::insert(&mut conn, new).await?;
        if let Some(secret) = secret {
            hooks::set_secrets(&mut conn, known, secret, None).await?;
        }
        anyhow::Ok(())
    };
    // A secret that does not open is answered with 503; a body beyond the limit with 413.
    register(Some(b"closed under another key")).await?;
    platform.label(1, "run:dev")?;
    platform.forge.create_issue("writer", REPOSITORY, "Long", &"x".repeat(26 << 20))?;
    all_tried(&platform, id).await?;
    // The platform's own schedule may have read the first back already, and the run that it starts writes labels.
    let sent = platform.forge.deliveries(u64::try_from(id)?);
    let told: Vec<_> = sent.iter().map(|one| (one.event.as_str(), one.status_code)).collect();
    // The gateway may hang up while so large a body is still being sent.
    assert!(matches!(told[..], [("ping", _), ("issues", 503), ("issues", 413 | 502), ..]), "{told:?}");
    platform.await_that("the gap is noted", async || Ok(the_hook(&platform).await?.look.wanted_at.map(|_| ()))).await?;

    // The platform's own schedule may have begun a moment before: then it reads what this one leaves alone.
    let looked = async || {
        platform.reconcile(Reconciler::MissedDeliveries).await?;
        Ok(the_hook(&platform).await?.look.wanted_at.is_none().then_some(()))
    };
    platform.await_that("the log is read", looked).await?;
    assert!(the_hook(&platform).await?.look.looked_at.is_some());
    let rows = ledger(&platform, DeliverySource::ReadBack).await?;
    let verdicts: Vec<VerdictKind> = rows.iter().rev().map(|row| row.verdict).take(2).collect();
    assert_eq!(verdicts, [VerdictKind::Started, VerdictKind::NoRule], "{rows:?}");
    let run = platform.await_end(1).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_the_forge_can_not_reach_asks() -> anyhow::Result<()> {
    let every = Duration::from_secs(2);
    let platform = super::with(Options { webhooks: WebhookMode::Pull { every }, ..super::defaults() }).await?;
    platform.label(1, "run:dev")?;
    let run = platform.await_end(1).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    assert_eq!(ledger(&platform, DeliverySource::Webhook).await?, []);
    let rows = ledger(&platform, DeliverySource::ReadBack).await?;
    assert_eq!(rows.iter().filter(|row| row.verdict == VerdictKind::Started).count(), 1, "{rows:?}");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_hook_costs_one_request_a_look() -> anyhow::Result<()> {
    const REPOSITORIES: usize = 50;
    let platform = super::platform_with(1).await?;
    for place in 1..REPOSITORIES {
        connect_another(&platform, &format!("idle-{place}")).await?;
    }
    let asked = || platform.forge.exchanges().iter().filter(|one| one.path.contains("/deliveries")).count();
    // Each is new, so each is looked at; then only those whose turn it is would be.
    platform.reconcile(Reconciler::MissedDeliveries).await?;
    let first = asked();
    let logs = hook_logs::list(&mut *platform.store().acquire().await?).await?;
    assert_eq!(logs.len(), REPOSITORIES);
    assert!(logs.iter().all(|log| log.look.looked_at.is_some() && log.etag.is_some()), "{logs:?}");
    // As after a gateway has started: everything is looked at once more.
    hook_logs::want_all_looks(&mut *platform.store().acquire().await?, chrono::Utc::now()).await?;
    let found = platform.reconcile(Reconciler::MissedDeliveries).await?;
    assert!(found.starts_with("looked at 50 hooks, read 0 "), "{found}");
    assert_eq!(asked() - first, REPOSITORIES, "an idle platform asks once an hour and hook");
    let runs = reconcilers::list(&mut *platform.store().acquire().await?).await?;
    let seen = runs.iter().find(|run| run.name == Reconciler::MissedDeliveries).context("it never ran")?;
    assert!(seen.error.is_none() && seen.ended_at >= Some(seen.started_at), "{seen:?}");
    platform.finish().await
}

/// A repository with a hook that nothing happens at.
async fn connect_another(platform: &Platform, name: &str) -> anyhow::Result<()> {
    let new = NewRepo { name: name.to_owned(), description: None, private: false };
    let forge_repo_id = i64::try_from(platform.forge.create_repo("acme", new).await?)?;
    let full = format!("acme/{name}");
    platform.forge.add_collaborator(&full, "codex-bot", devkit::github::Role::Admin)?;
    let url = format!("{}/webhooks/github", platform.gateway_url);
    let hook = platform.forge.create_hook(&full, &url, "harness-webhook-secret", &["issues"])?;
    let now = chrono::Utc::now();
    let mut conn = platform.store().acquire().await?;
    let repository = NewRepository {
        project: platform.repository.project,
        forge_repo_id,
        owner: "acme",
        name,
        default_branch: "main",
        private: false,
        archived: false,
        credential: platform.repository.credential,
        now,
    };
    let repository = repositories::upsert_repository(&mut conn, repository).await?;
    let hook = NewHook {
        id: HookId::from_uuid(uuid::Uuid::now_v7()),
        forge_hook_id: i64::try_from(hook.id)?,
        repository: Some(repository),
        current: None,
        previous: None,
        now,
    };
    hooks::insert(&mut conn, hook).await?;
    Ok(())
}
