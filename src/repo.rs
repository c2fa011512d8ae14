//! `codex-k8s repo`: connects repositories, shows what keeps them connected, renews secrets, and detaches.

use std::{io::Read as _, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use chrono::Utc;
use clap::{Args, Subcommand};
use domain::{
    connection::ConnectionState,
    ids::{ConnectionId, RepositoryId},
};
use forge::{AppCredential, Credential};
use gateway::connecting::{
    Asking, ConnectError, ConnectRequest, ConnectSettings, DEFAULT_SLOTS, DatabaseSettings, Detaching, RotateRequest,
    follow, repositories_table, rights_table,
};
use role::Environment;
use serde_json::json;
use store::{Store, connected, connections::Connection, repositories};
use url::Url;
use zeroize::Zeroizing;

use crate::{
    INCOMPLETE, println_line,
    staff::{Gateway, detach_with_runs},
};

#[derive(Debug, Subcommand)]
pub(crate) enum RepoCommand {
    /// Connect a repository: check every right of the credential, make the webhook, read its services.yaml.
    Add(AddArguments),
    /// Show every connected repository with its credential, webhook and settings.
    List {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Check what the credential of a connected repository may do.
    Check {
        /// OWNER/NAME.
        repository: FullName,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Give the webhook of a repository a new secret; both are good until GitHub knows the new one.
    Rotate {
        /// OWNER/NAME.
        repository: FullName,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Detach a repository: nothing starts there from now on; its webhook goes, and its credential if nothing else uses it. It waits for the
    /// end of the runs at work, which go on unless they are to be cancelled.
    Detach(DetachArguments),
}

#[derive(Debug, Args)]
pub(crate) struct AddArguments {
    /// OWNER/NAME.
    repository: FullName,
    /// The project it belongs to; made if there is none of that name.
    #[arg(long)]
    project: String,
    /// How many runs of the project work at a time, if the project is made now.
    #[arg(long, default_value_t = DEFAULT_SLOTS)]
    slots: u32,
    #[command(flatten)]
    credential: CredentialArguments,
    /// Print one JSON object at the end.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DetachArguments {
    /// OWNER/NAME.
    repository: FullName,
    /// Why; stands in the audit.
    #[arg(long)]
    reason: String,
    /// Cancel the runs that are at work or wait. They are cancelled in the name of whose token it is: it is asked for over the staff
    /// API then, as the console does, and not with the database.
    #[arg(long, requires = "url")]
    cancel_runs: bool,
    /// The gateway's address, for --cancel-runs.
    #[arg(long, env = "CODEX_K8S_URL", value_name = "URL")]
    url: Option<Url>,
    /// A file with a token for scripts of the scope `admin`, for --cancel-runs; else it is read from CODEX_K8S_TOKEN.
    #[arg(long, env = "CODEX_K8S_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Secrets come from files, or standard input: arguments can be seen by everybody on the machine.
#[derive(Debug, Args)]
struct CredentialArguments {
    /// A file with a fine-grained personal access token; `-` reads standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "app_id", conflicts_with = "app_id")]
    token_file: Option<PathBuf>,
    /// The id of a GitHub App, or its client id.
    #[arg(long, value_name = "ID", requires = "private_key_file")]
    app_id: Option<String>,
    /// The App's private key, a .pem file; `-` reads standard input.
    #[arg(long, value_name = "FILE", requires = "app_id", conflicts_with = "token_file")]
    private_key_file: Option<PathBuf>,
    /// The App's installation; looked up if it is not given.
    #[arg(long, value_name = "ID", requires = "app_id")]
    installation_id: Option<u64>,
}

/// `OWNER/NAME`.
#[derive(Debug, Clone)]
pub(crate) struct FullName {
    owner: String,
    name: String,
}

impl std::fmt::Display for FullName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl std::str::FromStr for FullName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        match text.split_once('/') {
            Some((owner, name)) if part(owner) && part(name) => {
                Ok(Self { owner: owner.to_owned(), name: name.trim_end_matches(".git").to_owned() })
            }
            _ => Err("write OWNER/NAME, as in the repository's address".to_owned()),
        }
    }
}

pub(crate) async fn run(command: RepoCommand) -> anyhow::Result<ExitCode> {
    match command {
        RepoCommand::Add(arguments) => add(arguments).await,
        RepoCommand::List { json } => list(json).await,
        RepoCommand::Check { repository, json } => check(&repository, json).await,
        RepoCommand::Rotate { repository, json } => rotate(&repository, json).await,
        RepoCommand::Detach(arguments) => detach(arguments).await,
    }
}

async fn add(arguments: AddArguments) -> anyhow::Result<ExitCode> {
    let settings = ConnectSettings::read(&Environment::of_process())?;
    let credential = read_credential(&arguments.credential)?;
    let store = connect(&settings.database).await?;
    let FullName { owner, name } = &arguments.repository;
    let request = ConnectRequest {
        owner,
        name,
        project: &arguments.project,
        slots: arguments.slots,
        credential: &credential,
        public_url: &settings.public_url,
    };
    let rng = &mut rand::rng();
    let mut asking = Asking { instance: &settings.database.instance, rng, now: Utc::now() };
    let mut tx = store.begin().await?;
    let id = asking.connect(&mut tx, &settings.keys, &request).await?;
    tx.commit().await?;
    let ended = await_end(&store, &settings.database, id).await?;
    if arguments.json {
        return print_json(&ended);
    }
    tell(&ended);
    Ok(if ended.state == ConnectionState::Done {
        println_line(&format!(
            "Next: put the label run:dev on an issue of {owner}/{name}. `codex-k8s repo list` shows how it fares; settings go into \
             services.yaml in the repository."
        ));
        ExitCode::SUCCESS
    } else {
        ExitCode::from(INCOMPLETE)
    })
}

async fn check(repository: &FullName, json: bool) -> anyhow::Result<ExitCode> {
    let settings = DatabaseSettings::read(&Environment::of_process())?;
    let store = connect(&settings).await?;
    let rng = &mut rand::rng();
    let mut asking = Asking { instance: &settings.instance, rng, now: Utc::now() };
    let mut tx = store.begin().await?;
    let id = asking.check(&mut tx, &repository.to_string()).await?;
    tx.commit().await?;
    print_end(&await_end(&store, &settings, id).await?, json)
}

async fn rotate(repository: &FullName, json: bool) -> anyhow::Result<ExitCode> {
    let settings = ConnectSettings::read(&Environment::of_process())?;
    let store = connect(&settings.database).await?;
    let known = known(&store, repository).await?;
    let rng = &mut rand::rng();
    let mut asking = Asking { instance: &settings.database.instance, rng, now: Utc::now() };
    let request = RotateRequest { repository: known, public_url: &settings.public_url, platform_secret: None };
    let mut tx = store.begin().await?;
    let id = asking.rotate(&mut tx, &settings.keys, &request).await?;
    tx.commit().await?;
    print_end(&await_end(&store, &settings.database, id).await?, json)
}

async fn detach(arguments: DetachArguments) -> anyhow::Result<ExitCode> {
    let DetachArguments { repository, reason, cancel_runs, url, token_file, json } = arguments;
    if let Some(url) = url.filter(|_| cancel_runs) {
        let gateway = Gateway { url, token_file, json };
        return detach_with_runs(&gateway, &repository.to_string(), &reason).await;
    }
    let settings = DatabaseSettings::read(&Environment::of_process())?;
    let store = connect(&settings).await?;
    let known = known(&store, &repository).await?;
    let rng = &mut rand::rng();
    let mut asking = Asking { instance: &settings.instance, rng, now: Utc::now() };
    // Nobody on the forge asks here in whose name runs could be cancelled.
    let wish = Detaching { by: None, reason: Some(reason), cancel_runs: false };
    let mut tx = store.begin().await?;
    let id = asking.detach(&mut tx, known, &wish).await?;
    tx.commit().await?;
    print_end(&await_end(&store, &settings, id).await?, json)
}

async fn known(store: &Store, repository: &FullName) -> anyhow::Result<RepositoryId> {
    let found = repositories::find_by_name(&mut *store.acquire().await?, &repository.owner, &repository.name).await?;
    Ok(found.ok_or_else(|| ConnectError::NotConnected(repository.to_string()))?.id)
}

fn print_end(ended: &Connection, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        return print_json(ended);
    }
    tell(ended);
    Ok(if ended.state == ConnectionState::Done { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

async fn list(json: bool) -> anyhow::Result<ExitCode> {
    let settings = DatabaseSettings::read(&Environment::of_process())?;
    let all = connected::list(&mut *connect(&settings).await?.acquire().await?).await?;
    if json {
        let rows = all.iter().map(|row| {
            let credential = row.credential.as_ref().map(|credential| {
                json!({
                    "kind": credential.kind, "login": credential.login, "expires_at": credential.expires_at,
                    "revoked_at": credential.revoked_at,
                })
            });
            json!({
                "repository": row.full_name, "project": row.project, "archived": row.archived, "credential": credential,
                "detached_at": row.detached_at,
                "webhook": {
                    "own": row.has_hook, "last_delivery_at": row.last_delivery_at, "secret_pending": row.secret_pending,
                    "problem": row.hook_problem,
                },
                "services_yaml": { "read": row.has_config, "error": row.config_error },
            })
        });
        println_line(&serde_json::Value::Array(rows.collect()).to_string());
    } else if all.is_empty() {
        println_line("No repository is connected: `codex-k8s repo add --help` says how to connect one.");
    } else {
        println_line(repositories_table(&all, Utc::now()).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

async fn connect(settings: &DatabaseSettings) -> anyhow::Result<Store> {
    Store::connect(settings.database_url.expose(), 2).await.context("connect to the database (DATABASE_URL)")
}

/// Progress goes to standard error, so that what is printed at the end can be piped.
async fn await_end(store: &Store, settings: &DatabaseSettings, id: ConnectionId) -> anyhow::Result<Connection> {
    Ok(follow(store, &settings.instance, id, |heard| eprintln!("{}", heard.words())).await?)
}

fn tell(ended: &Connection) {
    if let Some(rights) = &ended.rights {
        println_line(rights_table(rights).trim_end());
    }
    println_line(ended.message.as_deref().unwrap_or("It has ended."));
}

fn print_json(ended: &Connection) -> anyhow::Result<ExitCode> {
    let done = ended.state == ConnectionState::Done;
    let object = json!({
        "connection": ended.id, "repository": format!("{}/{}", ended.owner, ended.name), "state": ended.state,
        "message": ended.message, "rights": ended.rights,
    });
    println_line(&serde_json::to_string(&object)?);
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

fn read_credential(arguments: &CredentialArguments) -> anyhow::Result<Credential> {
    match (&arguments.token_file, &arguments.app_id, &arguments.private_key_file) {
        (Some(path), None, None) => {
            let text = read_secret(path)?;
            Credential::token(&text).with_context(|| format!("read the token in {}", path.display()))
        }
        (None, Some(app_id), Some(path)) => {
            let text = read_secret(path)?;
            let app = AppCredential::new(app_id, arguments.installation_id, &text);
            app.map(Credential::App).with_context(|| format!("read the App's key in {}", path.display()))
        }
        _ => bail!("give either --token-file, or --app-id with --private-key-file"),
    }
}

fn read_secret(path: &PathBuf) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)).map(drop)
    };
    read.with_context(|| format!("read {}", path.display()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: RepoCommand,
    }

    fn parse(line: &str) -> Result<Cli, String> {
        Cli::try_parse_from(std::iter::once("repo").chain(line.split(' '))).map_err(|error| error.to_string())
    }

    #[test]
    fn a_repository_is_owner_and_name() {
        let name: FullName = "acme/greeter.git".parse().unwrap();
        assert_eq!((name.owner.as_str(), name.name.as_str()), ("acme", "greeter"));
        for bad in ["acme", "acme/", "/greeter", "https://github.com/acme/greeter", "a b/c"] {
            assert!(bad.parse::<FullName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn one_kind_of_credential_is_given() {
        assert!(parse("add acme/greeter --project demo --token-file -").is_ok());
        assert!(parse("add acme/greeter --project demo --app-id 1 --private-key-file key.pem").is_ok());
        for bad in [
            "add acme/greeter --project demo",
            "add acme/greeter --project demo --app-id 1",
            "add acme/greeter --project demo --private-key-file key.pem --token-file t",
            "add acme/greeter --project demo --token-file t --app-id 1 --private-key-file key.pem",
            "add acme/greeter --token-file t",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_credential_is_read_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let (app_id, private_key_file, installation_id) = (None, None, None);
            read_credential(&CredentialArguments {
                token_file: Some(path.clone()),
                app_id,
                private_key_file,
                installation_id,
            })
        };
        assert!(
            matches!(read("github_pat_x\n").unwrap(), Credential::Token(token) if token.expose() == "github_pat_x")
        );
        let error = format!("{:#}", read("not a token, hunter2").unwrap_err());
        assert!(error.contains("one line") && !error.contains("hunter2"), "{error}");
    }
}
