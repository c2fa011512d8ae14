//! The agent's turn: Codex, from its configuration to what its end means.

use std::{io, time::Duration};

use domain::job::{AgentEnd, AgentFailure, JobSpec, LogStream};

use crate::{
    codex_config::{self, TOKEN_VARIABLE},
    environment::Folders,
    events::{Turn, TurnReader},
    failure::classify,
    output::Output,
    program::{self, Bounds, Ended},
    settings::Settings,
    tail::Tail,
    text::{self, Decoder},
};

/// Failures are shown in comments and tables.
const MESSAGE_BYTES: usize = 2_000;
/// The agent's last words go into a pull request or a comment, which hold 64 KiB.
const LAST_MESSAGE_BYTES: usize = 60_000;

/// Codex could not be prepared or started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// The configuration cannot be written as TOML.
    #[error("the configuration of Codex cannot be made")]
    Config(#[from] toml::ser::Error),
    /// Its configuration cannot be stored.
    #[error("the configuration of Codex cannot be stored")]
    Store(#[source] io::Error),
    /// The process cannot be started or ended.
    #[error("Codex cannot be run")]
    Run(#[source] io::Error),
}

/// The turn and its end.
pub(crate) struct AgentTurn {
    /// How it ended.
    pub(crate) end: AgentEnd,
    /// What its event stream says.
    pub(crate) turn: Turn,
    /// The final message.
    pub(crate) last_message: Option<String>,
}

/// Lets Codex work until its turn ends, the time is over or the job is cancelled.
pub(crate) async fn take_turn(
    settings: &Settings,
    folders: &Folders,
    spec: &JobSpec,
    output: &Output,
    cancel: &tokio_util::sync::CancellationToken,
) -> Result<AgentTurn, AgentError> {
    let config = codex_config::config(settings, &spec.model)?;
    tokio::fs::write(folders.codex_home.join("config.toml"), config).await.map_err(AgentError::Store)?;

    let mut command = folders.command(&settings.codex);
    command
        .env("CODEX_HOME", &folders.codex_home)
        .env(TOKEN_VARIABLE, settings.token.expose())
        .args(["exec", "--json", "--strict-config", "--sandbox", "danger-full-access", "--cd"])
        .arg(&folders.tree)
        .arg("--output-last-message")
        .arg(&folders.last_message)
        .arg("-");

    let (mut reader, mut tail) = (TurnReader::default(), Tail::new(MESSAGE_BYTES));
    let (mut out, mut err) = (Decoder::default(), Decoder::default());
    let bounds = Bounds { time: Duration::from_secs(spec.limits.agent_secs), cancel };
    let ended = program::run(
        &mut command,
        &spec.prompt,
        bounds,
        |bytes| {
            reader.push(bytes);
            output.write(LogStream::Codex, &out.push(bytes));
        },
        |bytes| {
            let words = err.push(bytes);
            tail.push(&words);
            output.write(LogStream::CodexStderr, &words);
        },
    )
    .await
    .map_err(AgentError::Run)?;
    output.write(LogStream::Codex, &out.finish());
    output.write(LogStream::CodexStderr, &err.finish());

    let turn = reader.finish();
    let last_message = last_message(folders, &turn).await;
    Ok(AgentTurn { end: judge(&ended, &turn, &tail), turn, last_message })
}

fn judge(ended: &Ended, turn: &Turn, stderr: &Tail) -> AgentEnd {
    let status = match ended {
        Ended::Cancelled => return AgentEnd::Cancelled,
        Ended::TooLate => return AgentEnd::DeadlineExceeded,
        Ended::Itself(status) => status,
    };
    if status.success() && turn.completed && turn.failure.is_none() {
        return AgentEnd::Completed;
    }
    if let Some(words) = turn.failure.as_ref().or(turn.last_error.as_ref()) {
        return AgentEnd::Failed { class: classify(words), message: text::head(words, MESSAGE_BYTES).to_owned() };
    }
    let words = text::plain(&stderr.text());
    let message = format!("Codex ended without the end of its turn ({status}). {}", words.trim());
    AgentEnd::Failed { class: AgentFailure::Other, message: message.trim_end().to_owned() }
}

/// What Codex stored as its final message, else the last one of the stream.
async fn last_message(folders: &Folders, turn: &Turn) -> Option<String> {
    let stored = tokio::fs::read(&folders.last_message).await.ok();
    let message = match stored.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) {
        Some(message) if !message.trim().is_empty() => message,
        _ => turn.message.clone()?,
    };
    Some(text::head(message.trim(), LAST_MESSAGE_BYTES).replace('\0', "\u{fffd}"))
}
