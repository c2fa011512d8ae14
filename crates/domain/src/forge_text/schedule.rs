//! The issue of a schedule.

use super::words::{closed_fences, cut};
use crate::{ids::RepositoryId, run::MARKER_PREFIX, services_yaml::ScheduleConfig};

/// Longest part of the instructions that the issue shows.
const MAX_INSTRUCTIONS: usize = 20_000;

/// The hidden marker by which the issue of a schedule is found again.
#[must_use]
pub fn schedule_marker(repository: RepositoryId, name: &str) -> String {
    format!("{MARKER_PREFIX}schedule:{repository}:{name} -->")
}

/// The text of the issue that is opened for a schedule. The instructions come from the default branch: they are our own.
#[must_use]
pub fn schedule_issue(schedule: &ScheduleConfig, marker: &str) -> String {
    let instructions = closed_fences(&cut(&schedule.instructions, MAX_INSTRUCTIONS));
    format!(
        "{marker}\n{}\n\n<sub>The agent `{}` works here at `{}` ({}), as schedule `{}` in `services.yaml` says. Close this \
         issue to have the next run begin in a new one; take the schedule out of the file to end it.</sub>\n",
        instructions.trim(),
        schedule.agent,
        schedule.cron,
        schedule.zone,
        schedule.name,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issue_carries_its_marker_and_says_how_to_end_it() {
        let repository: RepositoryId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let marker = schedule_marker(repository, "nightly");
        let schedule = ScheduleConfig {
            name: "nightly".into(),
            cron: "0 3 * * *".into(),
            zone: "Europe/Berlin".into(),
            agent: "docs".parse().unwrap(),
            title: "Keep the documents true".into(),
            instructions: "Compare them with the code.\n".into(),
        };
        let text = schedule_issue(&schedule, &marker);
        assert!(text.starts_with("<!-- codex-k8s:schedule:01890a5d-ac96-774b-bcce-b302099a8057:nightly -->\nCompare"));
        assert!(
            text.contains("`0 3 * * *` (Europe/Berlin)") && text.contains("`nightly` in `services.yaml`"),
            "{text}"
        );
    }
}
