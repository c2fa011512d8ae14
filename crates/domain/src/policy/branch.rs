//! Names of our branches.

use crate::event::Subject;

/// Longest part taken from a title.
const MAX_SLUG: usize = 40;

/// What stands for a title without a single letter or digit of ASCII.
const EMPTY_SLUG: &str = "work";

/// The beginning of the names of all our branches.
pub const PREFIX: &str = "codex/";

/// `codex/<issue>-<slug>`: valid as a git ref whatever the title.
#[must_use]
pub fn name(subject: Subject, title: &str) -> String {
    format!("{PREFIX}{}-{}", subject.number, slug(title))
}

/// The title in small letters and digits of ASCII, with single dashes between; never empty, at most 40 characters.
#[must_use]
pub fn slug(title: &str) -> String {
    let mut slug = String::with_capacity(MAX_SLUG);
    for c in title.chars() {
        if slug.len() == MAX_SLUG {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    if slug.is_empty() { EMPTY_SLUG.to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::SubjectKind;

    #[test]
    fn titles_become_branches() {
        let subject = Subject { kind: SubjectKind::Issue, number: 12 };
        for (title, branch) in [
            ("Fix the failing test", "codex/12-fix-the-failing-test"),
            ("  `sum()` is wrong!! ", "codex/12-sum-is-wrong"),
            ("Ошибка", "codex/12-work"),
            ("", "codex/12-work"),
            ("---", "codex/12-work"),
            ("Größe ändern", "codex/12-gr-e-ndern"),
            ("../../etc/passwd.lock", "codex/12-etc-passwd-lock"),
            (
                "a title that is much longer than forty characters are",
                "codex/12-a-title-that-is-much-longer-than-forty-c",
            ),
            ("a title whose dash falls on the fortieth - x", "codex/12-a-title-whose-dash-falls-on-the-fortieth"),
        ] {
            assert_eq!(name(subject, title), branch, "{title:?}");
        }
    }

    proptest! {
        #[test]
        fn every_slug_is_fit_for_a_ref(title in "\\PC{0,120}") {
            let slug = slug(&title);
            prop_assert!((1..=MAX_SLUG).contains(&slug.len()));
            prop_assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            prop_assert!(!slug.starts_with('-') && !slug.ends_with('-') && !slug.contains("--"));
        }
    }
}
