//! Reasons that staff give for what they do: they stand in the audit.

use crate::problem::Problem;
use domain::sentences;

/// Longest reason that is kept.
const MAX: usize = 500;

/// A reason as it is kept: trimmed, and not too long.
///
/// # Errors
/// 400 if it is.
pub(super) fn optional(given: Option<&str>) -> Result<Option<&str>, Problem> {
    let given = given.map(str::trim).filter(|reason| !reason.is_empty());
    if given.is_some_and(|reason| reason.chars().count() > MAX) {
        return Err(Problem::bad_request("reason_invalid", sentences::reason_too_long(MAX)));
    }
    Ok(given)
}

/// The same where one must be given.
///
/// # Errors
/// 400 if there is none, or it is too long.
pub(super) fn needed(given: &str) -> Result<&str, Problem> {
    optional(Some(given))?.ok_or_else(|| Problem::bad_request("reason_missing", sentences::reason_needed()))
}
