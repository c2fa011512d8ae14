//! Turns: who waits for one keeps nobody else from the database.

use std::{pin::pin, time::Duration};

use activities::{
    failure::StepError,
    turns::{Held, Turns},
};
use anyhow::Context;
use futures::future::try_join_all;
use store::{Store, locks::Turn, testing::TestDatabase};
use tokio::time::timeout;

/// Long enough for everything that does not wait for somebody.
const SOON: Duration = Duration::from_secs(2);

async fn take(turns: &Turns, number: i64) -> Result<Held, StepError> {
    turns.place().await?.take(&Turn::delivery(number, "of its own")).await
}

#[tokio::test]
async fn few_turns_are_held_at_once_so_that_connections_are_left() -> anyhow::Result<()> {
    let database = TestDatabase::create().await;
    let store = Store::connect(database.url(), 5).await?;
    let turns = Turns::new(store.clone());
    let mut held = try_join_all((1..=4).map(|number| take(&turns, number))).await?;
    let mut next = pin!(take(&turns, 5));
    assert!(timeout(SOON, &mut next).await.is_err(), "a fifth was given");
    timeout(SOON, store.acquire()).await.context("no connection is left")??;
    held.pop().context("four are held")?.done().await?;
    timeout(SOON, next).await.context("the next one is not given")??;
    Ok(())
}

#[tokio::test]
async fn a_turn_is_one_persons_until_it_is_done() -> anyhow::Result<()> {
    let database = TestDatabase::create().await;
    // As from two workers: places are counted by each of them.
    let [one, other] =
        [Store::connect(database.url(), 2).await?, Store::connect(database.url(), 2).await?].map(Turns::new);
    let held = take(&one, 1).await?;
    let mut next = pin!(take(&other, 1));
    assert!(timeout(SOON, &mut next).await.is_err(), "two have it");
    held.done().await?;
    timeout(SOON, next).await.context("it is not given on")??;
    Ok(())
}
