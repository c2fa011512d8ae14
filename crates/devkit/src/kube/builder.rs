//! The builder of images that the devkit's own cluster has, for use outside of it.

use std::path::PathBuf;

use super::{KubeError, own::OwnCluster};
use crate::layout::Layout;

/// Where the programs of BuildKit are.
#[derive(Debug, Clone)]
pub(crate) struct BuilderPrograms {
    /// Holds all of them.
    pub(crate) folder: PathBuf,
}

impl BuilderPrograms {
    /// Finds them, or builds them from source.
    pub(crate) fn provide(layout: &Layout) -> Result<Self, KubeError> {
        OwnCluster::of(layout).builder().map(|folder| Self { folder })
    }

    pub(crate) fn buildkitd(&self) -> PathBuf {
        self.folder.join("buildkitd")
    }

    pub(crate) fn buildctl(&self) -> PathBuf {
        self.folder.join("buildctl")
    }

    pub(crate) fn runc(&self) -> PathBuf {
        self.folder.join("runc")
    }
}
