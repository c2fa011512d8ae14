//! What an account must not do.

use http::Method;
use serde_json::{Value, json};

use super::{
    caller::{Caller, No, place},
    installed::Installed,
    jobs::{binding, job, secret, thing},
};

/// Something that must be refused.
pub(super) struct Attempt {
    what: &'static str,
    method: Method,
    path: String,
    body: Option<Value>,
}

impl Attempt {
    pub(super) fn write(what: &'static str, object: Value) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let place = place(text("/kind"), text("/metadata/namespace"));
        let path = format!("{place}/{}?fieldManager=codex-k8s&force=true&dryRun=All", text("/metadata/name"));
        Self { what, method: Method::PATCH, path, body: Some(object) }
    }

    pub(super) fn change(what: &'static str, path: String, body: Value) -> Self {
        Self { what, method: Method::PATCH, path: tried(path), body: Some(body) }
    }

    pub(super) fn post(what: &'static str, path: String, body: Value) -> Self {
        Self { what, method: Method::POST, path: tried(path), body: Some(body) }
    }

    pub(super) fn delete(what: &'static str, path: String) -> Self {
        Self { what, method: Method::DELETE, path: tried(path), body: None }
    }

    pub(super) fn read(what: &'static str, path: String) -> Self {
        Self { what, method: Method::GET, path, body: None }
    }

    pub(super) async fn answer(&self, caller: &Caller) -> Result<Value, No> {
        caller.ask(self.method.clone(), &self.path, self.body.as_ref()).await
    }
}

/// Only tried: what is let through after all leaves nothing behind.
fn tried(mut path: String) -> String {
    path.push_str("?dryRun=All");
    path
}

/// All attempts must be refused; says which were not.
pub(super) async fn all_refused(caller: &Caller, attempts: &[Attempt], by: &str) {
    let mut through = Vec::new();
    for attempt in attempts {
        match attempt.answer(caller).await {
            Err(no) if no.code == 403 && no.words.contains(by) => {}
            other => through.push(format!("{}: {other:?}", attempt.what)),
        }
    }
    assert!(through.is_empty(), "{} of {} attempts:\n{}", through.len(), attempts.len(), through.join("\n"));
}

/// An object with something in it set.
pub(super) fn changed(mut object: Value, pointer: &str, value: Value) -> Value {
    if let Some(there) = object.pointer_mut(pointer) {
        *there = value;
    } else {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = value;
    }
    object
}

fn pod_spec(key: &str) -> String {
    format!("/spec/template/spec/{key}")
}

fn container(key: &str) -> String {
    format!("/spec/template/spec/containers/0/{key}")
}

/// Writes beyond what the launcher is for.
pub(super) fn escapes(installed: &Installed, run: &str) -> Vec<Attempt> {
    [elsewhere(installed), namespaces(installed, run), rights(installed, run), others(installed, run)]
        .into_iter()
        .flatten()
        .collect()
}

/// Writes in namespaces that are not for Jobs.
fn elsewhere(installed: &Installed) -> Vec<Attempt> {
    let system = installed.own("codexk8s-system");
    let lure = format!("/api/v1/namespaces/{system}/secrets/lure");
    vec![
        Attempt::write("a Job in kube-system", job(installed, "kube-system")),
        Attempt::write("a Job in the platform's own namespace", job(installed, &system)),
        Attempt::write("a Secret elsewhere", secret(installed, "default", "x")),
        Attempt::change("the content of a Secret, by changing nothing", lure.clone(), json!({})),
        Attempt::delete("deleting a Secret elsewhere", lure),
        Attempt::delete("deleting another namespace", format!("/api/v1/namespaces/{system}")),
        Attempt::write("its role in another namespace", binding(installed, "default")),
    ]
}

/// Namespaces that are not as those of Jobs are.
fn namespaces(installed: &Installed, run: &str) -> Vec<Attempt> {
    let named = |name: &str| changed(installed.run_namespace("a"), "/metadata/name", name.into());
    let labelled = |key: &str, value: &str| {
        let mut namespace = installed.run_namespace("new");
        namespace["metadata"]["labels"][key] = value.into();
        namespace
    };
    let all = "/api/v1/namespaces".to_owned();
    let made_up = json!({ "generateName": "free-", "labels": installed.run_namespace("a")["metadata"]["labels"] });
    let relabelled = |what: &'static str, key: &str, value: Value| {
        Attempt::change(what, format!("/api/v1/namespaces/{run}"), json!({ "metadata": { "labels": { key: value } } }))
    };
    let enforce = "pod-security.kubernetes.io/enforce";
    vec![
        Attempt::write("a namespace of another name", named(&installed.own("codexk8s-other"))),
        Attempt::write("a namespace of the prefix alone", named(installed.own("codexk8s-run-").trim_end_matches('-'))),
        Attempt::write("taking over kube-system", named("kube-system")),
        Attempt::post(
            "a namespace without labels",
            all.clone(),
            json!({ "metadata": { "name": installed.own("codexk8s-run-bare") } }),
        ),
        Attempt::post("a namespace whose name the server makes up", all, json!({ "metadata": made_up })),
        Attempt::write("a namespace that is not restricted", labelled(enforce, "baseline")),
        Attempt::write("one that is restricted as it was long ago", labelled(&format!("{enforce}-version"), "v1.20")),
        Attempt::write("a namespace that is an environment", labelled("codex-k8s.dev/environment", "production")),
        Attempt::write("a namespace that monitors", labelled("codex-k8s.dev/monitoring", "true")),
        relabelled("taking the restriction off", enforce, Value::Null),
        relabelled("taking the owner's label off", "app.kubernetes.io/managed-by", Value::Null),
        relabelled("giving a namespace to another project", "codex-k8s.dev/project", "b".into()),
    ]
}

/// Rights and identities.
fn rights(installed: &Installed, run: &str) -> Vec<Attempt> {
    const RBAC: &str = "rbac.authorization.k8s.io/v1";
    let bound = |pointer: &str, value: Value| {
        let other = changed(binding(installed, run), "/metadata/name", "other".into());
        changed(other, pointer, value)
    };
    let token = |key: &str, value: Value| changed(secret(installed, run, "x"), key, value);
    let account = |name: &str, mounts: bool| {
        thing("v1", "ServiceAccount", run, name, &json!({ "automountServiceAccountToken": mounts }))
    };
    let rules = json!([{ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] }]);
    let everybody =
        json!([{ "kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:authenticated" }]);
    let name = installed.own("codex-k8s-run-namespace");
    let wanted =
        json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "audiences": [] } });
    let of_account = json!({ "kubernetes.io/service-account.name": "agent" });
    let of_account =
        changed(token("/type", "kubernetes.io/service-account-token".into()), "/metadata/annotations", of_account);
    vec![
        Attempt::write("another role", bound("/roleRef/name", "cluster-admin".into())),
        Attempt::write("its role for others", bound("/subjects", everybody)),
        Attempt::write("a role", thing(RBAC, "Role", run, "x", &json!({ "rules": rules }))),
        Attempt::write(
            "a role of the whole cluster",
            json!({ "apiVersion": RBAC, "kind": "ClusterRole", "metadata": { "name": name }, "rules": rules }),
        ),
        Attempt::write("another account", account("x", false)),
        Attempt::write("an account with a token", account("agent", true)),
        Attempt::post("a token of an account", format!("/api/v1/namespaces/{run}/serviceaccounts/agent/token"), wanted),
        Attempt::write("a Secret that is an account's token", of_account),
        Attempt::write("a Secret without a Job", token("/metadata/ownerReferences", json!([]))),
        Attempt::write("a Secret of somebody else's", token("/metadata/labels", json!({}))),
    ]
}

/// Things that have no place where Jobs run.
fn others(installed: &Installed, run: &str) -> Vec<Attempt> {
    let policy = |spec: Value| thing("networking.k8s.io/v1", "NetworkPolicy", run, "x", &json!({ "spec": spec }));
    let everywhere = json!({ "to": [{ "ipBlock": { "cidr": "0.0.0.0/0" } }], "ports": [{ "port": 443 }] });
    let pod =
        json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [{ "name": "x", "image": "x" }] } });
    let job = job(installed, run);
    let deployment = json!({ "spec": { "selector": { "matchLabels": { "a": "b" } }, "template": pod } });
    vec![
        Attempt::write("a ConfigMap", thing("v1", "ConfigMap", run, "x", &json!({ "data": {} }))),
        Attempt::write("a Deployment", thing("apps/v1", "Deployment", run, "x", &deployment)),
        Attempt::write("a pod", thing("v1", "Pod", run, "x", &json!({ "spec": job["spec"]["template"]["spec"] }))),
        Attempt::write("a way in to agents", policy(json!({ "podSelector": {}, "ingress": [{}] }))),
        Attempt::write("a way out to everywhere", policy(json!({ "podSelector": {}, "egress": [{}] }))),
        Attempt::write("a way out to every address", policy(json!({ "podSelector": {}, "egress": [everywhere] }))),
    ]
}

/// Jobs that are more than a Job of an agent.
pub(super) fn odd_jobs(installed: &Installed, run: &str) -> Vec<Attempt> {
    let with = |what: &'static str, pointer: String, value: Value| {
        Attempt::write(what, changed(job(installed, run), &pointer, value))
    };
    let privileged = json!({ "privileged": true, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] } });
    vec![
        with("a privileged container", container("securityContext"), privileged),
        with(
            "a container that can gain privileges",
            container("securityContext/allowPrivilegeEscalation"),
            true.into(),
        ),
        with("a container that writes to its image", container("securityContext/readOnlyRootFilesystem"), false.into()),
        with(
            "a container with capabilities",
            container("securityContext/capabilities"),
            json!({ "drop": ["ALL"], "add": ["NET_ADMIN"] }),
        ),
        with("a container without a security context", container("securityContext"), json!({})),
        with("a container on a port of the node", container("ports"), json!([{ "containerPort": 80, "hostPort": 80 }])),
        with(
            "a variable from a Secret",
            container("env"),
            json!([{ "name": "X", "valueFrom": { "secretKeyRef": { "name": "x", "key": "y" } } }]),
        ),
        with("variables from a Secret", container("envFrom"), json!([{ "secretRef": { "name": "x" } }])),
        with(
            "a privileged container that runs first",
            pod_spec("initContainers"),
            json!([{ "name": "i", "image": "x", "securityContext": { "privileged": true } }]),
        ),
        with("a folder of the node", pod_spec("volumes/0"), json!({ "name": "work", "hostPath": { "path": "/" } })),
        with(
            "another Job's Secret",
            pod_spec("volumes/0"),
            json!({ "name": "work", "secret": { "secretName": "other" } }),
        ),
        with(
            "a token by a volume",
            pod_spec("volumes/0"),
            json!({ "name": "work", "projected": { "sources": [{ "serviceAccountToken": { "path": "t" } }] } }),
        ),
        with("a token", pod_spec("automountServiceAccountToken"), true.into()),
        with("another account", pod_spec("serviceAccountName"), "default".into()),
        with("the node's network", pod_spec("hostNetwork"), true.into()),
        with("the node's processes", pod_spec("hostPID"), true.into()),
        with("a pod that is started again", pod_spec("restartPolicy"), "OnFailure".into()),
        with("a Job that is tried again", "/spec/backoffLimit".to_owned(), 3.into()),
        with("a pod of no run", "/spec/template/metadata/labels".to_owned(), json!({})),
        with("a Job of somebody else's", "/metadata/labels".to_owned(), json!({ "a": "b" })),
    ]
}

/// What admission never sees: reading, and becoming somebody else.
pub(super) fn reads(installed: &Installed, run: &str) -> Vec<Attempt> {
    let system = installed.own("codexk8s-system");
    vec![
        Attempt::read("Secrets of the platform", format!("/api/v1/namespaces/{system}/secrets")),
        Attempt::read("Secrets of the cluster", "/api/v1/secrets".to_owned()),
        Attempt::read("its own Secrets", format!("/api/v1/namespaces/{run}/secrets")),
        Attempt::read("a Secret of its own", format!("/api/v1/namespaces/{run}/secrets/run-0123")),
        Attempt::read("Jobs everywhere", "/apis/batch/v1/jobs".to_owned()),
        Attempt::read("pods everywhere", "/api/v1/pods".to_owned()),
        Attempt::read("pods elsewhere", format!("/api/v1/namespaces/{system}/pods")),
        Attempt::read("one Secret elsewhere", format!("/api/v1/namespaces/{system}/secrets/lure")),
        Attempt::read("a log elsewhere", format!("/api/v1/namespaces/{system}/pods/x/log")),
        Attempt::read("events elsewhere", format!("/api/v1/namespaces/{system}/events")),
        Attempt::read("ConfigMaps", format!("/api/v1/namespaces/{system}/configmaps")),
        Attempt::read("nodes", "/api/v1/nodes".to_owned()),
        Attempt::read(
            "a shell in an agent's pod",
            format!("/api/v1/namespaces/{run}/pods/x/exec?command=id&stdout=true"),
        ),
        Attempt::read("a port of an agent's pod", format!("/api/v1/namespaces/{run}/pods/x/portforward?ports=1")),
        Attempt::post("a pod's other containers", format!("/api/v1/namespaces/{run}/pods/x/exec"), json!({})),
        Attempt::change(
            "a container beside an agent",
            format!("/api/v1/namespaces/{run}/pods/x/ephemeralcontainers"),
            json!({ "spec": { "ephemeralContainers": [] } }),
        ),
        Attempt::delete("all Jobs at once", format!("/apis/batch/v1/namespaces/{run}/jobs")),
        Attempt::delete(
            "the policies that hold it",
            format!(
                "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{}",
                installed.own("codex-k8s-launcher")
            ),
        ),
        Attempt::delete(
            "the policies of its namespace",
            format!("/apis/networking.k8s.io/v1/namespaces/{run}/networkpolicies/default-deny"),
        ),
    ]
}
