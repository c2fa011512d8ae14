//! `codex-k8s run`, `logs`, `cancel`, `retry`, `why`, `project`: what staff do in the console, from a terminal, over the staff API.

mod detach;
mod following;
mod logs;
mod project;
mod words;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Subcommand};
use domain::ids::RunId;
use gateway::staff_client::{StaffClient, StaffError};
use role::SecretText;
use serde_json::{Value, json};
use url::{Url, form_urlencoded::Serializer};

pub(crate) use self::{
    detach::detach_with_runs,
    project::{ProjectCommand, project},
};
use crate::println_line;

/// Exit code where the gateway said no: it is not there, not allowed, or not now.
const REFUSED: u8 = 4;

/// What every command says at the end of its help.
const EXITS: &str = "The gateway's address is read from CODEX_K8S_URL. A token for scripts, made in the console under My profile, is \
read from the file that CODEX_K8S_TOKEN_FILE names, else from CODEX_K8S_TOKEN; never from an argument, which everybody on the machine can see.

Exit codes: 0 done; 1 the gateway does not answer, or not to the end; 2 wrong arguments; 3 it ended without what was asked for; \
4 the gateway refused.";

/// Where the gateway is, and how to show who asks.
#[derive(Debug, Args)]
pub(crate) struct Gateway {
    /// The gateway's address, such as <https://codex.example.com>.
    #[arg(long, env = "CODEX_K8S_URL", value_name = "URL")]
    pub(crate) url: Url,
    /// A file with a token for scripts.
    #[arg(long, env = "CODEX_K8S_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Print the API's JSON instead of words.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `codex-k8s run …`
#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// List runs, the newest first.
    #[command(after_help = EXITS)]
    List(ListArguments),
    /// Show a run with its attempts and steps.
    #[command(after_help = EXITS)]
    Show(OneRun),
    /// Have an agent work on an issue or pull request, as if its label were put on.
    #[command(after_help = EXITS)]
    Start(StartArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    gateway: Gateway,
    /// Of this project.
    #[arg(long)]
    project: Option<String>,
    /// In this state: queued, waiting, working or finished.
    #[arg(long)]
    state: Option<String>,
    /// With this end, such as failed, lost or pull_request_open.
    #[arg(long)]
    outcome: Option<String>,
    /// By this agent.
    #[arg(long)]
    agent: Option<String>,
    /// Asked for by this login.
    #[arg(long)]
    requester: Option<String>,
    /// On the issue or pull request of this number.
    #[arg(long)]
    number: Option<i64>,
    /// How many at most.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct OneRun {
    #[command(flatten)]
    gateway: Gateway,
    /// The run's id.
    run: RunId,
}

#[derive(Debug, Args)]
pub(crate) struct StartArguments {
    #[command(flatten)]
    gateway: Gateway,
    /// OWNER/NAME of a connected repository.
    repository: String,
    /// Number of the issue.
    number: i64,
    /// The agent.
    #[arg(long)]
    agent: String,
    /// The number is a pull request's.
    #[arg(long)]
    pull_request: bool,
    /// What the agent is told beyond the issue.
    #[arg(long, default_value = "")]
    instructions: String,
    /// Do the same wish once, however often it is sent.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = EXITS)]
pub(crate) struct LogsArguments {
    #[command(flatten)]
    gateway: Gateway,
    /// The run's id.
    run: RunId,
    /// Go on until the attempt is over.
    #[arg(short, long)]
    follow: bool,
    /// Of this attempt; the newest unless asked otherwise.
    #[arg(long)]
    attempt: Option<u32>,
    /// Print what came as it came, control characters included.
    #[arg(long)]
    raw: bool,
}

#[derive(Debug, Args)]
#[command(after_help = EXITS)]
pub(crate) struct CancelArguments {
    #[command(flatten)]
    gateway: Gateway,
    /// The run's id.
    run: RunId,
    /// Why; stands in the audit.
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = EXITS)]
pub(crate) struct RetryArguments {
    #[command(flatten)]
    gateway: Gateway,
    /// The run's id.
    run: RunId,
    /// `start`, `continue` (the agent goes on from its kept work), or the name of a step, such as publish.
    #[arg(long, default_value = "start")]
    from: String,
    /// Why; stands in the audit.
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = EXITS)]
pub(crate) struct WhyArguments {
    #[command(flatten)]
    gateway: Gateway,
    /// The run's id.
    run: RunId,
}

pub(crate) async fn run(command: RunCommand) -> anyhow::Result<ExitCode> {
    match command {
        RunCommand::List(arguments) => exit(list(&arguments).await),
        RunCommand::Show(one) => exit(show(&one).await),
        RunCommand::Start(arguments) => exit(start(&arguments).await),
    }
}

pub(crate) async fn logs(arguments: LogsArguments) -> anyhow::Result<ExitCode> {
    exit(logs::print(&arguments).await)
}

pub(crate) async fn cancel(arguments: CancelArguments) -> anyhow::Result<ExitCode> {
    let body = json!({ "reason": arguments.reason });
    let path = format!("/api/v1/runs/{}/cancel", arguments.run);
    exit(write(&arguments.gateway, &path, &body, "The run is asked to end.").await)
}

pub(crate) async fn retry(arguments: RetryArguments) -> anyhow::Result<ExitCode> {
    let body = json!({ "from": arguments.from, "reason": arguments.reason });
    let path = format!("/api/v1/runs/{}/retry", arguments.run);
    exit(write(&arguments.gateway, &path, &body, "A new attempt begins.").await)
}

pub(crate) async fn why(arguments: WhyArguments) -> anyhow::Result<ExitCode> {
    exit(explain(&arguments).await)
}

/// Turns what the gateway refused into an exit code of its own.
fn exit(done: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    match done {
        Err(error) if matches!(error.downcast_ref(), Some(StaffError::Refused { status, .. }) if *status < 500) => {
            eprintln!("codex-k8s: {error:#}");
            Ok(ExitCode::from(REFUSED))
        }
        other => other,
    }
}

impl Gateway {
    fn client(&self) -> anyhow::Result<StaffClient> {
        let token = match &self.token_file {
            Some(path) => std::fs::read_to_string(path)
                .map(SecretText::new)
                .with_context(|| format!("read the token in {} (CODEX_K8S_TOKEN_FILE)", path.display()))?,
            None => std::env::var("CODEX_K8S_TOKEN")
                .map(SecretText::new)
                .context("no token: name a file in CODEX_K8S_TOKEN_FILE, or set CODEX_K8S_TOKEN")?,
        };
        Ok(StaffClient::new(&self.url, &token)?)
    }

    /// Prints an answer as it came, or in words.
    fn tell(&self, answer: &Value, words: impl FnOnce(&Value) -> String) {
        if self.json {
            println_line(&answer.to_string());
        } else {
            println_line(words(answer).trim_end());
        }
    }
}

async fn list(arguments: &ListArguments) -> anyhow::Result<ExitCode> {
    let number = arguments.number.map(|number| number.to_string());
    let mut query = Serializer::new(String::new());
    query.append_pair("limit", &arguments.limit.to_string());
    for (name, value) in [
        ("project", &arguments.project),
        ("state", &arguments.state),
        ("outcome", &arguments.outcome),
        ("agent", &arguments.agent),
        ("requester", &arguments.requester),
        ("number", &number),
    ] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let page = arguments.gateway.client()?.get(&format!("/api/v1/runs?{}", query.finish())).await?;
    arguments.gateway.tell(&page, words::table);
    Ok(ExitCode::SUCCESS)
}

async fn show(one: &OneRun) -> anyhow::Result<ExitCode> {
    let detail = one.gateway.client()?.get(&format!("/api/v1/runs/{}", one.run)).await?;
    one.gateway.tell(&detail, words::run);
    Ok(ExitCode::SUCCESS)
}

async fn start(arguments: &StartArguments) -> anyhow::Result<ExitCode> {
    let body = json!({
        "repository": arguments.repository, "number": arguments.number, "agent": arguments.agent,
        "subject": if arguments.pull_request { "pull_request" } else { "issue" },
        "instructions": arguments.instructions,
    });
    let key = arguments.idempotency_key.clone().unwrap_or_else(new_key);
    let answer = arguments.gateway.client()?.post("/api/v1/runs", &body, &key).await?;
    arguments.gateway.tell(&answer, |answer| words::text(answer, "/run").to_owned());
    Ok(ExitCode::SUCCESS)
}

async fn write(gateway: &Gateway, path: &str, body: &Value, done: &str) -> anyhow::Result<ExitCode> {
    let answer = gateway.client()?.post(path, body, &new_key()).await?;
    gateway.tell(&answer, |_| done.to_owned());
    Ok(ExitCode::SUCCESS)
}

async fn explain(one: &WhyArguments) -> anyhow::Result<ExitCode> {
    let detail = one.gateway.client()?.get(&format!("/api/v1/runs/{}", one.run)).await?;
    one.gateway.tell(&detail, words::why);
    Ok(ExitCode::SUCCESS)
}

fn new_key() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}
