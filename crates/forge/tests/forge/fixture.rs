//! Repositories to work on, made with the git command line.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use forge::{CommitSha, git::hardened_env};
use tempfile::TempDir;

/// A repository with a work tree.
pub struct Tree {
    folder: TempDir,
}

impl Tree {
    /// An empty one, with `main` as its branch.
    pub fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap() };
        tree.git(&["init", "--quiet", "--initial-branch=main"]);
        tree
    }

    /// One with a commit.
    pub fn with_file(path: &str, content: &str) -> (Self, CommitSha) {
        let tree = Self::new();
        let sha = tree.commit(path, content);
        (tree, sha)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The address git knows it by.
    pub fn url(&self) -> &str {
        self.path().to_str().unwrap()
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        run(self.path(), arguments)
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    /// Writes a file and commits all there is.
    pub fn commit(&self, path: &str, content: &str) -> CommitSha {
        self.write(path, content);
        self.commit_all(&format!("Change {path}"))
    }

    pub fn commit_all(&self, message: &str) -> CommitSha {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.head("HEAD")
    }

    pub fn head(&self, revision: &str) -> CommitSha {
        self.git(&["rev-parse", revision]).parse().unwrap()
    }

    /// A bare copy, to be pushed to.
    pub fn bare_copy(&self) -> Bare {
        let folder = tempfile::tempdir().unwrap();
        run(self.path(), &["clone", "--quiet", "--bare", ".", folder.path().join("bare.git").to_str().unwrap()]);
        Bare { folder }
    }
}

/// A repository without a work tree.
pub struct Bare {
    folder: TempDir,
}

impl Bare {
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("bare.git")
    }

    pub fn url(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    /// The head of a branch, if it exists.
    pub fn branch(&self, name: &str) -> Option<CommitSha> {
        run(&self.path(), &["for-each-ref", "--format=%(objectname)", &format!("refs/heads/{name}")]).parse().ok()
    }
}

/// Runs git, which must succeed; gives what it wrote, trimmed.
pub fn run(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .envs(hardened_env())
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.org")])
        .envs([("GIT_COMMITTER_NAME", "Bo"), ("GIT_COMMITTER_EMAIL", "bo@example.org")])
        .envs([("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z"), ("GIT_COMMITTER_DATE", "2026-01-02T03:04:06Z")])
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
