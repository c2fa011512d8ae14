//! Rules about the Dockerfiles, whose context is the root of the tree.

use std::{collections::BTreeMap, fs, path::Path};

use super::{Finding, Lock, ManifestError, docker_context};
use crate::file_error::FileError;

pub(super) fn findings(tree: &Path, lock: &Lock) -> Result<Vec<Finding>, ManifestError> {
    let mut found = docker_context::findings(tree, lock)?;
    let folder = &tree.join(docker_context::FOLDER);
    for entry in fs::read_dir(folder).map_err(FileError::of("read", folder))? {
        let path = entry.map_err(FileError::of("read", folder))?.path();
        if path.extension().is_none_or(|extension| extension != "Dockerfile") {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(FileError::of("read", &path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.extend(problems(&text, lock).into_iter().map(|problem| Finding::new(&name, problem)));
    }
    Ok(found)
}

/// What is wrong with one Dockerfile.
fn problems(text: &str, lock: &Lock) -> Vec<String> {
    let mut problems = Vec::new();
    let mut arguments: BTreeMap<&str, &str> = BTreeMap::new();
    let mut stages: Vec<&str> = Vec::new();
    let mut user = "";
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["ARG", given] => {
                let (name, value) = given.split_once('=').unwrap_or((given, ""));
                arguments.insert(name, value);
            }
            ["FROM", base, rest @ ..] => {
                problems.extend(problem_of_base(base, &arguments, &stages, lock));
                stages.extend(rest.last().filter(|_| rest.len() == 2));
                user = "";
            }
            ["USER", name] => user = name,
            ["ADD", ..] => problems.push(format!("uses ADD, which fetches and unpacks: `{line}`")),
            _ => {}
        }
    }
    // Kubernetes can tell only of a number that it is not root.
    if user.split(':').next().and_then(|id| id.parse::<u32>().ok()).is_none_or(|id| id == 0) {
        problems.push("does not end as a user other than root, by number".to_owned());
    }
    problems
}

fn problem_of_base(base: &str, arguments: &BTreeMap<&str, &str>, stages: &[&str], lock: &Lock) -> Option<String> {
    if stages.contains(&base) {
        return None;
    }
    let named = base.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).and_then(|name| arguments.get(name));
    match named {
        Some(image) => lock.problem_of(image),
        None => Some(format!("builds on `{base}`: name it in an ARG, by digest")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "ARG BASE=debian:13@sha256:unresolved\nFROM ${BASE} AS made\nRUN make\nFROM made\nUSER 65532:65532\n";

    #[test]
    fn bases_are_locked_and_the_end_is_not_root() {
        let text = "[[image]]\nname = \"debian:13\"\nabout = \"x\"\nsha256 = \"unresolved\"\n";
        let lock: Lock = toml::from_str(text).unwrap();
        assert_eq!(problems(GOOD, &lock), Vec::<String>::new());
        for (from, to) in [
            ("debian:13@", "debian:12@"),
            ("@sha256:unresolved", ""),
            ("${BASE}", "debian:13"),
            ("USER 65532:65532", "USER 0"),
            ("USER 65532:65532", "USER nonroot"),
            ("USER 65532:65532\n", ""),
            ("RUN make", "ADD https://example.com/x /x"),
        ] {
            assert_eq!(problems(&GOOD.replace(from, to), &lock).len(), 1, "{to}");
        }
    }
}
