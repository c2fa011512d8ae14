//! Rules about what runs.

use serde_json::Value;

use super::{
    Finding, Object,
    object::{containers, list, selects},
};

/// The accounts whose pods talk to the cluster, with a reason for each.
const TOKENS: [(&str, &str); 1] = [("codexk8s-system", "worker")];

/// How long a look at readiness may take: a role asks its parts for up to 2 s.
const PROBE_SECONDS: u64 = 3;

pub(super) fn findings(objects: &[Object]) -> Vec<Finding> {
    let mut found = Vec::new();
    for object in objects {
        if object.kind() == "ServiceAccount"
            && object.value().get("automountServiceAccountToken") != Some(&Value::Bool(false))
        {
            found.push(Finding::new(object, "mounts its token everywhere: set automountServiceAccountToken: false"));
        }
        let Some(pod) = object.pod() else { continue };
        let mut problems = of_pod(object, pod);
        for container in containers(pod) {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
            problems.extend(of_container(container).into_iter().map(|problem| format!("container `{name}` {problem}")));
        }
        if object.kind() == "Deployment" {
            problems.extend(of_deployment(objects, object, pod));
        }
        found.extend(problems.into_iter().map(|problem| Finding::new(object, problem)));
    }
    found
}

fn of_pod(object: &Object, pod: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if pod.pointer("/securityContext/runAsNonRoot") != Some(&Value::Bool(true)) {
        problems.push("may run as root: set securityContext.runAsNonRoot".to_owned());
    }
    if pod.pointer("/securityContext/seccompProfile/type").and_then(Value::as_str) != Some("RuntimeDefault") {
        problems.push("has no seccomp profile: set RuntimeDefault".to_owned());
    }
    let account = pod.get("serviceAccountName").and_then(Value::as_str).unwrap_or_default();
    if account.is_empty() {
        problems.push("runs as the namespace's default account: name one".to_owned());
    }
    let wants_token = pod.get("automountServiceAccountToken") != Some(&Value::Bool(false));
    if wants_token && !TOKENS.contains(&(object.namespace(), account)) {
        problems.push("mounts a token of the cluster: set automountServiceAccountToken: false".to_owned());
    }
    for part in ["hostNetwork", "hostPID", "hostIPC"] {
        if pod.get(part) == Some(&Value::Bool(true)) {
            problems.push(format!("takes part of the node: {part}"));
        }
    }
    for volume in list(pod, "/volumes").iter().filter(|volume| volume.get("hostPath").is_some()) {
        problems.push(format!("mounts a folder of the node: {volume}"));
    }
    problems
}

fn of_container(container: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let context = |key: &str| container.pointer(&format!("/securityContext/{key}"));
    if context("allowPrivilegeEscalation") != Some(&Value::Bool(false)) {
        problems.push("may gain privileges: set allowPrivilegeEscalation: false".to_owned());
    }
    if context("readOnlyRootFilesystem") != Some(&Value::Bool(true)) {
        problems.push("can write to its image: set readOnlyRootFilesystem".to_owned());
    }
    if context("privileged") == Some(&Value::Bool(true)) {
        problems.push("is privileged".to_owned());
    }
    let drops_all = list(container, "/securityContext/capabilities/drop").iter().any(|dropped| dropped == "ALL");
    if !drops_all || !list(container, "/securityContext/capabilities/add").is_empty() {
        problems.push("has capabilities: drop ALL and add none".to_owned());
    }
    for side in ["requests", "limits"] {
        for resource in ["cpu", "memory", "ephemeral-storage"] {
            if container.pointer(&format!("/resources/{side}/{resource}")).is_none() {
                problems.push(format!("has no {resource} in its {side}"));
            }
        }
    }
    problems
}

fn of_deployment(objects: &[Object], deployment: &Object, pod: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for container in list(pod, "/containers") {
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            match container.get(probe) {
                None => problems.push(format!("has no {probe}")),
                Some(given) if given.get("timeoutSeconds").and_then(Value::as_u64).unwrap_or(1) < PROBE_SECONDS => {
                    problems.push(format!("has a {probe} of less than {PROBE_SECONDS} s"));
                }
                Some(_) => {}
            }
        }
    }
    if list(pod, "/topologySpreadConstraints").is_empty() {
        problems.push("is not spread over nodes: set topologySpreadConstraints".to_owned());
    }
    let labels = deployment.value().pointer("/spec/template/metadata/labels");
    let kept = objects.iter().any(|object| {
        object.kind() == "PodDisruptionBudget"
            && object.namespace() == deployment.namespace()
            && selects(object.value().pointer("/spec/selector/matchLabels").and_then(Value::as_object), labels)
    });
    if !kept {
        problems.push("has no PodDisruptionBudget".to_owned());
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{super::render::given, *};

    const GOOD: &str = "
kind: Deployment
metadata: {name: web, namespace: a}
spec:
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      topologySpreadConstraints: [{maxSkew: 1}]
      containers:
        - name: web
          startupProbe: {timeoutSeconds: 3}
          livenessProbe: {timeoutSeconds: 3}
          readinessProbe: {timeoutSeconds: 3}
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
          resources: {requests: {cpu: 1, memory: 1, ephemeral-storage: 1}, limits: {cpu: 1, memory: 1, ephemeral-storage: 1}}
---
kind: PodDisruptionBudget
metadata: {name: web, namespace: a}
spec: {selector: {matchLabels: {app: web}}}
";

    #[test]
    fn each_part_of_a_deployment_is_asked_for() {
        assert_eq!(findings(&given(GOOD)), []);
        for (from, to, about) in [
            ("runAsNonRoot: true", "runAsUser: 0", "root"),
            ("{type: RuntimeDefault}", "{type: Unconfined}", "seccomp"),
            ("serviceAccountName: web", "nodeName: x", "default account"),
            ("automountServiceAccountToken: false", "automountServiceAccountToken: true", "token"),
            ("serviceAccountName: web", "serviceAccountName: web\n      hostNetwork: true", "hostNetwork"),
            ("topologySpreadConstraints: [{maxSkew: 1}]", "volumes: [{hostPath: {path: /}}]", "folder of the node"),
            ("allowPrivilegeEscalation: false", "privileged: true", "privileged"),
            ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "write to its image"),
            ("drop: [ALL]", "drop: [ALL], add: [NET_ADMIN]", "capabilities"),
            ("limits: {cpu: 1", "limits: {gpu: 1", "no cpu in its limits"),
            ("readinessProbe: {timeoutSeconds: 3}", "readinessProbe: {timeoutSeconds: 1}", "less than 3 s"),
            ("livenessProbe", "otherProbe", "no livenessProbe"),
            ("{matchLabels: {app: web}}", "{matchLabels: {app: other}}", "PodDisruptionBudget"),
            ("[{maxSkew: 1}]", "[]", "spread"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            let found = findings(&given(&text));
            assert!(found.iter().any(|finding| finding.problem.contains(about)), "{to}: {found:?}");
        }
    }

    #[test]
    fn accounts_mount_no_token() {
        let account = "kind: ServiceAccount\nmetadata: {name: a, namespace: b}\n";
        assert_eq!(findings(&given(account)).len(), 1);
        assert_eq!(findings(&given(&format!("{account}automountServiceAccountToken: false\n"))), []);
    }
}
