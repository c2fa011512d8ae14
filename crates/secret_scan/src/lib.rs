//! Looks for secrets in what a run is about to publish or to keep, with the rules of a kept scanner.
//!
//! Of a change only added lines are looked at: what was in the repository before is not ours to judge. A finding names the rule, the
//! file and the line, never the secret.

mod rules;

use std::sync::LazyLock;

use self::rules::{Rule, RuleSet};

/// A line that looks as if it held a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id, for instance `github-pat`.
    pub rule: String,
    /// What the rule looks for, as a sentence.
    pub description: String,
    /// Path in the repository.
    pub path: String,
    /// Line number in the new file, from 1.
    pub line: usize,
}

/// The rules did not load; the build's own test keeps this from happening.
#[derive(Debug, thiserror::Error)]
#[error("the rules of the secret scanner don't load: {0}")]
pub struct RulesError(String);

static RULES: LazyLock<Result<RuleSet, String>> = LazyLock::new(|| RuleSet::parse(rules::TEXT));

/// Looks through a unified diff.
///
/// # Errors
/// When the rules don't load: then nothing may be published.
pub fn scan_diff(diff: &str) -> Result<Vec<Finding>, RulesError> {
    let rules = RULES.as_ref().map_err(|error| RulesError(error.clone()))?;
    let mut findings = Vec::new();
    let mut place = Place::default();
    for line in diff.lines() {
        if let Some(added) = place.advance(line) {
            let hit = |rule: &Rule| Finding {
                rule: rule.id.clone(),
                description: rule.description.clone(),
                path: place.path.clone(),
                line: place.line,
            };
            findings.extend(rules.matching(&place.path, added).map(hit));
        }
    }
    Ok(findings)
}

/// Looks through a text that is to be posted, such as a pull request's body.
///
/// # Errors
/// When the rules don't load.
pub fn scan_text(name: &str, text: &str) -> Result<Vec<Finding>, RulesError> {
    let added: String = text.lines().flat_map(|line| ["+", line, "\n"]).collect();
    scan_diff(&format!("+++ b/{name}\n@@ -0,0 +1 @@\n{added}"))
}

/// What stands in the place of a secret.
const REMOVED: &str = "[removed]";

/// How much of a long line is looked at in one go: some rules are slow on very long ones. The pieces overlap by more than
/// secrets are long.
const PIECE: usize = 64 * 1024;
const OVERLAP: usize = 8 * 1024;

/// The text without the secrets in it. Takes as long as scanning: to be done away from the threads of the runtime.
///
/// # Errors
/// When the rules don't load: then nothing may be kept.
pub fn redact(text: &str) -> Result<String, RulesError> {
    let rules = RULES.as_ref().map_err(|error| RulesError(error.clone()))?;
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut secrets: Vec<_> = pieces(line)
            .flat_map(|(from, piece)| {
                rules.secrets(piece).into_iter().map(move |found| from + found.start..from + found.end)
            })
            .collect();
        secrets.sort_unstable_by_key(|found| (found.start, found.end));
        let mut written = 0;
        for found in secrets {
            if found.start >= written {
                out.push_str(&line[written..found.start]);
                out.push_str(REMOVED);
            }
            written = written.max(found.end);
        }
        out.push_str(&line[written..]);
    }
    Ok(out)
}

/// Overlapping pieces of a line, each with its place.
fn pieces(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let from = next?;
        let to = line.floor_char_boundary((from + PIECE).min(line.len()));
        next = (to < line.len()).then(|| line.floor_char_boundary(to - OVERLAP));
        Some((from, &line[from..to]))
    })
}

/// Scans away from the threads of the runtime: a large change takes seconds, and heartbeats must go on meanwhile.
///
/// # Errors
/// Those of scanning.
pub async fn aside<T, F>(scan: F) -> Result<T, RulesError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, RulesError> + Send + 'static,
{
    tokio::task::spawn_blocking(scan).await.unwrap_or_else(|error| Err(RulesError(error.to_string())))
}

/// Where in which file a line of a diff is.
#[derive(Default)]
struct Place {
    path: String,
    line: usize,
    next: usize,
    /// Lines of the old and new file that the hunk still has; a `+++` inside a hunk is text.
    left: (usize, usize),
}

impl Place {
    /// The added text, if the line adds some.
    fn advance<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        if self.left == (0, 0) {
            if let Some(path) = line.strip_prefix("+++ ") {
                path.strip_prefix("b/").unwrap_or(path).clone_into(&mut self.path);
            } else if let Some((old, start, new)) = hunk(line) {
                self.next = start;
                self.left = (old, new);
            } else if let Some(added) = line.strip_prefix('+') {
                return Some(self.take(added));
            }
            return None;
        }
        match line.as_bytes().first() {
            Some(b'+') => {
                self.left.1 = self.left.1.saturating_sub(1);
                Some(self.take(&line[1..]))
            }
            Some(b'-') => {
                self.left.0 = self.left.0.saturating_sub(1);
                None
            }
            Some(b'\\') => None,
            _ => {
                self.left = (self.left.0.saturating_sub(1), self.left.1.saturating_sub(1));
                self.next += 1;
                None
            }
        }
    }

    fn take<'a>(&mut self, added: &'a str) -> &'a str {
        self.line = self.next;
        self.next += 1;
        added
    }
}

/// `@@ -a,b +c,d @@` → b, c, d.
fn hunk(line: &str) -> Option<(usize, usize, usize)> {
    let mut words = line.strip_prefix("@@ -")?.split(' ');
    let (_, old) = span(words.next()?)?;
    let (start, new) = span(words.next()?.strip_prefix('+')?)?;
    Some((old, start, new))
}

fn span(text: &str) -> Option<(usize, usize)> {
    match text.split_once(',') {
        Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Put together here so that no scanner takes this file for a leak.
    fn token() -> String {
        format!("ghp_{}", "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY2zA4")
    }

    fn diff(line: &str) -> String {
        format!("--- a/src/a.py\n+++ b/src/a.py\n@@ -1,2 +1,3 @@\n context\n+{line}\n more\n")
    }

    #[test]
    fn every_rule_loads() {
        let rules = RuleSet::parse(rules::TEXT).unwrap();
        assert!(rules.len() > 200, "{}", rules.len());
        rules.compile_all().unwrap();
    }

    #[test]
    fn an_added_token_is_found_with_its_place() {
        let found = scan_diff(&diff(&format!("TOKEN = \"{}\"", token()))).unwrap();
        assert!(found.iter().any(|f| f.rule == "github-pat" && f.path == "src/a.py" && f.line == 2), "{found:?}");
    }

    #[test]
    fn a_removed_token_and_plain_code_are_fine() {
        let removed = format!("--- a/a\n+++ b/a\n@@ -1,2 +1,1 @@\n-t = \"{}\"\n x\n", token());
        assert_eq!(scan_diff(&removed).unwrap(), []);
        for plain in ["def greet(name):", "    return f\"Hello, {name}!\"", "key = os.environ[\"API_KEY\"]"] {
            assert_eq!(scan_diff(&diff(plain)).unwrap(), [], "{plain}");
        }
    }

    #[test]
    fn a_finding_never_holds_the_secret() {
        let found = scan_diff(&diff(&token())).unwrap();
        assert!(!found.is_empty());
        assert!(!format!("{found:?}").contains(&token()));
    }

    #[test]
    fn secrets_are_taken_out_wherever_they_are() {
        let secret = token();
        for (text, expected) in [
            (format!("a {secret} b {secret}\nc"), "a [removed] b [removed]\nc".to_owned()),
            (format!("{{\"text\":\"export TOKEN={secret}\"}}\n"), "{\"text\":\"export TOKEN=[removed]\"}\n".to_owned()),
            ("nothing to see".to_owned(), "nothing to see".to_owned()),
            (String::new(), String::new()),
        ] {
            assert_eq!(redact(&text).unwrap(), expected);
        }
        // Across the border of two pieces, in a line as long as a conversation is.
        let filling = "ö ".repeat(PIECE / 3);
        for shift in [0, 20, 500] {
            let long = format!("{filling}{}{secret} {filling}", "x ".repeat(shift / 2));
            let redacted = redact(&long).unwrap();
            assert!(!redacted.contains(&secret) && redacted.contains(REMOVED), "{shift}");
        }
    }

    #[test]
    fn text_that_looks_like_a_diff_header_is_still_read() {
        let sly = format!("--- a/a\n+++ b/a\n@@ -0,0 +1,1 @@\n+++ {}\n", token());
        assert!(!scan_diff(&sly).unwrap().is_empty());
        assert!(!scan_text("body", &format!("see\n{}", token())).unwrap().is_empty());
    }
}
