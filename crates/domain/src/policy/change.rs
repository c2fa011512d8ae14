//! What a run may change.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::{agents::Agent, sentences, services_yaml::LimitsConfig};

/// A change that is to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Every path that it touches, relative to the root; both names of a renamed file.
    pub paths: Vec<String>,
    /// Files that differ from the base.
    pub files: u64,
    /// Bytes of the diff.
    pub diff_bytes: u64,
}

/// Why a change is not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// It touches a protected path.
    #[error("{}", sentences::path_protected(path, pattern))]
    ProtectedPath {
        /// The path.
        path: String,
        /// The glob that protects it.
        pattern: String,
    },
    /// It changes too many files.
    #[error("{}", sentences::too_many_files(files, max))]
    TooManyFiles {
        /// How many.
        files: u64,
        /// The limit.
        max: u64,
    },
    /// Its diff is too long.
    #[error("{}", sentences::diff_too_long(bytes, max))]
    DiffTooLong {
        /// How many.
        bytes: u64,
        /// The limit.
        max: u64,
    },
}

/// The text is no glob.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a glob: {message}")]
pub struct InvalidGlob {
    /// The text.
    pub pattern: String,
    /// What is wrong with it.
    pub message: String,
}

/// Compiles a glob over paths: `*` stays within a folder, `**` does not.
///
/// # Errors
/// If the text is no glob.
pub fn glob(pattern: &str) -> Result<Glob, InvalidGlob> {
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map_err(|error| InvalidGlob { pattern: pattern.to_owned(), message: error.kind().to_string() })
}

/// A set of globs that can say which of them matched.
#[derive(Clone, Debug)]
pub struct Globs {
    patterns: Vec<String>,
    set: GlobSet,
}

impl Globs {
    /// Compiles a list of globs.
    ///
    /// # Errors
    /// If one of them is no glob.
    pub fn new(patterns: &[String]) -> Result<Self, InvalidGlob> {
        let mut builder = GlobSetBuilder::new();
        for pattern in patterns {
            builder.add(glob(pattern)?);
        }
        let too_big = |error: globset::Error| InvalidGlob { pattern: patterns.join(" "), message: error.to_string() };
        Ok(Self { patterns: patterns.to_vec(), set: builder.build().map_err(too_big)? })
    }

    /// The first glob that matches a path.
    #[must_use]
    pub fn matching(&self, path: &str) -> Option<&str> {
        self.set.matches(path).first().map(|&index| self.patterns[index].as_str())
    }
}

/// Judges a change. All violations are given, in the order of the paths; none means that it may be published.
///
/// # Errors
/// If a glob of the settings or of the agent is none.
pub fn violations(change: &Change, limits: &LimitsConfig, agent: &Agent) -> Result<Vec<Violation>, InvalidGlob> {
    let protected = Globs::new(&limits.protected_paths)?;
    let allowed = Globs::new(&agent.protected_paths_allow)?;
    let mut violations: Vec<Violation> = change
        .paths
        .iter()
        .filter(|path| allowed.matching(path).is_none())
        .filter_map(|path| {
            let pattern = protected.matching(path)?.to_owned();
            Some(Violation::ProtectedPath { path: path.clone(), pattern })
        })
        .collect();
    let max = u64::from(limits.max_files);
    if change.files > max {
        violations.push(Violation::TooManyFiles { files: change.files, max });
    }
    if change.diff_bytes > limits.max_diff_bytes {
        violations.push(Violation::DiffTooLong { bytes: change.diff_bytes, max: limits.max_diff_bytes });
    }
    Ok(violations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::BuiltIn;

    fn change(paths: &[&str]) -> Change {
        Change {
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
            files: paths.len() as u64,
            diff_bytes: 10 * paths.len() as u64,
        }
    }

    fn judge(paths: &[&str], agent: &Agent) -> Vec<String> {
        let limits = LimitsConfig { max_files: 2, max_diff_bytes: 25, ..LimitsConfig::default() };
        violations(&change(paths), &limits, agent).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn protected_paths_and_limits_hold() {
        let dev = Agent::built_in(BuiltIn::Dev);
        let workflows = "`.github/workflows/ci.yml` is protected by `.github/workflows/**`";
        let deep = "`.github/workflows/a/b.yml` is protected by `.github/workflows/**`";
        let table: [(&[&str], &[&str]); 5] = [
            (&["src/main.rs"], &[]),
            (&[".github/dependabot.yml", "x/.github/workflows/ci.yml"], &[]),
            (&[".github/workflows/ci.yml"], &[workflows]),
            (&["a", ".github/workflows/a/b.yml"], &[deep]),
            (&["a", "b", "c"], &["3 files are changed; 2 is the limit", "the diff has 30 bytes; 25 is the limit"]),
        ];
        for (paths, expected) in table {
            assert_eq!(judge(paths, &dev), expected, "{paths:?}");
        }
    }

    #[test]
    fn an_agent_may_be_allowed_more() {
        let mut dev = Agent::built_in(BuiltIn::Dev);
        dev.protected_paths_allow = vec![".github/workflows/*.yml".into()];
        assert!(judge(&[".github/workflows/ci.yml"], &dev).is_empty());
        assert_eq!(judge(&[".github/workflows/a/b.yml"], &dev).len(), 1);
    }

    #[test]
    fn a_broken_glob_is_told() {
        let error = Globs::new(&["a/{b".to_owned()]).unwrap_err();
        assert!(error.to_string().starts_with("`a/{b` is not a glob: "), "{error}");
    }
}
