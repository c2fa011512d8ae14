//! A helper of squid: a line comes in, a line goes out.

use std::{borrow::Cow, sync::Arc};

use percent_encoding::percent_decode_str;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::{Mutex, Semaphore},
};

/// Lines that are answered at a time. Squid sends no more than it was told in its configuration.
const AT_ONCE: usize = 500;

/// Squid's pipes broke, or it speaks another protocol.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// A pipe broke.
    #[error("the egress proxy can't be spoken with")]
    Pipe(#[from] std::io::Error),
    /// A line without a channel.
    #[error("the egress proxy sends lines without a channel; give the helper `concurrency=` in its configuration")]
    NoChannel,
    /// The HTTP client could not be built.
    #[error("the HTTP client could not be built")]
    Client(#[source] reqwest::Error),
}

/// What squid is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Yes.
    Fits,
    /// No, and why.
    FitsNot(Cow<'static, str>),
    /// It can't be said now. Squid takes it for a no that it does not remember.
    Broken(&'static str),
}

impl Verdict {
    /// The answer on a channel. Words are quoted, so what would end the quotes is left out.
    fn line(&self, channel: u64) -> String {
        let quoted =
            |words: &str| words.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect::<String>();
        match self {
            Self::Fits => format!("{channel} OK\n"),
            Self::FitsNot(words) => format!("{channel} ERR message=\"{}\"\n", quoted(words)),
            Self::Broken(words) => format!("{channel} BH message=\"{}\"\n", quoted(words)),
        }
    }
}

/// Answers every line until squid closes its end. The fields of a line come without its channel, decoded.
pub(crate) async fn answer_all<F: Future<Output = Verdict> + Send + 'static>(
    mut questions: impl AsyncBufRead + Unpin,
    answers: impl AsyncWrite + Send + Unpin + 'static,
    judge: impl Fn(Vec<String>) -> F,
) -> Result<(), HelperError> {
    let (answers, room) = (Arc::new(Mutex::new(answers)), Arc::new(Semaphore::new(AT_ONCE)));
    let mut line = Vec::new();
    while questions.read_until(b'\n', &mut line).await? > 0 {
        let mut fields = String::from_utf8_lossy(&line).split_whitespace().map(decoded).collect::<Vec<_>>().into_iter();
        line.clear();
        let channel: u64 = fields.next().and_then(|channel| channel.parse().ok()).ok_or(HelperError::NoChannel)?;
        let verdict = judge(fields.collect());
        let Ok(seat) = Arc::clone(&room).acquire_owned().await else { break };
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            let line = verdict.await.line(channel);
            let mut answers = answers.lock().await;
            // Squid is gone if it does not listen; then the reading ends, too.
            if answers.write_all(line.as_bytes()).await.is_err() || answers.flush().await.is_err() {
                tracing::debug!("the egress proxy does not listen");
            }
            drop(seat);
        });
    }
    // Whoever is still asked for has an answer, too.
    let _ = room.acquire_many(u32::try_from(AT_ONCE).unwrap_or(u32::MAX)).await;
    Ok(())
}

fn decoded(field: &str) -> String {
    percent_decode_str(field).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(lines: &str) -> (Result<(), HelperError>, Vec<String>) {
        let (answers, mut told) = tokio::io::duplex(1 << 16);
        let judge = |fields: Vec<String>| async move {
            match fields.first().map(String::as_str) {
                Some("yes") => Verdict::Fits,
                Some("later") => {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    Verdict::Broken("not now")
                }
                _ => Verdict::FitsNot(Cow::Owned(format!("no \"{}\"\n", fields.join("|")))),
            }
        };
        let ended = answer_all(lines.as_bytes(), answers, judge).await;
        let mut text = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut told, &mut text).await.unwrap();
        (ended, text.lines().map(str::to_owned).collect())
    }

    #[tokio::test]
    async fn every_line_is_answered_on_its_channel_and_nobody_waits_for_another() {
        let (ended, told) = asked("7 later\n8 yes\n9 a%20b c%0Ad\n").await;
        ended.unwrap();
        assert_eq!(told.len(), 3);
        assert_eq!(told.last().unwrap(), "7 BH message=\"not now\"");
        for line in ["8 OK", "9 ERR message=\"no a b|cd\""] {
            assert!(told.iter().any(|told| told == line), "{told:?}");
        }
    }

    #[tokio::test]
    async fn lines_without_a_channel_are_an_error_that_says_what_helps() {
        let (ended, told) = asked("yes\n").await;
        assert!(ended.unwrap_err().to_string().contains("concurrency="));
        assert!(told.is_empty());
    }
}
