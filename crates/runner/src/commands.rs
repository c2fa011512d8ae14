//! The project's own commands, set-up and checks, run by us and not by the agent.

use std::{io, path::Path, time::Duration};

use domain::job::{CheckCommand, CheckResult, LogStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    environment::Folders,
    output::Output,
    program::{self, Bounds, Ended},
    tail::Tail,
    text::{self, Decoder},
};

/// What a report carries of a command's output.
const TAIL_BYTES: usize = 4 << 10;
/// Control characters are removed from the tail, so a longer one is read.
const RAW_TAIL_BYTES: usize = 16 << 10;

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Gets the work tree ready.
    SetUp,
    /// Judges the change.
    Check,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::SetUp => "set-up",
            Self::Check => "check",
        }
    }

    const fn stream(self) -> LogStream {
        match self {
            Self::SetUp => LogStream::Setup,
            Self::Check => LogStream::Check,
        }
    }
}

/// Runs one command in the work tree; none if it was cancelled.
pub(crate) async fn run(
    folders: &Folders,
    purpose: Purpose,
    command: &CheckCommand,
    output: &Output,
    cancel: &CancellationToken,
) -> io::Result<Option<CheckResult>> {
    let called = format!("{} `{}`", purpose.name(), command.name);
    output.say(&format!("{called}: {}", command.run));
    let began = Instant::now();
    let mut shell = folders.command(Path::new("sh"));
    shell.arg("-c").arg(&command.run).env("CI", "true");

    // Both streams go to the same place, in the order in which they are read.
    let tail = std::cell::RefCell::new(Tail::new(RAW_TAIL_BYTES));
    let write = |words: &str| {
        tail.borrow_mut().push(words);
        output.write(purpose.stream(), words);
    };
    let (mut out, mut err) = (Decoder::default(), Decoder::default());
    let bounds = Bounds { time: Duration::from_secs(command.timeout_secs), cancel };
    let ended =
        program::run(&mut shell, "", bounds, |bytes| write(&out.push(bytes)), |bytes| write(&err.push(bytes))).await?;
    write(&out.finish());
    write(&err.finish());

    let exit_code = match ended {
        Ended::Cancelled => return Ok(None),
        Ended::Itself(status) => status.code(),
        Ended::TooLate => None,
    };
    let seconds = began.elapsed().as_secs_f32();
    let words = match ended {
        Ended::Itself(status) if status.success() => format!("passed after {seconds:.1} s"),
        Ended::Itself(status) => format!("failed after {seconds:.1} s ({status})"),
        Ended::TooLate | Ended::Cancelled => format!("failed: it did not end within {} s", command.timeout_secs),
    };
    output.say(&format!("{called} {words}"));
    Ok(Some(CheckResult {
        name: command.name.clone(),
        passed: exit_code == Some(0),
        exit_code,
        output_tail: text::end(&text::plain(&tail.borrow().text()), TAIL_BYTES).to_owned(),
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }))
}
