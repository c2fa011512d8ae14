//! Every ending, from objects as an API server gives them.

use chrono::{DateTime, TimeDelta, Utc};
use domain::job_ending::{InitStep, JobEnding};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use serde_json::{Value, json};

use super::*;

const MADE: &str = "2026-11-26T12:00:00Z";

fn at(seconds: i64) -> DateTime<Utc> {
    MADE.parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds)
}

fn job(conditions: &Value) -> Job {
    let job = json!({
        "metadata": {"name": "run-1", "creationTimestamp": MADE},
        "spec": {"activeDeadlineSeconds": 660, "template": {"spec": {"containers": []}}},
        "status": {"conditions": conditions},
    });
    serde_json::from_value(job).unwrap()
}

fn pod(status: &Value) -> Pod {
    let limits = json!({"limits": {"memory": "64Mi"}});
    let pod = json!({
        "metadata": {"name": "run-1-x", "uid": "1", "creationTimestamp": MADE},
        "spec": {
            "nodeName": "node-1", "activeDeadlineSeconds": 600,
            "initContainers": [{"name": "tools", "image": "r:1"}, {"name": "network", "image": "r:1"}],
            "containers": [{"name": "agent", "image": "a:1", "resources": limits}],
        },
        "status": status,
    });
    serde_json::from_value(pod).unwrap()
}

fn deleted(mut pod: Pod) -> Pod {
    pod.metadata.deletion_timestamp = pod.metadata.creation_timestamp.clone();
    pod
}

fn over(code: i32, reason: &str) -> Pod {
    let state = json!({"terminated": {"exitCode": code, "reason": reason, "message": "words"}});
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    pod(&json!({"phase": phase, "containerStatuses": [container("agent", &state)]}))
}

fn container(name: &str, state: &Value) -> Value {
    json!({"name": name, "state": state, "image": "", "imageID": "", "ready": false, "restartCount": 0})
}

fn step_over(name: &str) -> Pod {
    let state = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "words"}});
    pod(&json!({"phase": "Failed", "initContainerStatuses": [container(name, &state)]}))
}

fn pending(state: &Value) -> Pod {
    let scheduled = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": MADE});
    pod(&json!({"phase": "Pending", "conditions": [scheduled], "containerStatuses": [container("agent", state)]}))
}

fn waits(reason: &str) -> Pod {
    pending(&json!({"waiting": {"reason": reason, "message": "words"}}))
}

fn unscheduled() -> Pod {
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "words"});
    pod(&json!({"phase": "Pending", "conditions": [condition]}))
}

fn disrupted(reason: &str, message: &str) -> Pod {
    let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "words"});
    pod(&json!({"phase": "Failed", "message": message, "conditions": [condition]}))
}

/// At work as its node told at last; whether the cluster takes it for ready is another matter.
fn at_work(ready: &str) -> Pod {
    let mut agent = container("agent", &json!({"running": {"startedAt": MADE}}));
    agent["ready"] = true.into();
    let conditions = json!([{"type": "Ready", "status": ready}]);
    pod(&json!({"phase": "Running", "conditions": conditions, "containerStatuses": [agent]}))
}

fn put_out_by_taint(mut pod: Pod) -> Pod {
    let target =
        json!({"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager", "message": "words"});
    let status = pod.status.get_or_insert_default();
    status.conditions.get_or_insert_default().push(serde_json::from_value(target).unwrap());
    deleted(pod)
}

fn event(reason: &str, message: &str) -> JobEvent {
    let (uid, reason, message) = ("1".to_owned(), reason.to_owned(), message.to_owned());
    JobEvent { uid, count: 1, at: at(0), warning: true, reason, message }
}

fn judged(job: Option<&Job>, pods: &[Pod], events: &[JobEvent], seconds: i64) -> Judged {
    let pods: Vec<&Pod> = pods.iter().collect();
    judge(Seen { job, pods: &pods, events, now: at(seconds), patience: Patience::default() })
}

fn words() -> String {
    "words".to_owned()
}

#[test]
fn every_ending_is_told_apart() {
    let going = job(&json!([]));
    let memory = |certain| JobEnding::OutOfMemory { limit: Some("64Mi".into()), certain };
    let init = |step| JobEnding::InitFailed { step, exit_code: 1, words: words() };
    let evicted = pod(&json!({"phase": "Failed", "reason": "Evicted", "message": "words"}));
    let late = pod(&json!({"phase": "Failed", "reason": "DeadlineExceeded"}));
    let by_hand = || JobEnding::Deleted { words: "its pod was deleted".into() };
    let table = [
        (over(0, "Completed"), JobEnding::Completed),
        (over(7, "Error"), JobEnding::Failed { exit_code: 7 }),
        (over(137, "OOMKilled"), memory(true)),
        (over(137, "Error"), memory(false)),
        (deleted(over(137, "Error")), by_hand()),
        (deleted(over(143, "Error")), by_hand()),
        (deleted(over(0, "Completed")), JobEnding::Completed),
        (over(128, "StartError"), JobEnding::ImageUnfit { image: "a:1".into(), words: words() }),
        (over(137, "ContainerStatusUnknown"), JobEnding::Vanished),
        (evicted, JobEnding::Evicted { why: words() }),
        (late, JobEnding::Deadline { seconds: 600 }),
        (put_out_by_taint(at_work("False")), JobEnding::NodeLost { node: "node-1".into() }),
        (put_out_by_taint(at_work("True")), JobEnding::Evicted { why: words() }),
        (put_out_by_taint(over(143, "Error")), JobEnding::Evicted { why: words() }),
        (disrupted("DeletionByPodGC", ""), JobEnding::NodeLost { node: "node-1".into() }),
        (disrupted("EvictionByEvictionAPI", ""), JobEnding::Evicted { why: words() }),
        (disrupted("TerminationByKubelet", "the disk is full"), JobEnding::Evicted { why: "the disk is full".into() }),
        (disrupted("PreemptionByScheduler", ""), JobEnding::Evicted { why: words() }),
        (step_over("network"), init(InitStep::Network)),
        (step_over("tools"), init(InitStep::Tools)),
        (step_over("mesh"), init(InitStep::Other("mesh".into()))),
        (waits("InvalidImageName"), JobEnding::ImagePull { image: "a:1".into(), words: words() }),
    ];
    for (pod, ending) in table {
        assert_eq!(judged(Some(&going), std::slice::from_ref(&pod), &[], 0), Judged::Ended(ending), "{pod:?}");
    }
}

#[test]
fn a_job_without_a_pod_says_why_itself() {
    let condition = |kind: &str, reason: &str| json!([{"type": kind, "status": "True", "reason": reason}]);
    let deadline = Judged::Ended(JobEnding::Deadline { seconds: 660 });
    for kind in ["FailureTarget", "Failed"] {
        let late = job(&condition(kind, "DeadlineExceeded"));
        assert_eq!(judged(Some(&late), &[deleted(over(143, "Error"))], &[], 0), deadline, "{kind}");
    }
    let failed = job(&condition("Failed", "BackoffLimitExceeded"));
    let gone = |words: &str| Judged::Ended(JobEnding::Deleted { words: words.into() });
    assert_eq!(judged(Some(&failed), &[], &[], 0), gone("its pod is not there any more"));
    assert_eq!(judged(None, &[], &[], 0), gone("the Job is not there any more"));
    assert_eq!(judged(None, &[over(0, "Completed")], &[], 0), Judged::Ended(JobEnding::Completed), "it is evidence");
    let complete = job(&condition("Complete", ""));
    assert_eq!(judged(Some(&complete), &[], &[], 0), Judged::Ended(JobEnding::Completed));
}

#[test]
fn what_may_pass_is_waited_for_and_not_for_ever() {
    let going = job(&json!([]));
    let image = JobEnding::ImagePull { image: "a:1".into(), words: words() };
    let start = |words: &str| JobEnding::NotStarted { words: words.into() };
    let quota = event("FailedCreate", "exceeded quota: project");
    let forbidden = event("FailedCreate", "violates PodSecurity");
    let sandbox = event("FailedCreatePodSandBox", "no user namespaces");
    let quota_words = JobEnding::Quota { words: "exceeded quota: project".into() };
    let table: [(&[Pod], &[JobEvent], i64, JobEnding); 7] = [
        (&[waits("ErrImagePull")], &[], 60, image.clone()),
        (&[waits("ImagePullBackOff")], &[], 60, image),
        (&[waits("CreateContainerError")], &[], 180, start("words")),
        (&[unscheduled()], &[], 600, JobEnding::Unschedulable { words: words() }),
        (&[], &[quota], 600, quota_words),
        (&[], &[forbidden], 180, start("violates PodSecurity")),
        (&[waits("ContainerCreating")], &[sandbox], 180, start("no user namespaces")),
    ];
    for (pods, events, patience, ending) in table {
        let until = at(patience);
        assert_eq!(judged(Some(&going), pods, events, patience - 1), Judged::Troubled { until }, "{ending:?}");
        assert_eq!(judged(Some(&going), pods, events, patience), Judged::Ended(ending));
    }
}

#[test]
fn one_that_nothing_is_known_to_be_wrong_with_is_starting_however_long_that_takes() {
    let going = job(&json!([]));
    for age in [0, 179, 180, 9_999] {
        assert_eq!(judged(Some(&going), &[waits("ContainerCreating")], &[], age), Judged::Starting);
        assert_eq!(judged(Some(&going), &[], &[], age), Judged::Starting);
    }
}

#[test]
fn a_node_that_is_not_heard_of_is_known_by_what_became_of_its_pods() {
    assert_eq!(lost_node(&at_work("True")), None);
    assert_eq!(lost_node(&at_work("False")), Some("node-1".to_owned()));
    assert_eq!(lost_node(&at_work("Unknown")), Some("node-1".to_owned()));
    // The node itself says that it is not ready yet, or no more.
    let agent = container("agent", &json!({"running": {"startedAt": MADE}}));
    let conditions = json!([{"type": "Ready", "status": "False"}]);
    let unready = pod(&json!({"phase": "Running", "conditions": conditions, "containerStatuses": [agent]}));
    assert_eq!(lost_node(&unready), None);
    assert_eq!(lost_node(&over(1, "Error")), None);
}

#[test]
fn one_at_work_goes_on() {
    let going = job(&json!([]));
    let running = pod(&json!({"phase": "Running"}));
    assert_eq!(judged(Some(&going), std::slice::from_ref(&running), &[], 9_999), Judged::Running);
    assert_eq!(judged(Some(&going), &[deleted(running)], &[], 9_999), Judged::Running, "it is on its way out");
    let state = json!({"running": {"startedAt": MADE}});
    let scheduled = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": MADE});
    let status =
        json!({"phase": "Pending", "conditions": [scheduled], "initContainerStatuses": [container("network", &state)]});
    assert_eq!(judged(Some(&going), &[pod(&status)], &[], 9_999), Judged::Running, "a step takes as long as it takes");
}
