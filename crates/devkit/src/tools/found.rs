//! Programs of the right version that are on the machine already.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::ToolError;

/// A program named by `variable`, or else one on the PATH, if `--version` contains `marker`.
///
/// A program on the PATH of another version is passed over; one that a person named is an error.
pub(super) fn program(variable: &'static str, name: &str, marker: &str) -> Result<Option<PathBuf>, ToolError> {
    if let Some(path) = env::var_os(variable).map(PathBuf::from) {
        return if version_of(&path).is_some_and(|text| text.contains(marker)) {
            Ok(Some(path))
        } else {
            Err(ToolError::Override { variable, path, wanted: format!("{name} ({marker})") })
        };
    }
    Ok(on_path(name).into_iter().find(|path| version_of(path).is_some_and(|text| text.contains(marker))))
}

/// A folder of PostgreSQL programs of the right major version, with pgvector.
pub(super) fn postgres(variable: &'static str, major: &str) -> Result<Option<PathBuf>, ToolError> {
    if let Some(folder) = env::var_os(variable).map(PathBuf::from) {
        return if is_postgres(&folder, major) {
            Ok(Some(folder))
        } else {
            Err(ToolError::Override {
                variable,
                path: folder,
                wanted: format!("a bin folder of PostgreSQL {major} with pgvector"),
            })
        };
    }
    let mut folders: Vec<PathBuf> =
        on_path("postgres").iter().filter_map(|path| path.parent().map(Path::to_owned)).collect();
    folders.push(PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")));
    Ok(folders.into_iter().find(|folder| is_postgres(folder, major)))
}

fn is_postgres(bin: &Path, major: &str) -> bool {
    let right_version =
        version_of(&bin.join("postgres")).is_some_and(|text| text.contains(&format!("(PostgreSQL) {major}.")));
    let complete = ["initdb", "psql", "pg_isready"].iter().all(|name| bin.join(name).is_file());
    right_version && complete && has_vector(bin)
}

fn has_vector(bin: &Path) -> bool {
    Command::new(bin.join("pg_config"))
        .arg("--sharedir")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .is_some_and(|share| Path::new(share.trim()).join("extension/vector.control").is_file())
}

fn on_path(name: &str) -> Vec<PathBuf> {
    env::var_os("PATH")
        .map(|path| {
            env::split_paths(&path).map(|folder| folder.join(name)).filter(|candidate| candidate.is_file()).collect()
        })
        .unwrap_or_default()
}

fn version_of(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn fake(folder: &Path, name: &str, says: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_postgres_folder_must_be_complete_and_of_the_right_version() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["initdb", "psql", "pg_isready"] {
            fake(folder.path(), name, "");
        }
        fake(folder.path(), "pg_config", folder.path().to_str().unwrap());
        fake(folder.path(), "postgres", "postgres (PostgreSQL) 18.6");
        assert!(!is_postgres(folder.path(), "18"), "pgvector is missing");
        fs::create_dir(folder.path().join("extension")).unwrap();
        fs::write(folder.path().join("extension/vector.control"), "").unwrap();
        assert!(is_postgres(folder.path(), "18"));
        assert!(!is_postgres(folder.path(), "17"));
    }

    #[test]
    fn a_version_is_what_the_program_says() {
        let folder = tempfile::tempdir().unwrap();
        let program = fake(folder.path(), "codex", "codex-cli 0.169.0");
        assert_eq!(version_of(&program).unwrap().trim(), "codex-cli 0.169.0");
        assert_eq!(version_of(&folder.path().join("none")), None);
    }
}
