//! Answers in the form of the Responses API.

use domain::job::Usage;
use serde_json::{Value, json};

use super::request::ShellTool;

/// Identifies one answer; the same request gets the same one.
pub(super) struct Place<'a> {
    pub(super) scenario: &'a str,
    pub(super) step: usize,
}

impl Place<'_> {
    fn id(&self, prefix: &str) -> String {
        format!("{prefix}_{}_{}", self.scenario.replace('-', "_"), self.step)
    }
}

/// A call of the shell tool.
pub(super) fn shell_call(place: &Place<'_>, shell: ShellTool, command: &str) -> Value {
    let (name, arguments) = shell.call(command);
    json!({ "type": "function_call", "id": place.id("fc"), "call_id": place.id("call"), "name": name,
        "arguments": arguments.to_string() })
}

/// A message to the user.
pub(super) fn message(place: &Place<'_>, text: &str) -> Value {
    json!({ "type": "message", "id": place.id("msg"), "role": "assistant", "status": "completed",
        "content": [{ "type": "output_text", "text": text, "annotations": [] }] })
}

/// The whole event stream that carries one output item.
pub(super) fn events(place: &Place<'_>, item: &Value, usage: Usage) -> String {
    created(place) + &ended(place, item, usage)
}

/// A piece of a message on its way.
pub(super) fn delta(text: &str) -> String {
    event(&json!({ "type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text }))
}

/// The last events: the item, and what it took.
pub(super) fn ended(place: &Place<'_>, item: &Value, usage: Usage) -> String {
    let response = place.id("resp");
    let completed = json!({ "type": "response.completed", "response": {
        "id": response, "status": "completed", "usage": {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": { "cached_tokens": usage.cached_input_tokens },
            "output_tokens": usage.output_tokens,
            "output_tokens_details": { "reasoning_tokens": usage.reasoning_output_tokens },
            "total_tokens": usage.input_tokens + usage.output_tokens,
        } } });
    let done = json!({ "type": "response.output_item.done", "output_index": 0, "item": item });
    event(&done) + &event(&completed)
}

/// The first event alone, for a stream that is cut afterwards.
pub(super) fn created(place: &Place<'_>) -> String {
    event(&json!({ "type": "response.created", "response": { "id": place.id("resp"), "status": "in_progress" } }))
}

/// The body of a refusal.
pub(super) fn refusal(code: &str, message: &str) -> Value {
    json!({ "error": { "message": message, "type": code, "code": code, "param": null } })
}

fn event(data: &Value) -> String {
    let kind = data.get("type").and_then(Value::as_str).unwrap_or_default();
    format!("event: {kind}\ndata: {data}\n\n")
}
