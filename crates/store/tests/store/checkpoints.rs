//! Checkpoints: the newest wins, and none comes after the end.

use domain::{
    ids::{Attempt, RunId},
    run::Outcome,
};
use store::{
    StoreError, attempts,
    checkpoints::{self, Checkpoint, Recorded, Thread},
};

use crate::world::{World, at};

const FIRST: Attempt = Attempt::FIRST;

fn checkpoint(run: RunId, attempt: Attempt, seq: u64) -> Checkpoint {
    let (work, thread) = checkpoints::new_blobs(run, attempt);
    let thread = Some(Thread { id: "t".to_owned(), blob: thread });
    Checkpoint { attempt, seq, at: at(i64::try_from(seq).unwrap()), work, thread, bytes: 7 }
}

#[tokio::test]
async fn the_newest_wins_and_what_it_replaces_is_told() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut tx = world.begin().await;
    assert_eq!(checkpoints::newest(&mut tx, run).await.unwrap(), None);
    let (first, second) = (checkpoint(run, FIRST, 1), checkpoint(run, FIRST, 3));
    let none = Recorded::Newest { replaced: Vec::new() };
    assert_eq!(checkpoints::record(&mut tx, run, &first).await.unwrap(), none);
    let replaced = vec![first.work.clone(), first.thread.clone().unwrap().blob];
    assert_eq!(checkpoints::record(&mut tx, run, &second).await.unwrap(), Recorded::Newest { replaced });
    for late in [second.seq, 2] {
        let late = checkpoint(run, FIRST, late);
        assert_eq!(checkpoints::record(&mut tx, run, &late).await.unwrap(), Recorded::Late);
    }
    assert_eq!(checkpoints::of(&mut tx, run, FIRST).await.unwrap(), Some(second.clone()));
    let without = Checkpoint { thread: None, ..checkpoint(run, FIRST, 4) };
    checkpoints::record(&mut tx, run, &without).await.unwrap();
    assert_eq!(checkpoints::newest(&mut tx, run).await.unwrap(), Some(without));
}

#[tokio::test]
async fn the_newest_attempt_that_has_one_counts() {
    let world = World::new().await;
    let (run, other) = (world.run(1).await, world.run(2).await);
    let mut tx = world.begin().await;
    for attempt in [Attempt(2), Attempt(3)] {
        attempts::insert(&mut tx, run, attempt, at(5)).await.unwrap();
    }
    checkpoints::record(&mut tx, run, &checkpoint(run, FIRST, 9)).await.unwrap();
    let second = checkpoint(run, Attempt(2), 1);
    checkpoints::record(&mut tx, run, &second).await.unwrap();
    assert_eq!(checkpoints::newest(&mut tx, run).await.unwrap(), Some(second));
    assert_eq!(checkpoints::of(&mut tx, run, Attempt(3)).await.unwrap(), None);
    assert_eq!(checkpoints::newest(&mut tx, other).await.unwrap(), None);
    let nowhere = checkpoints::record(&mut tx, run, &checkpoint(run, Attempt(7), 1)).await;
    assert!(matches!(nowhere, Err(StoreError::Missing { what: "attempt", .. })));
}

#[tokio::test]
async fn none_comes_after_the_end_of_its_attempt() {
    let world = World::new().await;
    let run = world.run(1).await;
    let first = checkpoint(run, FIRST, 1);
    let mut tx = world.begin().await;
    checkpoints::record(&mut tx, run, &first).await.unwrap();
    tx.commit().await.unwrap();
    world.finish(run, Outcome::Lost).await;
    let mut tx = world.begin().await;
    assert_eq!(checkpoints::record(&mut tx, run, &checkpoint(run, FIRST, 2)).await.unwrap(), Recorded::Late);
    assert_eq!(checkpoints::newest(&mut tx, run).await.unwrap(), Some(first));
}
