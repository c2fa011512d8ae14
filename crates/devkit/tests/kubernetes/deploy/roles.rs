//! The roles as pods, from the manifests alone: the schema is migrated, every role becomes ready, and a label becomes a pull request
//! with nothing of the platform outside of the cluster.
//!
//! Its surroundings are on this machine: Postgres, Temporal, the stand-in for GitHub and the scripted model. Two things differ from an
//! installation, because the tests' cluster has its names on the node and judges packets before a Service is resolved: pods are told
//! addresses where the manifests have names, and what the worker may reach as API server is its Service.

use std::{
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use anyhow::Context;
use devkit::{
    connect::{Connection, connect},
    github::{self, Seed, StandIn},
    harness::{MODEL_KEY, REPOSITORY, RUN_TOKEN_KEY, WEBHOOK_SECRET, until},
    model::{self, ScriptedModel},
};
use domain::{
    event::{Subject, SubjectKind},
    run::{Outcome, RunState, comment_marker},
};
use forge::{Credential, Secret, seal::OpeningKeys};
use gateway::hook_secrets::GatewayKey;
use http::Method;
use serde_json::{Value, json};
use store::{runs, testing::TestDatabase};
use url::Url;

use super::{
    super::network::{Addresses, service},
    caller::eventually,
    installed::{Installed, rendered},
};
use crate::{forward::Forward, world::World};

/// GitHub and the model API are outside: at addresses that are in no private network, on this machine while the test runs.
const FORGE: &str = "203.0.113.90";
const MODELS: &str = "203.0.113.91";

/// Longest that a run takes here, with every pod of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is around the platform.
struct Surroundings {
    database: TestDatabase,
    forge: StandIn,
    model: ScriptedModel,
    /// For the roles' files in their volume.
    folder: tempfile::TempDir,
    _addresses: Addresses,
    _ways: [Forward; 4],
}

impl Surroundings {
    async fn new(world: &World) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let blobs = folder.path().join("blobs");
        std::fs::create_dir(&blobs)?;
        // A volume of a real class belongs to whoever mounts it.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        std::fs::set_permissions(&blobs, std::fs::Permissions::from_mode(0o777))?;
        let database = TestDatabase::create().await;
        database.take_schema_away().await?;
        let seed = Some(Seed::demo());
        let options = github::Options { seed, record: true, ..github::Options::new(folder.path().join("forge")) };
        let forge = StandIn::start(options).await?;
        let bind = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = model::Options { bind, api_key: MODEL_KEY.to_owned(), scenario_dir: None };
        let model = ScriptedModel::start(options).await?;
        let addresses = Addresses::put(&[FORGE, MODELS]);
        let at = |ip: IpAddr, port| SocketAddr::new(ip, port);
        let ways = [
            Forward::open(at(world.node_address, 5432), place(database.url())?).await?,
            Forward::open(at(world.node_address, 7233), std::env::var("CODEX_K8S_TEST_TEMPORAL")?).await?,
            Forward::open(at(FORGE.parse()?, 443), place(forge.url())?).await?,
            Forward::open(at(MODELS.parse()?, 443), place(&model.url())?).await?,
        ];
        Ok(Self { database, forge, model, folder, _addresses: addresses, _ways: ways })
    }

    /// As pods reach it.
    fn database_url(&self, world: &World) -> anyhow::Result<String> {
        let mut url: Url = self.database.url().parse()?;
        url.set_ip_host(world.node_address).ok().context("it has a host")?;
        url.set_port(Some(5432)).ok().context("it has a port")?;
        Ok(url.into())
    }
}

/// `host:port` of a URL.
fn place(url: &str) -> anyhow::Result<String> {
    let url: Url = url.parse()?;
    let port = url.port_or_known_default().unwrap_or(5432);
    Ok(format!("{}:{port}", url.host_str().context("a host")?))
}

/// The objects of the manifests, as this test has them.
struct Manifests {
    objects: Vec<Value>,
}

impl Manifests {
    fn of(world: &World) -> Self {
        let objects = rendered("overlays/local", world).objects;
        let mut objects: Vec<Value> = objects.iter().map(|object| object.value().clone()).collect();
        for object in &mut objects {
            if object["kind"] == "PersistentVolumeClaim" {
                // No class makes volumes here; the one that is meant is named.
                object["spec"]["storageClassName"] = "".into();
            }
            if let Some(spec) = object.pointer_mut("/spec/template/spec") {
                use_images_of(spec, world);
            }
        }
        Self { objects }
    }

    /// Changes settings in the ConfigMap whose name begins so.
    fn set(&mut self, map: &str, settings: &[(&str, String)]) {
        let named = |object: &&mut Value| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            object["kind"] == "ConfigMap" && name.rsplit_once('-').is_some_and(|(name, _)| name == map)
        };
        let found = self.objects.iter_mut().find(named).unwrap_or_else(|| panic!("there is no ConfigMap {map}"));
        for (name, value) in settings {
            assert!(!found["data"][name].is_null(), "the manifests have no setting {name} in {map}");
            found["data"][name] = value.clone().into();
        }
    }

    fn named(&mut self, kind: &str, name: &str) -> &mut Value {
        let mut found = self.objects.iter_mut();
        found
            .find(|one| one["kind"] == kind && one["metadata"]["name"] == name)
            .unwrap_or_else(|| panic!("{kind} {name}"))
    }

    async fn apply(&self, installed: &mut Installed, which: impl Fn(&str, &str) -> bool) {
        for object in &self.objects {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            if which(&text(&object["kind"]), &text(&object["metadata"]["name"])) {
                installed.apply(object).await;
            }
        }
    }
}

/// What a release puts there by digest.
fn use_images_of(pod: &mut Value, world: &World) {
    for container in pod["containers"].as_array_mut().into_iter().flatten() {
        let image = container["image"].as_str().unwrap_or_default();
        if image.starts_with("localhost/codex-k8s-egress") {
            container["image"] = world.egress_image.clone().into();
        } else {
            container["image"] = World::platform_image().into();
            // The image's own entrypoint.
            container["command"] = json!(["/usr/bin/codex-k8s"]);
        }
    }
}

/// What an administrator makes by hand, as `deploy/README.md` says.
async fn give_secrets(installed: &mut Installed, keys: &OpeningKeys, database_url: &str) -> anyhow::Result<GatewayKey> {
    let gateway_key = GatewayKey::generate();
    let secrets = [
        (
            "gateway-key",
            json!({ "gateway.key": gateway_key.to_hex(), "sealing.key.pub": keys.sealing().to_file_text() }),
        ),
        ("worker-keys", json!({ "sealing.key": *keys.to_file_text(), "run-token.key": RUN_TOKEN_KEY })),
        ("database", json!({ "url": database_url, "migrate-url": database_url })),
        ("webhook", json!({ "secret": WEBHOOK_SECRET })),
        ("model-key", json!({ "api-key": MODEL_KEY })),
    ];
    for (name, data) in secrets {
        let metadata = json!({ "name": name, "namespace": "codexk8s-system" });
        installed
            .apply(&json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data }))
            .await;
    }
    Ok(gateway_key)
}

/// A volume of this machine for the claim of the manifests.
async fn give_volume(installed: &mut Installed, folder: &std::path::Path) {
    let claim = json!({ "namespace": "codexk8s-system", "name": "blobs" });
    let name = format!("blobs-{}", installed.id);
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": name },
        "spec": {
            "capacity": { "storage": "20Gi" }, "accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "persistentVolumeReclaimPolicy": "Retain", "hostPath": { "path": folder.join("blobs") }, "claimRef": claim,
        },
    });
    installed.apply(&volume).await;
}

/// The pod of a role: its address, and if it has none, what is known about why.
async fn pod(installed: &Installed, namespace: &str, name: &str) -> (Option<String>, String) {
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let found = installed.admin.get(&format!("{pods}?labelSelector=app.kubernetes.io/name={name}")).await;
    let Ok(list) = found else { return (None, format!("{found:?}")) };
    let pod = &list["items"][0];
    let of_pod = pod["metadata"]["name"].as_str().unwrap_or_default();
    let log = installed.admin.get(&format!("{pods}/{of_pod}/log?tailLines=20")).await;
    let events = installed.admin.get(&format!("/api/v1/namespaces/{namespace}/events")).await.unwrap_or_default();
    let events: Vec<&Value> = events["items"].as_array().into_iter().flatten().map(|event| &event["message"]).collect();
    (pod["status"]["podIP"].as_str().map(str::to_owned), format!("{} {log:?} {events:?}", pod["status"]))
}

/// Waits until a Deployment's pods are ready; gives the address of one.
async fn ready(installed: &Installed, namespace: &str, name: &str) -> String {
    let namespace = installed.own(namespace);
    let deployment = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
    eventually(&format!("{name} is ready"), || async {
        let there = installed.admin.get(&deployment).await.map_err(|no| no.words)?;
        let (address, known) = pod(installed, &namespace, name).await;
        address.filter(|_| there["status"]["readyReplicas"].as_u64() >= Some(1)).ok_or(known)
    })
    .await
}

async fn migrated(installed: &Installed) {
    let namespace = installed.own("codexk8s-system");
    let job = format!("/apis/batch/v1/namespaces/{namespace}/jobs/migrate");
    eventually("the schema is there", || async {
        let job = installed.admin.get(&job).await.map_err(|no| no.words)?;
        if job["status"]["succeeded"] == 1 { Ok(()) } else { Err(pod(installed, &namespace, "migrate").await.1) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_runs_from_its_manifests() -> anyhow::Result<()> {
    let world = World::new().await;
    let around = Surroundings::new(&world).await?;
    let mut installed = Installed::new(&world).await;
    let mut manifests = Manifests::of(&world);
    let api_server = service(&world).await;
    let allowed = json!([{ "to": [{ "ipBlock": { "cidr": format!("{}/32", api_server.ip()) } }],
                           "ports": [{ "protocol": "TCP", "port": api_server.port() }] }]);
    manifests.named("NetworkPolicy", "worker-to-api-server")["spec"]["egress"] = allowed;
    let instance = format!("p-{}", installed.id);
    let temporal = format!("{}:7233", world.node_address);
    manifests.set("platform", &[("CODEX_K8S_INSTANCE", instance.clone()), ("TEMPORAL_ADDRESS", temporal)]);
    // Its assets are in the release's image.
    manifests.set("gateway", &[("CONSOLE_DIR", String::new())]);
    manifests.set("model-gateway", &[("MODEL_UPSTREAM_URL", format!("http://{MODELS}:443"))]);
    let keys = OpeningKeys::generate(&mut rand::rng());
    give_secrets(&mut installed, &keys, &around.database_url(&world)?).await?;
    give_volume(&mut installed, around.folder.path()).await;

    let later = |kind: &str, name: &str| kind == "Deployment" && ["worker", "egress-proxy"].contains(&name);
    let of_worker = |kind: &str, name: &str| kind == "ConfigMap" && name.starts_with("worker-");
    manifests.apply(&mut installed, |kind, name| !later(kind, name) && !of_worker(kind, name)).await;
    migrated(&installed).await;
    let gateway = ready(&installed, "codexk8s-system", "gateway").await;
    let models = ready(&installed, "codexk8s-system", "model-gateway").await;
    manifests.named("Deployment", "egress-proxy")["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] =
        format!("http://{gateway}:8082").into();
    manifests.apply(&mut installed, |kind, name| kind == "Deployment" && name == "egress-proxy").await;
    let proxy = ready(&installed, "codexk8s-egress", "egress-proxy").await;
    manifests.set(
        "worker",
        &[
            ("GATEWAY_URL", format!("http://{gateway}:8082")),
            ("MODEL_GATEWAY_URL", format!("http://{models}:8081")),
            ("EGRESS_PROXY_URL", format!("http://{proxy}:3128")),
            ("NETWORK_CANARY", api_server.to_string()),
            ("FORGE_URL", format!("http://{FORGE}:443")),
            ("RUNNER_IMAGE", world.runner_image.clone()),
        ],
    );
    let project = installed.own("codexk8s-run-acme-greeter");
    installed.goes_with_it(format!("/api/v1/namespaces/{project}"));
    manifests.apply(&mut installed, |kind, name| later(kind, name) || of_worker(kind, name)).await;
    ready(&installed, "codexk8s-system", "worker").await;
    a_label_becomes_a_pull_request(&around, &keys, &gateway).await?;

    // The namespace that the worker made for the project's Jobs, with its own rights alone.
    let made = installed.admin.ask(Method::GET, &format!("/api/v1/namespaces/{project}"), None).await;
    assert_eq!(made.map_err(|no| no.words).map(|made| made["status"]["phase"].clone()), Ok(json!("Active")));
    Ok(())
}

async fn a_label_becomes_a_pull_request(
    around: &Surroundings,
    keys: &OpeningKeys,
    gateway: &str,
) -> anyhow::Result<()> {
    let token = |login: &str| around.forge.token(login).map(Secret::new).context("the stand-in has a token of them");
    let (owner, name) = REPOSITORY.split_once('/').context("an owner and a name")?;
    let connection = Connection {
        forge_url: around.forge.url(),
        owner,
        name,
        credential: Credential::Token(token("codex-bot")?),
        admin_token: token("maintainer")?,
        sealing: keys.sealing(),
        slots: 1,
        webhook_url: &format!("http://{gateway}:8080/webhooks/github"),
        webhook_secret: WEBHOOK_SECRET,
    };
    let store = around.database.store();
    let repository = connect(store, &connection).await?;
    let little = "version: 1\nruntime: {cpu: 500m, memory: 512Mi, ephemeral_storage: 256Mi}\n";
    around.forge.commit("writer", REPOSITORY, "main", &[("services.yaml", Some(little))]).await?;
    let title = "Names with spaces are greeted badly [scenario:good-fix]";
    let number = around.forge.create_issue("maintainer", REPOSITORY, title, "See the failing test.")?.number;
    around.forge.label_issue("maintainer", REPOSITORY, number, "run:dev")?;

    let subject = Subject { kind: SubjectKind::Issue, number: i64::try_from(number)? };
    let mut last = None;
    let ended = until(PATIENCE, async || {
        last = runs::latest_for_subject(&mut *store.acquire().await?, repository.id, subject).await?;
        Ok(last.clone().filter(|run| run.state == RunState::Finished))
    });
    let Some(run) = ended.await? else { anyhow::bail!("the run did not end within {PATIENCE:?}: {last:?}") };
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    assert_eq!(around.forge.pulls(REPOSITORY)?.len(), 1);
    assert!(!around.model.requests().is_empty(), "the model was asked through its gateway");
    let told = until(PATIENCE, async || {
        let comments = around.forge.comments(REPOSITORY, number)?;
        let ours = comments.iter().find(|comment| comment.body.contains(&comment_marker(run.id)));
        Ok(ours.filter(|comment| comment.body.contains("pull request #")).map(|_| ()))
    });
    told.await?.context("the comment tells it")
}
