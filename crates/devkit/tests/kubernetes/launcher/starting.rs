//! Starting Jobs: once, in bounds, and with nothing secret in what describes them.

use domain::{job::JobPresence, job_ending::JobEnding};
use jobs::{
    JobLauncher as _, LaunchError,
    kubernetes::{self, KubernetesLauncher, UserNamespaces},
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Namespace, ResourceQuota},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};

use super::scene::Scene;

#[tokio::test]
async fn twice_is_once() {
    let scene = Scene::new("twice").await;
    let order = scene.order("sleep 2; echo done");
    let other = KubernetesLauncher::new(scene.client.clone(), scene.settings.clone());
    let (one, two) = tokio::join!(scene.launcher.launch(&order), other.launch(&order));
    one.unwrap();
    two.unwrap();
    assert_eq!(scene.ended(&order).await, JobEnding::Completed);
    other.launch(&order).await.unwrap();
    assert_eq!(other.presence(&order.job).await.unwrap(), JobPresence::Ended);
    assert_eq!((scene.pods().await.len(), other.list().await.unwrap().len()), (1, 1));
    assert_eq!(other.list().await.unwrap()[0].job, order.job);
    other.remove(&order.job).await.unwrap();
    other.remove(&order.job).await.unwrap();
    assert!(other.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_worker_that_died_between_job_and_secret_is_followed_by_one_that_goes_on() {
    let scene = Scene::new("half").await;
    // Makes the namespace, as the dead worker had.
    scene.run(&scene.order("true")).await;
    let order = scene.order("echo done");
    assert_eq!(scene.launcher.presence(&order.job).await.unwrap(), JobPresence::Absent);
    let half = kubernetes::job_object(&order, &scene.settings, false);
    let params = PatchParams::apply("codex-k8s");
    scene.api::<Job>().patch(&order.job.name(), &params, &Patch::Apply(&half)).await.unwrap();
    assert_eq!(scene.launcher.presence(&order.job).await.unwrap(), JobPresence::Absent);
    assert_eq!(scene.run(&order).await, JobEnding::Completed);
    assert_eq!(scene.pods().await.len(), 2, "one for each order");
}

#[tokio::test]
async fn what_runs_can_do_little_and_its_description_holds_no_secret() {
    let scene = Scene::new("bounds").await;
    let order = scene.order(
        "id -u; grep CapEff /proc/self/status; touch /x 2>&1 | head -n 1; ls /var/run/secrets 2>&1; \
         env | grep -c KUBERNETES_SERVICE || true; echo secret-5ae1 | wc -c; touch /work/y /tmp/z && echo room",
    );
    assert_eq!(scene.run(&order).await, JobEnding::Completed);
    let output = scene.launcher.last_output(&order.job).await.unwrap().unwrap();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..2], ["10001", "CapEff:\t0000000000000000"], "{output}");
    assert!(lines[2].contains("Read-only file system") && lines[3].contains("No such file"), "{output}");
    assert_eq!(lines.last(), Some(&"room"), "{output}");
    let job = scene.api::<Job>().get(&order.job.name()).await.unwrap();
    let described = serde_json::to_string(&(job, scene.pods().await)).unwrap();
    assert!(!described.contains("secret-5ae1"), "the token is in the description");
}

#[tokio::test]
async fn a_project_has_a_namespace_in_bounds() {
    let scene = Scene::new("space").await;
    scene.run(&scene.order("true")).await;
    let name = scene.launcher.namespace(&scene.project);
    let namespace = Api::<Namespace>::all(scene.client.clone()).get(&name).await.unwrap();
    let labels = namespace.metadata.labels.unwrap();
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
    let policies = scene.api::<NetworkPolicy>().list(&ListParams::default()).await.unwrap();
    assert_eq!(policies.items.len(), 2);
    assert_eq!(scene.api::<ResourceQuota>().list(&ListParams::default()).await.unwrap().items.len(), 1);
    assert_eq!(scene.launcher.projects().await.unwrap(), std::slice::from_ref(&scene.project));
    let mut foreign = scene.settings.clone();
    foreign.instance = "somebody-else".parse().unwrap();
    let foreign = KubernetesLauncher::new(scene.client.clone(), foreign);
    let refused = foreign.launch(&scene.order("true")).await.unwrap_err();
    assert!(matches!(&refused, LaunchError::Refused(why) if why.contains("RUN_NAMESPACE_PREFIX")), "{refused}");
    foreign.remove_project(&scene.project).await.unwrap_err();
    scene.launcher.remove_project(&scene.project).await.unwrap();
    assert!(scene.launcher.projects().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_runtime_class_that_is_missing_is_refused_in_words() {
    let scene = Scene::new("class").await;
    let mut order = scene.order("true");
    order.runtime.runtime_class = Some("nothing-like-it".to_owned());
    let refused = scene.launcher.launch(&order).await.unwrap_err();
    assert!(matches!(&refused, LaunchError::Refused(why) if why.contains("`nothing-like-it`")), "{refused}");
    assert_eq!(scene.launcher.presence(&order.job).await.unwrap(), JobPresence::Absent);
}

#[tokio::test]
async fn whether_users_are_the_pods_own_is_judged_inside() {
    let scene = Scene::with("users", |settings| settings.user_namespaces = UserNamespaces::Auto).await;
    let order = scene.order("head -n 1 /proc/self/uid_map");
    assert_eq!(scene.run(&order).await, JobEnding::Completed);
    let map = scene.launcher.last_output(&order.job).await.unwrap().unwrap();
    let map = map.split_whitespace().collect::<Vec<_>>().join(" ");
    let job = scene.api::<Job>().get(&order.job.name()).await.unwrap();
    let asked = job.spec.unwrap().template.spec.unwrap().host_users == Some(false);
    assert_eq!(asked, map != "0 0 4294967295", "asked for: {asked}, had: {map}");
}
