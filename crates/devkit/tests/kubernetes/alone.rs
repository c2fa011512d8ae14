//! What takes the node from everybody. `cargo dev test` runs these tests one by one, after all others.

use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use domain::job_ending::JobEnding;
use jobs::{JobLauncher as _, JobOrder};
use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use tokio::task::JoinHandle;

use super::launcher::scene::Scene;
use crate::{
    machine::kubelet,
    world::{at_the_end, wait_until},
};

/// The taints of a node that is not heard of.
const UNHEARD_OF: [&str; 2] = ["node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"];

/// What a pod bears of them instead of the usual five minutes.
const BORNE_FOR: Duration = Duration::from_secs(5);

/// A taint of a person's.
const TAINT: &str = "codex-k8s.dev/test";

/// The node's agent stands still until this is dropped.
struct Stopped(Pid);

impl Stopped {
    fn now(kubelet: Pid) -> Self {
        kill(kubelet, Signal::SIGSTOP).unwrap();
        Self(kubelet)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

/// A node that puts out every pod, until this is dropped.
struct Tainted(String);

impl Tainted {
    async fn now(client: &Client, node: &str) -> Self {
        let nodes = Api::<Node>::all(client.clone());
        set_taints(&nodes, node, |taints| {
            taints.push(Taint { key: TAINT.to_owned(), effect: "NoExecute".to_owned(), ..Taint::default() });
        })
        .await
        .unwrap();
        Self(node.to_owned())
    }
}

impl Drop for Tainted {
    fn drop(&mut self) {
        let node = self.0.clone();
        at_the_end(&format!("node {node} is left tainted"), async move |client| {
            set_taints(&Api::all(client), &node, |taints| taints.retain(|taint| taint.key != TAINT)).await
        });
    }
}

/// Another node that is well, for all that the cluster hears, until this is dropped. It takes no pods. Where no node is well, the cluster
/// takes the fault for its own, and no pod has to leave.
struct Neighbour {
    name: String,
    heard_of: JoinHandle<()>,
}

impl Neighbour {
    async fn new(client: &Client) -> Self {
        let name = format!("neighbour-{}", devkit::secrets::random_hex(3));
        let nodes = Api::<Node>::all(client.clone());
        let node = json!({"metadata": {"name": name}, "spec": {"unschedulable": true}});
        nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
        let beating = name.clone();
        let heard_of = tokio::spawn(async move {
            loop {
                let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
                let ready = json!({"type": "Ready", "status": "True", "lastHeartbeatTime": now});
                let told = Patch::Merge(json!({"status": {"conditions": [ready]}}));
                if let Err(error) = nodes.patch_status(&beating, &PatchParams::default(), &told).await {
                    eprintln!("{beating} could not tell that it is well: {error}");
                }
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        });
        Self { name, heard_of }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.heard_of.abort();
        let name = self.name.clone();
        at_the_end(&format!("node {name} is left"), async move |client| {
            Api::<Node>::all(client).delete(&name, &DeleteParams::default()).await
        });
    }
}

async fn set_taints(nodes: &Api<Node>, node: &str, change: impl FnOnce(&mut Vec<Taint>)) -> kube::Result<()> {
    let mut taints = nodes.get(node).await?.spec.and_then(|spec| spec.taints).unwrap_or_default();
    change(&mut taints);
    let patch = Patch::Merge(json!({"spec": {"taints": taints}}));
    nodes.patch(node, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Starts a Job, and waits until its node tells that it is well; gives its pod, too.
async fn at_work(scene: &Scene) -> (JobOrder, Pod) {
    let order = scene.order("sleep 600");
    scene.launcher.launch(&order).await.unwrap();
    let name = scene.working().await;
    let is_ready = |pod: Option<&Pod>| {
        let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
        conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    let pod = wait_until(scene.api::<Pod>(), &name, is_ready).await;
    (order, pod)
}

/// Has a pod leave a lost node soon. It is what an operator can set for a whole cluster.
async fn bear_shortly(scene: &Scene, pod: &Pod) {
    let mut tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.clone()).unwrap_or_default();
    let of_lost = |key: Option<&str>| key.is_some_and(|key| UNHEARD_OF.contains(&key));
    for toleration in tolerations.iter_mut().filter(|toleration| of_lost(toleration.key.as_deref())) {
        toleration.toleration_seconds = i64::try_from(BORNE_FOR.as_secs()).ok();
    }
    let patch = Patch::Merge(json!({"spec": {"tolerations": tolerations}}));
    let name = pod.metadata.name.as_deref().unwrap();
    scene.api::<Pod>().patch(name, &PatchParams::default(), &patch).await.unwrap();
}

fn node_of(pod: &Pod) -> String {
    pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap()
}

#[tokio::test]
async fn a_job_whose_node_is_lost_is_told_with_the_node() {
    let Some(kubelet) = kubelet() else {
        return eprintln!("left out: this cluster's kubelet can't be stopped from here");
    };
    let scene = Scene::new("lost").await;
    let (order, pod) = at_work(&scene).await;
    bear_shortly(&scene, &pod).await;
    let _neighbour = Neighbour::new(&scene.client).await;
    let stopped = Stopped::now(kubelet);
    let ending = scene.ended(&order).await;
    drop(stopped);
    assert_eq!(ending, JobEnding::NodeLost { node: node_of(&pod) });
    let is_back = |node: Option<&Node>| {
        let taints = node.and_then(|node| node.spec.as_ref()?.taints.as_deref()).unwrap_or_default();
        taints.iter().all(|taint| !UNHEARD_OF.contains(&&*taint.key))
    };
    wait_until(Api::all(scene.client.clone()), &node_of(&pod), is_back).await;
}

/// The cluster does to it what it does to one of a lost node, in the same words.
#[tokio::test]
async fn a_job_that_has_to_leave_a_node_that_lives_was_put_out() {
    if kubelet().is_none() {
        return eprintln!("left out: in this cluster others may have pods on the node");
    }
    let scene = Scene::new("taint").await;
    let (order, pod) = at_work(&scene).await;
    let _tainted = Tainted::now(&scene.client, &node_of(&pod)).await;
    let ending = scene.ended(&order).await;
    let JobEnding::Evicted { why } = &ending else { panic!("{ending:?}") };
    assert!(why.contains("NoExecute taint"), "{why}");
}
