//! What the person at the terminal reads: one line a step, with its duration.

use std::{
    fmt::Display,
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// Whether progress goes to the error stream, because the output is for another program.
static OUTPUT_IS_DATA: AtomicBool = AtomicBool::new(false);

/// Keeps the output free of everything but what [`data`] prints.
pub fn keep_output_for_data() {
    OUTPUT_IS_DATA.store(true, Ordering::Relaxed);
}

/// Prints one line that another program reads.
pub fn data(line: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Prints one line. A closed terminal is not an error of the work that is being told about.
pub fn say(line: impl Display) {
    if OUTPUT_IS_DATA.load(Ordering::Relaxed) {
        warn(line);
    } else {
        data(line);
    }
}

/// Prints one line on the error stream.
pub fn warn(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints an error and each of its causes.
pub fn complain(error: &dyn std::error::Error) {
    warn(format_args!("error: {error}"));
    let mut cause = error.source();
    while let Some(inner) = cause {
        warn(format_args!("  because: {inner}"));
        cause = inner.source();
    }
}

/// A piece of work whose duration is shown when it ends.
#[derive(Debug)]
pub struct Step {
    name: String,
    began: Instant,
}

impl Step {
    /// Starts the clock, silently.
    pub fn start(name: impl Into<String>) -> Self {
        Self { name: name.into(), began: Instant::now() }
    }

    /// Starts the clock and says what begins, for work that takes long.
    pub fn announce(name: impl Into<String>, what: impl Display) -> Self {
        let step = Self::start(name);
        say(format_args!("  … {:<14} {what}", step.name));
        step
    }

    /// Says how it ended well, and after how long.
    pub fn done(self, result: impl Display) {
        let took = seconds(self.began.elapsed());
        say(format_args!("  ✓ {:<14} {result} ({took})", self.name));
    }

    /// Says how it ended badly, and after how long.
    pub fn failed(self, result: impl Display) {
        let took = seconds(self.began.elapsed());
        say(format_args!("  ✗ {:<14} {result} ({took})", self.name));
    }
}

/// A duration for people.
pub fn seconds(duration: Duration) -> String {
    let total = duration.as_secs_f64();
    if total < 60.0 {
        format!("{total:.1} s")
    } else {
        let whole = duration.as_secs();
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_for_people() {
        assert_eq!(seconds(Duration::from_millis(320)), "0.3 s");
        assert_eq!(seconds(Duration::from_secs(59)), "59.0 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 05 s");
    }
}
