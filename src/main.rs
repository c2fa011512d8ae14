//! The codex-k8s binary: every role is a subcommand.

mod credentials;
mod keys;
mod repo;
mod staff;
mod worker;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};
use role::{Environment, SecretText, shutdown::asked_to_stop};

/// That of the C library keeps what is free in heaps of threads, also of those that have ended: a worker that runs for weeks grows by it.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// GitHub events as durable workflows that end in pull requests.
#[derive(Debug, Parser)]
#[command(name = "codex-k8s", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve webhooks and the runner endpoint.
    Gateway,
    /// Host the workflows and their activities.
    Worker,
    /// Stand between Jobs and the model API.
    ModelGateway,
    /// Do one Job; started inside it.
    Runner {
        #[command(subcommand)]
        command: Option<RunnerCommand>,
    },
    /// Help the egress proxy, which starts this itself.
    EgressAcl {
        #[command(subcommand)]
        command: EgressCommand,
    },
    /// Bring the database's schema up to date.
    Migrate,
    /// Connect repositories, and see what keeps them connected.
    Repo {
        #[command(subcommand)]
        command: repo::RepoCommand,
    },
    /// List, show and start runs, over the staff API.
    Run {
        #[command(subcommand)]
        command: staff::RunCommand,
    },
    /// Export a project, or delete it, over the staff API.
    Project {
        #[command(subcommand)]
        command: staff::ProjectCommand,
    },
    /// Print the log of a run, and follow it.
    Logs(staff::LogsArguments),
    /// End a run: its agent is asked to stop, and stopped if it does not.
    Cancel(staff::CancelArguments),
    /// Begin a new attempt of a run that has ended.
    Retry(staff::RetryArguments),
    /// Say why a run waits, or ended as it did, and what to do next.
    Why(staff::WhyArguments),
    /// Look after sealed credentials.
    Credentials {
        #[command(subcommand)]
        command: credentials::CredentialsCommand,
    },
    /// Make key files, and change the keys in force.
    Keys {
        #[command(subcommand)]
        command: keys::KeysCommand,
    },
    /// Look at the settings.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Debug, Subcommand)]
enum RunnerCommand {
    /// Copy the runner with all that it needs into a folder, for another image to use.
    Install {
        /// The folder.
        to: PathBuf,
        /// Where it lies now.
        #[arg(long, default_value = runner::BUNDLE)]
        from: PathBuf,
    },
    /// Wait until the pod's network policies are in force.
    AwaitNetwork,
}

#[derive(Debug, Subcommand)]
enum EgressCommand {
    /// Look at the form of the tokens that programs sign in with.
    SignIn,
    /// Ask the gateway whether a run may reach a host.
    Admit,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print everything that is wrong with the settings of a role, at once.
    Check {
        /// The role.
        role: CheckedRole,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum CheckedRole {
    Gateway,
    Worker,
    ModelGateway,
}

/// Exit code of a command that did what it could and left something to be done by a person.
const INCOMPLETE: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("codex-k8s: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Repo { command } => return repo::run(command).await,
        Command::Run { command } => return staff::run(command).await,
        Command::Project { command } => return staff::project(command).await,
        Command::Logs(arguments) => return staff::logs(arguments).await,
        Command::Cancel(arguments) => return staff::cancel(arguments).await,
        Command::Retry(arguments) => return staff::retry(arguments).await,
        Command::Why(arguments) => return staff::why(arguments).await,
        Command::Credentials { command } => return credentials::run(command).await,
        Command::Keys { command } => println_line(&keys::run(command).await?),
        Command::Gateway => gateway::serve(gateway::GatewaySettings::from_env()?, asked_to_stop()).await?,
        Command::Worker => worker::serve().await?,
        Command::ModelGateway => {
            let settings = gateway::model_gateway::ModelGatewaySettings::from_env()?;
            gateway::model_gateway::serve(settings, asked_to_stop()).await?;
        }
        Command::Runner { command } => run_in_job(command).await?,
        Command::EgressAcl { command: EgressCommand::SignIn } => egress::sign_in().await?,
        Command::EgressAcl { command: EgressCommand::Admit } => {
            egress::admit(egress::AdmitSettings::from_env()?).await?;
        }
        Command::Migrate => migrate().await?,
        Command::Config { command: ConfigCommand::Check { role } } => check(role).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_in_job(command: Option<RunnerCommand>) -> anyhow::Result<()> {
    match command {
        None => runner::run(runner::Settings::from_env()?).await?,
        Some(RunnerCommand::Install { to, from }) => runner::install(&from, &to)?,
        Some(RunnerCommand::AwaitNetwork) => {
            runner::await_network(&runner::NetworkSettings::from_env()?).await?;
        }
    }
    Ok(())
}

async fn check(role: CheckedRole) -> anyhow::Result<()> {
    match role {
        CheckedRole::Gateway => gateway::GatewaySettings::from_env().map(drop)?,
        CheckedRole::ModelGateway => gateway::model_gateway::ModelGatewaySettings::from_env().map(drop)?,
        CheckedRole::Worker => println_line(&worker::check().await?),
    }
    println_line("The settings are complete.");
    Ok(())
}

async fn migrate() -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let mut reader = role::Reader::new(&environment);
    let url: Option<SecretText> = reader.required("DATABASE_URL", "write postgres://user:password@host:port/database");
    let url = reader.finish(url)?;
    let store = store::Store::connect(url.expose(), 2).await.context("connect to the database")?;
    store::migrate(store.pool()).await.context("bring the schema up to date")?;
    println_line("The schema is up to date.");
    Ok(())
}

/// The one place that prints: what a command is asked for goes to standard output.
#[expect(clippy::print_stdout, reason = "this is the answer to a command")]
fn println_line(line: &str) {
    println!("{line}");
}
