//! Rebasing in a temporary work tree.

use forge::git::{Git, Identity, Rebase, Rebased};

use crate::fixture::{Bare, Tree, run};

fn robot() -> Identity {
    Identity { name: "codex-k8s".to_owned(), email: "codex@example.org".to_owned() }
}

fn no_trace(bare: &Bare) {
    assert_eq!(run(&bare.path(), &["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1);
    assert_eq!(
        run(&bare.path(), &["for-each-ref", "--format=%(refname)", "refs/heads"]),
        "refs/heads/main\nrefs/heads/ours"
    );
}

/// Ours and theirs on one base, in a bare repository.
fn diverged(ours: (&str, &str), theirs: (&str, &str)) -> (Bare, [forge::CommitSha; 3]) {
    let (tree, from) = Tree::with_file("shared", "base\n");
    tree.git(&["checkout", "--quiet", "-b", "ours"]);
    let head = tree.commit(ours.0, ours.1);
    tree.git(&["checkout", "--quiet", "main"]);
    let onto = tree.commit(theirs.0, theirs.1);
    (tree.bare_copy(), [from, head, onto])
}

#[tokio::test]
async fn commits_move_onto_the_new_base_with_their_authors() {
    let (bare, [from, head, onto]) = diverged(("ours", "1\n"), ("theirs", "1\n"));
    let git = Git::default();
    let rebase = Rebase { from: &from, head: &head, onto: &onto, committer: &robot() };
    let Rebased::Head(moved) = git.rebase_onto(&bare.path(), rebase).await.unwrap() else { panic!("a conflict") };
    let commits = git.commit_list(&bare.path(), &onto, &moved).await.unwrap();
    assert_eq!(commits.len(), 1);
    assert_eq!(commits[0].author_name, "Ada");
    assert_eq!(
        run(&bare.path(), &["show", "-s", "--format=%cn <%ce>", moved.as_str()]),
        "codex-k8s <codex@example.org>"
    );
    let files: Vec<_> = git.ls_tree(&bare.path(), &moved).await.unwrap().into_iter().map(|entry| entry.path).collect();
    assert_eq!(files, ["ours", "shared", "theirs"]);
    // A second try ends at the same commit.
    assert_eq!(git.rebase_onto(&bare.path(), rebase).await.unwrap(), Rebased::Head(moved));
    no_trace(&bare);
}

#[tokio::test]
async fn a_conflict_names_the_files_and_leaves_nothing() {
    let (bare, [from, head, onto]) = diverged(("shared", "ours\n"), ("shared", "theirs\n"));
    let git = Git::default();
    let rebase = Rebase { from: &from, head: &head, onto: &onto, committer: &robot() };
    for _ in 0..2 {
        let result = git.rebase_onto(&bare.path(), rebase).await.unwrap();
        assert_eq!(result, Rebased::Conflict(vec!["shared".to_owned()]));
        no_trace(&bare);
    }
}
