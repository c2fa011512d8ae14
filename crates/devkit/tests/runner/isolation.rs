//! What the agent cannot see, cannot do and cannot leave behind.

use std::fs;

use domain::{
    job::{AgentEnd, LogStream},
    job_tokens::model_token,
};

use crate::job::{Setup, TOKEN};

#[tokio::test]
async fn the_agents_commands_see_no_secret() {
    let done = Setup::plain("print-environment").run().await;
    assert_eq!(done.report().end, AgentEnd::Completed);
    let shown = done.told.text(LogStream::Codex);
    assert!(shown.contains("ENVIRONMENT.md") && shown.contains("HOME="));
    done.repository.take_in(done.told.result.as_ref().unwrap());
    let committed = done.repository.git(&["show", "result:ENVIRONMENT.md"]);
    assert!(committed.contains("HOME="));
    let session = done.told.claim.as_ref().unwrap().session.clone();
    for place in [&shown, &committed, &done.told.text(LogStream::Runner), &done.told.text(LogStream::CodexStderr)] {
        for secret in [TOKEN, &session, &model_token(&session), "CODEX_K8S_", "never-to-be-seen"] {
            assert!(!place.contains(secret), "{secret} is in {place}");
        }
    }
}

#[tokio::test]
async fn the_checks_see_no_secret() {
    let done = Setup::playing("echo new > new.txt").check("environment", "env | cut -d= -f1 | sort").run().await;
    let names = done.told.text(LogStream::Check);
    let names: Vec<_> = names.lines().filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name)).collect();
    assert_eq!(names, ["CI", "HOME", "LANG", "PATH", "TMPDIR"]);
}

#[tokio::test]
async fn a_push_by_the_agent_finds_no_remote() {
    let setup = Setup::plain("injected-push");
    let done = setup.run().await;
    assert_eq!(done.report().end, AgentEnd::Completed);
    // It is for the platform to refuse the file; here it only must not have left by another way.
    assert!(done.told.text(LogStream::Codex).contains("'origin' does not appear to be a git repository"));
    assert_eq!(done.report().changed_files, 1);
}

#[tokio::test]
async fn detached_processes_do_not_survive() {
    let done = Setup::plain("leftover-process").run().await;
    assert_eq!(done.report().end, AgentEnd::Completed);
    for name in ["leftover.pid", "stubborn.pid"] {
        let pid = fs::read_to_string(done.work.path().join("work/home").join(name)).unwrap();
        assert!(!fs::exists(format!("/proc/{}", pid.trim())).unwrap(), "{name}");
    }
}

#[tokio::test]
async fn hooks_and_settings_of_the_tree_are_not_run() {
    let trap = r#"
printf '#!/bin/sh\necho "$0" >> "$HOME/ran"\n' > "$HOME/trap"; chmod +x "$HOME/trap"
for hook in pre-commit post-commit commit-msg prepare-commit-msg post-checkout reference-transaction post-index-change; do
  mkdir -p .git/hooks; cp "$HOME/trap" .git/hooks/$hook
done
git config core.fsmonitor "$HOME/trap"; git config core.hooksPath .git/hooks
git config filter.evil.clean "$HOME/trap"; git config diff.external "$HOME/trap"; git config gpg.program "$HOME/trap"
git config commit.gpgsign true; git config core.pager "$HOME/trap"; git config core.sshCommand "$HOME/trap"
echo '* filter=evil' > .gitattributes
cp "$HOME/.gitconfig" "$HOME/kept"; git config --global core.fsmonitor "$HOME/trap"
git status > /dev/null 2>&1; cp "$HOME/ran" "$HOME/proof"; : > "$HOME/ran""#;
    let done = Setup::playing(trap).run().await;
    assert_eq!(done.report().end, AgentEnd::Completed);
    assert_eq!(done.report().changed_files, 1);
    // The trap itself works: the agent's own git stepped into it before the file was emptied.
    assert_eq!(fs::read_to_string(done.work.path().join("work/home/ran")).unwrap(), "");
    assert!(fs::read_to_string(done.work.path().join("work/home/proof")).unwrap().contains("trap"));
}
