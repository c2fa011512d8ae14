//! Slots: never too many, and nobody overtakes.

use domain::ids::{Attempt, RunId};
use futures::future::join_all;
use store::{
    repositories, runs,
    slots::{self, Grant, SlotAnswer},
};

use crate::world::{World, at};

async fn claim(world: &World, run: RunId, attempt: u32) -> SlotAnswer {
    let mut tx = world.begin().await;
    let answer = slots::claim(&mut tx, run, Attempt(attempt), world.project, at(1)).await.unwrap();
    tx.commit().await.unwrap();
    answer
}

async fn release(world: &World, run: RunId, attempt: u32) -> Vec<Grant> {
    let mut tx = world.begin().await;
    let grants = slots::release(&mut tx, run, Attempt(attempt), at(2)).await.unwrap();
    tx.commit().await.unwrap();
    grants
}

async fn runs(world: &World, count: i64) -> Vec<RunId> {
    let mut runs = Vec::new();
    for number in 1..=count {
        runs.push(world.run(number).await);
    }
    runs
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_claims_at_once_are_served_in_order() {
    let world = World::new().await;
    let all = runs(&world, 20).await;
    let answers = join_all(all.iter().map(|run| {
        let (store, run, project) = (world.store(), *run, world.project);
        tokio::spawn(async move {
            let mut tx = store.begin().await.unwrap();
            let answer = slots::claim(&mut tx, run, Attempt::FIRST, project, at(1)).await.unwrap();
            tx.commit().await.unwrap();
            (run, answer)
        })
    }))
    .await
    .into_iter()
    .map(Result::unwrap)
    .collect::<Vec<_>>();
    let mut holding: Vec<RunId> =
        answers.iter().filter(|(_, answer)| *answer == SlotAnswer::Granted).map(|(run, _)| *run).collect();
    assert_eq!(holding.len(), 3);
    let mut waiting: Vec<(u32, RunId)> = answers
        .iter()
        .filter_map(|(run, answer)| match answer {
            SlotAnswer::Waiting { place } => Some((*place, *run)),
            _ => None,
        })
        .collect();
    waiting.sort_unstable();
    assert_eq!(waiting.iter().map(|(place, _)| *place).collect::<Vec<_>>(), (1..=17).collect::<Vec<_>>());

    // Each release lets exactly the next one in.
    for (_, next) in waiting {
        let grants = release(&world, holding.remove(0), 1).await;
        assert_eq!(grants, [Grant { run: next, attempt: Attempt::FIRST }]);
        assert_eq!(claim(&world, next, 1).await, SlotAnswer::Granted);
        holding.push(next);
    }
    for run in holding {
        assert!(release(&world, run, 1).await.is_empty());
    }
    assert!(slots::places(&mut *world.conn().await, world.project).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_place_is_seen_and_moves_up() {
    let world = World::new().await;
    let all = runs(&world, 5).await;
    for run in &all {
        claim(&world, *run, 1).await;
    }
    let mut conn = world.conn().await;
    let places = slots::places(&mut conn, world.project).await.unwrap();
    let seen: Vec<_> = places.iter().map(|place| (place.run, place.waiting)).collect();
    assert_eq!(seen, [(all[0], None), (all[1], None), (all[2], None), (all[3], Some(1)), (all[4], Some(2))]);
    assert_eq!(runs::get(&mut conn, all[4]).await.unwrap().slot_place, Some(2));
    assert_eq!(runs::get(&mut conn, all[0]).await.unwrap().slot_place, None);
    // One who waits gives up: nobody is granted anything, and the next moves up.
    assert!(release(&world, all[3], 1).await.is_empty());
    assert_eq!(runs::get(&mut conn, all[4]).await.unwrap().slot_place, Some(1));
    assert_eq!(claim(&world, all[4], 1).await, SlotAnswer::Waiting { place: 1 });
}

#[tokio::test]
async fn claims_and_releases_may_be_repeated() {
    let world = World::new().await;
    let all = runs(&world, 5).await;
    for run in &all[..4] {
        let first = claim(&world, *run, 1).await;
        assert_eq!(claim(&world, *run, 1).await, first);
    }
    assert_eq!(release(&world, all[0], 1).await.len(), 1);
    assert!(release(&world, all[0], 1).await.is_empty(), "a release grants once");
    assert_eq!(claim(&world, all[0], 1).await, SlotAnswer::Over, "what was given back is not taken again");
    assert!(release(&world, all[4], 1).await.is_empty(), "it never claimed");
    assert_eq!(claim(&world, all[4], 1).await, SlotAnswer::Waiting { place: 1 });
}

#[tokio::test]
async fn a_later_attempt_stands_in_line_again() {
    let world = World::new().await;
    let all = runs(&world, 4).await;
    for run in &all {
        claim(&world, *run, 1).await;
    }
    release(&world, all[0], 1).await;
    assert_eq!(claim(&world, all[0], 2).await, SlotAnswer::Waiting { place: 1 });
    // What the first attempt still says comes too late.
    assert!(release(&world, all[0], 1).await.is_empty());
    assert_eq!(claim(&world, all[0], 1).await, SlotAnswer::Over);
    assert_eq!(claim(&world, all[0], 2).await, SlotAnswer::Waiting { place: 1 });
    assert_eq!(release(&world, all[1], 1).await, [Grant { run: all[0], attempt: Attempt(2) }]);
}

#[tokio::test]
async fn more_slots_let_the_waiting_in_before_newcomers() {
    let world = World::new().await;
    let all = runs(&world, 6).await;
    for run in &all[..5] {
        claim(&world, *run, 1).await;
    }
    let mut conn = world.conn().await;
    repositories::set_slots(&mut conn, world.project, 4).await.unwrap();
    assert_eq!(claim(&world, all[5], 1).await, SlotAnswer::Waiting { place: 3 });
    let mut tx = world.begin().await;
    let grants = slots::grant_waiting(&mut tx, world.project, at(3)).await.unwrap();
    assert_eq!(grants.iter().map(|grant| grant.run).collect::<Vec<_>>(), [all[3]]);
    assert!(slots::grant_waiting(&mut tx, world.project, at(3)).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    // With fewer, nobody is thrown out, and nobody let in until enough are free.
    repositories::set_slots(&mut conn, world.project, 2).await.unwrap();
    assert!(release(&world, all[0], 1).await.is_empty());
    assert!(release(&world, all[1], 1).await.is_empty());
    assert_eq!(release(&world, all[2], 1).await.len(), 1);
}
