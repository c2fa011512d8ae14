//! The step before the agent, with real policies: late ones are waited for, missing ones end the Job in words. And what an agent's pod
//! reaches once they are in force.

use std::{
    net::{IpAddr, SocketAddr},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use k8s_openapi::api::{
    core::v1::{ContainerStateTerminated, Pod, Service},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api,
    api::{LogParams, PostParams},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{Mutex, MutexGuard},
    task::JoinHandle,
};

use crate::world::{TestNamespace, World, has_ended, phase, wait_until};

/// How long a new pod tries to reach what nothing keeps it from.
pub(super) const FOR_A_NEW_POD: Duration = Duration::from_secs(30);

/// Where clouds tell machines who they are, and hand out credentials.
const METADATA: &str = "169.254.169.254";

/// Something that listens on this machine, as pods see it, and counts who comes.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    came: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Listener {
    pub(super) async fn open(ip: IpAddr) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let (address, came) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&came);
        let task = tokio::spawn(async move {
            loop {
                let Ok((mut stream, _)) = listener.accept().await else { continue };
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 2048]).await;
                    let _ =
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
                });
            }
        });
        Self { address, came, task }
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a Job's pod is told of.
struct Scene {
    world: World,
    namespace: TestNamespace,
    gateway: Listener,
    models: Listener,
    canary: Listener,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let namespace = world.namespace("codexk8s-run-pod").await;
        let ip = world.node_address;
        let (gateway, models, canary) = (Listener::open(ip).await, Listener::open(ip).await, Listener::open(ip).await);
        Self { world, namespace, gateway, models, canary }
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.world.client.clone(), &self.namespace.name)
    }

    /// A pod as a Job has it: both steps, and then `script` in the runner image.
    async fn start(&self, name: &str, deadline_secs: u32, script: &str) {
        let security = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
        let resources =
            json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}});
        let container = |name: &str, command: Value| {
            json!({
                "name": name, "image": self.world.runner_image, "imagePullPolicy": "Never", "securityContext": security,
                "resources": resources, "command": command, "env": [
                    {"name": "CODEX_K8S_CANARY", "value": self.canary.address.to_string()},
                    {"name": "CODEX_K8S_GATEWAY_URL", "value": format!("http://{}", self.gateway.address)},
                    {"name": "CODEX_K8S_MODEL_URL", "value": format!("http://{}", self.models.address)},
                    {"name": "CODEX_K8S_NETWORK_DEADLINE_SECS", "value": deadline_secs.to_string()},
                ],
                "volumeMounts": [{"name": "tools", "mountPath": "/codex-k8s"}],
            })
        };
        let pod = json!({
            "metadata": {"name": name, "labels": {"app.kubernetes.io/component": "agent"}},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "initContainers": [
                    container("tools", json!(["/bin/sh", "/opt/codex-k8s/bin/runner", "install", "/codex-k8s"])),
                    container("network", json!(["/bin/sh", "/codex-k8s/bin/runner", "await-network"])),
                ],
                "containers": [container("agent", json!(["/bin/sh", "-c", script]))],
                "volumes": [{"name": "tools", "emptyDir": {"sizeLimit": "1Gi"}}],
            },
        });
        self.pods().create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    }

    /// What a project's namespace has: nothing for everybody; gateway, model gateway and names for agents.
    async fn policies(&self) {
        let block = format!("{}/32", self.world.node_address);
        let port = |of: &Listener| json!({"protocol": "TCP", "port": of.address.port()});
        let policies = [
            json!({"metadata": {"name": "default-deny"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}),
            json!({"metadata": {"name": "agent"}, "spec": {
                "podSelector": {"matchLabels": {"app.kubernetes.io/component": "agent"}}, "policyTypes": ["Egress"],
                "egress": [
                    {"to": [{"ipBlock": {"cidr": block}}], "ports": [port(&self.gateway), port(&self.models)]},
                    {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                             "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
                     "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]},
                ],
            }}),
        ];
        let api: Api<NetworkPolicy> = Api::namespaced(self.world.client.clone(), &self.namespace.name);
        for policy in policies {
            api.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
        }
    }
}

/// How the step `network` of a pod ended.
fn network_step(pod: &Pod) -> Option<ContainerStateTerminated> {
    let steps = pod.status.as_ref()?.init_container_statuses.as_ref()?;
    steps.iter().find(|step| step.name == "network")?.state.as_ref()?.terminated.clone()
}

#[tokio::test]
async fn the_agent_does_not_begin_before_the_policies_are_in_force() {
    let scene = Scene::new().await;
    scene.start("late", 60, "true").await;
    let looked = async {
        while scene.canary.came() < 4 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looked).await.expect("the step tries the canary again and again");
    let waiting = scene.pods().get("late").await.unwrap();
    assert_eq!(phase(Some(&waiting)), Some("Pending"), "it waits: {:?}", waiting.status);
    assert!(network_step(&waiting).is_none());
    scene.policies().await;
    let ended = wait_until(scene.pods(), "late", has_ended).await;
    assert_eq!(phase(Some(&ended)), Some("Succeeded"), "{:?}", ended.status);
    assert_eq!(network_step(&ended).unwrap().exit_code, 0);
    assert!(scene.gateway.came() >= 4 && scene.models.came() >= 4);
}

#[tokio::test]
async fn policies_that_never_come_end_the_job_with_a_sentence() {
    let scene = Scene::new().await;
    // Long enough that the gateway is found to answer on a busy machine, which is looked at first.
    scene.start("never", 15, "true").await;
    let ended = wait_until(scene.pods(), "never", has_ended).await;
    assert_eq!(phase(Some(&ended)), Some("Failed"));
    let step = network_step(&ended).unwrap();
    let words = format!("not in force: {} can still be reached after 15 s", scene.canary.address);
    assert_ne!(step.exit_code, 0);
    assert!(step.message.clone().unwrap_or_default().contains(&words), "{step:?}");
    let of_step = LogParams { container: Some("network".to_owned()), ..LogParams::default() };
    let log = scene.pods().logs("never", &of_step).await.unwrap();
    assert!(log.contains(&words), "{log}");
}

/// Addresses of this machine that are some only for as long as the test runs. No two tests have the same.
pub(super) struct Addresses(&'static [&'static str]);

impl Addresses {
    pub(super) fn put(texts: &'static [&'static str]) -> Self {
        for text in texts {
            let put = Command::new("ip").args(["address", "replace", &format!("{text}/32"), "dev", "lo"]).status();
            assert!(put.is_ok_and(|status| status.success()), "the cluster's machine takes addresses");
        }
        Self(texts)
    }
}

impl Drop for Addresses {
    fn drop(&mut self) {
        for text in self.0 {
            let _ = Command::new("ip").args(["address", "delete", &format!("{text}/32"), "dev", "lo"]).status();
        }
    }
}

/// Something that answers where clouds do, for one test at a time.
pub(super) struct Metadata {
    pub(super) listener: Listener,
    _address: Addresses,
    _taken: MutexGuard<'static, ()>,
}

impl Metadata {
    pub(super) async fn open() -> Self {
        static TAKEN: Mutex<()> = Mutex::const_new(());
        let taken = TAKEN.lock().await;
        let address = Addresses::put(&[METADATA]);
        Self { listener: Listener::open(METADATA.parse().unwrap()).await, _address: address, _taken: taken }
    }
}

/// Tries each place, each try for at most 3 s, until it is reached or `patience` is over, and writes what came of it, in order.
///
/// A new pod may have to be patient: until the network agent has heard of its address, nothing that it sends gets through.
pub(super) fn probe(places: &[SocketAddr], patience: Duration) -> String {
    let list: Vec<String> = places.iter().map(|place| format!("('{}', {})", place.ip(), place.port())).collect();
    format!(
        "python3 -c \"
import socket, time
for host, port in [{}]:
    end = time.monotonic() + {}
    while True:
        try:
            socket.create_connection((host, port), 3).close()
            print(f'reached {{host}}:{{port}}')
            break
        except OSError:
            if time.monotonic() >= end:
                print(f'shut {{host}}:{{port}}')
                break
            time.sleep(0.2)
\"",
        list.join(", "),
        patience.as_secs(),
    )
}

/// Database, engine, cloud metadata, the Kubernetes API, and another run's pod: each of them listens, and is reached
/// from a pod without policies.
#[tokio::test]
async fn an_agents_pod_reaches_nothing_but_what_it_needs() {
    let scene = Scene::new().await;
    let ip = scene.world.node_address;
    let (database, engine) = (Listener::open(ip).await, Listener::open(ip).await);
    let metadata = Metadata::open().await;
    let neighbour = neighbour(&scene.world, &scene.namespace.name).await;
    let places = [database.address, engine.address, metadata.listener.address, neighbour, service(&scene.world).await];
    let words = |what: &str| places.iter().map(|place| format!("{what} {place}\n")).collect::<String>();

    // The measure itself works: without policies everything is reached.
    let (_, open) = scene.namespace.run(restricted(&scene.world.runner_image, &probe(&places, FOR_A_NEW_POD))).await;
    assert_eq!(open, words("reached"));
    scene.policies().await;
    let needed = [scene.gateway.address, scene.models.address];
    let script = format!("{}; {}", probe(&places, Duration::ZERO), probe(&needed, Duration::ZERO));
    scene.start("agent", 60, &script).await;
    let ended = wait_until(scene.pods(), "agent", has_ended).await;
    assert_eq!(phase(Some(&ended)), Some("Succeeded"), "{:?}", ended.status);
    let of_agent = LogParams { container: Some("agent".to_owned()), ..LogParams::default() };
    let log = scene.pods().logs("agent", &of_agent).await.unwrap();
    let [gateway, models] = needed;
    assert_eq!(log, words("shut") + &format!("reached {gateway}\nreached {models}\n"));
}

/// A pod as *restricted* wants it.
pub(super) fn restricted(image: &str, script: &str) -> Value {
    json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "main", "image": image, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", script],
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}},
            "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
        }],
    })
}

/// Another run's pod, which listens where a pod could.
async fn neighbour(world: &World, namespace: &str) -> SocketAddr {
    let mut spec = restricted(&world.runner_image, "exec python3 -m http.server 8080 --directory /etc");
    spec["containers"][0]["readinessProbe"] = json!({"tcpSocket": {"port": 8080}, "periodSeconds": 1});
    let labels = json!({"app.kubernetes.io/component": "agent"});
    let pod = json!({"metadata": {"name": "neighbour", "labels": labels}, "spec": spec});
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), namespace);
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let is_ready = |pod: Option<&Pod>| {
        let status = pod.and_then(|pod| pod.status.as_ref());
        let mut conditions = status.and_then(|status| status.conditions.as_ref()).into_iter().flatten();
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    let pod = wait_until(pods, "neighbour", is_ready).await;
    SocketAddr::new(pod.status.unwrap().pod_ip.unwrap().parse().unwrap(), 8080)
}

/// The Kubernetes API as pods find it.
pub(super) async fn service(world: &World) -> SocketAddr {
    let services: Api<Service> = Api::namespaced(world.client.clone(), "default");
    let service = services.get("kubernetes").await.unwrap();
    SocketAddr::new(service.spec.unwrap().cluster_ip.unwrap().parse().unwrap(), 443)
}
