//! Events of issues.

use chrono::{DateTime, Utc};

use super::{EventKind, Missing, json::Object};
use crate::sentences;

/// An issue as a webhook shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Its number in the repository.
    pub number: i64,
    /// Its title; empty if the event has none.
    pub title: String,
    /// Names of the labels on it after the event.
    pub labels: Vec<String>,
    /// Whether it is open.
    pub open: bool,
    /// When it was last changed: the time of this event.
    pub updated_at: DateTime<Utc>,
}

/// A label came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueLabel {
    /// The issue.
    pub issue: Issue,
    /// Name of the label.
    pub label: String,
}

pub(super) fn read(action: &str, root: &Object<'_>) -> Result<EventKind, Missing> {
    let issue = read_issue(&root.object("issue"))?;
    Ok(match action {
        "labeled" => EventKind::IssueLabeled(IssueLabel { label: read_label(root)?, issue }),
        "unlabeled" => EventKind::IssueUnlabeled(IssueLabel { label: read_label(root)?, issue }),
        "closed" => EventKind::IssueClosed(issue),
        _ => EventKind::IssueOther(issue),
    })
}

pub(super) fn read_label(root: &Object<'_>) -> Result<String, Missing> {
    root.object("label").name("name").ok_or(Missing(sentences::which_label()))
}

fn read_issue(issue: &Object<'_>) -> Result<Issue, Missing> {
    Ok(Issue {
        number: issue.id("number").ok_or(Missing(sentences::number_of_issue()))?,
        title: issue.text("title").unwrap_or_default(),
        labels: label_names(issue),
        open: issue.name("state").is_none_or(|state| state == "open"),
        updated_at: issue.time("updated_at").ok_or(Missing(sentences::when_issue_changed()))?,
    })
}

/// Names of the labels on an issue or pull request.
pub(super) fn label_names(on: &Object<'_>) -> Vec<String> {
    on.objects("labels").iter().filter_map(|label| label.name("name")).collect()
}
