//! The work is kept while the agent goes on, and the next attempt goes on from it.

use std::time::Duration;

use domain::job::{AgentEnd, LogStream, Resumed};

use crate::{
    gateway::KeptWork,
    job::{Done, Job, Setup},
    workspace::Repository,
};

const FIRST: &str =
    "echo first > first.txt; echo mine >> README.md; rm gone.txt; mkdir -p modules; echo x > modules/own";
const SECOND: &str = "cat first.txt > second.txt; test ! -e gone.txt && ls modules > third.txt";

fn repository() -> Repository {
    Repository::new(&[("README.md", "# Plain\n"), ("gone.txt", "x\n"), (".gitignore", "modules\n")])
}

/// An agent of two commands, with a model that holds the second one back.
fn two_halves() -> Setup {
    Setup::steps(repository(), &[FIRST, SECOND], 60_000)
}

/// The job at the time when its first half is kept and the model is being asked for the second.
async fn half_way(setup: Setup) -> Job {
    let job = setup.start().await;
    job.gateway.wait_for(|told| told.kept.is_some()).await;
    job
}

/// Kills a job half way; gives what is kept of it.
async fn killed(setup: Setup) -> (Done, KeptWork) {
    let done = half_way(setup).await.kill().await;
    assert!(done.told.report.is_none());
    let kept = done.told.kept.clone().unwrap();
    (done, kept)
}

/// The same job again, with a model that holds nothing back.
fn again() -> Setup {
    Setup::steps(repository(), &[FIRST, SECOND], 0)
}

fn changed(done: &Done) -> String {
    let result = done.told.result.as_ref().unwrap_or_else(|| panic!("no result: {:?}", done.told.report));
    done.repository.take_in(result);
    done.repository.git(&["diff", "--name-status", "base", "result"])
}

const BOTH_HALVES: &str = "M\tREADME.md\nA\tfirst.txt\nD\tgone.txt\nA\tsecond.txt\nA\tthird.txt";

/// On the base of the job that was killed: times are in commits.
fn on_the_base_of(done: Done, setup: Setup) -> Setup {
    setup.on(done.repository)
}

#[tokio::test]
async fn a_killed_job_goes_on_with_its_files_and_its_thread_and_nothing_is_asked_twice() {
    let (first, kept) = killed(two_halves()).await;
    assert_eq!(first.model.requests().iter().map(|asked| asked.step).collect::<Vec<_>>(), [0]);
    assert!(kept.thread_id.is_some() && !kept.thread.is_empty());

    let second = on_the_base_of(first, again()).going_on(kept.clone()).run().await;
    let report = second.report();
    assert_eq!((report.end.clone(), report.resumed), (AgentEnd::Completed, Some(Resumed::Thread)));
    assert_eq!(report.thread_id, kept.thread_id, "the same thread goes on");
    let asked = second.model.requests();
    assert_eq!(asked.iter().map(|asked| asked.step).collect::<Vec<_>>(), [1, 2], "the first call is not repeated");
    assert_eq!(asked[0].words.trim(), "You were interrupted. Go on.");
    let paid = asked.iter().map(|asked| asked.usage.unwrap().input_tokens).sum::<u64>();
    assert_eq!(report.usage.input_tokens, paid, "what the thread used before is not counted again");
    assert_eq!(changed(&second), BOTH_HALVES);
    assert_eq!(second.repository.git(&["show", "result:third.txt"]), "", "git ignores modules: they are gone");
    assert_eq!(second.repository.git(&["show", "result:second.txt"]), "first");
}

#[tokio::test]
async fn set_up_runs_again_under_the_kept_work() {
    let with_set_up =
        |setup: Setup| setup.setup("files", "mkdir modules; echo tool > modules/tool; echo made > made.txt");
    let (first, kept) = killed(with_set_up(two_halves())).await;
    let second = with_set_up(on_the_base_of(first, again())).going_on(kept).run().await;
    assert_eq!(changed(&second), BOTH_HALVES, "made.txt is of set-up, not of the agent");
    assert_eq!(second.repository.git(&["show", "result:third.txt"]), "tool");
}

#[tokio::test]
async fn the_agents_own_commits_go_on_below_its_files() {
    let commands = ["echo 1 > one.txt; git add one.txt; git commit -q -m 'The first part'; echo 2 > two.txt", "true"];
    let (first, kept) = killed(Setup::steps(repository(), &commands, 60_000)).await;
    let again =
        Setup::steps(repository(), &["true", "git log --format=%s > log.txt; git status --short > status.txt"], 0);
    let second = on_the_base_of(first, again).going_on(kept).run().await;
    assert_eq!(changed(&second), "A\tlog.txt\nA\tone.txt\nA\tstatus.txt\nA\ttwo.txt");
    assert_eq!(second.repository.git(&["show", "result:log.txt"]), "The first part\nBegin");
    assert_eq!(second.repository.git(&["show", "result:status.txt"]), "?? log.txt\n?? status.txt\n?? two.txt");
}

#[tokio::test]
async fn a_thread_that_cannot_be_resumed_is_replaced_by_a_fresh_one_on_the_kept_work() {
    let (first, kept) = killed(two_halves()).await;
    let broken = KeptWork { thread: b"\xff\xfe no thread\n".to_vec(), ..kept };
    let second = on_the_base_of(first, again()).going_on(broken).run().await;
    let report = second.report();
    assert_eq!((report.end.clone(), report.resumed), (AgentEnd::Completed, Some(Resumed::Work)));
    let asked = second.model.requests();
    assert_eq!(asked.iter().map(|asked| asked.step).collect::<Vec<_>>(), [0, 1, 2], "from the beginning, once");
    assert!(asked[0].words.contains("Fix the issue.") && asked[0].words.contains("Work has begun already."));
    assert!(second.told.text(LogStream::Runner).contains("can't be resumed"));
    assert!(changed(&second).contains("A\tfirst.txt\n"));
}

#[tokio::test]
async fn kept_work_that_is_no_good_lets_the_agent_begin_anew() {
    let (first, kept) = killed(two_halves()).await;
    let broken = KeptWork { work: b"no bundle".to_vec(), ..kept };
    let second = on_the_base_of(first, again()).going_on(broken).run().await;
    let report = second.report();
    assert_eq!((report.end.clone(), report.resumed), (AgentEnd::Completed, Some(Resumed::Nothing)));
    assert!(second.model.requests()[0].words.starts_with("Fix the issue."));
    assert!(second.told.text(LogStream::Runner).contains("begins anew"));
}

#[tokio::test]
async fn work_on_another_base_is_not_taken() {
    let (_, kept) = killed(two_halves()).await;
    let other = Repository::new(&[("README.md", "# Another\n")]);
    assert_eq!(again().on(other).going_on(kept).run().await.report().resumed, Some(Resumed::Nothing));
}

#[tokio::test]
async fn a_cancelled_job_keeps_its_work_before_it_ends() {
    let mut setup = Setup::steps(repository(), &["echo 1 > one.txt", "echo late > late.txt; sleep 60"], 0);
    setup.spec.limits.checkpoint_secs = 600;
    let job = half_way(setup).await;
    let late = job.work.path().join("work/tree/late.txt");
    while !late.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(job.gateway.told().checkpoints, [1], "the next one is far away");
    job.terminate();
    let done = job.end().await;
    assert_eq!(done.report().end, AgentEnd::Cancelled);
    assert_eq!(done.told.checkpoints, [1, 2]);

    let kept = done.told.kept.clone().unwrap();
    let again = Setup::steps(repository(), &["true", "true", "mv late.txt moved.txt"], 0);
    let second = on_the_base_of(done, again).going_on(kept).run().await;
    assert_eq!(changed(&second), "A\tmoved.txt\nA\tone.txt");
}

#[tokio::test]
async fn the_end_of_a_turn_is_kept_before_the_checks() {
    let job = Setup::playing("echo new > new.txt").check("long", "echo at it; sleep 60").start().await;
    job.gateway.wait_for(|told| told.text(LogStream::Check).contains("at it")).await;
    let done = job.kill().await;
    let kept = done.told.kept.clone().unwrap();
    let thread = String::from_utf8(kept.thread.clone()).unwrap();
    assert!(thread.contains("task_complete"), "the turn's end is in it");

    let setup = on_the_base_of(done, Setup::playing("never")).going_on(kept);
    let second = setup.check("short", "test -s new.txt").run().await;
    assert_eq!(second.model.requests().len(), 1, "one answer, no command");
    assert!(second.report().checks[0].passed);
    assert_eq!(changed(&second), "A\tnew.txt");
}

#[tokio::test]
async fn checkpoints_are_numbered_and_only_news_is_sent() {
    let commands = ["echo 1 > a.txt", "echo 2 > a.txt; sleep 3", "true"];
    let done = Setup::steps(repository(), &commands, 0).run().await;
    let numbers = done.told.checkpoints.clone();
    assert!(
        numbers.len() >= 2 && numbers.windows(2).all(|pair| pair[0] < pair[1]),
        "{numbers:?}\n{}",
        done.told.text(LogStream::Runner)
    );
    assert_eq!(done.report().end, AgentEnd::Completed);
}
