//! The key of what set-up leaves behind: the same commands on the same lock files leave the same.
//!
//! It is made here, from the base commit, and not in the Job, where foreign code runs.

use std::path::Path;

use domain::services_yaml::ServicesYaml;
use forge::{CommitSha, git::Git};
use sha2::{Digest, Sha256};

use crate::failure::StepError;

/// Changes whenever the form of the archive does.
const FORM: &str = "setup-cache 1";

/// None where the project wants nothing kept.
pub(super) async fn key(
    git: &Git,
    mirror: &Path,
    base: &CommitSha,
    config: &ServicesYaml,
) -> Result<Option<String>, StepError> {
    let Some(cache) = &config.cache else { return Ok(None) };
    let mut files = Vec::new();
    for path in &cache.key_files {
        files.push((path.as_str(), git.show_file(mirror, base, path).await?));
    }
    let commands: Vec<&str> = config.setup.iter().map(|command| command.run.as_str()).collect();
    Ok(Some(digest(&commands, &cache.paths, &files)))
}

/// Every part goes in with its length, so that no two different lists look alike.
fn digest(commands: &[&str], paths: &[String], files: &[(&str, Option<Vec<u8>>)]) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(FORM.as_bytes());
    add(std::env::consts::ARCH.as_bytes());
    for (what, list) in [("commands", commands.to_vec()), ("paths", paths.iter().map(String::as_str).collect())] {
        add(what.as_bytes());
        list.iter().for_each(|part| add(part.as_bytes()));
    }
    for (path, content) in files {
        add(path.as_bytes());
        match content {
            Some(content) => add(content),
            None => add(b""),
        }
        add(if content.is_some() { b"file" } else { b"none" });
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_set_up_depends_on_is_in_the_key() {
        let paths = ["node_modules".to_owned()];
        let lock = |text: &str| [("package-lock.json", Some(text.as_bytes().to_vec()))];
        let key = digest(&["npm ci"], &paths, &lock("a"));
        assert_eq!(key.len(), 64);
        assert_eq!(key, digest(&["npm ci"], &paths, &lock("a")));
        for other in [
            digest(&["npm i"], &paths, &lock("a")),
            digest(&["npm ci", ""], &paths, &lock("a")),
            digest(&["npm", "ci"], &paths, &lock("a")),
            digest(&["npm ci"], &[], &lock("a")),
            digest(&["npm ci"], &paths, &lock("b")),
            digest(&["npm ci"], &paths, &lock("")),
            digest(&["npm ci"], &paths, &[("package-lock.json", None)]),
            digest(&["npm ci"], &paths, &[("yarn.lock", Some(b"a".to_vec()))]),
        ] {
            assert_ne!(key, other);
        }
    }
}
