//! Output on its way from the programs to the shipper: bounded in total and in memory.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::Utc;
use domain::job::{LogBatch, LogChunk, LogStream};
use tokio::sync::Notify;

use crate::text;

/// A chunk that is not yet on its way grows up to this size.
const CHUNK_BYTES: usize = 16 << 10;
/// A batch holds at least one chunk and about so many bytes.
const BATCH_BYTES: usize = 256 << 10;
/// Waiting output while the gateway is away; beyond, it is dropped and counted.
const BUFFER_BYTES: usize = 16 << 20;

/// Where all output of the job goes. Clones write to the same place.
#[derive(Clone)]
pub(crate) struct Output(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    wake: Notify,
}

struct State {
    waiting: VecDeque<LogChunk>,
    waiting_bytes: usize,
    next_seq: u64,
    left: u64,
    dropped: u64,
    closed: bool,
}

impl Output {
    /// `limit` bounds all output together, the runner's own words aside.
    pub(crate) fn new(limit: u64) -> Self {
        let state =
            State { waiting: VecDeque::new(), waiting_bytes: 0, next_seq: 0, left: limit, dropped: 0, closed: false };
        Self(Arc::new(Shared { state: Mutex::new(state), wake: Notify::new() }))
    }

    /// Takes in what a program wrote.
    pub(crate) fn write(&self, stream: LogStream, words: &str) {
        let mut state = self.state();
        let room = BUFFER_BYTES.saturating_sub(state.waiting_bytes);
        let left = usize::try_from(state.left).unwrap_or(usize::MAX);
        let kept = text::head(words, room.min(left));
        state.left -= kept.len() as u64;
        state.append(stream, kept);
        let lost = words.len() - kept.len();
        if lost > 0 {
            if state.dropped == 0 {
                state.append(LogStream::Runner, "there is too much output: the rest is not kept\n");
            }
            state.dropped += lost as u64;
            // What follows a hole would read as if nothing were missing.
            if left <= room {
                state.left = 0;
            }
        }
        drop(state);
        self.0.wake.notify_one();
    }

    /// Takes in a line of the runner itself, which is never dropped.
    pub(crate) fn say(&self, words: &str) {
        tracing::info!("{words}");
        let mut state = self.state();
        state.append(LogStream::Runner, &format!("{words}\n"));
        drop(state);
        self.0.wake.notify_one();
    }

    /// No more output will come.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.0.wake.notify_one();
    }

    /// Whether all output was taken and no more will come.
    pub(crate) fn is_finished(&self) -> bool {
        let state = self.state();
        state.closed && state.waiting.is_empty()
    }

    /// Whether no more output will come.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Returns after something was written or closed since the last call.
    pub(crate) async fn changed(&self) {
        self.0.wake.notified().await;
    }

    /// Takes the next batch off the queue.
    pub(crate) fn take(&self) -> LogBatch {
        let mut state = self.state();
        let mut chunks = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES
            && let Some(chunk) = state.waiting.pop_front()
        {
            bytes += chunk.text.len();
            chunks.push(chunk);
        }
        state.waiting_bytes -= bytes;
        LogBatch { chunks }
    }

    /// Counts a batch as dropped that the platform would not have.
    pub(crate) fn drop_batch(&self, batch: &LogBatch) {
        self.state().dropped += batch.chunks.iter().map(|chunk| chunk.text.len() as u64).sum::<u64>();
    }

    /// Bytes that were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.state().dropped
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, stream: LogStream, mut words: &str) {
        while !words.is_empty() {
            let part = match self.waiting.back_mut() {
                Some(last) if last.stream == stream && last.text.len() < CHUNK_BYTES => {
                    let part = text::head(words, (CHUNK_BYTES - last.text.len()).max(char::MAX.len_utf8()));
                    last.text.push_str(part);
                    part
                }
                _ => {
                    let part = text::head(words, CHUNK_BYTES);
                    let (seq, at) = (self.next_seq, Utc::now());
                    self.next_seq += 1;
                    self.waiting.push_back(LogChunk { seq, at, stream, text: part.to_owned() });
                    part
                }
            };
            self.waiting_bytes += part.len();
            words = &words[part.len()..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(batch: &LogBatch) -> Vec<(u64, LogStream, &str)> {
        batch.chunks.iter().map(|chunk| (chunk.seq, chunk.stream, chunk.text.as_str())).collect()
    }

    #[test]
    fn neighbours_of_one_stream_share_a_chunk_until_it_is_taken() {
        let output = Output::new(1_000);
        output.write(LogStream::Codex, "a");
        output.write(LogStream::Codex, "b");
        output.write(LogStream::Check, "c");
        assert_eq!(texts(&output.take()), [(0, LogStream::Codex, "ab"), (1, LogStream::Check, "c")]);
        output.write(LogStream::Check, "d");
        assert_eq!(texts(&output.take()), [(2, LogStream::Check, "d")]);
        assert!(!output.is_finished());
        output.close();
        assert!(output.is_finished());
    }

    #[test]
    fn output_over_the_limit_is_counted_and_the_runner_is_still_heard() {
        let output = Output::new(4);
        output.write(LogStream::Codex, "abä→");
        output.write(LogStream::Codex, "x");
        output.say("the end");
        assert_eq!(output.dropped(), 4);
        let batch = output.take();
        assert_eq!(batch.chunks[0].text, "abä");
        assert_eq!(batch.chunks[1].stream, LogStream::Runner);
        assert!(batch.chunks[1].text.ends_with("the end\n"));
    }

    #[test]
    fn long_output_is_cut_into_chunks_and_batches_without_loss() {
        let output = Output::new(u64::MAX);
        let words = "0123456789ä".repeat(60_000);
        output.write(LogStream::Codex, &words);
        let mut read = String::new();
        let mut batches = 0;
        loop {
            let batch = output.take();
            if batch.chunks.is_empty() {
                break;
            }
            assert!(batch.chunks.iter().all(|chunk| chunk.text.len() <= CHUNK_BYTES + 3));
            batches += 1;
            read.extend(batch.chunks.into_iter().map(|chunk| chunk.text));
        }
        assert_eq!(read, words);
        assert!(batches > 2);
    }

    #[test]
    fn waiting_output_is_bounded() {
        let output = Output::new(u64::MAX);
        let words = "x".repeat(BUFFER_BYTES / 2);
        for _ in 0..3 {
            output.write(LogStream::Codex, &words);
        }
        assert_eq!(output.dropped(), (BUFFER_BYTES / 2) as u64);
        while !output.take().chunks.is_empty() {}
        output.write(LogStream::Codex, "again");
        assert_eq!(texts(&output.take()).len(), 1);
    }
}
