//! Repositories for the jobs: bundles on the way in, bundles on the way out.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A repository with one commit.
pub(crate) struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    /// With these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        for (name, text) in files {
            let path = repository.folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        repository.commit();
        repository
    }

    /// The demo repository.
    pub(crate) fn demo() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo"), repository.folder.path());
        repository.commit();
        repository
    }

    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// The workspace as the platform packs it.
    pub(crate) fn bundle(&self) -> Vec<u8> {
        self.git(&["bundle", "create", "--quiet", ".git/workspace.bundle", "refs/heads/base"]);
        fs::read(self.folder.path().join(".git/workspace.bundle")).unwrap()
    }

    /// Takes in a result bundle as `result`.
    pub(crate) fn take_in(&self, bundle: &[u8]) {
        fs::write(self.folder.path().join(".git/result.bundle"), bundle).unwrap();
        self.git(&["fetch", "--quiet", ".git/result.bundle", "refs/heads/result:refs/heads/result"]);
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=test", "-c", "user.email=test@example.com"])
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn commit(&self) {
        self.git(&["init", "--quiet", "--initial-branch", "base"]);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "Begin"]);
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let from: PathBuf = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}
