//! Why Jobs ended, and what the cluster said about them.

use domain::{
    ids::Attempt,
    job_ending::{FailureClass, JobEnding},
};
use store::{
    attempts,
    job_events::{self, JobEvent},
    job_failures::{self, Evidence, JobFailure},
};

use crate::world::{World, at};

const FIRST: Attempt = Attempt::FIRST;

fn failure(class: FailureClass) -> JobFailure {
    let ending = Some(JobEnding::Evicted { why: "full\0".to_owned() });
    JobFailure { class, evidence: Evidence { ending, last_output: Some("bye".to_owned()) } }
}

#[tokio::test]
async fn the_first_word_about_an_end_stays() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    assert_eq!(job_failures::get(&mut conn, run, FIRST).await.unwrap(), None);
    assert!(job_failures::set(&mut conn, run, FIRST, &failure(FailureClass::Evicted)).await.unwrap());
    assert!(!job_failures::set(&mut conn, run, FIRST, &failure(FailureClass::Silent)).await.unwrap());
    let kept = job_failures::get(&mut conn, run, FIRST).await.unwrap().unwrap();
    assert_eq!((kept.class, kept.evidence.last_output.as_deref()), (FailureClass::Evicted, Some("bye")));
    assert_eq!(kept.evidence.ending, Some(JobEnding::Evicted { why: "full\u{fffd}".to_owned() }));
    for class in FailureClass::ALL {
        let other = world.run(i64::from(*class as u8) + 10).await;
        assert!(job_failures::set(&mut conn, other, FIRST, &failure(*class)).await.unwrap(), "{class}");
    }
}

#[tokio::test]
async fn lost_jobs_are_counted_in_a_row() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    assert_eq!(job_failures::in_a_row(&mut conn, run).await.unwrap(), 0);
    for (number, is_lost, in_a_row) in [(1, true, 1), (2, true, 2), (3, false, 0), (4, true, 1)] {
        attempts::insert(&mut conn, run, Attempt(number), at(5)).await.unwrap();
        if is_lost {
            let lost = failure(FailureClass::NodeLost);
            assert!(job_failures::set(&mut conn, run, Attempt(number), &lost).await.unwrap());
        }
        assert_eq!(job_failures::in_a_row(&mut conn, run).await.unwrap(), in_a_row, "after {number}");
    }
}

#[tokio::test]
async fn the_same_event_counts_up_and_there_is_an_end_to_them() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    let event = |uid: &str, count, seconds| JobEvent {
        uid: uid.to_owned(),
        count,
        at: at(seconds),
        warning: true,
        reason: "BackOff".to_owned(),
        message: format!("again {count}"),
    };
    for (event, is_news) in
        [(event("a", 2, 5), true), (event("a", 2, 5), false), (event("a", 1, 3), false), (event("a", 4, 9), true)]
    {
        assert_eq!(job_events::keep(&mut conn, run, FIRST, &event).await.unwrap(), is_news, "{event:?}");
    }
    assert_eq!(job_events::list(&mut conn, run, FIRST).await.unwrap(), [event("a", 4, 9)]);
    for number in 0..250 {
        job_events::keep(&mut conn, run, FIRST, &event(&format!("b{number}"), 1, 10)).await.unwrap();
    }
    assert_eq!(job_events::list(&mut conn, run, FIRST).await.unwrap().len(), 200);
    assert!(job_events::keep(&mut conn, run, FIRST, &event("a", 5, 20)).await.unwrap(), "what is kept still counts up");
}
