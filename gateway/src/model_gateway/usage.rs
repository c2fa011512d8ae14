//! Reads the tokens used out of an answer that passes by, without holding it up.

use domain::job::Usage;
use serde::Deserialize;

/// Longest line that is looked at: the final event repeats the whole answer, and an answer has a bound.
const MAX_LINE: usize = 16 * 1024 * 1024;

/// The events that carry usage.
const FINAL_EVENTS: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];

/// Watches an answer.
#[derive(Debug)]
pub(super) struct UsageWatch {
    form: Form,
    line: Vec<u8>,
    skipping: bool,
    usage: Option<Usage>,
    ended: bool,
    cut: bool,
}

/// How the answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Events,
    Whole,
    Other,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    response: Option<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    usage: Option<ModelUsage>,
    incomplete_details: Option<Incomplete>,
}

#[derive(Deserialize)]
struct Incomplete {
    reason: Option<String>,
}

#[derive(Deserialize)]
struct ModelUsage {
    /// Embeddings call it otherwise.
    #[serde(default, alias = "prompt_tokens")]
    input_tokens: u64,
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens: u64,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: u64,
}

#[derive(Deserialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: u64,
}

impl UsageWatch {
    /// Watches an answer of a content type.
    pub(super) fn new(content_type: Option<&str>) -> Self {
        let form = match content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim() {
            "text/event-stream" => Form::Events,
            "application/json" => Form::Whole,
            _ => Form::Other,
        };
        Self { form, line: Vec::new(), skipping: false, usage: None, ended: false, cut: false }
    }

    /// Looks at the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        match self.form {
            Form::Events => bytes.split_inclusive(|byte| *byte == b'\n').for_each(|part| self.push_part(part)),
            Form::Whole => self.keep(bytes),
            Form::Other => {}
        }
    }

    /// The tokens, as far as the answer has told.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Whether the answer has come to its own end, so that whoever stops listening misses nothing.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the answer was ended at the bound of its length.
    pub(super) fn was_cut(&self) -> bool {
        self.cut
    }

    /// The answer is over.
    pub(super) fn finish(&mut self) {
        if self.form == Form::Whole && !self.skipping {
            self.read_answer(serde_json::from_slice(&self.line).ok());
        }
        self.ended = true;
    }

    fn read_answer(&mut self, answer: Option<Answer>) {
        let Some(answer) = answer else { return };
        self.cut =
            answer.incomplete_details.is_some_and(|details| details.reason.as_deref() == Some("max_output_tokens"));
        self.usage = answer.usage.map(Into::into).or(self.usage);
    }

    fn push_part(&mut self, part: &[u8]) {
        self.keep(part);
        if part.ends_with(b"\n") {
            if !self.skipping {
                self.read_line();
            }
            self.line.clear();
            self.skipping = false;
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skipping || self.line.len() + bytes.len() > MAX_LINE {
            self.skipping = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn read_line(&mut self) {
        let Some(data) = std::str::from_utf8(&self.line).ok().and_then(|line| line.strip_prefix("data:")) else {
            return;
        };
        // Most lines are small pieces of text: only one that can be final is worth reading as JSON.
        if !FINAL_EVENTS.iter().any(|name| data.contains(name)) {
            return;
        }
        let Ok(event) = serde_json::from_str::<Event>(data) else { return };
        if FINAL_EVENTS.contains(&event.kind.as_str()) {
            self.ended = true;
            self.read_answer(event.response);
        }
    }
}

impl From<ModelUsage> for Usage {
    fn from(usage: ModelUsage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            cached_input_tokens: usage.input_tokens_details.map_or(0, |details| details.cached_tokens),
            output_tokens: usage.output_tokens,
            reasoning_output_tokens: usage.output_tokens_details.map_or(0, |details| details.reasoning_tokens),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{}}\n\n\
        event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"response.completed\"}\n\n\
        event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":100,\
        \"input_tokens_details\":{\"cached_tokens\":60},\"output_tokens\":7,\"output_tokens_details\":{\"reasoning_tokens\":3}}}}\n\n";

    const USED: Usage =
        Usage { input_tokens: 100, cached_input_tokens: 60, output_tokens: 7, reasoning_output_tokens: 3 };

    #[test]
    fn the_final_event_is_found_however_the_bytes_are_cut() {
        for size in [1, 7, 64, EVENTS.len()] {
            let mut watch = UsageWatch::new(Some("text/event-stream; charset=utf-8"));
            for piece in EVENTS.as_bytes().chunks(size) {
                watch.push(piece);
            }
            assert_eq!((watch.usage(), watch.has_ended()), (Some(USED), true), "{size}");
        }
    }

    #[test]
    fn an_answer_that_met_its_bound_says_so() {
        let mut watch = UsageWatch::new(Some("text/event-stream"));
        watch.push(
            b"data: {\"type\":\"response.incomplete\",\"response\":{\"incomplete_details\":{\"reason\":\"max_output_tokens\"},\
              \"usage\":{\"input_tokens\":5,\"output_tokens\":256}}}\n\n",
        );
        assert!(watch.was_cut() && watch.has_ended());
        assert_eq!(watch.usage().map(|usage| usage.output_tokens), Some(256));
    }

    #[test]
    fn embeddings_are_counted_too() {
        let mut watch = UsageWatch::new(Some("application/json"));
        watch.push(b"{\"data\":[],\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}");
        watch.finish();
        assert_eq!(watch.usage(), Some(Usage { input_tokens: 8, ..Usage::default() }));
    }

    #[test]
    fn a_cut_stream_has_no_usage() {
        let mut watch = UsageWatch::new(Some("text/event-stream"));
        watch.push(&EVENTS.as_bytes()[..EVENTS.len() / 2]);
        assert_eq!((watch.usage(), watch.has_ended()), (None, false));
    }

    #[test]
    fn a_whole_answer_is_read_at_its_end() {
        let mut watch = UsageWatch::new(Some("application/json"));
        watch.push(b"{\"object\":\"response\",\"usage\":{\"input_tok");
        watch.push(b"ens\":5,\"output_tokens\":2}}");
        watch.finish();
        assert_eq!(watch.usage(), Some(Usage { input_tokens: 5, output_tokens: 2, ..Usage::default() }));
    }

    #[test]
    fn an_overlong_line_is_passed_over() {
        let mut watch = UsageWatch::new(Some("text/event-stream"));
        watch.push(b"data: ");
        for _ in 0..17 {
            watch.push(&vec![b'x'; 1024 * 1024]);
        }
        assert!(watch.line.is_empty());
        watch.push(b"\n");
        watch.push(EVENTS.as_bytes());
        assert_eq!(watch.usage(), Some(USED));
    }
}
