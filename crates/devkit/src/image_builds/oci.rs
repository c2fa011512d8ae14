//! What a folder in the layout of OCI says about its image.

use std::{fs, path::Path};

use serde::{Deserialize, de::DeserializeOwned};

use super::ImageBuildError;
use crate::file_error::FileError;

/// An image as it was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Built {
    /// Of the manifest, with `sha256:` in front.
    pub(super) digest: String,
    /// What a node fetches: all layers, compressed, and the configuration.
    pub(super) bytes: u64,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Part>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Part,
    layers: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    digest: String,
    size: u64,
}

impl Built {
    /// Reads the only image of a folder.
    pub(super) fn read(folder: &Path) -> Result<Self, ImageBuildError> {
        let index: Index = parse(&folder.join("index.json"))?;
        let strange = || ImageBuildError::Layout { path: folder.to_owned() };
        let [manifest] = index.manifests.as_slice() else { return Err(strange()) };
        let hash = manifest.digest.strip_prefix("sha256:").ok_or_else(strange)?;
        let content: Manifest = parse(&folder.join("blobs/sha256").join(hash))?;
        let bytes = content.config.size + content.layers.iter().map(|layer| layer.size).sum::<u64>();
        Ok(Self { digest: manifest.digest.clone(), bytes })
    }

    /// The size for people.
    pub(super) fn megabytes(&self) -> String {
        let tenths = self.bytes / 100_000;
        format!("{}.{} MB", tenths / 10, tenths % 10)
    }
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, ImageBuildError> {
    let text = fs::read(path).map_err(FileError::of("read", path))?;
    serde_json::from_slice(&text).map_err(|_| ImageBuildError::Layout { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(index: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        fs::write(folder.path().join("index.json"), index).unwrap();
        let part = |size: u64| format!(r#"{{"digest": "sha256:00", "size": {size}}}"#);
        let manifest =
            format!(r#"{{"config": {}, "layers": [{}, {}]}}"#, part(1_000), part(40_000_000), part(2_560_000));
        fs::write(folder.path().join("blobs/sha256/ab"), manifest).unwrap();
        folder
    }

    #[test]
    fn the_size_is_what_a_node_fetches() {
        let folder = folder(r#"{"manifests": [{"digest": "sha256:ab", "size": 7}]}"#);
        let built = Built::read(folder.path()).unwrap();
        assert_eq!(built, Built { digest: "sha256:ab".into(), bytes: 42_561_000 });
        assert_eq!(built.megabytes(), "42.5 MB");
    }

    #[test]
    fn what_is_no_single_image_is_told() {
        for index in [r#"{"manifests": []}"#, r#"{"manifests": [{"digest": "md5:ab", "size": 7}]}"#, "{"] {
            let error = Built::read(folder(index).path()).unwrap_err();
            assert!(matches!(error, ImageBuildError::Layout { .. }), "{error}");
        }
    }
}
