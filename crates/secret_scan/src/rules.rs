//! The rule set's form, and how one rule is applied to one line.

use std::{collections::HashMap, ops::Range, sync::OnceLock};

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

/// See `rules/gitleaks/README.md`.
pub(super) const TEXT: &str = include_str!("../rules/gitleaks/gitleaks.toml");

/// Some rules list thousands of words.
const REGEX_BYTES: usize = 64 << 20;

/// All rules.
pub(super) struct RuleSet {
    allow: Allow,
    rules: Vec<Rule>,
}

/// One rule.
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) description: String,
    pattern: Option<Pattern>,
    path: Option<Pattern>,
    entropy: f64,
    keywords: Vec<String>,
    secret_group: usize,
    allow: Vec<Allow>,
}

/// Compiled when first needed: most rules' keywords never occur.
struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

struct Allow {
    paths: Vec<Pattern>,
    regexes: Vec<Pattern>,
    target: Target,
    stopwords: Vec<String>,
    all: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Target {
    #[default]
    Secret,
    Match,
    Line,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    allowlist: RawAllow,
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
struct RawRule {
    id: String,
    #[serde(default)]
    description: String,
    regex: Option<String>,
    path: Option<String>,
    #[serde(default)]
    entropy: f64,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default, rename = "secretGroup")]
    secret_group: usize,
    #[serde(default)]
    allowlists: Vec<RawAllow>,
}

#[derive(Default, Deserialize)]
struct RawAllow {
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    regexes: Vec<String>,
    #[serde(default, rename = "regexTarget")]
    target: Target,
    #[serde(default)]
    stopwords: Vec<String>,
    #[serde(default)]
    condition: String,
}

impl Pattern {
    fn new(text: String) -> Self {
        Self { text, compiled: OnceLock::new() }
    }

    fn regex(&self) -> Option<&Regex> {
        self.compiled
            .get_or_init(|| RegexBuilder::new(&with_braces_escaped(&self.text)).size_limit(REGEX_BYTES).build().ok())
            .as_ref()
    }

    fn is_match(&self, text: &str) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text))
    }
}

impl From<RawAllow> for Allow {
    fn from(raw: RawAllow) -> Self {
        Self {
            paths: raw.paths.into_iter().map(Pattern::new).collect(),
            regexes: raw.regexes.into_iter().map(Pattern::new).collect(),
            target: raw.target,
            stopwords: raw.stopwords.iter().map(|word| word.to_lowercase()).collect(),
            all: raw.condition.eq_ignore_ascii_case("and"),
        }
    }
}

impl Allow {
    fn permits(&self, path: &str, line: &str, whole: &str, secret: &str) -> bool {
        let text = match self.target {
            Target::Secret => secret,
            Target::Match => whole,
            Target::Line => line,
        };
        let lower = secret.to_lowercase();
        let mut answers = Vec::with_capacity(3);
        if !self.paths.is_empty() {
            answers.push(self.paths.iter().any(|pattern| pattern.is_match(path)));
        }
        if !self.regexes.is_empty() {
            answers.push(self.regexes.iter().any(|pattern| pattern.is_match(text)));
        }
        if !self.stopwords.is_empty() {
            answers.push(self.stopwords.iter().any(|word| lower.contains(word)));
        }
        if self.all { !answers.is_empty() && answers.iter().all(|yes| *yes) } else { answers.contains(&true) }
    }
}

impl RuleSet {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let rules = file.rules.into_iter().map(|raw| Rule {
            id: raw.id,
            description: raw.description,
            pattern: raw.regex.map(Pattern::new),
            path: raw.path.map(Pattern::new),
            entropy: raw.entropy,
            keywords: raw.keywords.iter().map(|word| word.to_lowercase()).collect(),
            secret_group: raw.secret_group,
            allow: raw.allowlists.into_iter().map(Allow::from).collect(),
        });
        Ok(Self { allow: file.allowlist.into(), rules: rules.collect() })
    }

    /// The rules that find something in a line of a file.
    pub(super) fn matching<'a>(&'a self, path: &'a str, line: &'a str) -> impl Iterator<Item = &'a Rule> {
        let lower = line.to_lowercase();
        self.rules.iter().filter(move |rule| rule.finds(path, line, &lower, &self.allow))
    }

    /// Where the secrets of a line are, as ranges of bytes.
    pub(super) fn secrets(&self, line: &str) -> Vec<Range<usize>> {
        let lower = line.to_lowercase();
        self.rules.iter().flat_map(|rule| rule.secrets("", line, &lower, &self.allow)).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// Names the first pattern that does not compile.
    #[cfg(test)]
    pub(super) fn compile_all(&self) -> Result<(), String> {
        let allow = |allow: &'_ Allow| -> Vec<String> {
            allow.paths.iter().chain(&allow.regexes).filter(|p| p.regex().is_none()).map(|p| p.text.clone()).collect()
        };
        let mut broken = allow(&self.allow);
        for rule in &self.rules {
            broken
                .extend(rule.pattern.iter().chain(&rule.path).filter(|p| p.regex().is_none()).map(|p| p.text.clone()));
            broken.extend(rule.allow.iter().flat_map(&allow));
        }
        if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
    }
}

impl Rule {
    fn finds(&self, path: &str, line: &str, lower: &str, global: &Allow) -> bool {
        if self.pattern.is_none() {
            return self.path.is_some() && self.may_find(path, lower);
        }
        !self.secrets(path, line, lower, global).is_empty()
    }

    fn may_find(&self, path: &str, lower: &str) -> bool {
        (self.keywords.is_empty() || self.keywords.iter().any(|word| lower.contains(word)))
            && self.path.as_ref().is_none_or(|pattern| pattern.is_match(path))
    }

    fn secrets(&self, path: &str, line: &str, lower: &str, global: &Allow) -> Vec<Range<usize>> {
        if !self.may_find(path, lower) {
            return Vec::new();
        }
        let Some(regex) = self.pattern.as_ref().and_then(Pattern::regex) else { return Vec::new() };
        let secret = |found: regex::Captures<'_>| {
            let whole = found.get(0)?;
            let group = match self.secret_group {
                0 => found.iter().skip(1).flatten().find(|m| !m.is_empty()),
                n => found.get(n),
            };
            let secret = group.unwrap_or(whole);
            let (text, whole) = (secret.as_str(), whole.as_str());
            let counts = entropy(text) >= self.entropy
                && !global.permits(path, line, whole, text)
                && !self.allow.iter().any(|allow| allow.permits(path, line, whole, text));
            counts.then(|| secret.range())
        };
        regex.captures_iter(line).filter_map(secret).collect()
    }
}

/// The rules are written for an engine that takes a `{` which begins no repetition for itself; ours wants it escaped.
fn with_braces_escaped(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut in_class = false;
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                out.push(c);
                let Some(escaped) = rest.next() else { break };
                out.push(escaped);
                // `\x{…}` and `\p{…}` own their braces.
                if matches!(escaped, 'x' | 'p' | 'P') && rest.as_str().starts_with('{') {
                    out.extend(rest.by_ref().take_while(|inner| *inner != '}'));
                    out.push('}');
                }
            }
            '[' if !in_class => {
                in_class = true;
                out.push(c);
            }
            ']' if in_class => {
                in_class = false;
                out.push(c);
            }
            '{' if !in_class && !is_repetition(rest.as_str()) => out.push_str("\\{"),
            _ => out.push(c),
        }
    }
    out
}

/// Whether this is how a repetition goes on after its `{`: `3}`, `3,}`, `3,5}`.
fn is_repetition(rest: &str) -> bool {
    let Some((counts, _)) = rest.split_once('}') else { return false };
    let (least, most) = counts.split_once(',').unwrap_or((counts, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

/// Shannon entropy in bits a character.
fn entropy(text: &str) -> f64 {
    let mut counts: HashMap<char, f64> = HashMap::new();
    for c in text.chars() {
        *counts.entry(c).or_default() += 1.0;
    }
    let total: f64 = counts.values().sum();
    counts.values().map(|count| -(count / total) * (count / total).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_braces_that_repeat_nothing_are_escaped() {
        for (pattern, expected) in [
            (r"a{3}b{1,}c{2,5}", r"a{3}b{1,}c{2,5}"),
            (r"^\$(?:\d+|{\d+})$", r"^\$(?:\d+|\{\d+})$"),
            (r"{{[^}]+}}", r"\{\{[^}]+}}"),
            (r"[{}]\{\x{41}\p{L}", r"[{}]\{\x{41}\p{L}"),
        ] {
            assert_eq!(with_braces_escaped(pattern), expected);
        }
        assert!(Regex::new(&with_braces_escaped(r"import[ \t]+{[ \t\w,]+}")).unwrap().is_match("import {a, b}"));
    }
}
