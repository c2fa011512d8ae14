//! The agent's turn: Codex, from its configuration to what its end means.

use std::{io, time::Duration};

use domain::job::{AgentEnd, AgentFailure, JobSpec, LogStream};
use tokio::{process::Command, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{
    checkpoint::Progress,
    codex_config::{self, TOKEN_VARIABLE},
    environment::Folders,
    events::{Turn, TurnReader},
    failure::classify,
    output::Output,
    program::{self, Bounds, Ended},
    resume::{self, Beginning, Thread},
    session::Session,
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
    /// The end of its standard error.
    pub(crate) stderr: String,
}

/// Codex with what it needs for a turn.
pub(crate) struct Agent<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) session: &'a Session,
    pub(crate) folders: &'a Folders,
    pub(crate) spec: &'a JobSpec,
    pub(crate) output: &'a Output,
    pub(crate) cancel: &'a CancellationToken,
}

impl Agent<'_> {
    /// Lets Codex work until its turn ends, the time is over or the job is cancelled. Tells on the way how far it is.
    pub(crate) async fn take_turn(
        &self,
        beginning: &Beginning<'_>,
        progress: &watch::Sender<Progress>,
    ) -> Result<AgentTurn, AgentError> {
        let config = codex_config::config(self.settings, self.folders, &self.spec.model)?;
        tokio::fs::write(self.folders.codex_home.join("config.toml"), config).await.map_err(AgentError::Store)?;

        let (mut reader, mut tail) = (TurnReader::default(), Tail::new(MESSAGE_BYTES));
        let (mut out, mut err) = (Decoder::default(), Decoder::default());
        let bounds = Bounds { time: Duration::from_secs(self.spec.limits.agent_secs), cancel: self.cancel };
        let ended = program::run(
            &mut self.command(beginning.thread.as_ref()),
            beginning.prompt,
            bounds,
            |bytes| {
                reader.push(bytes);
                tell(progress, reader.so_far());
                self.output.write(LogStream::Codex, &out.push(bytes));
            },
            |bytes| {
                let words = err.push(bytes);
                tail.push(&words);
                self.output.write(LogStream::CodexStderr, &words);
            },
        )
        .await
        .map_err(AgentError::Run)?;
        self.output.write(LogStream::Codex, &out.finish());
        self.output.write(LogStream::CodexStderr, &err.finish());

        let mut turn = reader.finish();
        if let Some(thread) = &beginning.thread {
            turn.usage = resume::since(turn.usage, thread.usage);
        }
        let last_message = last_message(self.folders, &turn).await;
        let stderr = text::plain(&tail.text());
        Ok(AgentTurn { end: judge(&ended, &turn, &stderr), turn, last_message, stderr })
    }

    fn command(&self, thread: Option<&Thread<'_>>) -> Command {
        let mut command = self.folders.command(&self.settings.codex);
        command
            .env("CODEX_HOME", &self.folders.codex_home)
            .env(TOKEN_VARIABLE, self.session.model_token())
            .args(["exec", "--json", "--strict-config", "--sandbox", "danger-full-access", "--cd"])
            .arg(&self.folders.tree)
            .arg("--output-last-message")
            .arg(&self.folders.last_message);
        if let Some(thread) = thread {
            command.args(["resume", thread.id]);
        }
        command.arg("-");
        command
    }
}

impl AgentTurn {
    /// Whether Codex ended before it began anything: then nothing was asked of the model either.
    pub(crate) fn never_began(&self) -> bool {
        matches!(self.end, AgentEnd::Failed { .. }) && self.turn.thread_id.is_none()
    }
}

fn tell(progress: &watch::Sender<Progress>, turn: &Turn) {
    progress.send_if_modified(|told| {
        let news = told.items != turn.items || told.thread_id != turn.thread_id;
        if news {
            *told = Progress { thread_id: turn.thread_id.clone(), items: turn.items };
        }
        news
    });
}

fn judge(ended: &Ended, turn: &Turn, stderr: &str) -> AgentEnd {
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
    let message = format!("Codex ended without the end of its turn ({status}). {}", stderr.trim());
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
