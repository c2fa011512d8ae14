//! Ten labels, three slots: ten runs, of which three work and seven wait in sight; all end well, in the order of their tickets.

use std::collections::BTreeMap;

use devkit::harness::{Platform, REPOSITORY};
use domain::{
    ids::RunId,
    run::{Outcome, RunState, comment_marker},
};
use store::{
    runs::{self, Page, Run, RunFilter},
    slots::{self, Place},
};

const SLOTS: usize = 3;
const RUNS: usize = 10;

async fn places(platform: &Platform) -> anyhow::Result<Vec<Place>> {
    Ok(slots::places(&mut *platform.store().acquire().await?, platform.repository.project).await?)
}

fn holders(places: &[Place]) -> Vec<RunId> {
    places.iter().filter(|place| place.waiting.is_none()).map(|place| place.run).collect()
}

/// The numbers of the issues by their runs, once each issue has one.
async fn runs_of(platform: &Platform) -> anyhow::Result<BTreeMap<RunId, u64>> {
    let all = Page { before: None, limit: 100 };
    let runs = runs::list(&mut *platform.store().acquire().await?, RunFilter::default(), all).await?;
    runs.iter().map(|run| Ok((run.id, u64::try_from(run.subject.number)?))).collect()
}

/// Row and sticky comment name the place; the place alone is next, or has a number.
fn shows_place(platform: &Platform, run: &Run, number: u64, place: u32) -> anyhow::Result<bool> {
    let words = if place == 1 { "next in line".to_owned() } else { format!("number {place} in line") };
    let marker = comment_marker(run.id);
    let comments = platform.forge.comments(REPOSITORY, number)?;
    let told = comments.iter().any(|comment| comment.body.contains(&marker) && comment.body.contains(&words));
    Ok(told && run.slot_place == Some(place) && run.state == RunState::Waiting)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_labels_over_three_slots_are_served_in_order() -> anyhow::Result<()> {
    let platform = super::platform_with(u32::try_from(SLOTS)?).await?;
    let numbers = (0..RUNS).map(|_| platform.open_issue("held")).collect::<anyhow::Result<Vec<u64>>>()?;
    for number in &numbers {
        platform.label(*number, "run:dev")?;
    }
    let queue = platform
        .await_that("three work and seven wait", async || {
            let places = places(&platform).await?;
            assert!(holders(&places).len() <= SLOTS, "{places:?}");
            Ok((places.len() == RUNS).then_some(places))
        })
        .await?;
    assert_eq!(holders(&queue).len(), SLOTS, "{queue:?}");
    let waiting: Vec<u32> = queue.iter().filter_map(|place| place.waiting).collect();
    assert_eq!(waiting, (1..=7).collect::<Vec<u32>>());
    let of = runs_of(&platform).await?;
    assert_eq!(of.len(), RUNS, "one run an issue");
    for place in &queue {
        let number = of[&place.run];
        match place.waiting {
            None => drop(platform.await_run(number, "working", |run| run.state == RunState::Working).await?),
            Some(nth) => {
                platform
                    .await_that(&format!("place {nth} of #{number} is shown"), async || {
                        let run = platform.run_of(number).await?;
                        Ok(run.map(|run| shows_place(&platform, &run, number, nth)).transpose()?.filter(|shown| *shown))
                    })
                    .await?;
            }
        }
    }

    let mut finished = Vec::new();
    for (nth, place) in queue.iter().enumerate() {
        let number = of[&place.run];
        platform.model.let_go(&format!("The task: issue #{number}\n"));
        let run = platform.await_end(number).await?;
        assert_eq!((run.id, run.outcome), (place.run, Some(Outcome::NoChange)), "{run:?}");
        finished.push(run.finished_at);
        let next: Vec<RunId> = queue.iter().skip(nth + 1).take(SLOTS).map(|place| place.run).collect();
        assert_eq!(holders(&places(&platform).await?), next, "the next in line has the slot, in the same moment");
    }
    assert!(finished.is_sorted(), "{finished:?}");
    platform.finish().await
}
