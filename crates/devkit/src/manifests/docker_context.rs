//! What Dockerfiles copy: it has to be in the tree, and must not be kept out of the build.

use std::{collections::BTreeSet, fs, io, path::Path};

use serde::Deserialize;

use super::{Finding, Lock, ManifestError};
use crate::file_error::FileError;

/// Where the Dockerfiles are in the tree.
pub(super) const FOLDER: &str = "deploy/docker";
/// Rust's image in the lock file, up to the version.
const RUST_IMAGE: &str = "docker.io/library/rust:";

#[derive(Deserialize)]
struct ToolchainFile {
    toolchain: Toolchain,
}

#[derive(Deserialize)]
struct Toolchain {
    channel: String,
}

pub(super) fn findings(tree: &Path, lock: &Lock) -> Result<Vec<Finding>, ManifestError> {
    let folder = tree.join(FOLDER);
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).map_err(FileError::of("read", &folder))? {
        let path = entry.map_err(FileError::of("read", &folder))?.path();
        if path.extension().is_none_or(|extension| extension != "Dockerfile") {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(FileError::of("read", &path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let problems = match fs::read_to_string(path.with_extension("Dockerfile.dockerignore")) {
            Ok(ignored) => problems(&text, &Ignored::parse(&ignored), tree),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                vec![format!("has no {name}.dockerignore: secrets and build results would go into the build")]
            }
            Err(error) => return Err(FileError::of("read", path)(error).into()),
        };
        found.extend(problems.into_iter().map(|problem| Finding::new(&name, problem)));
    }
    let toolchain = tree.join("rust-toolchain.toml");
    let text = fs::read_to_string(&toolchain).map_err(FileError::of("read", &toolchain))?;
    found.extend(problem_of_toolchain(&text, lock).map(|problem| Finding::new("rust-toolchain.toml", problem)));
    Ok(found)
}

/// The image compiles with its own toolchain, so that has to be ours.
fn problem_of_toolchain(text: &str, lock: &Lock) -> Option<String> {
    let Ok(ToolchainFile { toolchain }) = toml::from_str(text) else {
        return Some("names no channel of the toolchain".to_owned());
    };
    let wanted = format!("{RUST_IMAGE}{}-", toolchain.channel);
    let image = lock.image.iter().find(|image| image.name.starts_with(RUST_IMAGE) && !image.name.starts_with(&wanted));
    image.map(|image| format!("has {}, and the platform's image is compiled with {}", toolchain.channel, image.name))
}

/// What is wrong with the copies of one Dockerfile.
fn problems(text: &str, ignored: &Ignored<'_>, tree: &Path) -> Vec<String> {
    let mut found: Vec<String> = ignored
        .strange
        .iter()
        .map(|pattern| format!("is kept from `{pattern}`, a pattern that this check does not know"))
        .collect();
    let mut stages: BTreeSet<&str> = BTreeSet::new();
    for line in text.lines() {
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["FROM", .., "AS", stage] => {
                stages.insert(stage);
            }
            ["COPY", words @ ..] => found.extend(problems_of_copy(words, &stages, ignored, tree)),
            _ => {}
        }
    }
    found
}

fn problems_of_copy(words: &[&str], stages: &BTreeSet<&str>, ignored: &Ignored<'_>, tree: &Path) -> Vec<String> {
    let (flags, places): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with("--"));
    if let Some(stage) = flags.iter().find_map(|flag| flag.strip_prefix("--from=")) {
        let unknown = !stages.contains(stage);
        return unknown.then(|| format!("copies from `{stage}`, which is no stage before it")).into_iter().collect();
    }
    let (_target, sources) = places.split_last().unwrap_or((&"", &[]));
    sources
        .iter()
        .filter_map(|source| {
            if let Some(pattern) = ignored.pattern_for(source) {
                Some(format!("copies `{source}`, which `{pattern}` of its .dockerignore keeps out"))
            } else if !tree.join(source).exists() {
                Some(format!("copies `{source}`, which is not in the tree"))
            } else {
                None
            }
        })
        .collect()
}

/// A .dockerignore, of which only names of the root and names anywhere are understood.
struct Ignored<'a> {
    patterns: Vec<&'a str>,
    strange: Vec<&'a str>,
}

impl<'a> Ignored<'a> {
    fn parse(text: &'a str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (strange, patterns) =
            lines.partition(|pattern| pattern.strip_prefix("**/").unwrap_or(pattern).contains(['*', '?', '!', '[']));
        Self { patterns, strange }
    }

    /// The pattern that keeps `path` out.
    fn pattern_for(&self, path: &str) -> Option<&'a str> {
        let path = Path::new(path);
        self.patterns.iter().copied().find(|pattern| match pattern.strip_prefix("**/") {
            Some(name) => path.components().any(|part| part.as_os_str() == name),
            None => path.starts_with(pattern),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IGNORED: &str = "# results\ntarget\n**/node_modules\n";

    #[test]
    fn what_is_copied_is_in_the_tree_and_not_kept_out() {
        let tree = tempfile::tempdir().unwrap();
        for folder in ["ui", "target", "a/node_modules"] {
            fs::create_dir_all(tree.path().join(folder)).unwrap();
        }
        let problems = |line: &str| {
            let text = format!("FROM a AS made\nRUN make\n{line}\n");
            problems(&text, &Ignored::parse(IGNORED), tree.path())
        };
        for good in ["COPY . .", "COPY --chmod=755 ui /ui", "COPY ui a /x/", "COPY --from=made /gone /x"] {
            assert_eq!(problems(good), Vec::<String>::new(), "{good}");
        }
        for bad in ["COPY gone /x", "COPY target/release/x /x", "COPY ui a/node_modules /x", "COPY --from=later /x /x"]
        {
            assert_eq!(problems(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn patterns_that_are_not_understood_are_told() {
        let ignored = Ignored::parse("*.md\n!README.md\n**/x\ny\n");
        assert_eq!(ignored.strange, ["*.md", "!README.md"]);
        assert_eq!(problems("", &ignored, Path::new("/")).len(), 2);
    }

    #[test]
    fn the_image_has_the_toolchain_of_the_tree() {
        let lock: Lock = toml::from_str(&format!(
            "[[image]]\nname = \"{RUST_IMAGE}1.95.0-slim-trixie\"\nabout = \"x\"\nsha256 = \"unresolved\"\n"
        ))
        .unwrap();
        assert_eq!(problem_of_toolchain("[toolchain]\nchannel = \"1.95.0\"\n", &lock), None);
        assert!(problem_of_toolchain("[toolchain]\nchannel = \"1.95\"\n", &lock).is_some());
        assert!(problem_of_toolchain("[toolchain]\nchannel = \"1.96.0\"\n", &lock).is_some());
        assert!(problem_of_toolchain("", &lock).is_some());
    }
}
