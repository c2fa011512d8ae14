//! The outbox under real concurrency: two owners, many writers, one order.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::Utc;
use domain::ids::{Attempt, RunId};
use futures::future::join_all;
use store::{
    CommandKind, Store,
    commands::{self, About, NewCommand},
};
use uuid::Uuid;

use crate::world::World;

const WORKFLOW: &str = "test:agent-run:busy:1";
const WRITERS: usize = 8;
const EACH: usize = 25;

async fn enqueue(store: &Store, run: RunId) {
    let mut tx = store.begin().await.unwrap();
    let new = NewCommand {
        workflow_id: WORKFLOW,
        kind: CommandKind::Signal,
        about: About::Run(run, Attempt::FIRST),
        name: Some("tick"),
        payload: serde_json::Value::Null,
        now: Utc::now(),
    };
    commands::enqueue(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_ever_sees_a_gap() {
    let world = World::new().await;
    let run = world.run(1).await;
    let written = Arc::new(AtomicBool::new(false));
    let reader = {
        let (store, written) = (world.store(), Arc::clone(&written));
        tokio::spawn(async move {
            let mut conn = store.acquire().await.unwrap();
            loop {
                let last = written.load(Ordering::Acquire);
                let seqs: Vec<i64> = commands::pending(&mut conn, WORKFLOW, 10_000)
                    .await
                    .unwrap()
                    .iter()
                    .map(|command| command.seq)
                    .collect();
                assert!(contiguous(&seqs), "{seqs:?}");
                if last {
                    return seqs.len();
                }
            }
        })
    };
    join_all((0..WRITERS).map(|_| {
        let store = world.store();
        tokio::spawn(async move {
            for _ in 0..EACH {
                enqueue(&store, run).await;
            }
        })
    }))
    .await
    .into_iter()
    .for_each(Result::unwrap);
    written.store(true, Ordering::Release);
    assert_eq!(reader.await.unwrap(), WRITERS * EACH);
}

fn contiguous(seqs: &[i64]) -> bool {
    seqs.iter().zip(1..).all(|(seq, place)| *seq == place)
}

/// What a gateway does with what it has just stored.
async fn deliver(store: &Store, delivered: &Mutex<Vec<i64>>) {
    let owner = Uuid::new_v4();
    let span = Duration::from_secs(60);
    loop {
        let mut conn = store.acquire().await.unwrap();
        if !commands::lease(&mut conn, WORKFLOW, owner, Utc::now(), span).await.unwrap() {
            return;
        }
        for command in commands::pending(&mut conn, WORKFLOW, 10).await.unwrap() {
            assert!(commands::begin_try(&mut conn, command.id, owner, Utc::now()).await.unwrap());
            delivered.lock().unwrap().push(command.seq);
            commands::mark_done(&mut conn, command.id).await.unwrap();
        }
        if !commands::release(&mut conn, WORKFLOW, owner).await.unwrap() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_deliver_everything_once_and_in_order_without_a_sweeper() {
    let world = World::new().await;
    let run = world.run(1).await;
    let delivered = Arc::new(Mutex::new(Vec::new()));
    join_all((0..WRITERS).map(|_| {
        let (store, delivered) = (world.store(), Arc::clone(&delivered));
        tokio::spawn(async move {
            for _ in 0..EACH {
                enqueue(&store, run).await;
                deliver(&store, &delivered).await;
            }
        })
    }))
    .await
    .into_iter()
    .for_each(Result::unwrap);
    let left = commands::pending(&mut *world.conn().await, WORKFLOW, 10).await.unwrap();
    assert!(left.is_empty(), "nothing may be left to the sweeper: {left:?}");
    let delivered = delivered.lock().unwrap();
    assert_eq!(delivered.len(), WRITERS * EACH);
    assert!(contiguous(&delivered), "{delivered:?}");
}
