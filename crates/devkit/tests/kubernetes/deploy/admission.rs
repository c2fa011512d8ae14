//! The worker's and the deployer's own tokens try to get out of what they were given.

use http::Method;
use serde_json::{Value, json};

use super::{
    attempts::{Attempt, all_refused, changed, escapes, odd_jobs, reads},
    caller::{Caller, eventually, place},
    installed::Installed,
    jobs::{RUN, binding, job, labels, secret, thing},
};
use crate::world::World;

/// A namespace that the launcher has made and may work in, with its account.
async fn prepared(installed: &mut Installed, worker: &Caller) -> String {
    let namespace = installed.run_namespace("a");
    let name = namespace["metadata"]["name"].as_str().unwrap().to_owned();
    worker.apply(&namespace).await.unwrap();
    installed.goes_with_it(format!("/api/v1/namespaces/{name}"));
    worker.apply(&binding(installed, &name)).await.unwrap();
    let account = thing("v1", "ServiceAccount", &name, "agent", &json!({ "automountServiceAccountToken": false }));
    eventually("the launcher may work in its namespace", || async {
        worker.apply(&account).await.map_err(|no| no.words)
    })
    .await;
    name
}

/// A Secret of the platform that somebody would like to read.
async fn lay_lure(installed: &Installed) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "lure", "namespace": installed.own("codexk8s-system"), "labels": { "app.kubernetes.io/managed-by": "codex-k8s" } },
        "stringData": { "key": "lure" },
    });
    installed.admin.apply(&secret).await.unwrap();
}

#[tokio::test]
async fn the_worker_gets_nothing_beyond_its_namespaces() {
    let world = World::new().await;
    let mut installed = Installed::new(&world).await;
    let worker = installed.account("worker").await;
    let run = prepared(&mut installed, &worker).await;
    lay_lure(&installed).await;
    all_refused(&worker, &escapes(&installed, &run), "").await;
    all_refused(&worker, &odd_jobs(&installed, &run), "").await;
    all_refused(&worker, &reads(&installed, &run), "").await;
    let other = installed.own("system:serviceaccount:codexk8s-system:deployer");
    let review = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {
        "resourceAttributes": { "verb": "impersonate", "resource": "serviceaccounts", "namespace": installed.own("codexk8s-system"), "name": other },
    } });
    let asked = worker
        .ask(Method::POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", Some(&review))
        .await
        .unwrap();
    assert_eq!(asked["status"]["allowed"], json!(false), "it may ask, and may not become somebody else");
}

/// Roles are one fence and admission is another: with every right in the cluster, the worker still can't write beyond its namespaces.
#[tokio::test]
async fn the_worker_is_held_even_with_every_right() {
    let world = World::new().await;
    let mut installed = Installed::new(&world).await;
    let worker = installed.account("worker").await;
    let run = prepared(&mut installed, &worker).await;
    lay_lure(&installed).await;
    let everything = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": { "name": format!("everything-{}", installed.id) },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "kind": "ServiceAccount", "name": "worker", "namespace": installed.own("codexk8s-system") }],
    });
    installed.admin.apply(&everything).await.unwrap();
    installed.goes_with_it(format!("{}/everything-{}", place("ClusterRoleBinding", ""), installed.id));
    eventually("the worker has every right", || async {
        worker.get("/api/v1/secrets?limit=1").await.map_err(|no| no.words)
    })
    .await;
    let by = format!("ValidatingAdmissionPolicy 'codex-k8s-{}-", installed.id);
    all_refused(&worker, &escapes(&installed, &run), &by).await;
    all_refused(&worker, &odd_jobs(&installed, &run), &by).await;
    // Connecting to a pod is admitted like a write; the pod has to be there.
    worker.apply(&job(&installed, &run)).await.unwrap();
    let pods = format!("/api/v1/namespaces/{run}/pods");
    let pod = eventually("the Job has a pod", || async {
        let list = worker.get(&pods).await.map_err(|no| no.words)?;
        list["items"][0]["metadata"]["name"].as_str().map(ToOwned::to_owned).ok_or_else(|| "none".to_owned())
    })
    .await;
    let shell = [Attempt::read("a shell in an agent's pod", format!("{pods}/{pod}/exec?command=id&stdout=true"))];
    all_refused(&worker, &shell, &by).await;
}

#[tokio::test]
async fn the_worker_does_its_work() {
    let world = World::new().await;
    let mut installed = Installed::new(&world).await;
    let worker = installed.account("worker").await;
    let run = prepared(&mut installed, &worker).await;
    let deny = json!({ "spec": { "podSelector": {}, "policyTypes": ["Ingress", "Egress"] } });
    let gateway = json!({ "spec": { "podSelector": {}, "policyTypes": ["Egress"], "egress": [
        { "to": [{ "ipBlock": { "cidr": format!("{}/32", world.node_address) } }], "ports": [{ "port": 8080 }] },
    ] } });
    let limits = json!({ "spec": { "limits": [{ "type": "Container", "max": { "memory": "1Gi" } }] } });
    for object in [
        thing("networking.k8s.io/v1", "NetworkPolicy", &run, "default-deny", &deny),
        thing("networking.k8s.io/v1", "NetworkPolicy", &run, "gateway", &gateway),
        thing("v1", "ResourceQuota", &run, "jobs", &json!({ "spec": { "hard": { "pods": "4" } } })),
        thing("v1", "LimitRange", &run, "jobs", &limits),
    ] {
        worker.apply(&object).await.unwrap();
    }
    let made = worker.apply(&job(&installed, &run)).await.unwrap();
    let uid = made["metadata"]["uid"].as_str().unwrap();
    worker.apply(&secret(&installed, &run, uid)).await.unwrap();
    let pods = format!("/api/v1/namespaces/{run}/pods");
    let log = eventually("the agent has read its token", || async {
        let list = worker.get(&format!("{pods}?labelSelector=codex-k8s.dev/run=0123")).await.map_err(|no| no.words)?;
        let name = list["items"][0]["metadata"]["name"].as_str().ok_or("no pod yet")?.to_owned();
        let log = worker.get(&format!("{pods}/{name}/log")).await.map_err(|no| no.words)?;
        if log == "the-token\n" { Ok((name, log)) } else { Err(format!("{log}: {list}")) }
    })
    .await;
    worker.get(&format!("/api/v1/namespaces/{run}/events")).await.unwrap();
    let jobs = format!("/apis/batch/v1/namespaces/{run}/jobs");
    worker.get(&format!("{jobs}?labelSelector=codex-k8s.dev/instance={}", installed.id)).await.unwrap();
    worker.get(&format!("{jobs}/{RUN}")).await.unwrap();
    worker.get("/api/v1/namespaces?labelSelector=app.kubernetes.io/managed-by=codex-k8s").await.unwrap();
    let finished = json!({ "metadata": { "annotations": { "codex-k8s.dev/collected": "true" } } });
    worker.ask(Method::PATCH, &format!("{jobs}/{RUN}"), Some(&finished)).await.unwrap();
    worker.delete(&format!("{pods}/{}?gracePeriodSeconds=0", log.0)).await.unwrap();
    worker.delete(&format!("{jobs}/{RUN}?propagationPolicy=Background")).await.unwrap();
    worker.delete(&format!("/api/v1/namespaces/{run}")).await.unwrap();
}

#[tokio::test]
async fn nothing_but_agents_runs_where_jobs_run() {
    let world = World::new().await;
    let mut installed = Installed::new(&world).await;
    let worker = installed.account("worker").await;
    let run = prepared(&mut installed, &worker).await;
    let template = job(&installed, &run)["spec"]["template"].clone();
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x", "namespace": run, "labels": labels(&installed) }, "spec": template["spec"],
    });
    let by = installed.own("codex-k8s-run-pods");
    all_refused(&installed.admin, &[Attempt::write("an agent's pod without a Job", pod.clone())], &by).await;
    pod["metadata"]["ownerReferences"] =
        json!([{ "apiVersion": "batch/v1", "kind": "Job", "name": RUN, "uid": "x", "controller": true }]);
    let answer = Attempt::write("an agent's pod", pod.clone()).answer(&installed.admin).await;
    assert!(answer.is_ok(), "{answer:?}");
    for (what, pointer, value) in [
        ("a pod that is no agent", "/metadata/labels/app.kubernetes.io~1component", json!("web")),
        ("a pod with a token", "/spec/automountServiceAccountToken", json!(true)),
        ("a pod under another account", "/spec/serviceAccountName", json!("default")),
        (
            "a pod with another volume",
            "/spec/volumes",
            json!([{ "name": "work", "configMap": { "name": "x" } }, { "name": "token", "emptyDir": {} }]),
        ),
    ] {
        let mut odd = pod.clone();
        *odd.pointer_mut(pointer).unwrap() = value;
        all_refused(&installed.admin, &[Attempt::write(what, odd)], &by).await;
    }
}

#[tokio::test]
async fn the_deployer_deploys_declared_environments_and_nothing_else() {
    let world = World::new().await;
    let mut installed = Installed::new(&world).await;
    let deployer = installed.account("deployer").await;
    let worker = installed.account("worker").await;
    let run = prepared(&mut installed, &worker).await;
    let environment = installed.own("codexk8s-env-example");
    let deployment = |namespace: &str, name: &str| {
        let pod = job(&installed, namespace)["spec"]["template"]["spec"].clone();
        let pod = json!({ "securityContext": pod["securityContext"], "containers": pod["containers"], "volumes": pod["volumes"] });
        thing(
            "apps/v1",
            "Deployment",
            namespace,
            name,
            &json!({ "spec": {
            "selector": { "matchLabels": { "app": name } }, "template": { "metadata": { "labels": { "app": name } }, "spec": pod },
        } }),
        )
    };
    let service = |spec: Value| thing("v1", "Service", &environment, "web", &json!({ "spec": spec }));
    let config = |namespace: &str| thing("v1", "ConfigMap", namespace, "web", &json!({ "data": {} }));
    for object in [deployment(&environment, "web"), config(&environment), service(json!({ "ports": [{ "port": 80 }] }))]
    {
        deployer.apply(&object).await.unwrap();
    }
    deployer.get(&format!("/apis/apps/v1/namespaces/{environment}/deployments/web")).await.unwrap();

    let with = |pointer: &str, value: Value| changed(deployment(&environment, "web"), pointer, value);
    let system = installed.own("codexk8s-system");
    let writes = [
        Attempt::write("a Deployment where Jobs run", deployment(&run, "web")),
        Attempt::write("a Deployment in the platform's namespace", deployment(&system, "gateway")),
        Attempt::write("a Deployment where no environment is", deployment("default", "web")),
        Attempt::write("a ConfigMap in kube-system", config("kube-system")),
        Attempt::write("a Secret", thing("v1", "Secret", &environment, "x", &json!({ "stringData": {} }))),
        Attempt::write(
            "a network policy",
            thing(
                "networking.k8s.io/v1",
                "NetworkPolicy",
                &environment,
                "x",
                &json!({ "spec": { "podSelector": {} } }),
            ),
        ),
        Attempt::write("an account", thing("v1", "ServiceAccount", &environment, "x", &json!({}))),
        Attempt::write(
            "declaring an environment",
            json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": system, "labels": { "codex-k8s.dev/environment": "x" } },
            }),
        ),
        Attempt::write("a port of every node", service(json!({ "type": "NodePort", "ports": [{ "port": 80 }] }))),
        Attempt::write(
            "addresses of others",
            service(json!({ "externalIPs": ["192.0.2.1"], "ports": [{ "port": 80 }] })),
        ),
        Attempt::write(
            "a folder of the node",
            with("/spec/template/spec/volumes/0", json!({ "name": "work", "hostPath": { "path": "/" } })),
        ),
        Attempt::write("the node's network", with("/spec/template/spec/hostNetwork", true.into())),
        Attempt::write(
            "a privileged container",
            with("/spec/template/spec/containers/0/securityContext", json!({ "privileged": true })),
        ),
    ];
    all_refused(&deployer, &writes, "").await;
    let reads = [
        Attempt::read("its Secrets", format!("/api/v1/namespaces/{environment}/secrets")),
        Attempt::read("Jobs of agents", format!("/apis/batch/v1/namespaces/{run}/jobs")),
        Attempt::read("a shell", format!("/api/v1/namespaces/{environment}/pods/x/exec?command=id")),
    ];
    all_refused(&deployer, &reads, "").await;
}

/// Bound for the whole cluster by mistake, or with the label put on the wrong namespace, the deployer is held all the same.
#[tokio::test]
async fn the_deployer_is_held_even_with_every_right() {
    let world = World::new().await;
    let mut installed = Installed::new(&world).await;
    let deployer = installed.account("deployer").await;
    let worker = installed.account("worker").await;
    let run = prepared(&mut installed, &worker).await;
    let system = installed.own("codexk8s-system");
    let everything = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": { "name": format!("everything-{}", installed.id) },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "kind": "ServiceAccount", "name": "deployer", "namespace": system }],
    });
    installed.admin.apply(&everything).await.unwrap();
    installed.goes_with_it(format!("{}/everything-{}", place("ClusterRoleBinding", ""), installed.id));
    eventually("the deployer has every right", || async {
        deployer.get("/api/v1/secrets?limit=1").await.map_err(|no| no.words)
    })
    .await;
    let label = json!({ "metadata": { "labels": { "codex-k8s.dev/environment": "x" } } });
    for namespace in [&run, &system] {
        installed.admin.ask(Method::PATCH, &format!("/api/v1/namespaces/{namespace}"), Some(&label)).await.unwrap();
    }
    let config = |namespace: &str| thing("v1", "ConfigMap", namespace, "web", &json!({ "data": {} }));
    let environment = installed.own("codexk8s-env-example");
    let attempts = [
        Attempt::write("where Jobs run", config(&run)),
        Attempt::write("in the platform's namespace", config(&system)),
        Attempt::write("where no environment is", config("default")),
        Attempt::write(
            "a namespace",
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": environment, "labels": { "a": "b" } } }),
        ),
        Attempt::write("a Secret", thing("v1", "Secret", &environment, "x", &json!({ "stringData": {} }))),
        Attempt::delete("an environment", format!("/api/v1/namespaces/{environment}")),
        Attempt::post(
            "a token",
            format!("/api/v1/namespaces/{environment}/serviceaccounts/default/token"),
            json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "audiences": [] },
            }),
        ),
        Attempt::write("a role for itself", binding(&installed, &environment)),
    ];
    let by = format!("ValidatingAdmissionPolicy 'codex-k8s-{}-", installed.id);
    all_refused(&deployer, &attempts, &by).await;
    let answer = Attempt::write("in an environment", config(&environment)).answer(&deployer).await;
    assert!(answer.is_ok(), "{answer:?}");
}
