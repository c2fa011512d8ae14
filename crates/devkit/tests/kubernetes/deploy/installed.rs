//! What `deploy/` installs, put into the cluster under names of one test alone, and taken away with the test.

use std::{fs, path::Path, process::Command};

use devkit::{
    harness::InCluster,
    layout::Layout,
    manifests::{Rendered, render},
    tools,
};
use http::Method;
use jobs::kubernetes::OwnRights;
use serde_json::{Value, json};

use super::caller::{Caller, eventually, kubeconfig_with, place};
use crate::world::{World, at_the_end};

/// Names of the whole cluster that the manifests have.
const CLUSTER_NAMES: [&str; 4] =
    ["codex-k8s-launcher", "codex-k8s-run-namespace", "codex-k8s-run-pods", "codex-k8s-deployer"];

/// What is put into the cluster: rights, what holds them, and who may reach whom. Not what runs: its images are not here.
const KINDS: [&str; 7] = [
    "Namespace",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "NetworkPolicy",
];

/// Renders an overlay as an installer would, with the cluster's own addresses put in.
pub(super) fn rendered(overlay: &str, world: &World) -> Rendered {
    let layout = Layout::find().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(layout.tree.join("deploy")).arg(copy.path()).status().unwrap();
    assert!(copied.success());
    let folder = copy.path().join("deploy").join(overlay);
    fill_in(&folder.join("cluster.env"), world);
    render(&tools::kustomize(&layout.cache).unwrap(), &folder).unwrap()
}

fn fill_in(file: &Path, world: &World) {
    let Ok(text) = fs::read_to_string(file) else { return };
    let node = format!("{}/32", world.node_address);
    let filled: Vec<String> = text
        .lines()
        .map(|line| match line.split_once('=') {
            Some((key @ ("API_SERVER_CIDR" | "NODES_CIDR" | "DATABASE_CIDR" | "TEMPORAL_CIDR"), _)) => {
                format!("{key}={node}")
            }
            Some((key @ "PODS_CIDR", _)) => format!("{key}=10.244.0.0/16"),
            Some((key @ "SERVICES_CIDR", _)) => format!("{key}=10.96.0.0/12"),
            Some((key @ "PUBLIC_HOST", _)) => format!("{key}=codex.example.com"),
            _ => line.to_owned(),
        })
        .collect();
    fs::write(file, filled.join("\n")).unwrap();
}

/// The installation of one test.
pub(crate) struct Installed {
    /// What makes its names its own.
    pub(super) id: String,
    /// With an administrator's rights.
    pub(super) admin: Caller,
    /// An image with a shell, on the node.
    pub(super) shell: String,
    made: Vec<String>,
    folder: tempfile::TempDir,
}

impl Installed {
    /// Installs rights, admission and network policies, and waits until they are in force.
    pub(crate) async fn new(world: &World) -> Self {
        let id = format!("t{}", devkit::secrets::random_hex(3));
        let (admin, shell) = (Caller::new(world.client.clone()), world.shell_image.clone());
        let mut installed = Self { id, admin, shell, made: Vec::new(), folder: tempfile::tempdir().unwrap() };
        for overlay in ["overlays/production", "environment"] {
            let rendered = rendered(overlay, world);
            for object in rendered
                .objects
                .iter()
                .filter(|object| KINDS.contains(&object.kind()) || object.kind() == "RoleBinding")
            {
                installed.apply(object.value()).await;
            }
        }
        installed.in_force().await;
        installed
    }

    /// A name, or a text with names, as it is in this installation.
    pub(crate) fn own(&self, text: &str) -> String {
        let mut text = text.replace("codexk8s-", &format!("codexk8s-{}-", self.id));
        text = text.replace(&format!("codexk8s-{}-run-", self.id), &format!("codexk8s-run-{}-", self.id));
        for name in CLUSTER_NAMES {
            text = text.replace(name, &name.replace("codex-k8s-", &format!("codex-k8s-{}-", self.id)));
        }
        text
    }

    /// Applies an object of the manifests under the names of this installation.
    pub(super) async fn apply(&mut self, object: &Value) {
        let object: Value = serde_json::from_str(&self.own(&object.to_string())).unwrap();
        self.admin.apply(&object).await.unwrap_or_else(|no| panic!("{}: {no:?}", object["metadata"]["name"]));
        if object["metadata"]["namespace"].is_null() {
            let kind = object["kind"].as_str().unwrap();
            self.made.push(format!("{}/{}", place(kind, ""), object["metadata"]["name"].as_str().unwrap()));
        }
    }

    /// One of the platform's accounts, with a token of its own.
    pub(super) async fn account(&self, name: &str) -> Caller {
        Caller::with_token(&self.token(name).await).await
    }

    /// The cluster for a worker that has the rights of its account, and no more.
    pub(crate) async fn for_worker(&self, world: &World) -> InCluster {
        let kubeconfig = self.folder.path().join("worker.kubeconfig");
        fs::write(&kubeconfig, kubeconfig_with(&self.token("worker").await).to_string()).unwrap();
        InCluster {
            kubeconfig,
            namespace_prefix: Some(self.own("codexk8s-run-")),
            rights: Some(self.rights()),
            node_address: world.node_address,
            runner_image: world.runner_image.clone(),
            block: None,
        }
    }

    /// The worker's account, and what it binds to it in the namespaces of Jobs.
    pub(super) fn rights(&self) -> OwnRights {
        OwnRights {
            namespace: self.own("codexk8s-system"),
            account: "worker".to_owned(),
            role: self.own("codex-k8s-run-namespace"),
        }
    }

    async fn token(&self, name: &str) -> String {
        let path = self.own(&format!("/api/v1/namespaces/codexk8s-system/serviceaccounts/{name}/token"));
        let wanted =
            json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "audiences": [] } });
        let given = self.admin.ask(Method::POST, &path, Some(&wanted)).await.unwrap();
        given["status"]["token"].as_str().unwrap().to_owned()
    }

    /// A namespace of a project's Jobs, as the launcher makes it.
    pub(super) fn run_namespace(&self, project: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": self.own(&format!("codexk8s-run-{project}")), "labels": {
                "app.kubernetes.io/managed-by": "codex-k8s",
                "codex-k8s.dev/instance": self.id,
                "codex-k8s.dev/project": project,
                "pod-security.kubernetes.io/enforce": "restricted",
            } },
        })
    }

    /// Notes something that goes with the test.
    pub(super) fn goes_with_it(&mut self, path: String) {
        if !self.made.contains(&path) {
            self.made.push(path);
        }
    }

    /// Waits until worker and deployer are held: what neither may do is tried without doing it.
    async fn in_force(&self) {
        let worker = self.account("worker").await;
        let mut elsewhere = self.run_namespace("x");
        elsewhere["metadata"]["name"] = format!("elsewhere-{}", self.id).into();
        eventually("the launcher is held by its admission policy", || async {
            match worker.apply_with(&elsewhere, "&dryRun=All").await {
                Err(no) if no.words.contains("ValidatingAdmissionPolicy") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        let deployer = self.account("deployer").await;
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "x", "namespace": self.own("codexk8s-env-example") },
            "spec": { "type": "NodePort", "ports": [{ "port": 1 }] },
        });
        eventually("the deployer is held by its admission policy", || async {
            match deployer.apply_with(&service, "&dryRun=All").await {
                Err(no) if no.words.contains("ValidatingAdmissionPolicy") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let made = std::mem::take(&mut self.made);
        at_the_end("something is left in the cluster", async move |client| {
            let admin = Caller::new(client);
            let mut left = Vec::new();
            // What holds accounts goes last.
            for path in made.iter().rev() {
                if let Err(no) = admin.delete(path).await
                    && no.code != 404
                {
                    left.push(format!("{path}: {no:?}"));
                }
            }
            if left.is_empty() { Ok(()) } else { Err(left) }
        });
    }
}
