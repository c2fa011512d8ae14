//! How Jobs end, each with what proves it.

use std::time::Duration;

use domain::job_ending::{FailureClass, InitStep, JobEnding};
use jobs::JobLauncher as _;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::api::DeleteParams;

use super::scene::Scene;

#[tokio::test]
async fn one_that_completes_has_a_story() {
    let scene = Scene::new("good").await;
    let order = scene.order("echo done");
    assert_eq!(scene.run(&order).await, JobEnding::Completed);
    assert_eq!(scene.launcher.last_output(&order.job).await.unwrap().as_deref(), Some("done\n"));
    let reasons: Vec<String> =
        scene.launcher.events(&order.job).await.unwrap().into_iter().map(|event| event.reason).collect();
    for reason in ["SuccessfulCreate", "Scheduled", "Started"] {
        assert!(reasons.iter().any(|said| said == reason), "{reason}: {reasons:?}");
    }
}

#[tokio::test]
async fn one_that_fails_tells_its_code_and_its_last_words() {
    let scene = Scene::new("bad").await;
    let order = scene.order("echo these are the last words >&2; exit 7");
    assert_eq!(scene.run(&order).await, JobEnding::Failed { exit_code: 7 });
    let output = scene.launcher.last_output(&order.job).await.unwrap().unwrap_or_default();
    assert!(output.contains("these are the last words"), "{output}");
}

#[tokio::test]
async fn one_that_takes_too_much_memory_is_told_with_its_limit() {
    let scene = Scene::new("oom").await;
    let order = scene.order("x=$(head -c 300000000 /dev/zero | tr '\\0' x); echo ${#x}");
    let ending = scene.run(&order).await;
    // The node misses a reason now and then; then 137 alone says that it is likely.
    let JobEnding::OutOfMemory { limit, .. } = &ending else { panic!("{ending:?}") };
    assert_eq!(limit.as_deref(), Some("64Mi"));
}

#[tokio::test]
async fn one_that_takes_too_long_is_ended() {
    let scene = Scene::new("late").await;
    let mut order = scene.order("sleep 600");
    order.deadline = Duration::from_secs(5);
    assert_eq!(scene.run(&order).await, JobEnding::Deadline { seconds: 5 });
}

#[tokio::test]
async fn an_image_that_is_missing_is_named() {
    let scene = Scene::new("image").await;
    let mut order = scene.order("true");
    order.runtime.image = Some("127.0.0.1:9/nothing/like-it:1".to_owned());
    let ending = scene.run(&order).await;
    let JobEnding::ImagePull { image, words } = &ending else { panic!("{ending:?}") };
    assert!(image == "127.0.0.1:9/nothing/like-it:1" && words.contains("like-it"), "{words}");
    assert_eq!(ending.class(), FailureClass::Image);
}

#[tokio::test]
async fn a_job_that_no_node_takes_has_the_schedulers_words() {
    let scene = Scene::new("room").await;
    let mut order = scene.order("true");
    order.runtime.node_selector.insert("pool".to_owned(), "nowhere".to_owned());
    let ending = scene.run(&order).await;
    let JobEnding::Unschedulable { words } = &ending else { panic!("{ending:?}") };
    assert!(words.contains("node affinity/selector"), "{words}");
}

#[tokio::test]
async fn a_job_that_the_quota_has_no_room_for_has_its_words() {
    let scene = Scene::with("quota", |settings| settings.quota.pods = 0).await;
    let ending = scene.run(&scene.order("true")).await;
    let JobEnding::Quota { words } = &ending else { panic!("{ending:?}") };
    assert!(words.contains("exceeded quota"), "{words}");
}

#[tokio::test]
async fn one_that_fills_its_disk_is_evicted() {
    let scene = Scene::new("disk").await;
    let ending = scene.run(&scene.order("head -c 200000000 /dev/zero > /work/big; sleep 600")).await;
    let JobEnding::Evicted { why } = &ending else { panic!("{ending:?}") };
    assert!(why.contains("exceeds"), "{why}");
}

#[tokio::test]
async fn a_pod_that_somebody_deletes_is_not_followed_by_another() {
    let scene = Scene::new("gone").await;
    let order = scene.order("sleep 600");
    scene.launcher.launch(&order).await.unwrap();
    let pod = scene.working().await;
    let at_once = DeleteParams { grace_period_seconds: Some(1), ..DeleteParams::default() };
    scene.api::<Pod>().delete(&pod, &at_once).await.unwrap();
    let ending = scene.ended(&order).await;
    assert!(matches!(ending, JobEnding::Deleted { .. }), "{ending:?}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(scene.pods().await.iter().all(|left| left.metadata.name.as_deref() == Some(&*pod)));
}

#[tokio::test]
async fn a_job_that_somebody_deletes_has_ended() {
    let scene = Scene::new("taken").await;
    let order = scene.order("sleep 600");
    scene.launcher.launch(&order).await.unwrap();
    scene.working().await;
    let waiting = scene.ended(&order);
    let deleting = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        scene.api::<Job>().delete(&order.job.name(), &DeleteParams::background()).await.unwrap();
    };
    let (ending, ()) = tokio::join!(waiting, deleting);
    assert!(matches!(ending, JobEnding::Deleted { .. }), "{ending:?}");
}

#[tokio::test]
async fn a_network_that_is_not_ready_is_told_in_its_own_words() {
    let scene = Scene::with("net", |settings| settings.canary = "fail:1".to_owned()).await;
    let order = scene.order("echo never");
    let ending = scene.run(&order).await;
    let JobEnding::InitFailed { step: InitStep::Network, words, .. } = &ending else { panic!("{ending:?}") };
    assert!(words.contains("the canary was reached"), "{words}");
}
