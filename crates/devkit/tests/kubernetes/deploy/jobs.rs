//! A Job as the launcher makes it, and what belongs to it.

use serde_json::{Value, json};

use super::installed::Installed;

pub(super) const RUN: &str = "run-0123";

/// The labels of everything that belongs to a Job.
pub(super) fn labels(installed: &Installed) -> Value {
    json!({
        "app.kubernetes.io/managed-by": "codex-k8s", "app.kubernetes.io/component": "agent",
        "codex-k8s.dev/instance": installed.id, "codex-k8s.dev/project": "a",
        "codex-k8s.dev/run": "0123", "codex-k8s.dev/attempt": "1",
    })
}

pub(super) fn job(installed: &Installed, namespace: &str) -> Value {
    let labels = labels(installed);
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": RUN, "namespace": namespace, "labels": labels },
        "spec": { "backoffLimit": 0, "template": { "metadata": { "labels": labels }, "spec": {
            "restartPolicy": "Never", "serviceAccountName": "agent", "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "seccompProfile": { "type": "RuntimeDefault" },
            },
            "volumes": [
                { "name": "work", "emptyDir": { "sizeLimit": "16Mi" } },
                { "name": "token", "secret": { "secretName": RUN } },
            ],
            "containers": [{
                "name": "agent", "image": installed.shell, "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-c", "cat /token/token; echo; sleep 600"],
                "env": [{ "name": "CODEX_K8S_POD_UID", "valueFrom": { "fieldRef": { "fieldPath": "metadata.uid" } } }],
                "resources": {
                    "requests": { "cpu": "10m", "memory": "16Mi" },
                    "limits": { "cpu": "500m", "memory": "32Mi", "ephemeral-storage": "32Mi" },
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] },
                },
                "volumeMounts": [{ "name": "work", "mountPath": "/work" }, { "name": "token", "mountPath": "/token" }],
            }],
        } } },
    })
}

/// The Job's Secret; it goes with the Job of this UID.
pub(super) fn secret(installed: &Installed, namespace: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": RUN, "namespace": namespace, "labels": labels(installed), "ownerReferences": [
            { "apiVersion": "batch/v1", "kind": "Job", "name": RUN, "uid": uid },
        ] },
        "stringData": { "token": "the-token" },
    })
}

/// The launcher's role in a namespace, bound to itself.
pub(super) fn binding(installed: &Installed, namespace: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": "launcher", "namespace": namespace, "labels": { "app.kubernetes.io/managed-by": "codex-k8s" } },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": installed.own("codex-k8s-run-namespace"),
        },
        "subjects": [{ "kind": "ServiceAccount", "name": "worker", "namespace": installed.own("codexk8s-system") }],
    })
}

/// Something of a kind that needs no more than a specification.
pub(super) fn thing(api: &str, kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": api, "kind": kind,
        "metadata": { "name": name, "namespace": namespace, "labels": { "app.kubernetes.io/managed-by": "codex-k8s" } },
    });
    for (key, value) in spec.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}
