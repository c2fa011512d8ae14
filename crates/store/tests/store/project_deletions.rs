//! Deletions of projects: marked once, done by one workflow at a time, ended once.

use domain::{
    ids::PersonId,
    people::{Email, PlatformRole, ProjectRole},
    run::Outcome,
};
use store::{
    members, people,
    project_deletions::{self, Left, NewDeletion},
    repositories,
};

use crate::world::{World, ada, at};

#[tokio::test]
async fn a_deletion_is_marked_once_and_ends_once() {
    let world = World::new().await;
    let project = world.project;
    let mut tx = world.begin().await;
    let email: Email = "ada@people.example".parse().unwrap();
    let person: PersonId = people::add(&mut tx, &email, PlatformRole::None, at(0)).await.unwrap().unwrap();
    members::put(&mut tx, project, person, ProjectRole::Admin, at(0)).await.unwrap();
    assert_eq!(project_deletions::find(&mut tx, project).await.unwrap(), None);
    let by = ada();
    let new = NewDeletion { project, asked_by: &by, reason: "It is over.", now: at(1) };
    assert!(project_deletions::begin(&mut tx, new).await.unwrap());
    assert!(!project_deletions::begin(&mut tx, NewDeletion { reason: "Again.", ..new }).await.unwrap());
    project_deletions::note(&mut tx, project, "Waiting.", at(2)).await.unwrap();
    let found = project_deletions::find(&mut tx, project).await.unwrap().unwrap();
    assert_eq!((&found.asked_by, found.reason.as_str(), found.asked_at), (&by, "It is over.", at(1)));
    assert_eq!((found.attempt, found.message.as_deref(), found.ended_at), (1, Some("Waiting."), None));

    // It was heard of at 2: somebody who looks for silent ones at 2 leaves it alone.
    assert!(project_deletions::unfinished(&mut tx, at(2)).await.unwrap().is_empty());
    assert_eq!(project_deletions::unfinished(&mut tx, at(3)).await.unwrap(), [found]);
    assert_eq!(project_deletions::begin_again(&mut tx, project, 1, at(4)).await.unwrap(), Some(2));
    assert_eq!(project_deletions::begin_again(&mut tx, project, 1, at(5)).await.unwrap(), None, "somebody was first");

    assert_eq!(project_deletions::end(&mut tx, project, at(6)).await.unwrap(), Some(vec![person]));
    assert_eq!(project_deletions::end(&mut tx, project, at(7)).await.unwrap(), None);
    assert_eq!(project_deletions::begin_again(&mut tx, project, 2, at(8)).await.unwrap(), None);
    assert!(members::list(&mut tx, project, None, 10).await.unwrap().is_empty());
    let of = project_deletions::of(&mut tx, &[project]).await.unwrap();
    assert_eq!((of.len(), of[0].ended_at, &of[0].message), (1, Some(at(6)), &None));
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_is_left_are_runs_and_repositories_with_a_hold_on_the_forge() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    let left = project_deletions::left(&mut conn, world.project).await.unwrap();
    assert_eq!(left, Left { repositories: 1, runs: 1 });
    assert_eq!(project_deletions::repositories_left(&mut conn, world.project).await.unwrap(), [world.repository]);
    repositories::detach(&mut conn, world.repository, at(1)).await.unwrap();
    world.finish(run, Outcome::Cancelled).await;
    let left = project_deletions::left(&mut conn, world.project).await.unwrap();
    assert_eq!(left, Left { repositories: 0, runs: 0 });
    assert!(project_deletions::repositories_left(&mut conn, world.project).await.unwrap().is_empty());
}
