//! Reviews and failing checks that ask for another commit on a pull request of ours.

use domain::{
    event::{Event, Subject, SubjectKind},
    run::STATUS_CONTEXT,
    triggers::{Effect, Facts, NewRun, OwnPull, Parent, Trigger, VerdictKind, decide},
};
use serde_json::{Value, json};

use crate::wire::{AT, body, by_label, connected, event, overlay, run_id, time, with_config};

fn review(state: &str, more: &Value) -> Event {
    let repo = json!({"id": 77});
    let mut body = body(
        "submitted",
        &json!({
            "review": {"id": 41, "state": state, "body": "Not yet.", "submitted_at": AT},
            "pull_request": {"number": 30, "title": "Sum is right", "state": "open", "updated_at": AT,
                "head": {"ref": "codex/12-sum", "sha": "c".repeat(40), "repo": repo}, "base": {"ref": "main", "repo": repo}},
        }),
    );
    overlay(&mut body, more);
    event("pull_request_review", &body)
}

fn suite(conclusion: &str) -> Event {
    let suite = json!({"head_sha": "c".repeat(40), "conclusion": conclusion, "updated_at": AT, "app": {"name": "CI"}});
    event("check_suite", &body("completed", &json!({"check_suite": suite})))
}

fn workflow(conclusion: &str) -> Event {
    let run = json!({"head_sha": "c".repeat(40), "conclusion": conclusion, "updated_at": AT, "name": "build",
        "html_url": "https://forge.example/runs/1"});
    event("workflow_run", &body("completed", &json!({"workflow_run": run})))
}

fn status(state: &str, context: &str) -> Event {
    let fields = json!({"action": null, "sha": "c".repeat(40), "state": state, "context": context, "updated_at": AT});
    event("status", &body("", &fields))
}

fn own_pull(facts: Facts, revisions: u32) -> Facts {
    let requested_by = serde_json::from_value(json!({"id": 6, "login": "bea", "is_bot": false})).unwrap();
    let own =
        OwnPull { number: 30, title: "Sum is wrong".into(), agent: "dev".parse().unwrap(), requested_by, revisions };
    let parent = Parent { chain: vec![run_id(1)], machine_depth: 0 };
    Facts { own_pull: Some(own), parent: Some(parent), ..facts }
}

fn started(event: &Event, facts: &Facts) -> (NewRun, String) {
    let verdict = decide(event, facts);
    assert_eq!(verdict.kind, VerdictKind::Started, "{verdict:?}");
    let Effect::Start(run) = verdict.effect else { panic!("no start") };
    (*run, verdict.reason)
}

#[test]
fn a_review_that_requests_changes_has_the_agent_go_on() {
    let (run, reason) = started(&review("changes_requested", &json!({})), &own_pull(connected(), 0));
    assert_eq!(run.subject, Subject { kind: SubjectKind::PullRequest, number: 30 });
    assert_eq!((run.agent.as_str(), run.subject_title.as_str()), ("dev", "Sum is right"));
    assert_eq!(run.trigger, Trigger::Review { review_id: 41, at: time(AT) });
    assert_eq!(run.business_key.as_str(), "review:77:41");
    assert_eq!((run.requested_by.login.as_str(), run.machine_depth), ("ann", 0), "the reviewer's right counts");
    assert_eq!(run.cause_chain, [run_id(1)]);
    assert_eq!(reason, "the review by @ann starts agent `dev` on pull request #30");
}

#[test]
fn however_many_checks_of_a_commit_fail_it_is_mended_once() {
    let facts = own_pull(connected(), 0);
    let failing = [suite("failure"), suite("timed_out"), workflow("failure"), status("error", "ci/x")];
    for event in failing {
        let (run, _) = started(&event, &facts);
        assert_eq!(run.business_key.as_str(), format!("checks:77:{}", "c".repeat(40)));
        assert_eq!((run.requested_by.login.as_str(), run.machine_depth), ("bea", 1), "for who asked for the change");
        assert_eq!(run.subject_title, "Sum is wrong");
        let again = Facts { run_by_key: Some(run_id(9)), ..facts.clone() };
        assert_eq!(decide(&event, &again).kind, VerdictKind::Duplicate);
    }
    let (run, reason) = started(&workflow("failure"), &facts);
    let url = Some("https://forge.example/runs/1".to_owned());
    assert_eq!(run.trigger, Trigger::Checks { head_sha: "c".repeat(40), name: "build".into(), url, at: time(AT) });
    assert_eq!(reason, "the failing check `build` starts agent `dev` on pull request #30");
}

#[test]
fn what_starts_nothing_says_why() {
    let ours = || own_pull(connected(), 0);
    let off = |what: &str| own_pull(with_config(&format!("version: 1\ntriggers: {{{what}: false}}")), 0);
    let closed = json!({"pull_request": {"state": "closed"}});
    let table: Vec<(Event, Facts, VerdictKind, &str)> = vec![
        (
            review("approved", &json!({})),
            ours(),
            VerdictKind::NoRule,
            "only a review that asks for changes could start something",
        ),
        (
            review("changes_requested", &json!({})),
            connected(),
            VerdictKind::NoRule,
            "the pull request is not one of ours, so a review of it starts nothing",
        ),
        (review("changes_requested", &closed), ours(), VerdictKind::NoRule, "the pull request is closed"),
        (
            review("changes_requested", &json!({})),
            off("revise_after_review"),
            VerdictKind::NoRule,
            "a review that asks for changes starts nothing in this project",
        ),
        (suite("success"), ours(), VerdictKind::NoRule, "check `CI` did not fail, so there is nothing to mend"),
        (workflow("cancelled"), ours(), VerdictKind::NoRule, "check `build` did not fail, so there is nothing to mend"),
        (status("pending", "x"), ours(), VerdictKind::NoRule, "check `x` did not fail, so there is nothing to mend"),
        (
            suite("failure"),
            connected(),
            VerdictKind::NoRule,
            "check `CI` fails, but not on the head of a pull request of ours",
        ),
        (
            suite("failure"),
            off("revise_after_failed_checks"),
            VerdictKind::NoRule,
            "a failing check starts nothing in this project",
        ),
        (status("failure", STATUS_CONTEXT), ours(), VerdictKind::Echo, "this is our own commit status coming back"),
        (
            review("changes_requested", &json!({})),
            own_pull(connected(), 5),
            VerdictKind::LoopGuard,
            "pull request #30 was revised 5 times; 5 is the limit (`limits.revisions_per_pull_request`)",
        ),
    ];
    for (event, facts, kind, reason) in table {
        let verdict = decide(&event, &facts);
        assert_eq!(
            (verdict.kind, verdict.reason.as_str(), &verdict.effect),
            (kind, reason, &Effect::None),
            "{event:?}"
        );
    }
    let busy = Facts { active_run: Some(by_label(3, "run:dev", AT)), ..own_pull(connected(), 9) };
    assert_eq!(decide(&suite("failure"), &busy).kind, VerdictKind::AlreadyWorking, "said before the limit");
}

#[test]
fn checks_that_fail_again_and_again_stop_at_the_third() {
    let after = |machine_depth| {
        let parent = Some(Parent { chain: vec![run_id(1)], machine_depth });
        Facts { parent, ..own_pull(connected(), machine_depth) }
    };
    assert_eq!(started(&suite("failure"), &after(2)).0.machine_depth, 3);
    assert_eq!(decide(&suite("failure"), &after(3)).kind, VerdictKind::LoopGuard);
    // A person's review goes on all the same.
    assert_eq!(started(&review("changes_requested", &json!({})), &after(3)).0.machine_depth, 0);
}
