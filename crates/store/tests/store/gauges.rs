//! The numbers for those who watch: runs, slots, queue, outbox.

use std::time::Duration;

use domain::{
    ids::Attempt,
    run::{Outcome, RunState},
};
use serde_json::Value;
use store::{
    CommandKind,
    commands::{self, About, NewCommand},
    gauges::{self, ProjectWork, Work},
    slots,
};

use crate::world::{World, at};

#[tokio::test]
async fn work_is_counted_by_what_it_waits_for() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let idle = ProjectWork { project: "demo".to_owned(), slots: 3, ..ProjectWork::default() };
    let nothing = Work { projects: vec![idle], ..Work::default() };
    assert_eq!(gauges::work(&mut conn, at(50)).await.unwrap(), nothing);

    for number in 1..=5 {
        let run = world.run(number).await;
        slots::claim(&mut conn, run, Attempt::FIRST, world.project, at(number)).await.unwrap();
        if number == 5 {
            world.finish(run, Outcome::NoChange).await;
        }
        if number > 2 {
            continue;
        }
        let command = NewCommand {
            workflow_id: &format!("w-{number}"),
            kind: CommandKind::Signal,
            about: About::Run(run, Attempt::FIRST),
            name: Some("hello"),
            payload: Value::Null,
            now: at(10 * number),
        };
        let id = commands::enqueue(&mut conn, command).await.unwrap();
        if number == 1 {
            commands::mark_done(&mut conn, id).await.unwrap();
        }
    }

    let busy =
        ProjectWork { project: "demo".to_owned(), slots: 3, held: 3, waiting: 2, oldest: Duration::from_secs(46) };
    let expected = Work {
        runs: vec![(RunState::Queued, 4)],
        projects: vec![busy],
        outbox_pending: 1,
        outbox_age: Duration::from_secs(30),
    };
    assert_eq!(gauges::work(&mut conn, at(50)).await.unwrap(), expected);
}
