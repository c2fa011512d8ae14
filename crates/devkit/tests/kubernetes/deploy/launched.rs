//! A project's namespace as the launcher makes it, made with the worker's own token.

use jobs::foreign_policies;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::{Value, json};

use super::{
    caller::eventually,
    installed::Installed,
    jobs::{binding, labels, thing},
};

/// The policies that the launcher makes.
const OURS: [&str; 2] = ["agent", "default-deny"];

/// Makes the namespace of a project, with its policies and its account. Returns its name.
pub(super) async fn launch(installed: &mut Installed, project: &str) -> String {
    let worker = installed.account("worker").await;
    let made = installed.run_namespace(project);
    let namespace = made["metadata"]["name"].as_str().unwrap().to_owned();
    worker.apply(&made).await.unwrap();
    installed.goes_with_it(format!("/api/v1/namespaces/{namespace}"));
    worker.apply(&binding(installed, &namespace)).await.unwrap();
    let account = thing("v1", "ServiceAccount", &namespace, "agent", &json!({ "automountServiceAccountToken": false }));
    eventually("the launcher may work in its namespace", || async {
        worker.apply(&account).await.map_err(|no| no.words)
    })
    .await;
    for policy in policies(installed, &namespace) {
        worker.apply(&policy).await.unwrap();
    }
    namespace
}

fn policies(installed: &Installed, namespace: &str) -> [Value; 2] {
    let pods = |namespace: &str, key: &str, value: &str| {
        json!({
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace } },
            "podSelector": { "matchLabels": { key: value } },
        })
    };
    let component = "app.kubernetes.io/component";
    let (system, egress) = (installed.own("codexk8s-system"), installed.own("codexk8s-egress"));
    let tcp = |port: u16| json!([{ "protocol": "TCP", "port": port }]);
    let names = json!([{ "protocol": "UDP", "port": 53 }, { "protocol": "TCP", "port": 53 }]);
    let ways = json!([
        { "to": [pods("kube-system", "k8s-app", "kube-dns")], "ports": names },
        { "to": [pods(&system, component, "gateway")], "ports": tcp(8080) },
        { "to": [pods(&system, component, "model-gateway")], "ports": tcp(8081) },
        { "to": [pods(&egress, component, "egress-proxy")], "ports": tcp(3128) },
    ]);
    let api = "networking.k8s.io/v1";
    let nothing = json!({ "spec": { "podSelector": {}, "policyTypes": ["Ingress", "Egress"] } });
    let a_little = json!({ "spec": {
        "podSelector": { "matchLabels": { component: "agent" } }, "policyTypes": ["Egress"], "egress": ways,
    } });
    [
        thing(api, "NetworkPolicy", namespace, "default-deny", &nothing),
        thing(api, "NetworkPolicy", namespace, "agent", &a_little),
    ]
}

/// The policies that select agents in a namespace and are not the launcher's.
pub(super) async fn foreign(installed: &Installed, namespace: &str) -> Vec<String> {
    let path = format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies");
    let mut list = installed.account("worker").await.get(&path).await.unwrap();
    let policies: Vec<NetworkPolicy> = serde_json::from_value(list["items"].take()).unwrap();
    let labels = serde_json::from_value(labels(installed)).unwrap();
    foreign_policies(&policies, &labels, &OURS)
}
