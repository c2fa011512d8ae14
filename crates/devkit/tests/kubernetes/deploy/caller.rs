//! Somebody who asks the API server, in plain requests: what is tested is what the server allows.

use std::{env, path::PathBuf, time::Duration};

use http::{Method, Request};
use kube::{
    Client, Config, Error,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(90);

/// Kinds, where the API server has them, and whether they are in a namespace.
const PLACES: [(&str, &str, bool); 21] = [
    ("Namespace", "/api/v1/namespaces", false),
    ("ConfigMap", "/api/v1/configmaps", true),
    ("Pod", "/api/v1/pods", true),
    ("Secret", "/api/v1/secrets", true),
    ("Service", "/api/v1/services", true),
    ("ServiceAccount", "/api/v1/serviceaccounts", true),
    ("ResourceQuota", "/api/v1/resourcequotas", true),
    ("LimitRange", "/api/v1/limitranges", true),
    ("PersistentVolume", "/api/v1/persistentvolumes", false),
    ("PersistentVolumeClaim", "/api/v1/persistentvolumeclaims", true),
    ("Deployment", "/apis/apps/v1/deployments", true),
    ("Job", "/apis/batch/v1/jobs", true),
    ("Ingress", "/apis/networking.k8s.io/v1/ingresses", true),
    ("NetworkPolicy", "/apis/networking.k8s.io/v1/networkpolicies", true),
    ("PodDisruptionBudget", "/apis/policy/v1/poddisruptionbudgets", true),
    ("RoleBinding", "/apis/rbac.authorization.k8s.io/v1/rolebindings", true),
    ("Role", "/apis/rbac.authorization.k8s.io/v1/roles", true),
    ("ClusterRole", "/apis/rbac.authorization.k8s.io/v1/clusterroles", false),
    ("ClusterRoleBinding", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", false),
    ("ValidatingAdmissionPolicy", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", false),
    (
        "ValidatingAdmissionPolicyBinding",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
        false,
    ),
];

/// Where the objects of a kind are, all or those of a namespace.
pub(super) fn place(kind: &str, namespace: &str) -> String {
    let (_, path, namespaced) = PLACES.iter().find(|(known, _, _)| *known == kind).unwrap_or_else(|| panic!("{kind}"));
    if !namespaced || namespace.is_empty() {
        return (*path).to_owned();
    }
    let (group, plural) = path.rsplit_once('/').unwrap();
    format!("{group}/namespaces/{namespace}/{plural}")
}

/// What the API server said no with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct No {
    pub(super) code: u16,
    pub(super) words: String,
}

/// Asks with the rights of somebody.
#[derive(Clone)]
pub(super) struct Caller {
    client: Client,
}

impl Caller {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Somebody who has nothing but a token.
    pub(super) async fn with_token(token: &str) -> Self {
        let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig_with(token)).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        Self { client: Client::try_from(config).unwrap() }
    }

    /// Asks; `path` has the query too.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, No> {
        let form = if method == Method::PATCH && path.contains("fieldManager=") {
            "application/apply-patch+yaml"
        } else if method == Method::PATCH {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let bytes = body.map(|body| serde_json::to_vec(body).unwrap()).unwrap_or_default();
        let request = Request::builder().method(method).uri(path).header("content-type", form).body(bytes).unwrap();
        match self.client.request_text(request).await {
            Ok(text) => Ok(serde_json::from_str(&text).unwrap_or(Value::String(text))),
            Err(Error::Api(status)) => Err(No { code: status.code, words: status.message.clone() }),
            Err(other) => panic!("{path}: {other}"),
        }
    }

    /// Server-side apply, as the platform does it.
    pub(super) async fn apply(&self, object: &Value) -> Result<Value, No> {
        self.apply_with(object, "").await
    }

    /// The same, with something added to the query.
    pub(super) async fn apply_with(&self, object: &Value, query: &str) -> Result<Value, No> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let place = place(text("/kind"), text("/metadata/namespace"));
        let path = format!("{place}/{}?fieldManager=codex-k8s&force=true{query}", text("/metadata/name"));
        self.ask(Method::PATCH, &path, Some(object)).await
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, No> {
        self.ask(Method::GET, path, None).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Value, No> {
        self.ask(Method::DELETE, path, None).await
    }
}

/// A kubeconfig that opens the cluster of the tests with nothing but a token.
pub(super) fn kubeconfig_with(token: &str) -> Value {
    let path = PathBuf::from(env::var_os("CODEX_K8S_TEST_KUBECONFIG").unwrap());
    let mut given: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for user in given["users"].as_array_mut().unwrap() {
        user["user"] = json!({ "token": token });
    }
    given
}

/// Asks again until what is wanted comes: rights and policies are in force a moment after they are written.
pub(super) async fn eventually<T, F: Future<Output = Result<T, String>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let mut last = String::new();
    let found = tokio::time::timeout(LIMIT, async {
        loop {
            match ask().await {
                Ok(found) => return found,
                Err(problem) => last = problem,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("{what}: {last}"))
}
