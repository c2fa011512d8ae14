//! The cluster of a test, with namespaces that go with the test.

use std::{
    env,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, LogParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::wait::{Condition, await_condition},
};
use serde_json::{Value, json};

/// Longer than anything takes on a busy machine; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(90);

/// The cluster that `cargo dev test` found or started.
#[derive(Clone)]
pub struct World {
    /// Asks its API with an administrator's rights.
    pub client: Client,
    /// This machine's address as pods see it.
    pub node_address: IpAddr,
    /// The image with runner, Codex and git; also a project's default.
    pub runner_image: String,
    /// A project's image with nothing but a shell.
    pub shell_image: String,
    /// The egress proxy with its helpers.
    pub egress_image: String,
    /// Stands where the runner is, and does what a Job's token says.
    pub actor_image: String,
}

impl World {
    /// Reads the environment.
    pub async fn new() -> Self {
        let kubeconfig = PathBuf::from(variable("CODEX_K8S_TEST_KUBECONFIG"));
        let read = Kubeconfig::read_from(&kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
        Self {
            client: Client::try_from(config).unwrap(),
            node_address: variable("CODEX_K8S_TEST_NODE_ADDRESS").parse().unwrap(),
            runner_image: variable("CODEX_K8S_TEST_RUNNER_IMAGE"),
            shell_image: variable("CODEX_K8S_TEST_SHELL_IMAGE"),
            egress_image: variable("CODEX_K8S_TEST_EGRESS_IMAGE"),
            actor_image: variable("CODEX_K8S_TEST_ACTOR_IMAGE"),
        }
    }

    /// The image with the production binary, which has to be built for it: `cargo build -p codex-k8s`.
    pub fn platform_image() -> String {
        variable("CODEX_K8S_TEST_PLATFORM_IMAGE")
    }

    /// `host:port` of the API server, as this machine reaches it.
    pub async fn api_server(&self) -> String {
        let read = Kubeconfig::read_from(variable("CODEX_K8S_TEST_KUBECONFIG")).unwrap();
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
        let port = config.cluster_url.port_u16().unwrap_or(443);
        format!("{}:{port}", config.cluster_url.host().unwrap())
    }

    /// The same, for connections of our own.
    pub fn api_address() -> SocketAddr {
        let read = Kubeconfig::read_from(variable("CODEX_K8S_TEST_KUBECONFIG")).unwrap();
        let server = read.clusters.into_iter().find_map(|named| named.cluster?.server).unwrap();
        let url: url::Url = server.parse().unwrap();
        *url.socket_addrs(|| None).unwrap().first().unwrap()
    }

    /// Where the devkit's own cluster keeps its files; a folder of something else if it is another cluster.
    pub fn state_folder() -> PathBuf {
        let kubeconfig = PathBuf::from(variable("CODEX_K8S_TEST_KUBECONFIG"));
        kubeconfig.parent().and_then(Path::parent).map(Path::to_owned).unwrap_or_default()
    }

    /// Makes a namespace that admits only restricted pods. Its name is `prefix` and something random.
    pub async fn namespace(&self, prefix: &str) -> TestNamespace {
        let name = format!("{prefix}-{}", devkit::secrets::random_hex(4));
        let namespace: Namespace = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        }))
        .unwrap();
        Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        TestNamespace { name, client: self.client.clone() }
    }
}

/// A namespace, deleted with everything in it when the test ends, however it ends.
pub struct TestNamespace {
    /// Its name.
    pub name: String,
    client: Client,
}

impl TestNamespace {
    /// Runs a pod to its end and returns what it has become and what its first container wrote.
    pub async fn run(&self, spec: Value) -> (Pod, String) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.name);
        let pod = json!({"metadata": {"generateName": "test-"}, "spec": spec});
        let made = pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
        let name = made.metadata.name.unwrap();
        let ended = wait_until(pods.clone(), &name, has_ended).await;
        let log = pods.logs(&name, &LogParams::default()).await.unwrap();
        (ended, log)
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        let name = self.name.clone();
        at_the_end(&format!("namespace {name} is left"), async move |client| {
            Api::<Namespace>::all(client).delete(&name, &DeleteParams::default()).await
        });
    }
}

/// Does what is left to a test's end, on a thread and with a client of its own: the test's runtime may be on its way out. Where it
/// fails, so does the test, unless it has already.
pub fn at_the_end<T, E>(otherwise: &str, work: impl AsyncFnOnce(Client) -> Result<T, E> + Send + 'static)
where
    E: std::fmt::Debug + Send + 'static,
{
    let done = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move { work(World::new().await.client).await.map(drop) })
    });
    match done.join() {
        Ok(Ok(())) => {}
        outcome if std::thread::panicking() => eprintln!("{otherwise}: {outcome:?}"),
        outcome => panic!("{otherwise}: {outcome:?}"),
    }
}

/// Waits for a condition, by watch.
pub async fn wait_until<K>(api: Api<K>, name: &str, condition: impl Condition<K>) -> K
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    let found = tokio::time::timeout(LIMIT, await_condition(api, name, condition)).await;
    found.unwrap_or_else(|_| panic!("{name} did not come to where it should within {LIMIT:?}")).unwrap().unwrap()
}

/// Whether a pod has come to an end, good or bad.
pub fn has_ended(pod: Option<&Pod>) -> bool {
    phase(pod).is_some_and(|phase| phase == "Succeeded" || phase == "Failed")
}

/// The phase of a pod.
pub fn phase(pod: Option<&Pod>) -> Option<&str> {
    pod?.status.as_ref()?.phase.as_deref()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `cargo dev test kubernetes`, or first eval \"$(cargo dev kube env)\"")
    })
}
