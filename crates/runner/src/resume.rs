//! An attempt that goes on from the kept work of an earlier one.
//!
//! Work and thread come from where foreign code ran. They are put only where the agent can write anyway, and git checks
//! what it unpacks; should they be no good, the agent begins with less.

use std::{fmt::Write as _, io, time::Duration};

use domain::job::{Resume, Resumed, Usage};
use serde::Deserialize;

use crate::{
    environment::Folders,
    gateway::{Gateway, GatewayError, persist},
    git::GitError,
    output::Output,
    repository::{self, Before},
};

/// How long a gateway that is away is waited for.
const GATEWAY_BOUND: Duration = Duration::from_secs(600);
/// Bytes of a thread's file.
const MAX_THREAD: u64 = 64 << 20;
/// Bytes of a bundle.
const MAX_WORK: u64 = 100 << 20;

/// What the agent begins with.
#[derive(Debug)]
pub(crate) struct Beginning<'a> {
    /// What it went on from, where it was to go on.
    pub(crate) resumed: Option<Resumed>,
    /// The thread to go on in.
    pub(crate) thread: Option<Thread<'a>>,
    /// What it is told.
    pub(crate) prompt: &'a str,
}

/// A thread in its place.
#[derive(Debug)]
pub(crate) struct Thread<'a> {
    /// Its id.
    pub(crate) id: &'a str,
    /// Tokens that it had used before; Codex goes on counting from there.
    pub(crate) usage: Usage,
}

/// The work could be neither restored nor left out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResumeError {
    /// The gateway does not answer.
    #[error("the kept work cannot be fetched")]
    Gateway(#[from] GatewayError),
    /// The work tree is half restored.
    #[error("the kept work cannot be put into the work tree")]
    Git(#[from] GitError),
}

/// Puts kept work and thread in their places.
pub(crate) struct Restorer<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) folders: &'a Folders,
    pub(crate) output: &'a Output,
    pub(crate) base: &'a str,
    pub(crate) before: &'a Before,
}

impl Restorer<'_> {
    /// What the agent begins with; `prompt` is for one that begins anew.
    pub(crate) async fn restore<'a>(&self, resume: &'a Resume, prompt: &'a str) -> Result<Beginning<'a>, ResumeError> {
        if resume.with_work && !self.work().await? {
            return Ok(Beginning { resumed: Some(Resumed::Nothing), thread: None, prompt });
        }
        match resume.thread_id.as_deref() {
            Some(id) => match self.thread(id).await? {
                Some(usage) => {
                    let thread = Some(Thread { id, usage });
                    return Ok(Beginning { resumed: Some(Resumed::Thread), thread, prompt: &resume.prompt });
                }
                None => self.output.say("the agent's thread is not there any more; a fresh one takes the work over"),
            },
            None => self.output.say("no thread of the agent was kept; a fresh one takes the work over"),
        }
        Ok(without_thread(resume))
    }

    /// Whether the kept work is in the work tree.
    async fn work(&self) -> Result<bool, ResumeError> {
        let bundle = &self.folders.checkpoint_bundle;
        let fetched = persist(GATEWAY_BOUND, || self.gateway.checkpoint("work", bundle, MAX_WORK)).await?;
        if !fetched {
            self.output.say("the kept work is not there any more; the agent begins anew");
            return Ok(false);
        }
        match repository::take_in(self.folders, self.base).await {
            Ok(Some(kept)) => {
                let files = repository::restore(self.folders, self.before, &kept).await?;
                self.output.say(&format!("the kept work is restored; changed files: {files}"));
                Ok(true)
            }
            Ok(None) => {
                self.output.say("the kept work does not build on the pinned base; the agent begins anew");
                Ok(false)
            }
            Err(error) => {
                self.output.say(&format!("the kept work can't be read, so the agent begins anew: {error}"));
                Ok(false)
            }
        }
    }

    /// Tokens that the thread has used, once its file is in its place.
    async fn thread(&self, id: &str) -> Result<Option<Usage>, ResumeError> {
        let place = self.folders.thread_file(id);
        let made = match place.parent() {
            Some(folder) => tokio::fs::create_dir_all(folder).await,
            None => Err(io::Error::other("it has no place")),
        };
        if let Err(error) = made {
            self.output.say(&format!("the agent's thread has no place: {error}"));
            return Ok(None);
        }
        let fetched = persist(GATEWAY_BOUND, || self.gateway.checkpoint("thread", &place, MAX_THREAD)).await?;
        let bytes = if fetched { tokio::fs::read(&place).await.ok() } else { None };
        Ok(bytes.map(|bytes| usage(&bytes)))
    }
}

/// For an agent that takes the work over in a fresh thread.
pub(crate) fn without_thread(resume: &Resume) -> Beginning<'_> {
    let resumed = resume.with_work.then_some(Resumed::Work);
    Beginning { resumed, thread: None, prompt: &resume.fresh_prompt }
}

/// What a turn used, where its thread had used something before.
pub(crate) fn since(total: Usage, before: Usage) -> Usage {
    Usage {
        input_tokens: total.input_tokens.saturating_sub(before.input_tokens),
        cached_input_tokens: total.cached_input_tokens.saturating_sub(before.cached_input_tokens),
        output_tokens: total.output_tokens.saturating_sub(before.output_tokens),
        reasoning_output_tokens: total.reasoning_output_tokens.saturating_sub(before.reasoning_output_tokens),
    }
}

#[derive(Deserialize)]
struct Line {
    payload: Payload,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Payload {
    TokenCount {
        info: Option<Info>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Info {
    total_token_usage: Usage,
}

/// The newest count in a thread's file.
fn usage(thread: &[u8]) -> Usage {
    let counts = thread.rsplit(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
    counts
        .filter_map(|line| match line.payload {
            Payload::TokenCount { info } => info.map(|info| info.total_token_usage),
            Payload::Other => None,
        })
        .next()
        .unwrap_or_default()
}

/// A failure to resume in few words, for the log.
pub(crate) fn refusal(stderr: &str) -> String {
    let mut words = String::from("the agent's thread can't be resumed");
    if let Some(line) = stderr.lines().rev().find(|line| !line.trim().is_empty()) {
        let _ = write!(words, " ({})", line.trim());
    }
    words.push_str("; a fresh one takes the work over");
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_count_of_a_thread_is_found() {
        let count = |input: u64| {
            format!(
                "{{\"type\":\"event_msg\",\"payload\":{{\"type\":\"token_count\",\"info\":{{\"total_token_usage\":\
                 {{\"input_tokens\":{input},\"cached_input_tokens\":1,\"output_tokens\":2,\"reasoning_output_tokens\":0,\
                 \"total_tokens\":9}}}}}}}}\n"
            )
        };
        let other = "{\"type\":\"response_item\",\"payload\":{\"type\":\"message\",\"role\":\"user\"}}\n";
        let none = "{\"type\":\"event_msg\",\"payload\":{\"type\":\"token_count\",\"info\":null}}\n";
        let thread = [&count(10), &count(20), other, none, "no json\n"].concat();
        let before = usage(thread.as_bytes());
        assert_eq!((before.input_tokens, before.output_tokens), (20, 2));
        assert_eq!(usage(b"\xff\n"), Usage::default());
        let total = Usage { input_tokens: 50, output_tokens: 1, ..Usage::default() };
        assert_eq!(since(total, before), Usage { input_tokens: 30, ..Usage::default() });
    }

    #[test]
    fn a_refusal_is_told_by_its_last_line() {
        assert_eq!(
            refusal("Reading\nError: no rollout found\n\n"),
            "the agent's thread can't be resumed (Error: no rollout found); a fresh one takes the work over"
        );
        assert_eq!(refusal(""), "the agent's thread can't be resumed; a fresh one takes the work over");
    }
}
