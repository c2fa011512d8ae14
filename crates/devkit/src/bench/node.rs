//! A cluster in memory whose one node has agents that sleep: an API server on loopback, for a worker that is a process of its own.
//!
//! For each Job a pod runs, claims the attempt, gives signs of life as a runner does, and reports that nothing was to be changed: once
//! it has lived for as long as it should, or all are to end.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, ensure};
use axum::{Router, body::Body, extract::Request, response::IntoResponse, routing::get};
use chrono::Utc;
use domain::{
    job::{AgentEnd, JobReport, LogBatch, Usage},
    job_tokens::{ClaimRequest, session_token},
};
use futures::StreamExt as _;
use http::StatusCode;
use jobs::{
    JobRef,
    kubernetes::{self, AGENT_CONTAINER},
    scripted::Server,
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, Secret},
};
use kube::{
    Api,
    api::DeleteParams,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use serde_json::json;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{console::say, harness::InCluster};

/// As a runner: a sign of life so often.
const BEAT: Duration = Duration::from_secs(4);

/// A Job's Secret is there within this, and is looked for so often.
const SECRET: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(25);

/// The cluster; it ends with this.
pub(super) struct Node {
    server: Server,
    kubeconfig: PathBuf,
    release: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Node {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let server = Server::default();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let folder = tempfile::tempdir()?;
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, kubeconfig_of(listener.local_addr()?))?;
        let router = router(server.clone());
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                say(format_args!("    the API server in memory has ended: {error}"));
            }
        });
        let release = CancellationToken::new();
        Ok(Self { server, kubeconfig, release, tasks: vec![serving], _folder: folder })
    }

    /// What a platform is told of it.
    pub(super) fn cluster(&self) -> InCluster {
        InCluster {
            kubeconfig: self.kubeconfig.clone(),
            namespace_prefix: None,
            rights: None,
            node_address: Ipv4Addr::LOCALHOST.into(),
            runner_image: "runner:1".to_owned(),
            block: None,
        }
    }

    /// Has Jobs of this namespace work, which reach the gateway there. They live for `life` in the mean, some half, some half as long
    /// again, so that they do not end together; without it, until they are [released](Self::release).
    pub(super) fn work(&mut self, namespace: &str, gateway_url: &str, life: Option<Duration>) -> anyhow::Result<()> {
        let client = self.server.client();
        let agents = Agents {
            server: self.server.clone(),
            jobs: Api::namespaced(client.clone(), namespace),
            pods: Api::namespaced(client.clone(), namespace),
            secrets: Api::namespaced(client, namespace),
            gateway_url: gateway_url.parse()?,
            client: reqwest::Client::new(),
            release: self.release.clone(),
            life,
        };
        self.tasks.push(tokio::spawn(agents.follow()));
        Ok(())
    }

    /// Ends all that are at work, and those that come.
    pub(super) fn release(&self) {
        self.release.cancel();
    }
}

fn router(server: Server) -> Router {
    let answer = async move |request: Request| match server.answer(request).await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    Router::new().route("/version", get(version)).fallback(answer)
}

async fn version() -> axum::Json<serde_json::Value> {
    axum::Json(json!({
        "major": "1", "minor": "34", "gitVersion": "v1.34.0+memory", "gitCommit": "", "gitTreeState": "", "buildDate": "",
        "goVersion": "", "compiler": "", "platform": "",
    }))
}

fn kubeconfig_of(address: SocketAddr) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "memory",
        "clusters": [{"name": "memory", "cluster": {"server": format!("http://{address}")}}],
        "contexts": [{"name": "memory", "context": {"cluster": "memory", "user": "anybody"}}],
        "users": [{"name": "anybody", "user": {}}],
    })
    .to_string()
}

/// The agents of one namespace.
#[derive(Clone)]
struct Agents {
    server: Server,
    jobs: Api<Job>,
    pods: Api<Pod>,
    secrets: Api<Secret>,
    gateway_url: Url,
    client: reqwest::Client,
    release: CancellationToken,
    life: Option<Duration>,
}

impl Agents {
    async fn follow(self) {
        let mut changes = watcher::watcher(self.jobs.clone(), watcher::Config::default()).default_backoff().boxed();
        let mut known = HashSet::new();
        while let Some(change) = changes.next().await {
            match change {
                Ok(Event::InitApply(job) | Event::Apply(job)) => {
                    // One that is listed again has its pod already.
                    let is_new = known.insert(job.metadata.uid.clone());
                    if let Some(job) = kubernetes::job_of(&job.metadata).filter(|_| is_new) {
                        tokio::spawn(self.clone().live(job));
                    }
                }
                Ok(Event::Delete(job)) => {
                    known.remove(&job.metadata.uid);
                    let name = job.metadata.name.unwrap_or_default();
                    if let Err(error) = self.collect(&name).await {
                        say(format_args!("    what belongs to the Job {name} could not be removed: {error}"));
                    }
                }
                Ok(Event::Init | Event::InitDone) => {}
                // It is taken up again.
                Err(error) => say(format_args!("    the watch of Jobs broke: {error}")),
            }
        }
    }

    /// What the garbage collector does.
    async fn collect(&self, job: &str) -> kube::Result<()> {
        let now = DeleteParams::default();
        self.pods.delete(&format!("{job}-pod"), &now).await?;
        self.secrets.delete(job, &now).await?;
        Ok(())
    }

    async fn live(self, job: JobRef) {
        let name = job.name();
        self.tell(&job, "Running", &json!({"running": {}}));
        let (phase, code) = match self.sleep_and_report(&name).await {
            Ok(()) => ("Succeeded", 0),
            Err(error) => {
                say(format_args!("    the agent of {name} could not report: {error:#}"));
                ("Failed", 1)
            }
        };
        self.tell(&job, phase, &json!({"terminated": {"exitCode": code}}));
    }

    /// What the kubelet tells of a pod.
    fn tell(&self, job: &JobRef, phase: &str, state: &serde_json::Value) {
        let agent = json!({"name": AGENT_CONTAINER, "state": state});
        self.server.pod(job, &job.name(), &json!({"phase": phase, "containerStatuses": [agent]}));
    }

    async fn sleep_and_report(&self, name: &str) -> anyhow::Result<()> {
        let started_at = Utc::now();
        let token = self.token(name).await?;
        let address = |path: &str| self.gateway_url.join(path);
        let session = session_token(rand::random());
        let claim = ClaimRequest { pod_uid: name.to_owned(), session: session.clone() };
        let claimed = self.client.post(address("/runner/v1/claim")?).bearer_auth(token).json(&claim);
        claimed.send().await?.error_for_status()?;
        let share: f64 = rand::random_range(0.5..1.5);
        let end_at = self.life.map(|life| Instant::now() + life.mul_f64(share));
        while !self.release.is_cancelled() && end_at.is_none_or(|end| Instant::now() < end) {
            let beat = self.client.post(address("/runner/v1/logs")?).bearer_auth(&session);
            beat.json(&LogBatch::default()).send().await?.error_for_status()?;
            tokio::select! {
                () = self.release.cancelled() => {}
                () = sleep(BEAT) => {}
            }
        }
        let report = JobReport {
            end: AgentEnd::Completed,
            thread_id: None,
            last_message: Some("There was nothing to do.".to_owned()),
            usage: Usage::default(),
            checks: Vec::new(),
            head_sha: None,
            changed_files: 0,
            dropped_log_bytes: 0,
            resumed: None,
            started_at,
            finished_at: Utc::now(),
        };
        let told = self.client.post(address("/runner/v1/report")?).bearer_auth(&session).json(&report);
        told.send().await?.error_for_status()?;
        Ok(())
    }

    /// The launch token: it comes after the Job.
    async fn token(&self, job: &str) -> anyhow::Result<String> {
        let deadline = Instant::now() + SECRET;
        let secret = loop {
            if let Some(there) = self.secrets.get_opt(job).await? {
                break there;
            }
            ensure!(Instant::now() < deadline, "the Job {job} has no Secret");
            sleep(LOOK).await;
        };
        let token = secret.data.and_then(|mut data| data.remove("token")).context("the Secret has no token")?;
        String::from_utf8(token.0).context("the token is no text")
    }
}
