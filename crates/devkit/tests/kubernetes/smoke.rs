//! That the cluster is one: it runs pods, keeps them within bounds, and refuses what it should.

use std::sync::Arc;

use k8s_openapi::api::{core::v1::Pod, networking::v1::NetworkPolicy};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::world::{World, phase};

/// A pod as *restricted* wants it.
fn restricted(image: &str, script: &str) -> Value {
    json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "main", "image": image, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", script],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}},
            "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
        }],
    })
}

#[tokio::test]
async fn a_restricted_pod_runs_as_it_should() {
    let world = World::new().await;
    let namespace = world.namespace("smoke").await;
    let script = "id -u; grep CapEff /proc/self/status; touch /x 2>&1 || true; exit 7";
    let (pod, log) = namespace.run(restricted(&world.shell_image, script)).await;
    assert_eq!(phase(Some(&pod)), Some("Failed"));
    let statuses = pod.status.unwrap().container_statuses.unwrap();
    assert_eq!(statuses[0].state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 7);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[..2], ["10001", "CapEff:\t0000000000000000"]);
    assert!(lines[2].contains("Read-only file system"), "{log}");
}

#[tokio::test]
async fn a_privileged_pod_is_refused() {
    let world = World::new().await;
    let namespace = world.namespace("smoke").await;
    let mut spec = restricted(&world.shell_image, "true");
    spec["containers"][0]["securityContext"] = json!({"privileged": true});
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "bad"}, "spec": spec})).unwrap();
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), &namespace.name);
    let refused = pods.create(&PostParams::default(), &pod).await.unwrap_err().to_string();
    assert!(refused.contains("violates PodSecurity"), "{refused}");
}

#[tokio::test]
async fn a_pod_reaches_this_machine_by_its_address() {
    let world = World::new().await;
    let namespace = world.namespace("smoke").await;
    let listener = tokio::net::TcpListener::bind((world.node_address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answered = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"from the machine\n").await.unwrap();
    });
    // Until the network agent has heard of a new pod's address, nothing that it sends gets through.
    let script = format!(
        "for try in 1 2 3 4 5 6 7 8 9 10; do nc -w 3 {} {port} </dev/null 2>/dev/null && exit 0; sleep 1; done",
        world.node_address
    );
    let (_, log) = namespace.run(restricted(&world.shell_image, &script)).await;
    assert_eq!(log, "from the machine\n");
    answered.await.unwrap();
}

#[tokio::test]
async fn a_network_policy_holds_a_pod_back() {
    let world = World::new().await;
    let namespace = world.namespace("smoke").await;
    let listener = tokio::net::TcpListener::bind((world.node_address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let came = Arc::new(Notify::new());
    let noted = Arc::clone(&came);
    let accepting = tokio::spawn(async move {
        loop {
            listener.accept().await.unwrap();
            noted.notify_one();
        }
    });
    let policy = json!({
        "metadata": {"name": "nothing"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    });
    let hold = async {
        came.notified().await;
        let policies: Api<NetworkPolicy> = Api::namespaced(world.client.clone(), &namespace.name);
        policies.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
    };
    // It knocks until it is let in, and then until it is not.
    let knock = format!("nc -w 2 {} {port} </dev/null", world.node_address);
    let script = format!("until {knock}; do sleep 1; done; while {knock}; do sleep 1; done; echo held back");
    let (_, (_, log)) = tokio::join!(hold, namespace.run(restricted(&world.shell_image, &script)));
    assert!(log.lines().any(|line| line == "held back"), "{log}");
    accepting.abort();
}
