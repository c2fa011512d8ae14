//! `codex-k8s logs`: the output of an attempt, in words or as it came.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use serde_json::Value;

use super::{
    LogsArguments,
    words::{plain, text},
};
use crate::{INCOMPLETE, println_line};

/// Between two looks at a log that goes on.
const PERIOD: Duration = Duration::from_millis(500);

/// Ends of a run that are what was asked for.
const GOOD: [&str; 4] = ["pull_request_open", "review_posted", "answer_posted", "no_change"];

pub(super) async fn print(arguments: &LogsArguments) -> anyhow::Result<ExitCode> {
    let client = arguments.gateway.client()?;
    let one = format!("/api/v1/runs/{}", arguments.run);
    let attempt = match arguments.attempt {
        Some(attempt) => u64::from(attempt),
        None => client.get(&one).await?["run"]["attempt"].as_u64().unwrap_or(1),
    };
    let (mut lines, mut from) = (Lines::default(), 0);
    loop {
        let page = client.get(&format!("{one}/attempts/{attempt}/log?from={from}&limit=2000")).await?;
        let chunks = page["chunks"].as_array().map(Vec::as_slice).unwrap_or_default();
        for chunk in chunks {
            if arguments.gateway.json {
                println_line(&chunk.to_string());
            } else if arguments.raw {
                println_line(text(chunk, "/text").trim_end_matches('\n'));
            } else {
                lines.take(text(chunk, "/stream"), text(chunk, "/text")).iter().for_each(|line| println_line(line));
            }
        }
        from = page["next"].as_u64().unwrap_or(from);
        let ended = page["ended"].as_bool().unwrap_or(true);
        if ended || (chunks.is_empty() && !arguments.follow) {
            break;
        }
        if chunks.is_empty() {
            tokio::time::sleep(PERIOD).await;
        }
    }
    lines.rest().iter().for_each(|line| println_line(line));
    if !arguments.follow {
        return Ok(ExitCode::SUCCESS);
    }
    let run = client.get(&one).await?;
    let outcome = text(&run, "/run/outcome");
    Ok(if outcome.is_empty() || GOOD.contains(&outcome) { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

/// Makes lines of pieces: a piece may end in the middle of one.
#[derive(Default)]
struct Lines(BTreeMap<String, String>);

impl Lines {
    fn take(&mut self, stream: &str, piece: &str) -> Vec<String> {
        let open = self.0.entry(stream.to_owned()).or_default();
        open.push_str(piece);
        let mut whole = Vec::new();
        while let Some(end) = open.find('\n') {
            let line: String = open.drain(..=end).collect();
            whole.extend(shown(stream, line.trim_end_matches(['\n', '\r'])));
        }
        whole
    }

    /// What has no end of line is a line all the same.
    fn rest(&mut self) -> Vec<String> {
        let open = std::mem::take(&mut self.0);
        open.iter().filter(|(_, line)| !line.is_empty()).flat_map(|(stream, line)| shown(stream, line)).collect()
    }
}

fn shown(stream: &str, line: &str) -> Vec<String> {
    let said = if stream == "codex" { said(line) } else { None };
    match said {
        Some(words) => words.lines().map(plain).collect(),
        None => vec![plain(line)],
    }
}

/// What one JSON line of Codex says, in words; none if it says nothing that we know.
fn said(line: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).ok()?;
    let item = &event["item"];
    match (text(&event, "/type"), text(item, "/type")) {
        ("thread.started" | "turn.started" | "turn.completed" | "item.updated", _) => Some(String::new()),
        ("item.started", "command_execution") => Some(format!("$ {}", text(item, "/command"))),
        ("item.started", _) => Some(String::new()),
        ("item.completed", "agent_message" | "reasoning") => Some(text(item, "/text").to_owned()),
        ("item.completed", "command_execution") => {
            let output = text(item, "/aggregated_output").trim_end_matches('\n');
            let code = item["exit_code"].as_i64().filter(|code| *code != 0);
            Some(code.map_or_else(|| output.to_owned(), |code| format!("{output}\n-> {code}").trim_start().to_owned()))
        }
        ("item.completed", "file_change") => {
            let changes = item["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
            let changes = changes.iter().map(|change| format!("{} {}", text(change, "/kind"), text(change, "/path")));
            Some(changes.collect::<Vec<_>>().join("\n"))
        }
        ("turn.failed", _) => Some(text(&event, "/error/message").to_owned()),
        ("error", _) => Some(text(&event, "/message").to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_two_pieces_is_one_and_what_steers_a_terminal_is_gone() {
        let mut lines = Lines::default();
        assert!(lines.take("check", "one, \u{1b}[2J").is_empty());
        assert_eq!(lines.take("check", "two\nthree"), ["one, [2Jtwo"]);
        assert_eq!(lines.rest(), ["three"]);
    }

    #[test]
    fn codex_is_told_in_words_and_what_is_unknown_as_it_came() {
        let mut lines = Lines::default();
        let command =
            r#"{"type":"item.completed","item":{"type":"command_execution","aggregated_output":"no\n","exit_code":1}}"#;
        let shown =
            lines.take("codex", &format!("{{\"type\":\"turn.started\"}}\n{command}\n{{\"type\":\"new\"}}\nplain\n"));
        assert_eq!(shown, ["no", "-> 1", r#"{"type":"new"}"#, "plain"]);
    }
}
