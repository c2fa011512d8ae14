//! The egress proxy of `deploy/egress` as a pod, and an agent of a real run that goes out through it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use devkit::harness::{Hosting, Identity, InCluster, Options, Platform, REPOSITORY};
use domain::{egress::EgressRefusal, hook_log::WebhookMode, ids::EngineNamespace, job::LogStream, run::comment_marker};
use serde_json::{Value, json};
use store::egress;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{
    super::network::Addresses,
    caller::eventually,
    installed::{Installed, rendered},
    jobs::thing,
};
use crate::world::World;

/// An address that is in none of the networks that are private, on this machine while the test runs.
const OUTSIDE: &str = "203.0.113.88";

/// What it answers.
const ANSWER: &str = "hello from outside";

/// What the agent tries: the listed host through the proxy and past it, and one that is on no list.
const PROBE: &str = r#"
import socket, urllib.error, urllib.request
for host in ("listed.example", "example.com"):
    try:
        print(host, urllib.request.urlopen(f"http://{host}/", timeout=20).read().decode().strip())
    except urllib.error.HTTPError as error:
        print(host, error.code)
try:
    socket.create_connection(("203.0.113.88", 80), 4).close()
    print("past the proxy")
except OSError:
    print("not past the proxy")
"#;

/// A web server outside.
async fn outside() -> (Addresses, tokio::task::JoinHandle<()>) {
    let address = Addresses::put(&[OUTSIDE]);
    let listener = TcpListener::bind((OUTSIDE.parse::<Ipv4Addr>().unwrap(), 80)).await.unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 2048]).await;
                let length = ANSWER.len();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{ANSWER}");
                let _ = stream.write_all(head.as_bytes()).await;
            });
        }
    });
    (address, serving)
}

async fn platform(world: &World, installed: &Installed, proxy: &str) -> anyhow::Result<Platform> {
    let std::net::IpAddr::V4(node) = world.node_address else { anyhow::bail!("the node has an IPv4 address") };
    let [a, b, c, _] = node.octets();
    // The node and its pods: gateways here, the proxy there.
    let block = Some(format!("{a}.{b}.{c}.0/24"));
    let cluster = InCluster { block, ..installed.for_worker(world).await };
    Platform::start(Options {
        program: PathBuf::from(env!("CARGO_BIN_EXE_dev")),
        slots: 1,
        hosting: Hosting::InProcess,
        tamper: None,
        webhooks: WebhookMode::Push,
        namespace: EngineNamespace::default(),
        identity: Identity::Person,
        otlp_endpoint: None,
        budgets: domain::services_yaml::PlatformBudgets::default(),
        cluster: Some(cluster),
        egress_proxy: Some(proxy.parse()?),
        binary: None,
    })
    .await
}

/// A port that leads to the gateway once there is one: the proxy is told of it before, and the platform of the proxy.
async fn relay(ip: IpAddr) -> anyhow::Result<(SocketAddr, watch::Sender<Option<SocketAddr>>)> {
    let listener = TcpListener::bind((ip, 0)).await?;
    let address = listener.local_addr()?;
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        while let Ok((mut one, _)) = listener.accept().await {
            let Some(to) = *receiver.borrow() else { continue };
            tokio::spawn(async move {
                let Ok(mut other) = TcpStream::connect(to).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut one, &mut other).await;
            });
        }
    });
    Ok((address, sender))
}

/// Starts the proxy as the manifests have it, and gives its address. Its gateway is not a pod, and no DNS knows the host outside.
async fn start_proxy(world: &World, installed: &mut Installed, gateway: SocketAddr) -> String {
    for object in rendered("overlays/local", world).objects {
        if object.namespace() != "codexk8s-egress" || !["ConfigMap", "Deployment"].contains(&object.kind()) {
            continue;
        }
        let mut object = object.value().clone();
        if object["kind"] == "Deployment" {
            let pod = &mut object["spec"]["template"]["spec"];
            pod["hostAliases"] = json!([{ "ip": OUTSIDE, "hostnames": ["listed.example"] }]);
            let container = &mut pod["containers"][0];
            container["image"] = world.egress_image.clone().into();
            for variable in container["env"].as_array_mut().unwrap() {
                if variable["name"] == "GATEWAY_URL" {
                    variable["value"] = format!("http://{gateway}").into();
                }
            }
        }
        installed.apply(&object).await;
    }
    let egress = installed.own("codexk8s-egress");
    let to_gateway = json!({ "spec": { "podSelector": {}, "policyTypes": ["Egress"], "egress": [{
        "to": [{ "ipBlock": { "cidr": format!("{}/32", world.node_address) } }],
        "ports": [{ "protocol": "TCP", "port": gateway.port() }],
    }] } });
    let policy = thing("networking.k8s.io/v1", "NetworkPolicy", &egress, "proxy-to-gateway-of-test", &to_gateway);
    installed.admin.apply(&policy).await.unwrap();
    let deployment = format!("/apis/apps/v1/namespaces/{egress}/deployments/egress-proxy");
    let pods = format!("/api/v1/namespaces/{egress}/pods");
    eventually("the proxy is ready", || async {
        let there = installed.admin.get(&deployment).await.map_err(|no| no.words)?;
        let list = installed.admin.get(&pods).await.map_err(|no| no.words)?;
        if let Some(ip) = list["items"][0]["status"]["podIP"].as_str()
            && there["status"]["readyReplicas"].as_u64() >= Some(1)
        {
            return Ok(format!("http://{ip}:3128"));
        }
        let name = list["items"][0]["metadata"]["name"].as_str().unwrap_or_default();
        let log = installed.admin.get(&format!("{pods}/{name}/log")).await.unwrap_or(Value::Null);
        Err(format!("{}: {log}", list["items"][0]["status"]))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_goes_out_through_the_proxy_and_refusals_are_shown() -> anyhow::Result<()> {
    let world = World::new().await;
    let mut installed = Installed::new(&world).await;
    let _outside = outside().await;
    let (gateway, there) = relay(world.node_address).await?;
    let proxy = start_proxy(&world, &mut installed, gateway).await;
    let platform = platform(&world, &installed, &proxy).await?;
    let platforms: url::Url = platform.gateway_url.parse()?;
    there.send(platforms.socket_addrs(|| None)?.into_iter().next())?;
    let settings = "version: 1\negress: {allow: [listed.example]}\n";
    let files = [("services.yaml", Some(settings)), ("probe.py", Some(PROBE))];
    platform.forge.commit("writer", REPOSITORY, "main", &files).await?;

    let number = platform.open_issue("run-probe")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    let seen = platform.output(&run, LogStream::Codex).await?;
    for line in ["listed.example hello from outside", "example.com 403", "not past the proxy"] {
        assert!(seen.contains(line), "{line}: {seen}");
    }
    let refused = egress::list(&mut *platform.store().acquire().await?, run.id, run.attempt).await?;
    let lines: Vec<_> = refused.iter().map(|line| (line.host.as_str(), line.port, line.reason)).collect();
    assert_eq!(lines, [("example.com", 80, EgressRefusal::NotListed)]);
    platform
        .await_that("the refusal is on the comment", async || {
            let comments = platform.forge.comments(REPOSITORY, number)?;
            let ours = comments.iter().find(|comment| comment.body.contains(&comment_marker(run.id)));
            Ok(ours.filter(|comment| comment.body.contains("`example.com` is not on this project's list")).map(|_| ()))
        })
        .await?;
    platform.finish().await
}
