//! Pacing: ten at once, one a second, eighty a minute, five hundred an hour.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{connection::CredentialKind, ids::CredentialId};
use futures::future::join_all;
use store::{
    credentials::{self, NewCredential},
    pacing::{
        self, Taken,
        Urgency::{Final, Ordinary},
    },
};

use crate::world::{World, at};

async fn credential(world: &World) -> CredentialId {
    let new =
        NewCredential { kind: CredentialKind::Token, key_id: "k1", sealed: b"sealed", login: Some("bot"), now: at(0) };
    credentials::insert(&mut *world.conn().await, new).await.unwrap()
}

#[tokio::test]
async fn ten_at_once_then_one_a_second() {
    let world = World::new().await;
    let id = credential(&world).await;
    let mut conn = world.conn().await;
    for _ in 0..10 {
        assert_eq!(pacing::take(&mut conn, id, Ordinary, at(0)).await.unwrap(), Taken::Now);
    }
    assert_eq!(pacing::take(&mut conn, id, Ordinary, at(0)).await.unwrap(), Taken::At(at(1)));
    assert_eq!(pacing::take(&mut conn, id, Ordinary, at(0)).await.unwrap(), Taken::At(at(1)), "asking costs nothing");
    assert_eq!(pacing::take(&mut conn, id, Ordinary, at(1)).await.unwrap(), Taken::Now);
    assert_eq!(pacing::take(&mut conn, id, Ordinary, at(1)).await.unwrap(), Taken::At(at(2)));
    // After a rest the burst is whole again, and not more than whole.
    for _ in 0..10 {
        assert_eq!(pacing::take(&mut conn, id, Ordinary, at(100)).await.unwrap(), Taken::Now);
    }
    assert_eq!(pacing::take(&mut conn, id, Ordinary, at(100)).await.unwrap(), Taken::At(at(101)));
}

#[tokio::test]
async fn never_more_than_allowed_in_any_minute_or_hour() {
    let world = World::new().await;
    let id = credential(&world).await;
    let mut conn = world.conn().await;
    let mut now = at(0);
    let mut taken: Vec<DateTime<Utc>> = Vec::new();
    while taken.len() < 600 {
        match pacing::take(&mut conn, id, Ordinary, now).await.unwrap() {
            Taken::Now => taken.push(now),
            Taken::At(then) => {
                assert!(then > now);
                now = then;
            }
        }
    }
    let most = |window: TimeDelta| {
        taken.iter().map(|from| taken.iter().filter(|at| *at >= from && **at < *from + window).count()).max()
    };
    assert_eq!(most(TimeDelta::seconds(1)), Some(10));
    assert!(most(TimeDelta::minutes(1)) <= Some(80));
    assert_eq!(most(TimeDelta::hours(1)), Some(480));
    // As fast as that allows: ten, then one a second up to 480, and the next when the first is an hour old.
    assert_eq!((taken[9], taken[10], taken[479], taken[480]), (at(0), at(1), at(470), at(3600)));
    assert_eq!(pacing::left_this_hour(&mut conn, id, now).await.unwrap(), 20);
    // What is kept back is for ends and waits, and bounded too.
    let mut ends = 0;
    while pacing::take(&mut conn, id, Final, now + TimeDelta::seconds(20)).await.unwrap() == Taken::Now {
        ends += 1;
    }
    assert!((1..=20).contains(&ends), "{ends}");
    assert_eq!(pacing::left_this_hour(&mut conn, id, now + TimeDelta::hours(2)).await.unwrap(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_ask_at_once_share_one_budget() {
    let world = World::new().await;
    let (id, other) = (credential(&world).await, credential(&world).await);
    let answers = join_all((0..20).map(|_| {
        let store = world.store();
        tokio::spawn(async move {
            let mut tx = store.begin().await.unwrap();
            let taken = pacing::take(&mut tx, id, Ordinary, at(0)).await.unwrap();
            tx.commit().await.unwrap();
            taken
        })
    }))
    .await;
    let now = answers.into_iter().filter(|answer| matches!(answer, Ok(Taken::Now))).count();
    assert_eq!(now, 10);
    assert_eq!(pacing::take(&mut *world.conn().await, other, Ordinary, at(0)).await.unwrap(), Taken::Now);
}
