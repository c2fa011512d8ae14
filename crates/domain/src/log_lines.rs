//! The lines of a log, as people read them: pieces of output put together again, and what Codex tells as JSON in words. The
//! console does the same (`ui/src/run/output.ts`), and both are held to the same example, so that a line has one number.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::job::{LogChunk, LogStream};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// From 1, over the whole log.
    pub number: u64,
    /// When its end was written.
    pub at: DateTime<Utc>,
    /// Who wrote it.
    pub stream: LogStream,
    /// As it was printed, with its escape sequences.
    pub text: String,
}

/// Makes lines of pieces, in their order.
#[derive(Debug, Default)]
pub struct LogReader {
    count: u64,
    open: BTreeMap<&'static str, (LogStream, String, DateTime<Utc>)>,
    order: Vec<&'static str>,
}

impl LogReader {
    /// Takes the next piece; gives the lines that end in it.
    pub fn push(&mut self, chunk: &LogChunk) -> Vec<LogLine> {
        let name = chunk.stream.as_str();
        if !self.open.contains_key(name) {
            self.order.push(name);
        }
        let before = self.open.remove(name).map(|(_, text, _)| text).unwrap_or_default();
        let whole = before + &chunk.text;
        let mut parts: Vec<&str> = whole.split('\n').collect();
        let rest = parts.pop().unwrap_or_default().to_owned();
        let lines = parts.into_iter().flat_map(|part| self.take(chunk.stream, part, chunk.at)).collect();
        self.open.insert(name, (chunk.stream, rest, chunk.at));
        lines
    }

    /// Nothing more comes: what has no end of line is a line all the same.
    pub fn finish(mut self) -> Vec<LogLine> {
        let order = std::mem::take(&mut self.order);
        let mut lines = Vec::new();
        for name in order {
            if let Some((stream, text, at)) = self.open.remove(name).filter(|(_, text, _)| !text.is_empty()) {
                lines.extend(self.take(stream, &text, at));
            }
        }
        lines
    }

    fn take(&mut self, stream: LogStream, text: &str, at: DateTime<Utc>) -> Vec<LogLine> {
        let shown = if stream == LogStream::Codex { said(text) } else { vec![text.to_owned()] };
        let number = |text: String| {
            self.count += 1;
            // A program that overwrites its line (a progress bar) has said the last of it.
            let text = text.strip_suffix('\r').unwrap_or(&text);
            let text = text.rsplit('\r').next().unwrap_or_default().to_owned();
            LogLine { number: self.count, at, stream, text }
        };
        shown.into_iter().map(number).collect()
    }
}

fn styled(code: &str, text: &str) -> String {
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// What one line of Codex's says, in words.
fn said(text: &str) -> Vec<String> {
    let Some(event) = parsed(text) else { return vec![text.to_owned()] };
    let item = &event["item"];
    match event["type"].as_str() {
        Some("thread.started" | "turn.started" | "turn.completed" | "item.updated") => Vec::new(),
        Some("item.started") if item["type"] == "command_execution" => {
            format!("$ {}", word(&item["command"])).split('\n').map(|line| styled("1", line)).collect()
        }
        Some("item.started") => Vec::new(),
        Some("item.completed") if item.is_object() || item.is_array() => completed(item, text),
        Some("turn.failed") => vec![styled("31", or(word(&event["error"]["message"]), text))],
        Some("error") => vec![styled("31", or(word(&event["message"]), text))],
        _ => vec![text.to_owned()],
    }
}

fn completed(item: &Value, raw: &str) -> Vec<String> {
    match item["type"].as_str() {
        Some("agent_message") => word(&item["text"]).split('\n').map(str::to_owned).collect(),
        Some("reasoning") => word(&item["text"]).split('\n').map(|line| styled("2", line)).collect(),
        Some("command_execution") => {
            let output = word(&item["aggregated_output"]);
            let output = output.strip_suffix('\n').unwrap_or(output);
            let mut lines: Vec<String> = Vec::new();
            if !output.is_empty() {
                lines.extend(output.split('\n').map(str::to_owned));
            }
            if let Some(code) = item["exit_code"].as_i64().filter(|code| *code != 0) {
                lines.push(styled("31", &format!("→ {code}")));
            }
            lines
        }
        Some("file_change") => {
            let changes = item["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
            let line = |change: &Value| {
                let mark = match change["kind"].as_str() {
                    Some("add") => '+',
                    Some("delete") => '−',
                    _ => '~',
                };
                styled("1", &format!("{mark} {}", word(&change["path"])))
            };
            changes.iter().map(line).collect()
        }
        // Often a mere warning.
        Some("error") => vec![styled("33", or(word(&item["message"]), raw))],
        _ => vec![raw.to_owned()],
    }
}

fn parsed(text: &str) -> Option<Value> {
    text.starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

/// The words of a line: no colours, no links, no movements of the cursor.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = match escape_length(after) {
            Some(length) => &after[length..],
            None => {
                out.push('\u{1b}');
                after
            }
        };
    }
    out.push_str(rest);
    out
}

/// How long the sequence is that follows an escape; none if it is none.
fn escape_length(after: &str) -> Option<usize> {
    let bytes = after.as_bytes();
    match bytes.first()? {
        b'[' => {
            let mut at = 1;
            while bytes.get(at).is_some_and(|byte| (b'0'..=b'?').contains(byte)) {
                at += 1;
            }
            while bytes.get(at).is_some_and(|byte| (b' '..=b'/').contains(byte)) {
                at += 1;
            }
            match bytes.get(at) {
                Some(b'@'..=b'~') => Some(at + 1),
                // A sequence of two characters that happens to be this one.
                _ => None,
            }
        }
        b']' => {
            let end = after.find(['\u{7}', '\u{1b}']).unwrap_or(after.len());
            Some(match bytes.get(end) {
                Some(7) => end + 1,
                Some(0x1b) if bytes.get(end + 1) == Some(&b'\\') => end + 2,
                _ => end,
            })
        }
        b'@'..=b'Z' | b'\\'..=b'_' => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the console's tests read, too.
    #[test]
    fn lines_are_those_of_the_console() {
        let example: Value = serde_json::from_str(include_str!("../../../ui/src/run/log-example.json")).unwrap();
        let chunks: Vec<LogChunk> = serde_json::from_value(example["chunks"].clone()).unwrap();
        let mut reader = LogReader::default();
        let mut lines: Vec<LogLine> = chunks.iter().flat_map(|chunk| reader.push(chunk)).collect();
        lines.extend(reader.finish());
        let shown: Vec<String> = lines
            .iter()
            .map(|line| format!("{} {}: {}", line.number, line.stream.as_str(), plain(&line.text)))
            .collect();
        let expected: Vec<String> = serde_json::from_value(example["lines"].clone()).unwrap();
        assert_eq!(shown, expected);
    }

    #[test]
    fn escapes_are_no_words() {
        for (text, words) in [
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{1b}\\.", "link."),
            ("a\u{1b}Mb\u{1b}", "ab\u{1b}"),
            ("\u{1b}[?25lплотно", "плотно"),
        ] {
            assert_eq!(plain(text), words, "{text:?}");
        }
    }
}
