//! Our state labels: what they look like, and how one takes the place of another.

use domain::run::StateLabel;

/// How a label looks in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelStyle {
    /// Six hexadecimal digits.
    pub color: &'static str,
    /// For people.
    pub description: &'static str,
}

/// The look of a state label.
#[must_use]
pub const fn style(label: StateLabel) -> LabelStyle {
    let (color, description) = match label {
        StateLabel::Queued => ("c5def5", "An agent run was accepted"),
        StateLabel::Working => ("1d76db", "An agent is at work"),
        StateLabel::Waiting => ("fbca04", "An agent run waits for a slot or a person"),
        StateLabel::Done => ("0e8a16", "The agent run ended with a result"),
        StateLabel::Failed => ("b60205", "The agent run ended without a result"),
    };
    LabelStyle { color, description }
}

/// The writes that lead from the labels an issue has to exactly one state label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelPlan {
    /// To be taken off.
    pub remove: Vec<StateLabel>,
    /// Whether the new one must be put on.
    pub add: bool,
}

/// Plans the change to `new`. Labels of others are left alone; the forge compares label names without regard to case.
#[must_use]
pub fn plan(present: &[String], new: StateLabel) -> LabelPlan {
    let has = |label: StateLabel| present.iter().any(|name| name.eq_ignore_ascii_case(label.as_str()));
    let remove = StateLabel::ALL.iter().copied().filter(|&label| label != new && has(label)).collect();
    LabelPlan { remove, add: !has(new) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_state_label_takes_the_place_of_all_others() {
        let present = ["bug", "codex:queued", "CODEX:Waiting"].map(str::to_owned);
        let plan = plan(&present, StateLabel::Working);
        assert_eq!(plan, LabelPlan { remove: vec![StateLabel::Queued, StateLabel::Waiting], add: true });
    }

    #[test]
    fn nothing_is_written_when_all_is_well() {
        let present = ["bug", "codex:done"].map(str::to_owned);
        assert_eq!(plan(&present, StateLabel::Done), LabelPlan { remove: vec![], add: false });
    }

    #[test]
    fn styles_are_what_the_forge_takes() {
        for &label in StateLabel::ALL {
            let style = style(label);
            assert!(style.color.len() == 6 && style.color.bytes().all(|b| b.is_ascii_hexdigit()), "{label}");
            assert!((1..=100).contains(&style.description.chars().count()), "{label}");
        }
    }
}
