//! Ending Jobs: soon, wholly, and whatever they are just doing.

use std::time::{Duration, Instant};

use domain::job::JobPresence;
use jobs::JobLauncher as _;

use super::scene::Scene;

/// What a cancel allows.
const GRACE: Duration = Duration::from_secs(15);

#[tokio::test]
async fn one_that_does_not_want_to_end_is_gone_within_15_seconds() {
    let scene = Scene::new("stub").await;
    let order = scene.order("trap '' TERM; while :; do sleep 1; done");
    scene.launcher.launch(&order).await.unwrap();
    scene.working().await;
    let begun = Instant::now();
    scene.launcher.stop(&order.job, GRACE).await.unwrap();
    assert!(begun.elapsed() <= GRACE, "it took {:?}", begun.elapsed());
    assert!(scene.pods().await.is_empty());
    assert_eq!(scene.launcher.presence(&order.job).await.unwrap(), JobPresence::Absent);
    scene.launcher.stop(&order.job, GRACE).await.unwrap();
}

#[tokio::test]
async fn one_that_ends_when_asked_has_its_time() {
    let scene = Scene::new("tidy").await;
    let order = scene.order("trap 'exit 0' TERM; while :; do sleep 1; done");
    scene.launcher.launch(&order).await.unwrap();
    scene.working().await;
    let begun = Instant::now();
    scene.launcher.stop(&order.job, GRACE).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(9), "it was waited for: {:?}", begun.elapsed());
    assert!(scene.pods().await.is_empty());
}

/// The stop may come before, between and after the writes of the launch; the workflow stops again when the launch is over.
#[tokio::test]
async fn a_cancel_that_races_the_launch_leaves_nothing() {
    let scene = Scene::new("race").await;
    scene.run(&scene.order("true")).await;
    for delay in [0, 5, 20, 60, 150] {
        let order = scene.order("sleep 600");
        let stop = async {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            scene.launcher.stop(&order.job, Duration::from_secs(1)).await
        };
        let (launched, stopped) = tokio::join!(scene.launcher.launch(&order), stop);
        stopped.unwrap();
        launched.unwrap();
        scene.launcher.stop(&order.job, Duration::from_secs(1)).await.unwrap();
        let left = scene.launcher.list().await.unwrap();
        assert!(left.iter().all(|found| found.job != order.job), "after {delay} ms");
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let left = scene.pods().await;
    assert!(left.iter().all(|pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Succeeded")), "{left:?}");
}
