//! What an agent is told that goes on from kept work.

use chrono::{DateTime, Utc};

/// Told in the thread that goes on. A changed text gets a new version and a new file, as all prompts do.
const RESUMED: &str = include_str!("prompts/resumed.v1.md");
/// Told after the whole prompt, where the thread could not be kept.
const TAKEN_OVER: &str = include_str!("prompts/taken-over.v1.md");

/// The words for an agent whose own thread goes on from the work of that time.
#[must_use]
pub fn resumed_prompt(at: DateTime<Utc>) -> String {
    fill(RESUMED, at)
}

/// The whole prompt for an agent that takes the work of that time over without its thread.
#[must_use]
pub fn taken_over_prompt(prompt: &str, at: DateTime<Utc>) -> String {
    format!("{}\n\n{}", prompt.trim_end(), fill(TAKEN_OVER, at))
}

fn fill(template: &str, at: DateTime<Utc>) -> String {
    template.replace("{{time}}", &at.format("%H:%M UTC on %Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_name_the_time_and_the_second_keeps_the_task() {
        let time = "00:00 UTC on 1970-01-01";
        let resumed = resumed_prompt(DateTime::UNIX_EPOCH);
        assert!(resumed.contains(time) && !resumed.contains("{{"), "{resumed}");
        let taken_over = taken_over_prompt("The task.\n", DateTime::UNIX_EPOCH);
        assert!(taken_over.starts_with("The task.\n\n# Work has begun") && taken_over.contains(time), "{taken_over}");
    }
}
