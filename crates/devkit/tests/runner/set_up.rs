//! The project's set-up: before the agent, apart from its change, and not twice where an earlier run has left it behind.

use domain::job::{AgentEnd, LogStream};

use crate::{
    job::{Done, Setup},
    workspace::Repository,
};

/// The files that differ from the base in what was handed back.
fn changed(done: &Done) -> String {
    let result = done.told.result.as_ref().unwrap_or_else(|| panic!("no result: {:?}", done.told.report));
    done.repository.take_in(result);
    done.repository.git(&["diff", "--name-only", "base", "result"])
}

/// A job whose agent runs a command on a repository that ignores `modules`.
fn playing(command: &str) -> Setup {
    let files = [("README.md", "# Plain\n"), ("lock.txt", "1\n"), (".gitignore", "modules\n")];
    Setup::playing(command).on(Repository::new(&files))
}

#[tokio::test]
async fn the_agent_finds_what_set_up_made_and_it_is_not_the_agents_change() {
    let done = playing("cat modules/tool made.txt ~/.tool > seen.txt; echo more >> edited.txt; rm removed.txt")
        .setup("modules", "mkdir modules; echo tool > modules/tool; echo home > ~/.tool; echo \"CI is $CI\"")
        .setup("files", "echo made > made.txt; echo one > edited.txt; echo 2 > lock.txt; echo x > removed.txt")
        .run()
        .await;
    assert_eq!(done.report().end, AgentEnd::Completed);
    assert_eq!(done.told.text(LogStream::Setup), "CI is true\n");
    assert_eq!(changed(&done), "edited.txt\nseen.txt", "made.txt and lock.txt are of set-up");
    assert_eq!(done.repository.git(&["show", "result:seen.txt"]), "tool\nmade\nhome");
    assert_eq!(done.repository.git(&["show", "result:edited.txt"]), "one\nmore");
    assert_eq!(done.report().changed_files, 2);
}

#[tokio::test]
async fn what_set_up_left_alone_is_no_change() {
    let done = playing("true").setup("files", "echo made > made.txt; rm README.md").run().await;
    let report = done.report();
    assert_eq!((report.end.clone(), report.head_sha.as_ref(), report.changed_files), (AgentEnd::Completed, None, 0));
}

#[tokio::test]
async fn a_failed_set_up_keeps_the_agent_from_starting() {
    let done = playing("true")
        .setup("fine", "echo fine")
        .setup("broken", "echo there is no lock file >&2; exit 7")
        .setup("never", "echo never")
        .cached(&["modules"])
        .run()
        .await;
    let AgentEnd::SetupFailed { command, exit_code, output_tail } = &done.report().end else {
        panic!("{:?}", done.report().end)
    };
    assert!(command.starts_with("echo there is no lock"), "{command}");
    assert_eq!((*exit_code, output_tail.as_str()), (Some(7), "there is no lock file\n"));
    assert!(done.model.requests().is_empty(), "nothing is paid");
    assert_eq!(done.told.text(LogStream::Setup), "fine\nthere is no lock file\n");
    assert!(done.told.kept_setup.is_none());
}

#[tokio::test]
async fn each_command_has_its_time() {
    let mut setup = playing("true").setup("slow", "echo begun; sleep 60");
    setup.spec.setup.commands[0].timeout_secs = 1;
    let done = setup.run().await;
    assert!(matches!(&done.report().end, AgentEnd::SetupFailed { exit_code: None, .. }), "{:?}", done.report().end);
    assert!(done.model.requests().is_empty());
}

#[tokio::test]
async fn a_cancel_ends_a_set_up() {
    let job = playing("true").setup("slow", "echo begun; sleep 60").start().await;
    job.gateway.wait_for(|told| told.text(LogStream::Setup).contains("begun")).await;
    job.terminate();
    let done = job.end().await;
    assert_eq!(done.report().end, AgentEnd::Cancelled);
    assert!(done.model.requests().is_empty());
}

const COUNTING: &str = "mkdir -p modules; echo tool > modules/tool; echo home > ~/.tool; echo run";

#[tokio::test]
async fn what_set_up_left_behind_is_used_again_instead_of_its_commands() {
    let agent = "echo poison > modules/tool; cat ~/.tool > seen.txt";
    let first = playing(agent).setup("modules", COUNTING).cached(&["modules", "~/.tool"]).run().await;
    assert_eq!(first.told.text(LogStream::Setup), "run\n");
    let kept = first.told.kept_setup.clone().expect("it was kept");

    let agent = "cat modules/tool ~/.tool > seen.txt";
    let second =
        playing(agent).setup("modules", COUNTING).cached(&["modules", "~/.tool"]).with_kept_setup(kept).run().await;
    assert_eq!(second.told.text(LogStream::Setup), "", "no command was run");
    assert_eq!(changed(&second), "seen.txt");
    assert_eq!(second.repository.git(&["show", "result:seen.txt"]), "tool\nhome", "of before the first agent");
}

#[tokio::test]
async fn a_broken_one_is_no_failure_and_is_made_anew() {
    let broken = b"this is no archive".to_vec();
    let agent = "cat modules/tool > seen.txt";
    let done =
        playing(agent).setup("modules", COUNTING).cached(&["modules"]).with_kept_setup(broken.clone()).run().await;
    assert_eq!(done.report().end, AgentEnd::Completed);
    assert_eq!(done.told.text(LogStream::Setup), "run\n");
    assert!(done.told.text(LogStream::Runner).contains("can't be used"));
    assert!(done.told.kept_setup.is_some_and(|kept| kept != broken));
    assert_eq!(changed_text(&done.repository, done.told.result.as_ref()), "tool");
}

fn changed_text(repository: &Repository, result: Option<&Vec<u8>>) -> String {
    repository.take_in(result.expect("a result"));
    repository.git(&["show", "result:seen.txt"])
}

#[tokio::test]
async fn a_job_that_may_not_store_keeps_nothing() {
    let mut setup = playing("true").setup("modules", COUNTING).cached(&["modules"]);
    setup.spec.setup.cache.as_mut().unwrap().may_store = false;
    let done = setup.run().await;
    assert_eq!(done.told.text(LogStream::Setup), "run\n");
    assert!(done.told.kept_setup.is_none());
}
