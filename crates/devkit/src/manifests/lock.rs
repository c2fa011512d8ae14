//! `deploy/versions.lock`: every image that is built on or run, by digest.

use std::{fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

use super::{Finding, ManifestError, Object, object::containers};
use crate::file_error::FileError;

/// Stands where nobody has put the real thing in yet.
pub(super) const UNRESOLVED: &str = "unresolved";

/// The lock file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The images.
    pub image: Vec<LockedImage>,
}

/// An image and the bytes that are meant.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedImage {
    /// Its name, as manifests and Dockerfiles write it.
    pub name: String,
    /// What it is for, or what makes it.
    pub about: String,
    /// The digest, 64 hexadecimal digits, or `unresolved`.
    pub sha256: String,
}

impl Lock {
    /// Reads the lock file.
    ///
    /// # Errors
    /// When it is missing, or says something that is no digest.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = fs::read_to_string(path).map_err(FileError::of("read", path))?;
        Self::parse(&text).map_err(|problem| ManifestError::Lock { path: path.to_owned(), problem })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let lock: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for image in &lock.image {
            let hex =
                image.sha256.len() == 64 && image.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if !hex && image.sha256 != UNRESOLVED {
                return Err(format!(
                    "{}: `{}` is neither 64 hexadecimal digits nor `{UNRESOLVED}`",
                    image.name, image.sha256
                ));
            }
            if image.name.ends_with(":latest") {
                return Err(format!("{}: name a version", image.name));
            }
        }
        Ok(lock)
    }

    /// The images whose digests nobody has put in yet.
    #[must_use]
    pub fn unresolved(&self) -> Vec<&LockedImage> {
        self.image.iter().filter(|image| image.sha256 == UNRESOLVED).collect()
    }

    /// What is wrong with a reference to an image.
    pub(super) fn problem_of(&self, reference: &str) -> Option<String> {
        let Some((name, digest)) = reference.split_once("@sha256:") else {
            return Some(format!("names the image `{reference}` without a digest"));
        };
        // The registry is the installation's own; what is ours is known by its last part.
        let last = name.rsplit('/').next().unwrap_or(name);
        match self.image.iter().find(|image| image.name == name || image.name == last) {
            None => Some(format!("names the image `{name}`, which deploy/versions.lock does not have")),
            Some(image) if image.sha256 != digest => {
                Some(format!("names `{name}` by another digest than deploy/versions.lock: {}", image.sha256))
            }
            Some(_) => None,
        }
    }

    /// What is wrong with the images that objects name.
    pub(super) fn findings(&self, objects: &[Object]) -> Vec<Finding> {
        let mut found = Vec::new();
        for object in objects {
            let of_pod = object
                .pod()
                .into_iter()
                .flat_map(containers)
                .map(|container| container.get("image").and_then(Value::as_str).unwrap_or_default());
            let data = object.value().get("data").and_then(Value::as_object);
            let told = data.into_iter().flatten().filter(|(key, _)| key.ends_with("_IMAGE"));
            for reference in of_pod.chain(told.filter_map(|(_, value)| value.as_str())) {
                let problem = if is_loaded(reference) { None } else { self.problem_of(reference) };
                found.extend(problem.map(|problem| Finding::new(object, problem)));
            }
        }
        found
    }
}

/// Whether an image was put into the node by hand: nothing is ever pulled from there.
fn is_loaded(reference: &str) -> bool {
    reference.starts_with("localhost/")
        && reference.rsplit('/').next().and_then(|last| last.split_once(':')).is_some_and(|(_, tag)| tag != "latest")
}

#[cfg(test)]
mod tests {
    use super::{super::render::given, *};

    const ABC: &str = "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabca";

    fn lock(sha256: &str) -> Lock {
        Lock::parse(&format!("[[image]]\nname = \"web\"\nabout = \"x\"\nsha256 = \"{sha256}\"\n")).unwrap()
    }

    #[test]
    fn a_digest_is_a_digest_or_said_to_be_missing() {
        assert_eq!(lock("unresolved").unresolved().len(), 1);
        assert_eq!(lock(ABC).unresolved().len(), 0);
        for wrong in ["", "abc", &ABC.to_uppercase()] {
            let text = format!("[[image]]\nname = \"web\"\nabout = \"x\"\nsha256 = \"{wrong}\"\n");
            assert!(Lock::parse(&text).is_err(), "{wrong}");
        }
    }

    #[test]
    fn images_are_those_of_the_lock() {
        let problems = |image: &str| {
            let text = format!(
                "kind: Pod\nmetadata: {{name: p, namespace: a}}\nspec: {{containers: [{{image: '{image}'}}]}}\n"
            );
            lock(ABC).findings(&given(&text)).len()
        };
        assert_eq!(problems(&format!("web@sha256:{ABC}")), 0);
        assert_eq!(problems(&format!("registry.example.com:5000/team/web@sha256:{ABC}")), 0);
        assert_eq!(problems("web@sha256:unresolved"), 1);
        assert_eq!(problems(&format!("other@sha256:{ABC}")), 1);
        assert_eq!(problems("web:1.2"), 1);
        assert_eq!(problems("localhost/web:dev"), 0);
        assert_eq!(problems("localhost/web:latest"), 1);
        assert_eq!(problems("localhost/web"), 1);
        let told = given("kind: ConfigMap\nmetadata: {name: c, namespace: a}\ndata: {RUNNER_IMAGE: 'web:1'}\n");
        assert_eq!(lock(ABC).findings(&told).len(), 1);
    }
}
