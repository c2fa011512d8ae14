//! What the scripted model needs to know about a request of the Responses API.

use serde_json::Value;

/// Played when a request names no scenario.
pub(super) const DEFAULT: &str = "good-fix";
/// Played instead, by the first words of the prompts of agents that change nothing.
const DEFAULT_OF_AGENTS: &[(&str, &str)] = &[("You are `reviewer`", "review"), ("You are `planner`", "plan")];

/// The parts of a request that decide about its answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The name after `scenario:` in the newest user message that has one, else the default.
    pub(super) scenario: String,
    /// How many tool outputs the conversation holds.
    pub(super) outputs: usize,
    /// The tool outputs, one after the other.
    pub(super) seen: String,
    /// The number of the first comment on a line that the prompt shows.
    pub(super) line_comment: Option<String>,
    /// What the user said, the newest first.
    pub(super) said: Vec<String>,
    /// The shell tool that is on offer.
    pub(super) shell: ShellTool,
}

/// Shell tools that Codex offered over its versions; they differ in name and in form of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShellTool {
    /// `exec_command` with a text `cmd`.
    ExecCommand,
    /// `shell_command` with a text `command`.
    ShellCommand,
    /// `shell` with a list `command`.
    Shell,
}

impl ShellTool {
    const fn name(self) -> &'static str {
        match self {
            Self::ExecCommand => "exec_command",
            Self::ShellCommand => "shell_command",
            Self::Shell => "shell",
        }
    }

    /// Name and arguments of a call.
    pub(super) fn call(self, command: &str) -> (&'static str, Value) {
        let arguments = match self {
            // Without a long wait it would hand back a running session, and the number of outputs would no longer be
            // the number of steps.
            Self::ExecCommand => serde_json::json!({ "cmd": command, "yield_time_ms": 30_000 }),
            Self::ShellCommand => serde_json::json!({ "command": command }),
            Self::Shell => serde_json::json!({ "command": ["sh", "-c", command] }),
        };
        (self.name(), arguments)
    }
}

impl Request {
    pub(super) fn read(body: &Value) -> Self {
        let input = body.get("input").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let messages: Vec<_> = input.iter().rev().filter(|item| is_from_user(item)).map(text).collect();
        let scenario = messages.iter().find_map(|text| marker(text)).unwrap_or_else(|| default_for(&messages));
        // A thread that goes on with another scenario begins it with its first step.
        let chosen = input.iter().rposition(|item| is_from_user(item) && marker(&text(item)).is_some()).unwrap_or(0);
        let outputs: Vec<_> = input
            .get(chosen..)
            .unwrap_or_default()
            .iter()
            .filter(|item| is_output(item))
            .map(|item| item["output"].to_string())
            .collect();
        let line_comment = messages.iter().find_map(|text| line_comment(text));
        Self {
            scenario,
            outputs: outputs.len(),
            seen: outputs.join("\n"),
            line_comment,
            said: messages,
            shell: offered(body),
        }
    }
}

fn is_output(item: &Value) -> bool {
    item.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("_call_output"))
}

fn is_from_user(item: &Value) -> bool {
    item.get("role").and_then(Value::as_str) == Some("user")
}

fn text(item: &Value) -> String {
    match item.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn default_for(messages: &[String]) -> String {
    let of_agent = |(words, _): &&(&str, &str)| messages.iter().any(|text| text.starts_with(words));
    DEFAULT_OF_AGENTS.iter().find(of_agent).map_or(DEFAULT, |(_, name)| name).to_owned()
}

fn marker(text: &str) -> Option<String> {
    text.split("scenario:").skip(1).find_map(|rest| {
        let end =
            rest.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')).unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches('-');
        (!name.is_empty()).then(|| name.to_owned())
    })
}

fn line_comment(text: &str) -> Option<String> {
    text.split("line comment ").skip(1).find_map(|rest| {
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        (!number.is_empty()).then_some(number)
    })
}

fn offered(body: &Value) -> ShellTool {
    let tools = body.get("tools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let has = |name| tools.iter().any(|tool| tool.get("name").and_then(Value::as_str) == Some(name));
    [ShellTool::ExecCommand, ShellTool::ShellCommand, ShellTool::Shell]
        .into_iter()
        .find(|tool| has(tool.name()))
        .unwrap_or(ShellTool::ExecCommand)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn markers_are_found_in_titles_and_labels() {
        for (text, name) in [
            ("Fix it [scenario:no-change]", Some("no-change")),
            ("labels: bug, scenario:slow, other", Some("slow")),
            ("`scenario:429`", Some("429")),
            ("scenario: none", None),
            ("nothing", None),
        ] {
            assert_eq!(marker(text).as_deref(), name, "{text}");
        }
    }

    #[test]
    fn only_user_messages_choose_and_the_newest_wins() {
        let body = json!({ "input": [
            { "type": "message", "role": "developer", "content": [{ "type": "input_text", "text": "scenario:plan" }] },
            { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "scenario:slow" }] },
            { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "scenario:stall" }] },
            { "type": "function_call_output", "output": "scenario:review" },
            { "type": "custom_tool_call_output", "output": "x" },
        ], "tools": [{ "type": "function", "name": "shell_command" }] });
        let request = Request::read(&body);
        assert_eq!(request.scenario, "stall");
        assert_eq!((request.outputs, request.shell), (2, ShellTool::ShellCommand));
        assert_eq!(request.seen, "\"scenario:review\"\n\"x\"");
        assert_eq!(request.said.first().map(String::as_str), Some("scenario:stall"));
    }

    #[test]
    fn anything_else_is_the_first_step_of_the_default() {
        for body in [json!(null), json!({}), json!({ "input": "text" })] {
            let request = Request::read(&body);
            assert_eq!((request.scenario.as_str(), request.outputs), (DEFAULT, 0));
        }
    }

    #[test]
    fn reviewers_and_planners_change_nothing_by_default() {
        for (prompt, name) in [
            ("You are `reviewer`, an engineer", "review"),
            ("You are `planner`, an engineer", "plan"),
            ("You are `planner`. [scenario:slow]", "slow"),
            ("You are `dev`. Ask a planner.", DEFAULT),
        ] {
            let body =
                json!({ "input": [{ "role": "user", "content": prompt }, { "role": "user", "content": "Go." }] });
            assert_eq!(Request::read(&body).scenario, name, "{prompt}");
        }
    }
}
