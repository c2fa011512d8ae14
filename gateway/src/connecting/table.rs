//! What was found out, as tables for a terminal.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{connection::CredentialKind, rights::RightCheck};
use store::connected::{Connected, CredentialInUse};

/// A credential that ends within this time is worth a word.
const ENDS_SOON: TimeDelta = TimeDelta::days(14);

/// Each right: whether it is there, what it is for, and where to grant it.
#[must_use]
pub fn rights_table(checks: &[RightCheck]) -> String {
    let rows = checks.iter().map(|check| {
        let right = format!("{} ({})", check.right.title(), check.right.level().to_lowercase());
        let state = if check.held { "have" } else { "missing" };
        [right, state.to_owned(), check.right.purpose().to_owned()]
    });
    let mut text = table(["RIGHT", "STATE", "NEEDED TO"], &rows.collect::<Vec<_>>());
    let lacking: Vec<&RightCheck> = checks.iter().filter(|check| !check.held).collect();
    if !lacking.is_empty() {
        text.push_str("\nWhere to grant what is missing:\n");
    }
    for check in lacking {
        let _ = writeln!(text, "  {}: {}", check.right.title(), check.remedy.as_deref().unwrap_or("-"));
    }
    text
}

/// Every connected repository with the state of what keeps it connected.
#[must_use]
pub fn repositories_table(all: &[Connected], now: DateTime<Utc>) -> String {
    let rows = all.iter().map(|row| {
        let archived = match (row.detached_at, row.archived) {
            (Some(_), _) => " (detached)",
            (None, true) => " (archived)",
            (None, false) => "",
        };
        [
            format!("{}{archived}", row.full_name),
            row.project.clone(),
            row.credential.as_ref().map_or_else(|| "none".to_owned(), |credential| credential_words(credential, now)),
            hook_words(row, now),
            settings_words(row),
        ]
    });
    table(["REPOSITORY", "PROJECT", "CREDENTIAL", "WEBHOOK", "SERVICES.YAML"], &rows.collect::<Vec<_>>())
}

fn credential_words(credential: &CredentialInUse, now: DateTime<Utc>) -> String {
    let kind = match credential.kind {
        CredentialKind::Token => "token",
        CredentialKind::App => "app",
    };
    let whose = credential.login.as_ref().map(|login| format!(" of {login}")).unwrap_or_default();
    let end = match (credential.revoked_at, credential.expires_at) {
        (Some(_), _) => ", revoked".to_owned(),
        (None, Some(at)) if at <= now => format!(", expired {}", at.format("%Y-%m-%d")),
        (None, Some(at)) if at - now < ENDS_SOON => format!(", expires {} (soon)", at.format("%Y-%m-%d")),
        (None, Some(at)) => format!(", expires {}", at.format("%Y-%m-%d")),
        (None, None) => String::new(),
    };
    format!("{kind}{whose}{end}")
}

fn hook_words(row: &Connected, now: DateTime<Utc>) -> String {
    let heard = match row.last_delivery_at {
        Some(at) => format!("last heard {} ago", span(now - at)),
        None => "nothing heard yet".to_owned(),
    };
    if row.has_hook { heard } else { format!("none of its own, {heard}") }
}

fn settings_words(row: &Connected) -> String {
    match (&row.config_error, row.has_config) {
        (Some(problem), _) => format!("unreadable: {}", problem.lines().next().unwrap_or_default()),
        (None, true) => "read".to_owned(),
        (None, false) => "not there, defaults count".to_owned(),
    }
}

/// The largest whole unit.
fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Columns as wide as their widest cell; the last one is not padded.
fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let heads = heads.map(str::to_owned);
    let all: Vec<&[String; N]> = std::iter::once(&heads).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in all {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use domain::rights::Right;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_missing_comes_with_where_to_grant_it() {
        let checks = [
            RightCheck { right: Right::Metadata, held: true, remedy: None },
            RightCheck { right: Right::PullRequests, held: false, remedy: Some("over there".to_owned()) },
        ];
        let text = rights_table(&checks);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "RIGHT                           STATE    NEEDED TO");
        assert_eq!(
            lines[1],
            "Metadata (read-only)            have     find the repository, and ask who may start a run"
        );
        assert!(lines[2].starts_with("Pull requests (read and write)  missing  open"), "{text}");
        assert_eq!(lines.last(), Some(&"  Pull requests: over there"));
        assert!(!rights_table(&checks[..1]).contains("grant"));
    }

    #[test]
    fn a_repository_is_one_line() {
        let now: DateTime<Utc> = "2026-11-26T12:00:00Z".parse().unwrap();
        let id = Uuid::nil();
        let mut row = Connected {
            repository: domain::ids::RepositoryId::from_uuid(id),
            full_name: "acme/greeter".to_owned(),
            project: "demo".to_owned(),
            archived: false,
            credential: Some(CredentialInUse {
                id: domain::ids::CredentialId::from_uuid(id),
                kind: CredentialKind::Token,
                login: Some("bot".to_owned()),
                expires_at: Some(now + TimeDelta::days(3)),
                revoked_at: None,
            }),
            has_hook: true,
            last_delivery_at: Some(now - TimeDelta::minutes(5)),
            has_config: true,
            config_error: None,
            secret_pending: false,
            hook_problem: None,
            detached_at: None,
        };
        let line =
            |row: &Connected| repositories_table(std::slice::from_ref(row), now).lines().nth(1).unwrap().to_owned();
        let text = line(&row);
        assert!(text.contains("token of bot, expires 2026-11-29 (soon)"), "{text}");
        assert!(text.contains("last heard 5 min ago"), "{text}");
        (row.credential, row.has_hook, row.last_delivery_at) = (None, false, None);
        row.config_error = Some("line 3: what?\nmore".to_owned());
        row.detached_at = Some(now);
        let text = line(&row);
        assert!(text.starts_with("acme/greeter (detached)"), "{text}");
        assert!(text.ends_with("none of its own, nothing heard yet  unreadable: line 3: what?"), "{text}");
    }
}
