//! Runner, git and Codex in an image that holds nothing but a shell: they come from the runner image, by an init container.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{LogParams, PostParams},
};
use serde_json::{Value, json};

use crate::world::{World, has_ended, phase, wait_until};

/// A pod as a Job has it: `tools` is filled from the runner image, `script` runs beside it in the project's.
fn pod(world: &World, script: &str) -> Value {
    let security =
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
    let resources = json!({"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}});
    json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [{
            "name": "tools", "image": world.runner_image, "imagePullPolicy": "Never", "securityContext": security, "resources": resources,
            "command": ["/bin/sh", "/opt/codex-k8s/bin/runner", "install", "/codex-k8s"],
            "volumeMounts": [{"name": "tools", "mountPath": "/codex-k8s"}],
        }],
        "containers": [{
            "name": "agent", "image": world.shell_image, "imagePullPolicy": "Never", "securityContext": security, "resources": resources,
            "command": ["/bin/sh", "-c", script],
            "volumeMounts": [
                {"name": "tools", "mountPath": "/codex-k8s", "readOnly": true}, {"name": "work", "mountPath": "/work"}, {"name": "tmp", "mountPath": "/tmp"},
            ],
        }],
        "volumes": [
            {"name": "tools", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "work", "emptyDir": {"sizeLimit": "64Mi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
        ],
    })
}

#[tokio::test]
async fn git_and_codex_work_where_there_is_nothing_but_a_shell() {
    let world = World::new().await;
    let namespace = world.namespace("bundle").await;
    let script = "set -e
        ls /lib /lib64 /usr 2>&1 | head -1
        export HOME=/work PATH=$PATH:/codex-k8s/bin
        codex --version
        git --version
        git init -q /work/a && cd /work/a && echo text >file && git add file
        git -c user.name=n -c user.email=e@example.test commit -qm first
        git clone -q /work/a /work/b && git -C /work/b bundle create -q /work/all HEAD && git -C /work/a fetch -q /work/all && git -C /work/b log --format=%s
        git -C /work/b submodule status
        git ls-remote https://127.0.0.1:1/x 2>&1 | grep -o \"Failed to connect\" || true";
    let (ended, log) = namespace.run(pod(&world, script)).await;
    assert_eq!(phase(Some(&ended)), Some("Succeeded"), "{log}");
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].contains("No such file"), "the image holds more than a shell: {log}");
    assert!(lines[1].starts_with("codex-cli ") && lines[2].starts_with("git version "), "{log}");
    assert_eq!(lines[3..], ["first", "Failed to connect"], "{log}");
}

#[tokio::test]
async fn the_runner_starts_where_there_is_nothing_but_a_shell() {
    let world = World::new().await;
    let namespace = world.namespace("bundle").await;
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), &namespace.name);
    let spec = pod(&world, "exec /bin/sh /codex-k8s/bin/runner");
    let order = json!({"metadata": {"name": "runner"}, "spec": spec});
    pods.create(&PostParams::default(), &serde_json::from_value(order).unwrap()).await.unwrap();
    let ended = wait_until(pods.clone(), "runner", has_ended).await;
    let log = pods.logs("runner", &LogParams::default()).await.unwrap();
    // It is not told anything, and says what it misses.
    assert_eq!(phase(Some(&ended)), Some("Failed"), "{log}");
    assert!(log.contains("CODEX_K8S_") && log.contains("not set"), "{log}");
}
