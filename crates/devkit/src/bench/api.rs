//! The staff API with a million runs stored, against the same query straight on the database; and pages that are open.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use chrono::{TimeDelta, Utc};
use domain::{
    ids::{PersonId, RunId},
    people::{PlatformRole, Scope},
    run::{Outcome, RunState},
};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use store::{
    Store,
    api_tokens::{self, NewApiToken},
    benching::{self, BenchServer},
    benching_api, members, people,
    runs::{self, Page, RunFilter},
};

use super::{
    ingest::GatewayProcess,
    report::{Report, Target, ms, quantile},
};

/// Answers of each kind that are timed, in turns with the baseline's.
const ANSWERS: usize = 100;
const WARM_UP: usize = 10;

/// Pages that are open at once.
const PAGES: usize = 200;

/// Each of the filters alone, and some together, as the address has them.
const LISTS: [(&str, &str); 12] = [
    ("no filter", ""),
    ("project", "project=bench-7"),
    ("state, few", "state=working"),
    ("state, many", "state=finished"),
    ("outcome, few", "outcome=lost"),
    ("outcome, many", "outcome=pull_request_open"),
    ("agent", "agent=planner"),
    ("requester", "requester=Maintainer-123"),
    ("number", "number=4711"),
    ("text, many", "q=empty%20lists"),
    ("text, one", "q=c4ca4238a0b923820dcc509a6f75849b"),
    ("project, outcome and time", "project=bench-7&outcome=checks_failed&until=2026-01-01T00:00:00Z"),
];

pub(super) async fn run(report: &mut Report) -> anyhow::Result<()> {
    report.note(format!(
        "api: {} runs and {} events are stored, made once, which takes minutes, and kept; the baseline is the query of the same list, or \
         of the run's row, on one connection in the same program",
        benching_api::RUNS,
        benching_api::EVENTS
    ));
    let server = BenchServer::at(&super::from_environment("CODEX_K8S_TEST_POSTGRES_URL")?)?;
    let url = server.for_api().await?;
    let store = benching::plain_connections(&url, 2).await?;
    let token = somebody(&store).await?;
    let gateway = GatewayProcess::start(&url).await?;
    let api = Api { http: client()?, base: format!("http://{}/api/v1", gateway.address), token };
    for (name, query) in LISTS {
        let ours = api.timed(&format!("/runs?{query}")).await?;
        let plain = plain_list(&store, query).await?;
        tell(report, &format!("runs list, {name}"), &ours, &plain);
    }
    let next = api.next_of("/runs").await?;
    let ours = api.timed(&format!("/runs?cursor={next}")).await?;
    tell(report, "runs list, second page", &ours, &plain_list(&store, "").await?);
    let id = api.some_run().await?;
    let ours = api.timed(&format!("/runs/{id}")).await?;
    tell(report, "run page", &ours, &plain_run(&store, id).await?);
    pages(report, &api, &gateway, id).await?;
    store.pool().close().await;
    gateway.stop().await
}

fn tell(report: &mut Report, what: &str, ours: &[Duration], plain: &[Duration]) {
    let (slow, plain_slow) = (ms(quantile(ours, 0.95)), ms(quantile(plain, 0.95)));
    report.value(format!("{what}: p95"), slow, "ms", Target::AtMost(50.0));
    report.ratio(format!("{what}: p50"), ms(quantile(ours, 0.5)), ms(quantile(plain, 0.5)), "ms", Target::None);
    report.ratio(format!("{what}: p95 beside its query"), slow, plain_slow, "ms", Target::None);
}

/// Memory of the gateway with many pages open, each of which is told something meanwhile.
async fn pages(report: &mut Report, api: &Api, gateway: &GatewayProcess, id: RunId) -> anyhow::Result<()> {
    let before = gateway.memory().context("the gateway's memory can't be read")?;
    let mut open = Vec::new();
    for page in 0..PAGES {
        // Of each person there may be a few dozen.
        let query = if page % 2 == 0 { format!("?run={id}") } else { String::new() };
        let answer = api.get(&format!("/live{query}"), page / 50).send().await?;
        ensure!(answer.status() == 200, "a page is not told anything: {}", answer.status());
        open.push(answer.bytes_stream());
    }
    // Two ticks each: all of them live.
    for page in &mut open {
        for _ in 0..2 {
            tokio::time::timeout(Duration::from_secs(15), page.next()).await.context("a page is not told anything")?;
        }
    }
    let after = gateway.memory().context("the gateway's memory can't be read")?;
    report.value(
        format!("{PAGES} open pages: memory of the gateway more"),
        after - before,
        "MB",
        Target::AtMost(100.0),
    );
    Ok(())
}

struct Api {
    http: reqwest::Client,
    base: String,
    token: Vec<String>,
}

impl Api {
    fn get(&self, path: &str, person: usize) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token[person % self.token.len()])
    }

    async fn json(&self, path: &str) -> anyhow::Result<serde_json::Value> {
        let answer = self.get(path, 0).send().await?;
        let status = answer.status();
        let body = answer.text().await?;
        ensure!(status == 200, "{path}: {status}: {body}");
        Ok(serde_json::from_str(&body)?)
    }

    async fn next_of(&self, path: &str) -> anyhow::Result<String> {
        let page = self.json(path).await?;
        Ok(page["next"].as_str().context("there is one page only")?.to_owned())
    }

    /// One that has ended, from the middle of the list.
    async fn some_run(&self) -> anyhow::Result<RunId> {
        let page = self.json("/runs?until=2026-06-01T00:00:00Z&limit=1").await?;
        Ok(page["items"][0]["id"].as_str().context("there is no run")?.parse()?)
    }

    async fn timed(&self, path: &str) -> anyhow::Result<Vec<Duration>> {
        let mut took = Vec::with_capacity(ANSWERS);
        for turn in 0..WARM_UP + ANSWERS {
            let began = Instant::now();
            self.json(path).await?;
            if turn >= WARM_UP {
                took.push(began.elapsed());
            }
        }
        took.sort_unstable();
        Ok(took)
    }
}

fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?)
}

/// Owners with a token for scripts each.
async fn somebody(store: &Store) -> anyhow::Result<Vec<String>> {
    let now = Utc::now();
    let mut tokens = Vec::new();
    let mut tx = store.begin().await?;
    for number in 0..4 {
        let email = format!("bench-{number}-{}@people.example", now.timestamp_micros()).parse()?;
        let person = people::add(&mut tx, &email, PlatformRole::Owner, now).await?.context("is on the list already")?;
        let secret = hex::encode(Sha256::digest(format!("{email}")));
        let token = format!("ck8s_{}", &secret[..43]);
        let new = NewApiToken {
            person,
            name: "bench",
            hash: &Sha256::digest(&token),
            scopes: &[Scope::Read],
            now,
            expires_at: now + TimeDelta::hours(1),
        };
        api_tokens::insert(&mut tx, new).await?;
        tokens.push(token);
    }
    tx.commit().await?;
    Ok(tokens)
}

async fn plain_list(store: &Store, query: &str) -> anyhow::Result<Vec<Duration>> {
    let given: std::collections::BTreeMap<String, String> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let text = |name: &str| given.get(name).map(String::as_str);
    let mut conn = store.acquire().await?;
    benching::plan_each_time(&mut conn).await?;
    let project = match text("project") {
        Some(slug) => {
            members::project(&mut conn, slug, PersonId::from_uuid(uuid::Uuid::nil())).await?.map(|project| project.id)
        }
        None => None,
    };
    let filter = RunFilter {
        project,
        subject_number: text("number").map(str::parse).transpose()?,
        state: text("state").map(str::parse::<RunState>).transpose()?,
        outcome: text("outcome").map(str::parse::<Outcome>).transpose()?,
        agent: text("agent"),
        requester: text("requester"),
        until: text("until").map(str::parse).transpose()?,
        text: text("q"),
        ..RunFilter::default()
    };
    let mut took = Vec::with_capacity(ANSWERS);
    for turn in 0..WARM_UP + ANSWERS {
        let began = Instant::now();
        runs::list(&mut conn, filter, Page { before: None, limit: 51 }).await?;
        if turn >= WARM_UP {
            took.push(began.elapsed());
        }
    }
    took.sort_unstable();
    Ok(took)
}

async fn plain_run(store: &Store, id: RunId) -> anyhow::Result<Vec<Duration>> {
    let mut conn = store.acquire().await?;
    let mut took = Vec::with_capacity(ANSWERS);
    for turn in 0..WARM_UP + ANSWERS {
        let began = Instant::now();
        runs::get(&mut conn, id).await?;
        if turn >= WARM_UP {
            took.push(began.elapsed());
        }
    }
    took.sort_unstable();
    Ok(took)
}
