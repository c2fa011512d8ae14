//! Commands in comments: `/run`, `/retry`, `/cancel` on the first line that is not empty.

use crate::{run::Step, sentences};

/// What a comment asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `/run <agent> …`
    Run {
        /// Name of the agent in lower case; whether there is one of that name is for the project to say.
        agent: String,
        /// The rest of the comment.
        instructions: String,
    },
    /// `/retry`, `/retry from STEP`, `/retry continue`
    Retry {
        /// Where to begin.
        from: RetryFrom,
    },
    /// `/cancel`
    Cancel,
}

/// Where a retry begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryFrom {
    /// At the start.
    Start,
    /// At a step, with what was done before it.
    Step(Step),
    /// Where the agent's work was last kept: it goes on from there.
    KeptWork,
}

/// A command that we know, written in a way that we can't read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// `/run` alone.
    #[error("{}", sentences::run_without_agent())]
    RunWithoutAgent,
    /// `/retry` followed by something else than `from STEP` or `continue`.
    #[error("{}", sentences::retry_tail(.0))]
    RetryTail(String),
    /// `/retry from` something that is no step.
    #[error("{}", sentences::unknown_step(.0, step_names()))]
    UnknownStep(String),
}

fn step_names() -> String {
    Step::ALL.iter().map(|step| format!("`{step}`")).collect::<Vec<_>>().join(", ")
}

/// Longest word of a comment that a reason repeats.
const MAX_ECHO_CHARS: usize = 60;

/// Reads the command of a comment; none if it has none.
///
/// # Errors
/// If it is one of ours and can't be read.
pub fn parse(body: &str) -> Result<Option<Command>, CommandError> {
    let body = body.trim_start_matches('\u{feff}');
    let Some((first, rest)) = first_line(body) else { return Ok(None) };
    // Four spaces or a tab make it code.
    let text = first.trim_start_matches(' ');
    if first.len() - text.len() > 3 {
        return Ok(None);
    }
    let (word, tail) = split_word(text.trim_end());
    match word.to_ascii_lowercase().as_str() {
        "/run" => run(tail, rest).map(Some),
        "/retry" => retry(tail).map(Some),
        "/cancel" => Ok(Some(Command::Cancel)),
        _ => Ok(None),
    }
}

/// The first line that is not empty, and what follows it.
fn first_line(body: &str) -> Option<(&str, &str)> {
    let mut rest = body;
    while !rest.is_empty() {
        let (line, after) = rest.split_once(['\n', '\r']).unwrap_or((rest, ""));
        if !line.trim().is_empty() {
            return Some((line, after));
        }
        rest = after;
    }
    None
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, tail) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, tail.trim())
}

fn run(tail: &str, rest: &str) -> Result<Command, CommandError> {
    let (agent, instructions) = split_word(tail);
    let agent = agent.trim_end_matches([':', ',', '.']).to_lowercase();
    if agent.is_empty() {
        return Err(CommandError::RunWithoutAgent);
    }
    let instructions = format!("{instructions}\n{}", rest.replace("\r\n", "\n")).trim().to_owned();
    Ok(Command::Run { agent, instructions })
}

fn retry(tail: &str) -> Result<Command, CommandError> {
    if tail.is_empty() {
        return Ok(Command::Retry { from: RetryFrom::Start });
    }
    let (from, step) = split_word(tail);
    if from.eq_ignore_ascii_case("continue") && step.is_empty() {
        return Ok(Command::Retry { from: RetryFrom::KeptWork });
    }
    if !from.eq_ignore_ascii_case("from") || step.is_empty() {
        return Err(CommandError::RetryTail(shorten(tail)));
    }
    let name = split_word(step).0.to_ascii_lowercase();
    let from = name.parse().map_err(|_| CommandError::UnknownStep(shorten(&name)))?;
    Ok(Command::Retry { from: RetryFrom::Step(from) })
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_ECHO_CHARS).collect::<String>().replace('`', "'")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run_of(agent: &str, instructions: &str) -> Result<Option<Command>, CommandError> {
        Ok(Some(Command::Run { agent: agent.to_owned(), instructions: instructions.to_owned() }))
    }

    #[test]
    fn commands_are_read() {
        let cancel = Ok(Some(Command::Cancel));
        let retry = |from| Ok(Some(Command::Retry { from }));
        let table = [
            ("/run dev", run_of("dev", "")),
            ("/run dev fix the test", run_of("dev", "fix the test")),
            ("/run dev fix\nthe test\r\nplease\r\n", run_of("dev", "fix\nthe test\nplease")),
            ("\n  \r\n\r\n/run planner", run_of("planner", "")),
            ("\u{feff}/run dev", run_of("dev", "")),
            ("/RUN Dev", run_of("dev", "")),
            ("/run dev: fix it", run_of("dev", "fix it")),
            ("   /run dev", run_of("dev", "")),
            ("/run\tdev\tnow", run_of("dev", "now")),
            ("/run nobody", run_of("nobody", "")),
            ("/cancel", cancel.clone()),
            ("/cancel please\nit is wrong", cancel.clone()),
            ("/Cancel", cancel),
            ("/retry", retry(RetryFrom::Start)),
            ("/retry from publish", retry(RetryFrom::Step(Step::Publish))),
            ("/retry FROM Agent\r\nthanks", retry(RetryFrom::Step(Step::Agent))),
            ("/retry continue", retry(RetryFrom::KeptWork)),
            ("/Retry Continue \nplease", retry(RetryFrom::KeptWork)),
            ("/run", Err(CommandError::RunWithoutAgent)),
            ("/run :", Err(CommandError::RunWithoutAgent)),
            ("/run\n dev", Err(CommandError::RunWithoutAgent)),
            ("/retry continue now", Err(CommandError::RetryTail("continue now".into()))),
            ("/retry now", Err(CommandError::RetryTail("now".into()))),
            ("/retry from", Err(CommandError::RetryTail("from".into()))),
            ("/retry from nowhere", Err(CommandError::UnknownStep("nowhere".into()))),
        ];
        for (body, expected) in table {
            assert_eq!(parse(body), expected, "{body:?}");
        }
    }

    #[test]
    fn everything_else_is_no_command() {
        let table = [
            "",
            "\n\n",
            "> /run dev",
            ">/cancel",
            "```\n/run dev\n```",
            "~~~\n/run dev",
            "    /run dev",
            "\t/run dev",
            "`/run dev`",
            "/running dev",
            "/runs",
            "/cancelled",
            "//run dev",
            "/ run dev",
            "please /run dev",
            "hello\n/run dev",
            "<!-- x -->\n/cancel",
            "- /run dev",
        ];
        for body in table {
            assert_eq!(parse(body), Ok(None), "{body:?}");
        }
    }

    #[test]
    fn an_unknown_step_is_told_the_steps() {
        let error = parse("/retry from x").unwrap_err().to_string();
        assert!(error.contains("`authorise`") && error.contains("`settle`"), "{error}");
    }

    proptest! {
        #[test]
        fn no_comment_makes_it_panic(body in ".{0,200}", lead in "[\\s/>`]{0,6}(/run|/retry|/cancel)?[ \r\n]?") {
            let _ = parse(&body);
            let _ = parse(&format!("{lead}{body}"));
        }

        #[test]
        fn a_quoted_command_never_counts(body in "\\PC{0,40}") {
            prop_assert_eq!(parse(&format!("> /run {body}")), Ok(None));
        }
    }
}
