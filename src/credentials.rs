//! `codex-k8s credentials`: with the worker's keys and the database.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Subcommand;
use forge::seal::OpeningKeys;
use role::{Environment, Reader, SecretText};
use store::Store;

use crate::{INCOMPLETE, println_line};

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialsCommand {
    /// Seal again, for the current key, what an older key opens.
    Reseal {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(command: CredentialsCommand) -> anyhow::Result<ExitCode> {
    let CredentialsCommand::Reseal { json } = command;
    let (url, path) = settings()?;
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let keys = OpeningKeys::from_file_text(&text).with_context(|| format!("understand {}", path.display()))?;
    let store = Store::connect(url.expose(), 1).await.context("connect to the database")?;
    let done = activities::reseal::run(&store, &keys, &mut rand::rng()).await?;
    if json {
        println_line(&serde_json::to_string(&done)?);
    } else {
        let key = &keys.sealing().key_id;
        println_line(&format!(
            "Sealed again for key {key}: {}. Credentials sealed for it: {}.",
            done.resealed, done.current
        ));
        for failed in &done.failed {
            println_line(&format!("Not sealed again: {}: {}.", failed.what, failed.why));
        }
        if done.failed.is_empty() {
            println_line(
                "No older key is needed any more: `codex-k8s keys drop-old` takes them out of the worker's file.",
            );
        }
    }
    Ok(if done.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

fn settings() -> anyhow::Result<(SecretText, PathBuf)> {
    let environment = Environment::of_process();
    let mut reader = Reader::new(&environment);
    let url: Option<SecretText> = reader.required("DATABASE_URL", "write postgres://user:password@host:port/database");
    let path = reader.required("SEALING_PRIVATE_KEY_FILE", "name the worker's file with the private sealing keys");
    let both = url.zip(path);
    Ok(reader.finish(both)?)
}
