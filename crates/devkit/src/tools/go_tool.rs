//! Programs that are built from Go modules.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{ToolError, found, install, prerequisites};
use crate::file_error::FileError;

const ACTIONLINT: GoProgram = GoProgram {
    title: "actionlint 1.7.12 (built from source)",
    folder: "actionlint-1.7.12",
    program: "actionlint",
    package: "github.com/rhysd/actionlint/cmd/actionlint",
    module: include_str!("../../assets/go/actionlint/go.mod"),
    sums: include_str!("../../assets/go/actionlint/go.sum"),
};

const KUSTOMIZE: GoProgram = GoProgram {
    title: "kustomize 5.8.1 (built from source)",
    folder: "kustomize-5.8.1",
    program: "kustomize",
    package: "sigs.k8s.io/kustomize/kustomize/v5",
    module: include_str!("../../assets/go/kustomize/go.mod"),
    sums: include_str!("../../assets/go/kustomize/go.sum"),
};

const KUBECONFORM: GoProgram = GoProgram {
    title: "kubeconform 0.7.0 (built from source)",
    folder: "kubeconform-0.7.0",
    program: "kubeconform",
    package: "github.com/yannh/kubeconform/cmd/kubeconform",
    module: include_str!("../../assets/go/kubeconform/go.mod"),
    sums: include_str!("../../assets/go/kubeconform/go.sum"),
};

/// A program and the module files that pin everything that goes into it by hash.
struct GoProgram {
    title: &'static str,
    folder: &'static str,
    program: &'static str,
    package: &'static str,
    module: &'static str,
    sums: &'static str,
}

impl GoProgram {
    /// Builds it, once, and returns where it is.
    fn install(&self, cache: &Path) -> Result<PathBuf, ToolError> {
        let folder = install::pinned_folder(self.folder, self.sums);
        let target = Path::new("bin").join(self.program);
        let root = install::once(cache, self.title, &folder, |fresh| {
            prerequisites::require_go()?;
            for (name, text) in [("go.mod", self.module), ("go.sum", self.sums)] {
                let path = fresh.join(name);
                fs::write(&path, text).map_err(FileError::of("write", &path))?;
            }
            install::run(
                self.title,
                Command::new("go")
                    .args(["build", "-mod=readonly", "-trimpath", "-o"])
                    .arg(&target)
                    .arg(self.package)
                    .current_dir(fresh),
            )
        })?;
        let program = root.join(target);
        install::must_exist(self.title, &program)?;
        Ok(program)
    }
}

/// Finds or builds actionlint.
///
/// # Errors
/// When Go is missing or it cannot be built.
pub fn actionlint(cache: &Path) -> Result<PathBuf, ToolError> {
    match found::program("CODEX_K8S_ACTIONLINT", "actionlint", "1.7.12")? {
        Some(found) => Ok(found),
        None => ACTIONLINT.install(cache),
    }
}

/// Builds kustomize, which renders manifests.
///
/// # Errors
/// When Go is missing or it cannot be built.
pub fn kustomize(cache: &Path) -> Result<PathBuf, ToolError> {
    KUSTOMIZE.install(cache)
}

/// Builds kubeconform, which holds manifests to Kubernetes' schemas.
///
/// # Errors
/// When Go is missing or it cannot be built.
pub fn kubeconform(cache: &Path) -> Result<PathBuf, ToolError> {
    KUBECONFORM.install(cache)
}
