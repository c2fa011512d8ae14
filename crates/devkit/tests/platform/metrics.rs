//! What a run leaves behind in the metrics of every role.

use std::collections::{BTreeMap, BTreeSet};

use devkit::harness::Samples;
use domain::run::{Outcome, RunState};
use telemetry::catalogue::{ALL, Kind, Metric, Values};

type Scraped = BTreeMap<&'static str, Samples>;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_shows_in_the_metrics_of_every_role() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    platform.label(1, "run:dev")?;
    platform.await_run(1, "at work", |run| run.state == RunState::Working).await?;
    let waiting = platform.open_issue("no-change")?;
    platform.label(waiting, "run:dev")?;
    platform.await_run(waiting, "waiting", |run| run.slot_place == Some(1)).await?;
    let under_way = platform.scrape().await?;
    assert_eq!(platform.await_end(1).await?.outcome, Some(Outcome::PullRequestOpen));
    let runs = [platform.await_end(1).await?.id, platform.await_end(waiting).await?.id].map(|id| id.to_string());

    let worker = &under_way["worker"];
    let project = [("project", "acme-greeter")];
    assert_eq!(worker.sum("codexk8s_slots", &project), 1.0);
    assert_eq!(worker.sum("codexk8s_slots_held", &project), 1.0);
    assert_eq!(worker.sum("codexk8s_slot_queue_length", &project), 1.0);
    assert_eq!(worker.sum("codexk8s_runs", &[]), 2.0);

    let scraped = platform
        .await_that("both runs are counted", async || {
            let scraped = platform.scrape().await?;
            Ok((scraped["worker"].sum("codexk8s_runs_ended_total", &[]) >= 2.0).then_some(scraped))
        })
        .await?;
    let (gateway, worker, models) = (&scraped["gateway"], &scraped["worker"], &scraped["model-gateway"]);
    let started = [("source", "webhook"), ("verdict", "started")];
    assert_eq!(gateway.sum("codexk8s_deliveries_total", &started), 2.0);
    assert!(gateway.sum("codexk8s_deliveries_total", &[]) > 2.0, "our own writes come back as deliveries, too");
    let webhooks = [("route", "/webhooks/github"), ("method", "POST"), ("status", "2xx")];
    assert_eq!(gateway.sum("codexk8s_http_requests_total", &webhooks), gateway.sum("codexk8s_deliveries_total", &[]));
    assert_eq!(gateway.sum("codexk8s_dispatch_tries_total", &[("kind", "start"), ("result", "done")]), 2.0);
    let lags = gateway.sum("codexk8s_dispatch_lag_seconds_sum", &[("kind", "start")]);
    assert!(lags > 0.0 && lags < 120.0, "{lags}");
    assert_eq!(worker.sum("codexk8s_runs_ended_total", &[("outcome", "pull_request_open")]), 1.0);
    assert_eq!(worker.sum("codexk8s_activity_duration_seconds_count", &[("activity", "publish")]), 1.0);
    let claims = worker.sum("codexk8s_activity_duration_seconds_count", &[("activity", "claim_slot")]);
    assert!(claims >= 3.0, "one is granted at once, one waits and asks again: {claims}");
    assert_eq!(worker.sum("codexk8s_activity_failures_total", &[("code", "passing")]), 0.0);
    assert!(worker.sum("codexk8s_forge_requests_total", &[("method", "GET"), ("status", "2xx")]) > 0.0);
    let left = worker.sum("codexk8s_forge_rate_limit_remaining", &[]);
    assert!(left > 0.0 && left < 5000.0, "{left}");
    assert!(models.sum("codexk8s_model_calls_total", &[("status", "2xx")]) >= 2.0);
    assert!(models.sum("codexk8s_model_tokens_total", &[("kind", "input")]) > 0.0);
    for role in scraped.values() {
        assert!(role.sum("codexk8s_db_pool_wait_seconds_count", &[]) > 0.0);
        assert!(role.sum("codexk8s_db_pool_connections_max", &[]) > 0.0);
        assert!(role.sum("process_resident_memory_bytes", &[]) > 1_000_000.0);
    }
    every_metric_is_in_the_catalogue(&scraped)?;
    labels_are_bounded(&scraped, &runs);
    platform.finish().await
}

fn metric_of(sample: &str) -> Option<&'static Metric> {
    ALL.iter().copied().find(|metric| {
        sample == metric.name
            || matches!(metric.kind, Kind::Histogram(_))
                && ["_bucket", "_sum", "_count"].iter().any(|end| sample == format!("{}{end}", metric.name))
    })
}

/// What is shown is documented, and what is documented is shown: both runs together touch everything but what only trouble
/// and the egress proxy bring about.
fn every_metric_is_in_the_catalogue(scraped: &Scraped) -> anyhow::Result<()> {
    let mut shown = BTreeSet::new();
    for (role, samples) in scraped {
        for sample in &samples.0 {
            let metric = metric_of(&sample.name).ok_or_else(|| anyhow::anyhow!("{} is in no table", sample.name))?;
            assert!(metric.roles.iter().any(|has| has.name() == *role), "{role} shows {}", metric.name);
            let labels: BTreeSet<&str> =
                sample.labels.keys().map(String::as_str).filter(|name| *name != "le").collect();
            assert_eq!(labels, metric.labels.iter().map(|label| label.name).collect(), "{}", metric.name);
            shown.insert(metric.name);
        }
    }
    let missing: Vec<&str> = ALL.iter().map(|metric| metric.name).filter(|name| !shown.contains(name)).collect();
    let absent = ["codexk8s_activity_failures_total", "codexk8s_egress_requests_total"];
    assert!(missing.iter().all(|name| absent.contains(name)), "{missing:?}");
    Ok(())
}

/// Every value is one of the list, or there are no more than the table allows; and none is of the kinds that grow with use.
fn labels_are_bounded(scraped: &Scraped, runs: &[String]) {
    let mut values: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for sample in scraped.values().flat_map(|samples| &samples.0) {
        let Some(metric) = metric_of(&sample.name) else { continue };
        for label in metric.labels {
            values.entry((metric.name, label.name)).or_default().insert(&sample.labels[label.name]);
        }
    }
    for metric in ALL {
        for label in metric.labels {
            let Some(seen) = values.get(&(metric.name, label.name)) else { continue };
            match label.values {
                Values::OneOf(list) => {
                    let list: BTreeSet<&str> = list().into_iter().collect();
                    assert!(seen.is_subset(&list), "{}: {seen:?}", metric.name);
                }
                Values::AtMost(count, _) => assert!(seen.len() <= count, "{}: {seen:?}", metric.name),
            }
            for value in seen {
                assert!(!runs.iter().any(|run| value.contains(run)), "{} has a run's id", metric.name);
                for grows in ["greeter", "maintainer", "codex-bot"] {
                    assert!(!value.contains(grows) || label.name == "project", "{}: {value}", metric.name);
                }
            }
        }
    }
}
