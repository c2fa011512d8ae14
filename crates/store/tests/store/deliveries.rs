//! The ledger: one row a delivery, whatever is in it.

use domain::triggers::{DeliverySource, VerdictKind};
use futures::future::join_all;
use store::deliveries::{self, Inserted, NewDelivery, StoredVerdict};

use crate::world::{World, at};

fn delivery(guid: &str) -> NewDelivery<'_> {
    NewDelivery {
        hook_key: 11,
        guid,
        event: "issues",
        action: Some("labeled"),
        repository: None,
        forge_repo_id: Some(1),
        subject_number: Some(3),
        sender_login: Some("ada"),
        sender_id: Some(7),
        verdict: VerdictKind::NoRule,
        reason: "label `bug` starts nothing in this project",
        received_at: at(0),
        source: DeliverySource::Webhook,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_delivery_sent_many_times_at_once_is_one_row() {
    let world = World::new().await;
    let run = world.run(3).await;
    let results = join_all((0..10).map(|_| {
        let store = world.store();
        tokio::spawn(async move {
            let mut tx = store.begin().await.unwrap();
            let inserted = deliveries::insert(&mut tx, delivery("the-guid"), None).await.unwrap();
            if let Inserted::New(id) = inserted {
                deliveries::set_verdict(&mut tx, id, VerdictKind::Started, "starts a run", Some(run)).await.unwrap();
            }
            tx.commit().await.unwrap();
            inserted
        })
    }))
    .await
    .into_iter()
    .map(Result::unwrap)
    .collect::<Vec<_>>();
    let new: Vec<_> = results
        .iter()
        .filter_map(|inserted| match inserted {
            Inserted::New(id) => Some(*id),
            Inserted::Duplicate(_) => None,
        })
        .collect();
    assert_eq!(new.len(), 1, "{results:?}");
    // Every other one waited for the first and is told what was decided.
    let stored = StoredVerdict {
        delivery: new[0],
        verdict: VerdictKind::Started,
        reason: "starts a run".to_owned(),
        run: Some(run),
        source: DeliverySource::Webhook,
    };
    assert_eq!(results.iter().filter(|inserted| **inserted == Inserted::Duplicate(stored.clone())).count(), 9);
    assert_eq!(deliveries::list_for_run(&mut *world.conn().await, run).await.unwrap().len(), 1);
}

#[tokio::test]
async fn another_hook_is_another_delivery() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let first = deliveries::insert(&mut conn, delivery("g"), None).await.unwrap();
    let second = deliveries::insert(&mut conn, NewDelivery { hook_key: 12, ..delivery("g") }, None).await.unwrap();
    assert!(matches!(first, Inserted::New(_)) && matches!(second, Inserted::New(_)));
    assert_eq!(deliveries::list_recent(&mut conn, 10).await.unwrap().len(), 2);
    assert_eq!(deliveries::list_recent(&mut conn, 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_delivery_knows_its_newest_replays() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let mut made = Vec::new();
    for (guid, second) in [("first", 0), ("replay:1", 1), ("replay:2", 2), ("replay:3", 3), ("other", 4)] {
        let new = NewDelivery { received_at: at(second), ..delivery(guid) };
        let Inserted::New(id) = deliveries::insert(&mut conn, new, None).await.unwrap() else { panic!("{guid}") };
        if guid.starts_with("replay") {
            deliveries::set_replay_of(&mut conn, id, made[0]).await.unwrap();
        }
        made.push(id);
    }
    let replays = deliveries::replays(&mut conn, made[0], 2).await.unwrap();
    assert_eq!(replays.iter().map(|replay| replay.id).collect::<Vec<_>>(), [made[3], made[2]]);
    assert!(deliveries::replays(&mut conn, made[1], 2).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_a_hook_sent_and_the_ledger_lacks_is_told() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    for (hook_key, guid) in [(11, "here"), (12, "elsewhere")] {
        deliveries::insert(&mut conn, NewDelivery { hook_key, ..delivery(guid) }, None).await.unwrap();
    }
    let asked = ["here", "elsewhere", "nowhere"].map(str::to_owned);
    let mut unknown = deliveries::unknown(&mut conn, 11, &asked).await.unwrap();
    unknown.sort();
    assert_eq!(unknown, ["elsewhere", "nowhere"], "a GUID counts for its hook alone");
    assert!(deliveries::unknown(&mut conn, 11, &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn nothing_that_outsiders_write_breaks_the_ledger() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let long = "x".repeat(100_000);
    let nasty = NewDelivery {
        event: "is\0sues",
        action: Some(&long),
        repository: Some(world.repository),
        sender_login: Some("a\0da'; drop table deliveries; --"),
        sender_id: Some(i64::MIN),
        reason: "label `\0` starts nothing",
        ..delivery("gu\0id")
    };
    let Inserted::New(id) = deliveries::insert(&mut conn, nasty, None).await.unwrap() else { panic!() };
    assert!(matches!(deliveries::insert(&mut conn, nasty, None).await.unwrap(), Inserted::Duplicate(_)));
    let row = deliveries::get(&mut conn, id).await.unwrap().unwrap();
    assert_eq!((row.guid.as_str(), row.event.as_str()), ("gu\u{fffd}id", "is\u{fffd}sues"));
    assert_eq!((row.action, row.sender_id), (Some(long), Some(i64::MIN)));
    assert_eq!(row.repository, Some(world.repository));
}

#[tokio::test]
async fn many_at_once_are_stored_as_each_alone_would_be() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let Inserted::New(before) = deliveries::insert(&mut conn, delivery("before"), None).await.unwrap() else {
        panic!()
    };
    let full = NewDelivery { repository: Some(world.repository), reason: "with \0 in it", ..delivery("full") };
    let bare = NewDelivery {
        action: None,
        forge_repo_id: None,
        subject_number: None,
        sender_login: None,
        sender_id: None,
        received_at: at(5),
        source: DeliverySource::ReadBack,
        ..delivery("bare")
    };
    let again = NewDelivery { verdict: VerdictKind::Started, ..full };
    let all: [(NewDelivery<'_>, &[u8]); 4] =
        [(full, b"{\"full\": 1}"), (delivery("before"), b"{}"), (bare, b"\0"), (again, b"again")];
    let became = deliveries::insert_all(&mut conn, &all).await.unwrap();
    let [Inserted::New(first), Inserted::Duplicate(old), Inserted::New(second), Inserted::Duplicate(twice)] =
        &became[..]
    else {
        panic!("{became:?}")
    };
    assert_eq!((old.delivery, twice.delivery, twice.verdict), (before, *first, VerdictKind::NoRule));
    for (id, (new, body)) in [(*first, all[0]), (*second, all[2])] {
        let many = deliveries::get(&mut conn, id).await.unwrap().unwrap();
        let alone = NewDelivery { hook_key: 12, ..new };
        let Inserted::New(id) = deliveries::insert(&mut conn, alone, Some(body)).await.unwrap() else { panic!() };
        let alone = deliveries::get(&mut conn, id).await.unwrap().unwrap();
        assert_eq!(many, deliveries::Delivery { id: many.id, hook_key: many.hook_key, ..alone });
        assert_eq!(deliveries::payload(&mut conn, many.id).await.unwrap().as_deref(), Some(body));
    }
    assert_eq!(deliveries::list_recent(&mut conn, 10).await.unwrap().len(), 5);
    assert!(deliveries::insert_all(&mut conn, &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_delivery_may_have_no_body() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let Inserted::New(id) = deliveries::insert(&mut conn, delivery("bare"), None).await.unwrap() else { panic!() };
    assert!(deliveries::payload(&mut conn, id).await.unwrap().is_none());
}

#[tokio::test]
async fn the_raw_body_is_kept_beside_it() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    // In a day that has a partition, and in one that has none.
    for (guid, received_at) in [("now", chrono::Utc::now()), ("once", at(-86_400 * 400))] {
        let new = NewDelivery { received_at, ..delivery(guid) };
        let Inserted::New(id) = deliveries::insert(&mut conn, new, Some(b"{\0}")).await.unwrap() else { panic!() };
        let again = deliveries::insert(&mut conn, new, Some(b"other")).await.unwrap();
        assert!(matches!(again, Inserted::Duplicate(stored) if stored.delivery == id));
        assert_eq!(deliveries::payload(&mut conn, id).await.unwrap().unwrap(), b"{\0}");
    }
}
