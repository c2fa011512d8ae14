//! What two failures have in common.

use sha2::{Digest, Sha256};

use crate::run::Outcome;

/// Names a failure so that the same one on another run has the same name: its class and its sentence, without what differs
/// from run to run (numbers, ids, commits, names of branches). None for what is no failure, or was wished for.
#[must_use]
pub fn fingerprint(outcome: Outcome, cause: &str) -> Option<String> {
    let counts = match outcome {
        Outcome::PullRequestOpen
        | Outcome::ReviewPosted
        | Outcome::AnswerPosted
        | Outcome::NoChange
        | Outcome::Cancelled => false,
        Outcome::ChecksFailed
        | Outcome::SetupFailed
        | Outcome::Refused
        | Outcome::BudgetSpent
        | Outcome::Lost
        | Outcome::Failed => true,
    };
    let words: Vec<String> = cause.split_whitespace().map(word).collect();
    let name = format!("{outcome}\n{}", words.join(" "));
    counts.then(|| hex::encode(&Sha256::digest(name)[..8]))
}

/// A word without what belongs to one run alone.
fn word(word: &str) -> String {
    let core = word.trim_matches(|c: char| !c.is_alphanumeric());
    let branch = core.starts_with("codex/");
    let id = core.len() >= 7
        && core.chars().any(|c| c.is_ascii_digit())
        && core.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if branch || id {
        return "#".to_owned();
    }
    let mut out = String::with_capacity(word.len());
    for c in word.chars().flat_map(char::to_lowercase) {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with('#') {
            out.push('#');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_has_the_same_name() {
        let of = |cause: &str| fingerprint(Outcome::ChecksFailed, cause).unwrap();
        let first = of("The check `test` failed after 12.5 s on codex/7-greet at 3f2a9c81d.");
        assert_eq!(first, of("The check `test` failed after 3.1 s on codex/19-count at 0011aabb7."));
        assert_ne!(first, of("The check `lint` failed after 12.5 s on codex/7-greet at 3f2a9c81d."));
        assert_ne!(of("Lost."), fingerprint(Outcome::Lost, "Lost.").unwrap());
        assert_eq!(first.len(), 16);
    }

    #[test]
    fn what_is_no_failure_has_no_name() {
        for outcome in [Outcome::PullRequestOpen, Outcome::NoChange, Outcome::Cancelled] {
            assert_eq!(fingerprint(outcome, "x"), None);
        }
    }
}
