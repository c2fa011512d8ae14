//! Rendering with kustomize.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{ManifestError, Object};

/// What is rendered and checked, relative to `deploy`.
pub const OVERLAYS: [&str; 4] = ["overlays/local", "overlays/staging", "overlays/production", "environment"];

/// A folder as kustomize puts it together.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The YAML, as kustomize wrote it.
    pub text: String,
    /// The same as objects.
    pub objects: Vec<Object>,
}

/// Renders a folder.
///
/// # Errors
/// When kustomize cannot be run, refuses, or writes something else than objects.
pub fn render(kustomize: &Path, folder: &Path) -> Result<Rendered, ManifestError> {
    let output = Command::new(kustomize)
        .arg("build")
        .arg(folder)
        .output()
        .map_err(|source| ManifestError::Run { program: "kustomize", source })?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(ManifestError::Render { folder: folder.to_owned(), words });
    }
    let form = |problem: String| ManifestError::Form { folder: PathBuf::from(folder), problem };
    let text = String::from_utf8(output.stdout).map_err(|error| form(error.to_string()))?;
    let objects = objects(&text).map_err(form)?;
    Ok(Rendered { text, objects })
}

fn objects(text: &str) -> Result<Vec<Object>, String> {
    let values: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
    values
        .into_iter()
        .map(|value| Object::new(value).ok_or_else(|| "a document is no object with a kind and a name".to_owned()))
        .collect()
}

/// Objects for tests of the rules.
#[cfg(test)]
pub(super) fn given(text: &str) -> Vec<Object> {
    objects(text).unwrap()
}
