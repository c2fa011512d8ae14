//! Codex's JSON lines.
//!
//! Only `turn.completed` and `turn.failed` say how a turn ended. A top-level `error` may be one of several tries to
//! reconnect, and an item of kind `error` is often a mere warning. Kinds that are unknown here are left alone: the whole
//! stream is kept as it is among the output.

use domain::job::Usage;
use serde::Deserialize;

/// A longer line is not parsed; it is one with a huge command output, which is of no interest here.
const LINE_BYTES: usize = 4 << 20;

/// What the lines so far say about the turn.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Codex's thread.
    pub(crate) thread_id: Option<String>,
    /// Whether `turn.completed` was seen.
    pub(crate) completed: bool,
    /// The message of `turn.failed`.
    pub(crate) failure: Option<String>,
    /// The newest top-level error.
    pub(crate) last_error: Option<String>,
    /// The newest message of the agent.
    pub(crate) message: Option<String>,
    /// Tokens of the turn.
    pub(crate) usage: Usage,
    /// Things done: commands, changes of files, messages.
    pub(crate) items: u64,
}

/// Cuts a byte stream into lines and reads them.
#[derive(Default)]
pub(crate) struct TurnReader {
    turn: Turn,
    line: Vec<u8>,
    too_long: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Event {
    #[serde(rename = "thread.started")]
    ThreadStarted { thread_id: String },
    #[serde(rename = "item.completed")]
    ItemCompleted { item: Item },
    #[serde(rename = "turn.completed")]
    TurnCompleted {
        #[serde(default)]
        usage: Usage,
    },
    #[serde(rename = "turn.failed")]
    TurnFailed {
        #[serde(default)]
        error: Words,
    },
    #[serde(rename = "error")]
    Error(Words),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item {
    AgentMessage {
        #[serde(default)]
        text: String,
    },
    /// Often a mere warning.
    Error,
    #[serde(other)]
    Other,
}

#[derive(Default, Deserialize)]
struct Words {
    #[serde(default)]
    message: String,
}

impl TurnReader {
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    /// What was read so far.
    pub(crate) fn so_far(&self) -> &Turn {
        &self.turn
    }

    pub(crate) fn finish(mut self) -> Turn {
        self.end_line();
        self.turn
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > LINE_BYTES {
            self.too_long = true;
            self.line.clear();
        }
        if !self.too_long {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) {
        if !std::mem::take(&mut self.too_long) {
            self.turn.read(&self.line);
        }
        self.line.clear();
    }
}

impl Turn {
    fn read(&mut self, line: &[u8]) {
        // Not every line is JSON, and not every JSON is one that we know.
        let Ok(event) = serde_json::from_slice(line) else { return };
        match event {
            Event::ThreadStarted { thread_id } => self.thread_id = Some(thread_id),
            Event::ItemCompleted { item: Item::AgentMessage { text } } => {
                self.message = Some(text);
                self.items += 1;
            }
            Event::ItemCompleted { item: Item::Other } => self.items += 1,
            Event::TurnCompleted { usage } => {
                self.completed = true;
                // Usage counts from the beginning of the thread: the newest one holds all others.
                self.usage = usage;
            }
            Event::TurnFailed { error } => self.failure = Some(error.message),
            Event::Error(error) => self.last_error = Some(error.message),
            Event::ItemCompleted { item: Item::Error } | Event::Other => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &str) -> Turn {
        let mut whole = TurnReader::default();
        whole.push(stream.as_bytes());
        let whole = whole.finish();
        for size in [1, 7, 100] {
            let mut parts = TurnReader::default();
            stream.as_bytes().chunks(size).for_each(|part| parts.push(part));
            assert_eq!(parts.finish(), whole, "in parts of {size}");
        }
        whole
    }

    #[test]
    fn a_successful_turn() {
        let turn = read(concat!(
            r#"{"type":"thread.started","thread_id":"t1"}"#,
            "\n",
            r#"{"type":"item.completed","item":{"id":"i0","type":"error","message":"a warning"}}"#,
            "\n",
            r#"{"type":"turn.started"}"#,
            "\n",
            r#"{"type":"item.completed","item":{"id":"i1","type":"agent_message","text":"first"}}"#,
            "\r\n",
            r#"{"type":"item.completed","item":{"id":"i2","type":"agent_message","text":"last"}}"#,
            "\n",
            r#"{"type":"turn.completed","usage":{"input_tokens":4,"cached_input_tokens":3,"cache_write_input_tokens":1,"output_tokens":2,"reasoning_output_tokens":1}}"#,
        ));
        let usage = Usage { input_tokens: 4, cached_input_tokens: 3, output_tokens: 2, reasoning_output_tokens: 1 };
        let expected = Turn {
            thread_id: Some("t1".to_owned()),
            completed: true,
            message: Some("last".to_owned()),
            usage,
            items: 2,
            ..Turn::default()
        };
        assert_eq!(turn, expected);
    }

    #[test]
    fn a_failed_turn_keeps_the_newest_words() {
        let turn = read(concat!(
            r#"{"type":"error","message":"Reconnecting... 1/5"}"#,
            "\n",
            r#"{"type":"error","message":"gone"}"#,
            "\n",
            r#"{"type":"turn.failed","error":{"message":"stream disconnected"}}"#,
            "\n",
        ));
        assert_eq!(turn.failure.as_deref(), Some("stream disconnected"));
        assert_eq!(turn.last_error.as_deref(), Some("gone"));
        assert!(!turn.completed);
    }

    #[test]
    fn anything_else_is_left_alone() {
        let turn = read(concat!(
            "plain words\n\n[1,2]\n{\"type\":7}\n{\"type\":\"turn.completed\"",
            "\n{\"type\":\"brand.new\",\"data\":{}}\n",
            r#"{"type":"item.completed","item":{"type":"brand_new","text":{}}}"#,
            "\n",
            r#"{"type":"item.completed","item":{"type":"agent_message","text":5}}"#,
            "\n",
        ));
        assert_eq!(turn, Turn { items: 1, ..Turn::default() }, "an unknown item counts, a broken line does not");
    }

    #[test]
    fn an_endless_line_is_skipped_and_the_next_one_read() {
        let mut reader = TurnReader::default();
        for _ in 0..6 {
            reader.push("x".repeat(1 << 20).as_bytes());
            assert!(reader.line.len() <= LINE_BYTES);
        }
        reader.push(b"\n{\"type\":\"turn.completed\",\"usage\":{}}\n");
        assert!(reader.finish().completed);
    }
}
