//! What an agent's pod reaches, by packets: the sum of all policies that select it.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::{
    caller::{Caller, eventually},
    installed::Installed,
    jobs::{job, thing},
    launched::{foreign, launch},
};
use crate::world::World;

/// A place that a pod tries to reach.
struct Target {
    name: &'static str,
    host: String,
    port: u16,
}

impl Target {
    fn new(name: &'static str, host: impl Into<String>, port: u16) -> Self {
        Self { name, host: host.into(), port }
    }
}

/// A pod that listens on ports, and stands for a role where policies are concerned.
async fn listener(installed: &Installed, namespace: &str, labels: Value, ports: &[u16]) -> String {
    let name = format!("listens-{}", ports[0]);
    let listen: Vec<String> =
        ports.iter().map(|port| format!("(while true; do echo here | nc -l -p {port}; done) &")).collect();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": namespace, "labels": labels },
        "spec": {
            "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false,
            "securityContext": { "runAsNonRoot": true, "runAsUser": 10001, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "listen", "image": installed.shell, "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-c", format!("{} wait", listen.join(" "))],
                "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
            }],
        },
    });
    let admin = &installed.admin;
    admin.apply(&pod).await.unwrap();
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
    eventually("the listener runs", || async {
        let pod = admin.get(&path).await.map_err(|no| no.words)?;
        let running = pod["status"]["phase"] == "Running";
        pod["status"]["podIP"]
            .as_str()
            .filter(|_| running)
            .map(ToOwned::to_owned)
            .ok_or_else(|| pod["status"].to_string())
    })
    .await
}

/// A script that tries each target and says which it reached. Policies come into force a moment after a pod's start, so it first
/// waits until `canary` is not reached, if one is given.
fn script(targets: &[Target], canary: Option<&Target>) -> String {
    let attempt = |target: &Target| format!("nc -w 2 {} {} </dev/null >/dev/null 2>&1", target.host, target.port);
    let wait =
        canary.map(|canary| format!("i=0; while {} && [ $i -lt 60 ]; do sleep 1; i=$((i+1)); done; ", attempt(canary)));
    let tries: Vec<String> = targets
        .iter()
        .map(|target| {
            format!("if {}; then echo {} yes; else echo {} no; fi", attempt(target), target.name, target.name)
        })
        .collect();
    format!("{}{}; echo over; sleep 600", wait.unwrap_or_default(), tries.join("; "))
}

/// What a pod wrote about each target, once it is through.
async fn reached(admin: &Caller, namespace: &str, selector: &str) -> BTreeMap<String, bool> {
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let log = eventually("the pod has tried every target", || async {
        let list = admin.get(&format!("{pods}?labelSelector={selector}")).await.map_err(|no| no.words)?;
        let name = list["items"][0]["metadata"]["name"].as_str().ok_or("no pod yet")?;
        let log = admin.get(&format!("{pods}/{name}/log")).await.map_err(|no| no.words)?;
        let log = log.as_str().unwrap_or_default().to_owned();
        if log.contains("over") { Ok(log) } else { Err(format!("{log}: {}", list["items"][0]["status"])) }
    })
    .await;
    log.lines().filter_map(|line| line.split_once(' ')).map(|(name, word)| (name.to_owned(), word == "yes")).collect()
}

fn names(reached: &BTreeMap<String, bool>) -> Vec<&str> {
    reached.iter().filter(|(_, reached)| **reached).map(|(name, _)| name.as_str()).collect()
}

/// An agent's Job that runs a script.
fn agent(installed: &Installed, namespace: &str, script: &str) -> Value {
    let mut job = job(installed, namespace);
    let pod = &mut job["spec"]["template"]["spec"];
    pod["containers"][0]["command"] = json!(["/bin/sh", "-c", script]);
    pod["containers"][0]["volumeMounts"] = json!([]);
    pod["volumes"] = json!([]);
    job
}

#[tokio::test]
#[ignore = "the test's own agent reaches nothing yet; in_cluster::network has the launcher's shape"]
async fn an_agent_reaches_what_it_needs_and_nothing_else() {
    let world = World::new().await;
    let mut installed = Installed::new(&world).await;
    let run = launch(&mut installed, "a").await;
    let other_run = launch(&mut installed, "b").await;
    let (system, egress) = (installed.own("codexk8s-system"), installed.own("codexk8s-egress"));
    let data = world.namespace("data").await;
    let admin = installed.admin.clone();
    let role = |name: &str| json!({ "app.kubernetes.io/component": name });
    let gateway = listener(&installed, &system, role("gateway"), &[8080, 9090]).await;
    let models = listener(&installed, &system, role("model-gateway"), &[8081]).await;
    let worker = listener(&installed, &system, role("worker"), &[9091]).await;
    let proxy = listener(&installed, &egress, role("egress-proxy"), &[3128]).await;
    // Open on their own side, so that only the agent's own policies keep it from them.
    let database = listener(&installed, &data.name, role("database"), &[5432]).await;
    let temporal = listener(&installed, &data.name, role("temporal"), &[7233]).await;
    let other = {
        let listens = "while true; do echo here | nc -l -p 9000; done";
        let worker = installed.account("worker").await;
        worker.apply(&agent(&installed, &other_run, listens)).await.unwrap();
        let pods = format!("/api/v1/namespaces/{other_run}/pods?labelSelector=codex-k8s.dev/run=0123");
        eventually("the other run's pod runs", || async {
            let list = admin.get(&pods).await.map_err(|no| no.words)?;
            list["items"][0]["status"]["podIP"].as_str().map(ToOwned::to_owned).ok_or_else(|| list.to_string())
        })
        .await
    };
    let node = tokio::net::TcpListener::bind((world.node_address, 0)).await.unwrap();
    let node_port = node.local_addr().unwrap().port();
    let targets = [
        Target::new("gateway", &gateway, 8080),
        Target::new("gateway-ops", &gateway, 9090),
        Target::new("model-gateway", &models, 8081),
        Target::new("worker", &worker, 9091),
        Target::new("proxy", &proxy, 3128),
        Target::new("database", &database, 5432),
        Target::new("temporal", &temporal, 7233),
        Target::new("api-server", "$KUBERNETES_SERVICE_HOST", 443),
        Target::new("other-run", &other, 9000),
        Target::new("node", world.node_address.to_string(), node_port),
    ];
    let canary = Target::new("canary", &database, 5432);
    let accounts = installed.account("worker").await;
    accounts.apply(&agent(&installed, &run, &script(&targets, Some(&canary)))).await.unwrap();

    // Who is selected by no policy reaches everything that is open on its own side: so each "no" below is a policy's.
    let free = world.namespace("free").await;
    let mut pod = agent(&installed, &free.name, &script(&targets, None))["spec"]["template"].clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"] = json!({ "name": "free", "namespace": free.name, "labels": { "who": "free" } });
    pod["spec"]["serviceAccountName"] = "default".into();
    admin.apply(&pod).await.unwrap();
    let free = reached(&admin, &free.name, "who=free").await;
    assert_eq!(names(&free), ["api-server", "database", "node", "temporal"], "{free:?}");

    let of_agent = reached(&admin, &run, "codex-k8s.dev/run=0123").await;
    assert_eq!(names(&of_agent), ["gateway", "model-gateway", "proxy"], "{of_agent:?}");
    assert_eq!(of_agent.len(), targets.len());
}

/// Policies add up: one more opens a way, whatever ours say. So others are noticed.
#[tokio::test]
async fn one_more_policy_opens_a_way_and_is_noticed() {
    let world = World::new().await;
    let mut installed = Installed::new(&world).await;
    let run = launch(&mut installed, "a").await;
    let data = world.namespace("data").await;
    let admin = installed.admin.clone();
    let database = listener(&installed, &data.name, json!({}), &[5432]).await;
    let target = [Target::new("database", &database, 5432)];
    let worker = installed.account("worker").await;
    let policies = foreign(&installed, &run).await;
    assert_eq!(policies, Vec::<String>::new());
    let everything = thing(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        &run,
        "helpful",
        &json!({ "spec": {
        "podSelector": { "matchExpressions": [{ "key": "codex-k8s.dev/run", "operator": "Exists" }] },
        "policyTypes": ["Egress"], "egress": [{}],
    } }),
    );
    admin.apply(&everything).await.unwrap();
    worker.apply(&agent(&installed, &run, &format!("sleep 3; {}", script(&target, None)))).await.unwrap();
    let with_it = reached(&admin, &run, "codex-k8s.dev/run=0123").await;
    assert_eq!(names(&with_it), ["database"], "the sum of all policies counts");
    assert_eq!(foreign(&installed, &run).await, ["helpful"]);
    let again = worker
        .ask(Method::DELETE, &format!("/apis/networking.k8s.io/v1/namespaces/{run}/networkpolicies/helpful"), None)
        .await;
    assert_eq!(again.unwrap_err().code, 403, "taking policies away is an administrator's");
}
