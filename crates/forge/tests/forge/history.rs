//! Commits, trees, differences.

use forge::git::{Change, EntryKind, FileChange, Git, GitErrorClass, LineCount};

use crate::fixture::Tree;

const ODD_PATH: &str = "dir/ünï \"x\"\t*\n.txt";

#[tokio::test]
async fn files_are_read_at_a_commit() {
    let (tree, first) = Tree::with_file("dir/a.txt", "one");
    tree.write(ODD_PATH, "odd");
    tree.write("-dash", "dash");
    std::os::unix::fs::symlink("/etc/passwd", tree.path().join("link")).unwrap();
    let second = tree.commit_all("More");
    tree.commit("dir/a.txt", "two");
    let git = Git::default();
    let show = async |sha, path| git.show_file(tree.path(), sha, path).await.unwrap();

    assert_eq!(show(&first, "dir/a.txt").await.as_deref(), Some(b"one".as_slice()));
    assert_eq!(show(&second, ODD_PATH).await.as_deref(), Some(b"odd".as_slice()));
    assert_eq!(show(&second, "-dash").await.as_deref(), Some(b"dash".as_slice()));
    for absent in ["nope", "dir", "dir/", "link", "dir/*", "../x"] {
        let found = git.show_file(tree.path(), &second, absent).await;
        assert!(matches!(found, Ok(None) | Err(_)), "{absent}: {found:?}");
    }
    assert_eq!(show(&first, "link").await, None);
}

#[tokio::test]
async fn a_tree_tells_what_its_entries_are() {
    let (tree, first) = Tree::with_file("dir/a.txt", "one");
    std::os::unix::fs::symlink("dir", tree.path().join("link")).unwrap();
    tree.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{first},sub")]);
    tree.git(&["add", "link"]);
    tree.git(&["update-index", "--chmod=+x", "dir/a.txt"]);
    tree.git(&["commit", "--quiet", "--message", "Kinds"]);
    let entries = Git::default().ls_tree(tree.path(), &tree.head("HEAD")).await.unwrap();
    let seen: Vec<_> = entries.iter().map(|entry| (entry.path.as_str(), entry.kind, entry.size)).collect();
    let expected = [
        ("dir/a.txt", EntryKind::Executable, Some(3)),
        ("link", EntryKind::Link, Some(3)),
        ("sub", EntryKind::Submodule, None),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn differences_name_every_file_once() {
    let long = "line\n".repeat(50);
    let (tree, base) = Tree::with_file("old name", &long);
    tree.write("gone", "x\n");
    tree.write("changed", "x\n");
    tree.write("becomes-link", "x\n");
    let base_all = tree.commit_all("Base");
    assert_ne!(base, base_all);
    std::fs::rename(tree.path().join("old name"), tree.path().join("new name")).unwrap();
    std::fs::remove_file(tree.path().join("gone")).unwrap();
    std::fs::remove_file(tree.path().join("becomes-link")).unwrap();
    std::os::unix::fs::symlink("/etc", tree.path().join("becomes-link")).unwrap();
    tree.write("changed", "y\nz\n");
    tree.write(ODD_PATH, "one\n");
    tree.write("image", [0, 1, 2, 0]);
    let head = tree.commit_all("Head");
    let git = Git::default();

    let mut changes = git.diff_names_status(tree.path(), &base_all, &head).await.unwrap();
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    let change = |change, path: &str, kind| FileChange { change, path: path.to_owned(), kind };
    let expected = [
        change(Change::TypeChanged, "becomes-link", EntryKind::Link),
        change(Change::Modified, "changed", EntryKind::File),
        change(Change::Added, ODD_PATH, EntryKind::File),
        change(Change::Deleted, "gone", EntryKind::Other),
        change(Change::Added, "image", EntryKind::File),
        change(Change::Renamed { from: "old name".to_owned() }, "new name", EntryKind::File),
    ];
    assert_eq!(changes, expected);

    let counts = git.diff_numstat(tree.path(), &base_all, &head).await.unwrap();
    let count = |path: &str| counts.iter().find(|count| count.path == path).cloned().unwrap();
    let lines = |path: &str, added, deleted| LineCount { path: path.to_owned(), added, deleted };
    assert_eq!(count("changed"), lines("changed", Some(2), Some(1)));
    assert_eq!(count("image"), lines("image", None, None));
    assert_eq!(count("new name"), lines("new name", Some(0), Some(0)));
    assert_eq!(count(ODD_PATH), lines(ODD_PATH, Some(1), Some(0)));
    assert_eq!(counts.len(), changes.len());
}

#[tokio::test]
async fn a_long_difference_is_cut() {
    let (tree, base) = Tree::with_file("a", "1\n");
    let head = tree.commit("a", &"much more\n".repeat(200_000));
    let git = Git::default();
    let short = git.diff_text(tree.path(), &base, &head, 1000).await.unwrap();
    assert!(short.truncated);
    assert_eq!(short.text.len(), 1000);
    assert!(short.text.starts_with("diff --git a/a b/a"));
    let whole = git.diff_text(tree.path(), &base, &head, 10 << 20).await.unwrap();
    assert!(!whole.truncated);
    assert!(whole.text.ends_with("+much more\n"));
}

#[tokio::test]
async fn commits_are_listed_with_their_whole_message() {
    let (tree, base) = Tree::with_file("a", "1");
    tree.write("a", "2");
    let second = tree.commit_all("Subject\n\nBody with\nlines.\n\nCodex-Run: 7");
    let third = tree.commit("a", "3");
    let commits = Git::default().commit_list(tree.path(), &base, &third).await.unwrap();
    let shas: Vec<_> = commits.iter().map(|commit| &commit.sha).collect();
    assert_eq!(shas, [&third, &second]);
    assert_eq!(commits[1].message, "Subject\n\nBody with\nlines.\n\nCodex-Run: 7");
    assert_eq!(commits[1].parents, std::slice::from_ref(&base));
    assert_eq!((commits[1].author_name.as_str(), commits[1].author_email.as_str()), ("Ada", "ada@example.org"));
    assert_eq!(commits[1].authored_at.to_rfc3339(), "2026-01-02T03:04:05+00:00");
    assert_eq!(Git::default().commit_list(tree.path(), &third, &base).await.unwrap(), []);
}

#[tokio::test]
async fn ancestry_and_names() {
    let (tree, first) = Tree::with_file("a", "1");
    let second = tree.commit("a", "2");
    let git = Git::default();
    assert!(git.is_ancestor(tree.path(), &first, &second).await.unwrap());
    assert!(git.is_ancestor(tree.path(), &first, &first).await.unwrap());
    assert!(!git.is_ancestor(tree.path(), &second, &first).await.unwrap());
    let unknown = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    let error = git.is_ancestor(tree.path(), &unknown, &first).await.unwrap_err();
    assert_eq!(error.class(), GitErrorClass::NotFound, "{error}");
    for bad in ["nope", "--all", "", unknown.as_str()] {
        let error = git.rev_parse(tree.path(), bad).await.unwrap_err();
        assert_eq!(error.class(), GitErrorClass::NotFound, "{bad:?}: {error}");
    }
}
