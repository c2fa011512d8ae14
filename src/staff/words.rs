//! Answers of the staff API in words. A field that is not there, because the gateway is of another version, is left out.

use std::fmt::Write as _;

use serde_json::Value;

/// A text at this JSON pointer; empty if there is none.
pub(super) fn text<'a>(answer: &'a Value, pointer: &str) -> &'a str {
    answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(answer: &Value, pointer: &str) -> Option<i64> {
    answer.pointer(pointer).and_then(Value::as_i64)
}

fn list<'a>(answer: &'a Value, pointer: &str) -> &'a [Value] {
    answer.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// What may come from outsiders is shown without what steers a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\t').collect()
}

/// The state of a run, or how it ended.
fn state(run: &Value) -> &str {
    let outcome = text(run, "/outcome");
    if outcome.is_empty() { text(run, "/state") } else { outcome }
}

/// A page of runs as a table.
pub(super) fn table(page: &Value) -> String {
    let runs = list(page, "/items");
    if runs.is_empty() {
        return "No run fits.".to_owned();
    }
    let head = ["RUN", "STATE", "AGENT", "ABOUT", "ASKED BY", "ACCEPTED"].map(str::to_owned);
    let rows = runs.iter().map(|run| {
        let about =
            format!("{} #{}", text(run, "/repository/full_name"), number(run, "/subject/number").unwrap_or_default());
        let asked = format!("@{}", text(run, "/requested_by"));
        let accepted = text(run, "/created_at").get(..16).unwrap_or_default().replace('T', " ");
        [text(run, "/id").to_owned(), state(run).to_owned(), text(run, "/agent").to_owned(), about, asked, accepted]
    });
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut shown = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{:width$}", plain(cell)));
        let _ = writeln!(shown, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    if page.pointer("/next").is_some_and(Value::is_string) {
        shown.push_str("There are more: take a filter, or a greater --limit.");
    }
    shown
}

/// A run with its attempts and steps.
pub(super) fn run(detail: &Value) -> String {
    let mut shown = String::new();
    let run = &detail["run"];
    let title = plain(text(run, "/subject/title"));
    let _ = writeln!(
        shown,
        "{} #{} {title}",
        text(run, "/repository/full_name"),
        number(run, "/subject/number").unwrap_or_default()
    );
    let _ = writeln!(shown, "run      {}", text(run, "/id"));
    let _ = writeln!(shown, "agent    {}, asked by @{}", text(run, "/agent"), text(run, "/requested_by"));
    let _ = writeln!(shown, "state    {}", state(run));
    for (name, pointer) in [("cause", "/cause"), ("pull", "/pull_request_url"), ("branch", "/branch")] {
        let value = if pointer == "/branch" { text(detail, pointer) } else { text(run, pointer) };
        if !value.is_empty() {
            let _ = writeln!(shown, "{name:8} {}", plain(value));
        }
    }
    for attempt in list(detail, "/attempts") {
        let _ = writeln!(shown, "\nattempt {}", number(attempt, "/attempt").unwrap_or_default());
        for step in list(attempt, "/steps") {
            let tries = number(step, "/tries").filter(|tries| *tries > 1);
            let tries = tries.map(|tries| format!(", {tries} tries")).unwrap_or_default();
            let _ = writeln!(shown, "  {:10} {}{tries}", text(step, "/step"), text(step, "/state"));
            if text(step, "/state") != "done" && !text(step, "/error").is_empty() {
                let _ = writeln!(shown, "             {}", plain(text(step, "/error")));
            }
        }
    }
    shown
}

/// Why a run waits, or ended as it did, and what to do: one line each.
pub(super) fn why(detail: &Value) -> String {
    let run = &detail["run"];
    match text(detail, "/waiting/kind") {
        "slot" => {
            let place = number(detail, "/waiting/place").unwrap_or_default();
            return format!("It waits for a slot of project {}: place {place} in the queue.", text(run, "/project"));
        }
        "node" => {
            return format!("It waits for a machine of the cluster: {}", plain(text(detail, "/waiting/reason")));
        }
        "limit" => {
            let reason = plain(text(detail, "/waiting/reason"));
            return format!("It waits for a limit, until {}. {reason}", text(detail, "/waiting/until"));
        }
        _ => {}
    }
    if text(run, "/state") != "finished" {
        let step = text(run, "/step");
        let at = if step.is_empty() { String::new() } else { format!(" It is at the step {step}.") };
        return format!("It waits for nothing.{at}");
    }
    let cause = plain(text(run, "/cause"));
    let mut shown = format!("It ended as {}. {cause}", state(run)).trim_end().to_owned();
    if let Some(last) = list(detail, "/attempts").last() {
        for check in list(last, "/checks").iter().filter(|check| check["passed"] == false) {
            let tail: Vec<String> = text(check, "/output_tail").lines().map(plain).collect();
            let from = tail.len().saturating_sub(20);
            let _ = write!(shown, "\n{}", tail[from..].join("\n"));
        }
    }
    if let Some(next) = next(state(run), text(run, "/id"), detail["kept_work_at"].is_string()) {
        let _ = write!(shown, "\nNext: {next}");
    }
    shown
}

fn next(outcome: &str, run: &str, kept: bool) -> Option<String> {
    let retry = |from: &str| format!("codex-k8s retry {run} --from {from}");
    match outcome {
        "lost" | "checks_failed" if kept => Some(retry("continue")),
        "lost" | "checks_failed" | "setup_failed" | "failed" | "cancelled" => Some(retry("start")),
        "refused" => Some("somebody with write access to the repository has to ask".to_owned()),
        "budget_spent" => Some("raise the limit in the project's settings, or make the task smaller".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn why_says_what_is_waited_for() {
        let waiting =
            json!({ "run": { "project": "demo", "state": "waiting" }, "waiting": { "kind": "slot", "place": 3 } });
        assert_eq!(why(&waiting), "It waits for a slot of project demo: place 3 in the queue.");
        let full =
            json!({ "run": { "state": "working" }, "waiting": { "kind": "node", "reason": "no node has room" } });
        assert_eq!(why(&full), "It waits for a machine of the cluster: no node has room");
        let at_work = json!({ "run": { "state": "working", "step": "agent" }, "waiting": null });
        assert_eq!(why(&at_work), "It waits for nothing. It is at the step agent.");
    }

    #[test]
    fn why_says_how_it_ended_and_what_to_do() {
        let checks =
            json!([{ "passed": true, "output_tail": "fine" }, { "passed": false, "output_tail": "FAIL \u{1b}[31mx" }]);
        let run =
            json!({ "id": "7", "state": "finished", "outcome": "checks_failed", "cause": "Check `test` failed." });
        let mut detail =
            json!({ "run": run, "attempts": [{ "checks": checks }], "kept_work_at": "2026-11-26T12:00:00Z" });
        let said =
            "It ended as checks_failed. Check `test` failed.\nFAIL [31mx\nNext: codex-k8s retry 7 --from continue";
        assert_eq!(why(&detail), said);
        detail["kept_work_at"] = Value::Null;
        assert!(why(&detail).ends_with("--from start"));
    }

    #[test]
    fn a_table_has_a_row_for_each_run_and_says_when_there_are_more() {
        let run = json!({
            "id": "r1", "state": "finished", "outcome": "lost", "agent": "dev", "requested_by": "ada",
            "repository": { "full_name": "acme/greeter" }, "subject": { "number": 7 }, "created_at": "2026-11-26T12:34:56Z",
        });
        let shown = table(&json!({ "items": [run], "next": "x" }));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1], "r1   lost   dev    acme/greeter #7  @ada      2026-11-26 12:34");
        assert!(lines[2].starts_with("There are more"));
        assert_eq!(table(&json!({ "items": [] })), "No run fits.");
    }
}
