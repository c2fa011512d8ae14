//! What starts a run, and everything that can stand against it.

use domain::{
    event::{Event, EventKind, ScheduledMoment, SubjectKind},
    ids::Attempt,
    run::Step,
    triggers::{BusinessKey, EarlierWork, Effect, Facts, KeptWork, NewRun, Parent, Trigger, VerdictKind, decide},
};
use serde_json::{Value, json};

use crate::wire::{
    AT, body, by_label, comment, connected, event, issue, labeled, pull_request, push, run_id, time, with_config,
};

fn started(event: &Event, facts: &Facts) -> NewRun {
    let verdict = decide(event, facts);
    assert_eq!(verdict.kind, VerdictKind::Started, "{verdict:?}");
    let Effect::Start(run) = verdict.effect else { panic!("{verdict:?}") };
    *run
}

fn dev(more: &Value) -> Event {
    labeled("run:dev", &["bug", "run:dev"], more)
}

#[test]
fn a_label_starts_its_agent() {
    let run = started(&dev(&json!({})), &connected());
    assert_eq!((run.agent.as_str(), run.subject.kind, run.subject.number), ("dev", SubjectKind::Issue, 12));
    assert_eq!(run.trigger, Trigger::Label { label: "run:dev".into(), at: time(AT) });
    assert_eq!((run.requested_by.id, run.subject_title.as_str(), run.instructions.as_str()), (5, "Sum is wrong", ""));
    assert_eq!(run.business_key.as_str(), "label:77:12:labeled:2026-11-03T10:00:00Z:5:run:dev");
    assert_eq!(run.then_cancel, None);
    let reason = decide(&dev(&json!({})), &connected()).reason;
    assert_eq!(reason, "label `run:dev` by @ann starts agent `dev` on issue #12");
}

#[test]
fn a_command_starts_an_agent_with_instructions() {
    let run = started(&comment("/run planner only the parser\nplease", &json!({})), &connected());
    assert_eq!((run.agent.as_str(), run.instructions.as_str()), ("planner", "only the parser\nplease"));
    assert_eq!(run.trigger, Trigger::Command { comment_id: 900, at: time(AT) });
    assert_eq!(run.business_key.as_str(), "comment:77:900");
}

/// A moment of the schedule `nightly`, told by the platform's own account.
fn moment(agent: &str, bot: bool) -> Event {
    let mut event =
        event("issues", &issue("opened", &[], &json!({"sender": {"type": if bot { "Bot" } else { "User" }}})));
    let EventKind::IssueOther(on) = event.kind else { panic!("{event:?}") };
    event.kind = EventKind::Scheduled(ScheduledMoment {
        schedule: "nightly".into(),
        agent: agent.parse().unwrap(),
        instructions: "Look around.".into(),
        issue: on,
    });
    event
}

#[test]
fn a_schedule_starts_its_agent_on_its_issue() {
    let run = started(&moment("docs", true), &connected());
    assert_eq!((run.agent.as_str(), run.subject.number, run.instructions.as_str()), ("docs", 12, "Look around."));
    assert_eq!(run.trigger, Trigger::Schedule { name: "nightly".into(), at: time(AT) });
    assert_eq!(run.business_key.as_str(), "schedule:77:nightly:2026-11-03T10:00:00Z");
    let reason = decide(&moment("docs", true), &connected()).reason;
    assert_eq!(reason, "schedule `nightly` of the settings starts agent `docs` on issue #12");
}

#[test]
fn a_moment_is_held_back_by_what_holds_others_back() {
    let working = Facts { active_run: Some(by_label(1, "run:dev", AT)), ..connected() };
    let told = Facts { run_by_key: Some(run_id(1)), ..connected() };
    let often = Facts { runs_last_hour: 6, ..connected() };
    for (facts, agent, expected) in [
        (working, "dev", VerdictKind::AlreadyWorking),
        (told, "dev", VerdictKind::Duplicate),
        (often, "dev", VerdictKind::LoopGuard),
        (connected(), "gone", VerdictKind::NoRule),
        (connected(), "reviewer", VerdictKind::NoRule),
        // The platform is a bot to its forge, and no bot has caused this.
        (Facts { bot_runs_last_hour: 5, ..connected() }, "dev", VerdictKind::Started),
    ] {
        let verdict = decide(&moment(agent, true), &facts);
        assert_eq!(verdict.kind, expected, "{agent} {facts:?}");
    }
}

#[test]
fn a_label_on_a_pull_request_starts_the_reviewer() {
    let run = started(&pull_request("labeled", Some("need:reviewer"), &json!({})), &connected());
    assert_eq!((run.agent.as_str(), run.subject.kind, run.subject.number), ("reviewer", SubjectKind::PullRequest, 30));
    let on_pull_request = json!({"issue": {"pull_request": {}}});
    let run = started(&comment("/run reviewer", &on_pull_request), &connected());
    assert_eq!(run.subject.kind, SubjectKind::PullRequest);
}

#[test]
fn a_project_names_its_own_labels_and_agents() {
    let facts = with_config(
        "version: 1\nagents: {fast: {extends: dev}}\ntriggers: {labels: {ai: fast}, pull_request_labels: {look: planner}}",
    );
    assert_eq!(started(&labeled("ai", &["ai"], &json!({})), &facts).agent.as_str(), "fast");
    assert_eq!(started(&pull_request("labeled", Some("look"), &json!({})), &facts).agent.as_str(), "planner");
    assert_eq!(decide(&dev(&json!({})), &facts).kind, VerdictKind::NoRule);
    assert_eq!(decide(&pull_request("labeled", Some("need:reviewer"), &json!({})), &facts).kind, VerdictKind::NoRule);
    let own = with_config("version: 1\nagents: {fast: {extends: dev}}");
    assert_eq!(started(&labeled("run:fast", &["run:fast"], &json!({})), &own).agent.as_str(), "fast");
}

const AGENTS: &str = "`dev`, `docs`, `planner`, `reviewer`";

fn at_work() -> Facts {
    Facts { active_run: Some(by_label(1, "run:dev", AT)), ..connected() }
}

fn says_at_work() -> String {
    format!("run {} of agent `dev` is at work here", run_id(1))
}

/// Judges each event by the facts, and compares kind and reason. Nothing may follow from it.
fn start_nothing<const N: usize>(facts: &Facts, table: [(Event, VerdictKind, String); N]) {
    for (event, kind, reason) in table {
        let verdict = decide(&event, facts);
        assert_eq!((verdict.kind, &verdict.reason, &verdict.effect), (kind, &reason, &Effect::None), "{event:?}");
    }
}

#[test]
fn a_label_that_starts_nothing_says_why() {
    let closed = json!({"issue": {"state": "closed"}});
    let reviewer = "agent `reviewer` reviews pull requests and is started from one, not from an issue";
    let two = "labels `run:dev` and `run:planner` ask for two agents at once; take both off, then put one on";
    start_nothing(
        &connected(),
        [
            (
                labeled("bug", &["bug"], &json!({})),
                VerdictKind::NoRule,
                "label `bug` starts nothing in this project".into(),
            ),
            (
                labeled("run:`x`\ny", &[], &json!({})),
                VerdictKind::NoRule,
                format!("label `run:'x' y` starts nothing in this project; there are the agents {AGENTS}"),
            ),
            (labeled("run:reviewer", &["run:reviewer"], &json!({})), VerdictKind::NoRule, reviewer.into()),
            (dev(&closed), VerdictKind::NoRule, "the issue is closed".into()),
            (labeled("run:dev", &["run:dev", "run:planner"], &json!({})), VerdictKind::TwoAgentLabels, two.into()),
        ],
    );
}

#[test]
fn a_comment_that_starts_nothing_says_why() {
    let on_pull_request = json!({"issue": {"pull_request": {}}});
    let closed = json!({"issue": {"state": "closed"}});
    let unfit = "agent `dev` writes changes and is started from an issue, not from a pull request";
    let no_command = "the comment does not begin with a command";
    start_nothing(
        &connected(),
        [
            (comment("/run dev", &on_pull_request), VerdictKind::NoRule, unfit.into()),
            (
                comment("/run", &json!({})),
                VerdictKind::NoRule,
                format!("`/run` needs the name of an agent; there are {AGENTS}"),
            ),
            (
                comment("/run bob", &json!({})),
                VerdictKind::NoRule,
                format!("there is no agent `bob`; there are {AGENTS}"),
            ),
            (comment("hello", &json!({})), VerdictKind::NoRule, no_command.into()),
            (comment("> /run dev", &json!({})), VerdictKind::NoRule, no_command.into()),
            (comment("/run dev", &closed), VerdictKind::NoRule, "the issue is closed".into()),
            (comment("/retry", &json!({})), VerdictKind::NothingToRetry, "no run was ever about this issue".into()),
        ],
    );
    let off = with_config("version: 1\ntriggers: {commands: false}");
    let reason = "commands in comments are switched off in this project";
    start_nothing(&off, [(comment("/run dev", &json!({})), VerdictKind::NoRule, reason.into())]);
}

#[test]
fn beside_a_run_at_work_nothing_starts() {
    start_nothing(
        &at_work(),
        [
            (dev(&json!({})), VerdictKind::AlreadyWorking, says_at_work()),
            (comment("/run planner", &json!({})), VerdictKind::AlreadyWorking, says_at_work()),
            (comment("/retry", &json!({})), VerdictKind::AlreadyWorking, says_at_work()),
            (
                labeled("bug", &["bug"], &json!({})),
                VerdictKind::NoRule,
                format!("label `bug` starts nothing in this project; {}", says_at_work()),
            ),
        ],
    );
    let known = Facts { run_by_key: Some(run_id(3)), ..at_work() };
    let reason = format!("run {} was already started by this", run_id(3));
    start_nothing(&known, [(dev(&json!({})), VerdictKind::Duplicate, reason)]);
}

#[test]
fn in_a_detached_repository_nothing_starts_and_nothing_changes() {
    let mut facts = connected();
    facts.repository.as_mut().unwrap().detached = true;
    let reason = "repository `acme/demo` was detached: nothing starts there until it is attached again".to_owned();
    let renamed = event("repository", &body("renamed", &json!({"repository": {"name": "new"}})));
    let renamed_reason = reason.replace("acme/demo", "acme/new");
    start_nothing(
        &facts,
        [
            (dev(&json!({})), VerdictKind::RepositoryUnknown, reason.clone()),
            (comment("/run dev", &json!({})), VerdictKind::RepositoryUnknown, reason),
            (renamed, VerdictKind::RepositoryUnknown, renamed_reason),
        ],
    );
}

#[test]
fn other_events_and_repositories_say_why_they_start_nothing() {
    let archived = json!({"repository": {"archived": true}});
    let opened = event("issues", &issue("opened", &[], &json!({})));
    let ready = pull_request("ready_for_review", None, &json!({}));
    let star = event("star", &body("created", &json!({})));
    start_nothing(
        &connected(),
        [
            (dev(&archived), VerdictKind::Archived, "repository `acme/demo` is archived".into()),
            (dev(&json!({"sender": null})), VerdictKind::Ignored, "the event does not say who caused it".into()),
            (opened, VerdictKind::NoRule, "event `issues` with action `opened` starts nothing".into()),
            (ready, VerdictKind::NoRule, "event `pull_request` with action `ready_for_review` starts nothing".into()),
            (star, VerdictKind::NoRule, "event `star` with action `created` starts nothing".into()),
        ],
    );
    let unknown = "repository `acme/demo` is not connected";
    start_nothing(&Facts::default(), [(dev(&json!({})), VerdictKind::RepositoryUnknown, unknown.into())]);
}

#[test]
fn a_verdict_about_a_run_names_it() {
    let active = at_work();
    for event in [dev(&json!({})), labeled("bug", &[], &json!({})), comment("hello", &json!({}))] {
        assert_eq!(decide(&event, &active).run, Some(run_id(1)));
    }
    let known = Facts { run_by_key: Some(run_id(3)), ..connected() };
    assert_eq!(decide(&dev(&json!({})), &known).run, Some(run_id(3)));
}

#[test]
fn two_labels_for_one_agent_are_no_quarrel() {
    let facts = with_config("version: 1\ntriggers: {labels: {a: dev, b: dev, c: planner}}");
    assert_eq!(decide(&labeled("a", &["a", "b"], &json!({})), &facts).kind, VerdictKind::Started);
    assert_eq!(decide(&labeled("a", &["a", "c"], &json!({})), &facts).kind, VerdictKind::TwoAgentLabels);
}

#[test]
fn loops_end() {
    let bot = json!({"sender": {"type": "Bot"}});
    let table: Vec<(Facts, Value, Option<&str>)> = vec![
        (Facts { runs_last_hour: 5, ..connected() }, json!({}), None),
        (
            Facts { runs_last_hour: 6, ..connected() },
            json!({}),
            Some("6 runs about issue #12 have started within the last hour; 6 is the limit"),
        ),
        (Facts { runs_last_hour: 6, ..with_config("version: 1\nlimits: {runs_per_hour: 7}") }, json!({}), None),
        // A person begins a new count, whatever led there; two bots that answer each other stop at three.
        (after_machines(9), json!({}), None),
        (Facts { bot_runs_last_hour: 9, ..connected() }, json!({}), None),
        (connected(), bot.clone(), None),
        (after_machines(2), bot.clone(), None),
        (
            after_machines(3),
            bot,
            Some(
                "3 runs in a row were caused by bots or failing checks, with nobody in between; 3 is the limit \
                 (`limits.chain_depth`)",
            ),
        ),
    ];
    for (facts, more, guard) in table {
        let verdict = decide(&dev(&more), &facts);
        match guard {
            Some(reason) => assert_eq!((verdict.kind, verdict.reason.as_str()), (VerdictKind::LoopGuard, reason)),
            None => assert_eq!(verdict.kind, VerdictKind::Started, "{verdict:?}"),
        }
    }
    let by_person = started(&dev(&json!({})), &after_machines(2));
    assert_eq!((by_person.cause_chain.as_slice(), by_person.machine_depth), ([run_id(1)].as_slice(), 0));
    let by_bot = started(&dev(&json!({"sender": {"type": "Bot"}})), &after_machines(2));
    assert_eq!((by_bot.cause_chain.as_slice(), by_bot.machine_depth), ([run_id(1)].as_slice(), 3));
}

/// The event follows upon run 1, before which so many runs in a row were caused by machines.
fn after_machines(machine_depth: u32) -> Facts {
    Facts { parent: Some(Parent { chain: vec![run_id(1)], machine_depth }), ..connected() }
}

#[test]
fn a_retry_begins_a_new_attempt_of_the_last_run() {
    let facts = || Facts { last_run: Some(by_label(4, "run:dev", AT)), ..connected() };
    for (text, from, whence) in
        [("/retry", None, "from the start"), ("/retry from publish", Some(Step::Publish), "from step `publish`")]
    {
        let verdict = decide(&comment(text, &json!({})), &facts());
        assert_eq!(verdict.kind, VerdictKind::Started);
        assert_eq!(verdict.reason, format!("`/retry` by @ann starts a new attempt of run {} {whence}", run_id(4)));
        let Effect::Retry(retry) = verdict.effect else { panic!("no retry") };
        assert_eq!((retry.run, retry.from, retry.business_key.as_str()), (run_id(4), from, "comment:77:900"));
    }
    let at = time("2026-11-03T09:41:07Z");
    let kept = Facts { kept_work: Some(KeptWork { attempt: Attempt(2), at }), ..facts() };
    for (facts, work, whence) in [
        (kept, EarlierWork::Kept(Attempt(2)), "that goes on from the work of 09:41 UTC (attempt 2)"),
        (facts(), EarlierWork::NoneKept, "whose agent begins anew, since none of its work was kept"),
    ] {
        let verdict = decide(&comment("/retry continue", &json!({})), &facts);
        assert_eq!(verdict.reason, format!("`/retry` by @ann starts a new attempt of run {} {whence}", run_id(4)));
        let Effect::Retry(retry) = verdict.effect else { panic!("no retry") };
        assert_eq!((retry.from, retry.earlier_work), (Some(Step::Launch), work));
    }
    let again = decide(&comment("/retry", &json!({})), &Facts { run_by_key: Some(run_id(4)), ..facts() });
    assert_eq!((again.kind, again.effect), (VerdictKind::Duplicate, Effect::None));
    let guarded = decide(&comment("/retry", &json!({})), &Facts { runs_last_hour: 6, ..facts() });
    assert_eq!(guarded.kind, VerdictKind::LoopGuard);
    let unknown = decide(&comment("/retry from here", &json!({})), &facts());
    assert_eq!(unknown.kind, VerdictKind::NoRule);
    assert!(unknown.reason.starts_with("`here` is not a step; the steps are `authorise`"), "{}", unknown.reason);
}

#[test]
fn pushes_and_repository_events_keep_us_up_to_date() {
    let after = "b".repeat(40);
    for (git_ref, more, kind, effect) in [
        ("refs/heads/main", json!({}), VerdictKind::ConfigRefresh, Effect::RefreshConfig { sha: after }),
        ("refs/heads/topic", json!({}), VerdictKind::NoRule, Effect::None),
        ("refs/tags/main", json!({}), VerdictKind::NoRule, Effect::None),
        ("refs/heads/main", json!({"deleted": true}), VerdictKind::Ignored, Effect::None),
        ("refs/heads/main", json!({"repository": {"default_branch": "trunk"}}), VerdictKind::NoRule, Effect::None),
    ] {
        let verdict = decide(&push(git_ref, &more), &connected());
        assert_eq!((verdict.kind, verdict.effect), (kind, effect), "{git_ref} {more}");
    }
    for (action, kind) in [
        ("renamed", VerdictKind::RepositoryUpdated),
        ("transferred", VerdictKind::RepositoryUpdated),
        ("archived", VerdictKind::RepositoryUpdated),
        ("edited", VerdictKind::RepositoryUpdated),
        ("deleted", VerdictKind::Ignored),
        ("created", VerdictKind::NoRule),
    ] {
        let event = event(
            "repository",
            &body(action, &json!({"repository": {"name": "new", "archived": action == "archived"}})),
        );
        let verdict = decide(&event, &connected());
        assert_eq!(verdict.kind, kind, "{action}");
        let updates = matches!(&verdict.effect, Effect::UpdateRepository(repository) if repository.name == "new");
        assert_eq!(updates, kind == VerdictKind::RepositoryUpdated, "{action}");
    }
}

#[test]
fn one_wish_has_one_key_and_another_wish_another() {
    let key = |event: &Event| BusinessKey::of(event).map(|key| key.as_str().to_owned());
    let first = key(&dev(&json!({})));
    assert_eq!(first, key(&dev(&json!({"issue": {"title": "edited meanwhile"}}))));
    for (other, more) in [
        ("later", json!({"issue": {"updated_at": "2026-11-03T10:00:01Z"}})),
        ("by another", json!({"sender": {"id": 6}})),
        ("elsewhere", json!({"repository": {"id": 78}})),
        ("on another issue", json!({"issue": {"number": 13}})),
        ("taken off", json!({"action": "unlabeled"})),
        ("another label", json!({"label": {"name": "run:docs"}})),
    ] {
        assert_ne!(first, key(&dev(&more)), "{other}");
    }
    assert_eq!(key(&push("refs/heads/main", &json!({}))), Some(format!("push:77:refs/heads/main:{}", "b".repeat(40))));
    assert_eq!(key(&event("issues", &issue("opened", &[], &json!({})))), None);
    assert_eq!(BusinessKey::by_hand("abc").as_str(), "hand:abc");
    let long = key(&labeled(&"ö".repeat(300), &[], &json!({}))).unwrap();
    assert!(long.len() < 100 && long.starts_with("label:sha256:"), "{long}");
}
