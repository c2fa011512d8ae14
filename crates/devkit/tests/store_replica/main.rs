//! Reads on a real streaming replica: lag that is tolerated, own writes that are seen, a replica that goes and comes back.

mod outbox;
mod servers;

use std::time::Duration;

use anyhow::Context;
use chrono::Utc;
use devkit::harness::{PATIENCE, until};
use domain::ids::RunId;
use serde_json::json;
use servers::{DATABASE, Servers};
use store::{
    PgConnection, Store,
    audit::{self, NewFlowEvent},
    reads::{Freshness, Position, ReplicaOptions},
};

/// As many as a test needs.
const CONNECTIONS: u32 = 4;

/// A lag that is always near enough, and one that never is.
const ANY: Duration = Duration::from_secs(3600);
const NONE: Duration = Duration::ZERO;

struct World {
    servers: Servers,
    store: Store,
    /// What the events of the test are about.
    run: RunId,
}

async fn append(conn: &mut PgConnection, run: RunId, kind: &str) -> store::Result<()> {
    let event = NewFlowEvent { run: Some(run), ..NewFlowEvent::new(Utc::now(), "the test", kind, json!({})) };
    audit::append(conn, event).await
}

async fn kinds(store: &Store, run: RunId, freshness: Freshness) -> anyhow::Result<Vec<String>> {
    let events = audit::list_for_run(&mut *store.read(freshness).await?, run).await?;
    Ok(events.into_iter().map(|event| event.kind).collect())
}

impl World {
    async fn start() -> anyhow::Result<Self> {
        let servers = Servers::start().await?;
        let store = Store::connect(&servers.primary.url(), CONNECTIONS).await?;
        store::migrate(store.pool()).await?;
        let store = store.with_replica(ReplicaOptions { url: &servers.replica.url(), max_lag: ANY })?;
        let run = "00000000-0000-7000-8000-000000000001".parse()?;
        Ok(Self { servers, store, run })
    }

    async fn write(&self, kind: &str) -> anyhow::Result<()> {
        Ok(append(&mut *self.store.acquire().await?, self.run, kind).await?)
    }

    async fn seen(&self, freshness: Freshness) -> anyhow::Result<Vec<String>> {
        kinds(&self.store, self.run, freshness).await
    }

    /// Waits until the replica has replayed everything; gives how far that is.
    async fn caught_up(&self) -> anyhow::Result<Position> {
        self.replica_has("pg_last_wal_replay_lsn").await
    }

    /// Waits until a position of the replica is where the primary is now; gives that.
    async fn replica_has(&self, function: &str) -> anyhow::Result<Position> {
        let position = self.store.position().await?;
        let wanted = i64::from_str_radix(&position.to_string(), 16)?;
        let there = until(PATIENCE, async || {
            let at = self.servers.replica.ask(&format!("select ({function}() - '0/0'::pg_lsn)::bigint")).await?;
            Ok((at.parse::<i64>()? >= wanted).then_some(()))
        });
        there.await?.context("the replica does not follow")?;
        Ok(position)
    }

    async fn pause(&self) -> anyhow::Result<()> {
        self.servers.replica.ask("select pg_wal_replay_pause()").await?;
        let paused = until(PATIENCE, async || {
            Ok((self.servers.replica.ask("select pg_get_wal_replay_pause_state()").await? == "paused").then_some(()))
        });
        paused.await?.context("the replay is not paused")
    }

    async fn resume(&self) -> anyhow::Result<()> {
        self.servers.replica.ask("select pg_wal_replay_resume()").await.map(drop)
    }

    async fn await_seen(&self, wanted: &[&str]) -> anyhow::Result<()> {
        let seen = until(PATIENCE, async || Ok((self.seen(Freshness::Tolerant).await? == wanted).then_some(())));
        seen.await?.with_context(|| format!("{wanted:?} is not what is read"))
    }
}

async fn lag_is_tolerated_but_an_own_write_is_seen(world: &World) -> anyhow::Result<()> {
    world.write("one").await?;
    let before = world.caught_up().await?;
    world.pause().await?;
    world.write("two").await?;
    let after = world.store.position().await?;
    assert!(after > before);

    assert_eq!(world.seen(Freshness::Tolerant).await?, ["one"], "the replica answers, as far as it is");
    assert_eq!(world.seen(Freshness::Since(before)).await?, ["one"], "it has all of that");
    assert_eq!(world.seen(Freshness::Since(after)).await?, ["one", "two"], "who wrote it reads it");
    // What it has not received, it can't know of.
    world.replica_has("pg_last_wal_receive_lsn").await?;
    let strict = ReplicaOptions { url: &world.servers.replica.url(), max_lag: NONE };
    let strict = world.store.clone().with_replica(strict)?;
    assert_eq!(kinds(&strict, world.run, Freshness::Tolerant).await?, ["one", "two"], "too far behind");

    world.resume().await?;
    world.caught_up().await?;
    assert_eq!(world.seen(Freshness::Tolerant).await?, ["one", "two"]);
    Ok(())
}

async fn a_replica_that_goes_costs_nothing_and_one_that_comes_back_is_used(world: &mut World) -> anyhow::Result<()> {
    world.servers.replica.stop().await?;
    world.write("three").await?;
    let all = ["one", "two", "three"];
    for _ in 0..20 {
        assert_eq!(world.seen(Freshness::Tolerant).await?, all, "the primary answers");
    }
    world.servers.replica.start().await?;
    world.caught_up().await?;
    world.pause().await?;
    world.write("four").await?;
    world.await_seen(&all).await?;
    let here = world.store.position().await?;
    assert_eq!(world.seen(Freshness::Since(here)).await?, ["one", "two", "three", "four"]);
    world.resume().await
}

/// With and without a replica: who writes through a read is told so at once, and not on the day there is one.
async fn a_read_never_writes(world: &World) -> anyhow::Result<()> {
    let alone = Store::connect(&world.servers.primary.url(), CONNECTIONS).await?;
    let before = kinds(&alone, world.run, Freshness::Tolerant).await?;
    for store in [&alone, &world.store] {
        let written = append(&mut *store.read(Freshness::Tolerant).await?, world.run, "five").await;
        assert!(written.is_err());
    }
    assert_eq!(kinds(&alone, world.run, Freshness::Tolerant).await?, before);
    Ok(())
}

async fn an_address_where_nobody_is_means_the_primary(world: &World) -> anyhow::Result<()> {
    let nowhere = format!("postgres://nobody@127.0.0.1:1/{DATABASE}");
    let store = world.store.clone().with_replica(ReplicaOptions { url: &nowhere, max_lag: ANY })?;
    let run = world.run;
    // As a handler would, on another task.
    let read = tokio::spawn(async move { kinds(&store, run, Freshness::Tolerant).await });
    assert_eq!(read.await??, kinds(&world.store, run, Freshness::Since(world.store.position().await?)).await?);
    assert!(world.store.clone().with_replica(ReplicaOptions { url: "nonsense", max_lag: ANY }).is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_to_the_replica_while_it_is_near_enough() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    lag_is_tolerated_but_an_own_write_is_seen(&world).await?;
    a_replica_that_goes_costs_nothing_and_one_that_comes_back_is_used(&mut world).await?;
    a_read_never_writes(&world).await?;
    an_address_where_nobody_is_means_the_primary(&world).await?;
    world.servers.stop().await
}
