//! What an agent's pod reaches, by packets: the sum of all policies that select it, those of the launcher and those of `deploy/`.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::{
    caller::{Caller, eventually},
    installed::Installed,
    jobs::{job, thing},
    launched::Launched,
};
use crate::world::World;

/// The Kubernetes API as pods are told of it.
const API_SERVER: &str = "kubernetes.default.svc";

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
    let listen: Vec<String> = ports.iter().map(|port| format!("httpd -f -p {port} -h /tmp &")).collect();
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

/// A try of one target, as a command that succeeds if it is reached.
fn attempt(target: &Target) -> String {
    format!("nc -w 2 {} {} </dev/null >/dev/null 2>&1", target.host, target.port)
}

/// Until the network agent has heard of a new pod's address, nothing that it sends gets through: the script waits until `first` is
/// reached; half a minute at most.
fn until_open(first: &Target) -> String {
    format!("i=0; until {} || [ $i -ge 30 ]; do sleep 1; i=$((i+1)); done; ", attempt(first))
}

/// Policies come into force a moment after a pod's start, each on its own side: the script waits until `canary` is not
/// reached, and until all that is needed is; a minute at most.
fn settled(canary: &Target, needed: &[Target]) -> String {
    let needed: Vec<String> = needed.iter().map(attempt).collect();
    format!(
        "i=0; while {} && [ $i -lt 30 ]; do sleep 1; i=$((i+1)); done; \
         i=0; until {{ {}; }} || [ $i -ge 30 ]; do sleep 1; i=$((i+1)); done; ",
        attempt(canary),
        needed.join(" && ")
    )
}

/// A script that tries each target once and says which it reached.
fn script(targets: &[Target]) -> String {
    let tries: Vec<String> = targets
        .iter()
        .map(|target| {
            format!("if {}; then echo {} yes; else echo {} no; fi", attempt(target), target.name, target.name)
        })
        .collect();
    format!("{}; echo over; sleep 600", tries.join("; "))
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

/// A pod that no policy selects, which runs a script.
fn free_pod(installed: &Installed, namespace: &str, script: &str) -> Value {
    let mut pod = job(installed, namespace)["spec"]["template"].clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"] = json!({ "name": "free", "namespace": namespace, "labels": { "who": "free" } });
    pod["spec"]["serviceAccountName"] = "default".into();
    pod["spec"]["containers"][0]["command"] = json!(["/bin/sh", "-c", script]);
    pod["spec"]["containers"][0]["volumeMounts"] = json!([]);
    pod["spec"]["volumes"] = json!([]);
    pod
}

#[tokio::test]
async fn an_agent_reaches_what_it_needs_and_nothing_else() {
    let world = World::new().await;
    let mut installed = Installed::new(&world).await;
    let (system, egress) = (installed.own("codexk8s-system"), installed.own("codexk8s-egress"));
    let data = world.namespace("data").await;
    let admin = installed.admin.clone();
    let role = |name: &str| json!({ "app.kubernetes.io/component": name });
    let gateway = listener(&installed, &system, role("gateway"), &[8080, 8082, 9090]).await;
    let models = listener(&installed, &system, role("model-gateway"), &[8081]).await;
    let worker = listener(&installed, &system, role("worker"), &[9091]).await;
    let proxy = listener(&installed, &egress, role("egress-proxy"), &[3128]).await;
    // Open on their own side, so that only the agent's own policies keep it from them.
    let database = listener(&installed, &data.name, role("database"), &[5432]).await;
    let temporal = listener(&installed, &data.name, role("temporal"), &[7233]).await;
    let launched = Launched::new(&world, &installed, &gateway, &models);
    let listens = "exec httpd -f -p 9000 -h /tmp";
    let other = launched.launch(&mut installed, "b", listens).await;
    let pods = format!("/api/v1/namespaces/{}/pods?labelSelector={}", other.namespace, other.selector);
    let other = eventually("the other run's pod runs", || async {
        let list = admin.get(&pods).await.map_err(|no| no.words)?;
        list["items"][0]["status"]["podIP"].as_str().map(ToOwned::to_owned).ok_or_else(|| list.to_string())
    })
    .await;
    let node = tokio::net::TcpListener::bind((world.node_address, 0)).await.unwrap();
    let node_port = node.local_addr().unwrap().port();
    let _hanging_up = tokio::spawn(async move { while node.accept().await.is_ok() {} });
    let needed = || {
        [
            Target::new("gateway", &gateway, 8082),
            Target::new("model-gateway", &models, 8081),
            Target::new("proxy", &proxy, 3128),
        ]
    };
    let [gateway_itself, models_itself, proxy_itself] = needed();
    let targets = [
        gateway_itself,
        Target::new("gateway-ops", &gateway, 9090),
        Target::new("gateway-people", &gateway, 8080),
        models_itself,
        Target::new("worker", &worker, 9091),
        proxy_itself,
        Target::new("database", &database, 5432),
        Target::new("temporal", &temporal, 7233),
        Target::new("api-server", API_SERVER, 443),
        Target::new("other-run", &other, 9000),
        Target::new("node", world.node_address.to_string(), node_port),
    ];
    let canary = Target::new("canary", &database, 5432);
    let probing = format!("{}{}", settled(&canary, &needed()), script(&targets));
    let agent = launched.launch(&mut installed, "a", &probing).await;

    // Who is selected by no policy reaches everything that is open on its own side: so each "no" below is a policy's.
    let free = world.namespace("free").await;
    let patient = format!("{}{}", until_open(&canary), script(&targets));
    admin.apply(&free_pod(&installed, &free.name, &patient)).await.unwrap();
    let of_free = reached(&admin, &free.name, "who=free").await;
    assert_eq!(names(&of_free), ["api-server", "database", "node", "temporal"], "{of_free:?}");

    let of_agent = reached(&admin, &agent.namespace, &agent.selector).await;
    assert_eq!(names(&of_agent), ["gateway", "model-gateway", "proxy"], "{of_agent:?}");
    assert_eq!(of_agent.len(), targets.len());
}

/// Policies add up: one more opens a way, whatever ours say. So others are told of with the run.
#[tokio::test]
async fn one_more_policy_opens_a_way_and_is_told() {
    let world = World::new().await;
    let mut installed = Installed::new(&world).await;
    let data = world.namespace("data").await;
    let admin = installed.admin.clone();
    let database = listener(&installed, &data.name, json!({}), &[5432]).await;
    let target = Target::new("database", &database, 5432);
    let launched = Launched::new(&world, &installed, &database, &database);
    // Shut at first, then open.
    let opens = format!(
        "i=0; while {0} && [ $i -lt 30 ]; do sleep 1; i=$((i+1)); done; echo shut; \
         i=0; until {0} || [ $i -ge 60 ]; do sleep 1; i=$((i+1)); done; {1}",
        attempt(&target),
        script(std::slice::from_ref(&target))
    );
    let job = launched.launch(&mut installed, "a", &opens).await;
    let pods = format!("/api/v1/namespaces/{}/pods", job.namespace);
    eventually("the database is shut", || async {
        let list = admin.get(&format!("{pods}?labelSelector={}", job.selector)).await.map_err(|no| no.words)?;
        let name = list["items"][0]["metadata"]["name"].as_str().ok_or("no pod yet")?;
        let log = admin.get(&format!("{pods}/{name}/log")).await.map_err(|no| no.words)?;
        log.as_str().filter(|log| log.contains("shut")).map(drop).ok_or_else(|| log.to_string())
    })
    .await;
    let reasons = |told: Vec<(String, String)>| told.into_iter().filter(|(reason, _)| reason == "ForeignNetworkPolicy");
    assert_eq!(reasons(launched.told(&job).await).count(), 0);
    let everything = thing(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        &job.namespace,
        "helpful",
        &json!({ "spec": {
        "podSelector": { "matchExpressions": [{ "key": "codex-k8s.dev/run", "operator": "Exists" }] },
        "policyTypes": ["Egress"], "egress": [{}],
    } }),
    );
    admin.apply(&everything).await.unwrap();
    let with_it = reached(&admin, &job.namespace, &job.selector).await;
    assert_eq!(names(&with_it), ["database"], "the sum of all policies counts");
    let told: Vec<_> = reasons(launched.told(&job).await).collect();
    assert!(told.len() == 1 && told[0].1.contains("`helpful`"), "{told:?}");
    let worker = installed.account("worker").await;
    let policy = format!("/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies/helpful", job.namespace);
    let again = worker.ask(Method::DELETE, &policy, None).await;
    assert_eq!(again.unwrap_err().code, 403, "taking policies away is an administrator's");
}
