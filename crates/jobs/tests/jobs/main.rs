//! The Kubernetes launcher against a scripted API server: what a real cluster shows only now and then.

#![allow(clippy::unwrap_used, reason = "a test fails where it is surprised")]

use std::{sync::Arc, time::Duration};

use domain::{
    ids::{Attempt, ProjectSlug, RunId},
    job::{JobPresence, JobRuntime},
    job_ending::JobEnding,
};
use jobs::{
    JobLauncher as _, JobOrder, JobRef, LaunchError,
    kubernetes::{
        Defaults, KubernetesLauncher, KubernetesSettings, Network, OwnRights, Patience, Quota, UserNamespaces,
    },
    scripted::{Answer, Server},
};
use role::SecretText;
use serde_json::json;
use tokio::time::{Instant, sleep};

fn launcher(server: &Server) -> KubernetesLauncher {
    looking_every(Duration::from_secs(3), server)
}

/// One that looks for itself so often at a Job that is at work.
fn looking_every(look: Duration, server: &Server) -> KubernetesLauncher {
    let amount = |text: &str| text.parse().unwrap();
    let settings = KubernetesSettings {
        instance: "t".parse().unwrap(),
        runner_image: "runner:1".to_owned(),
        namespace_prefix: "run-".to_owned(),
        rights: Some(OwnRights {
            namespace: "system".to_owned(),
            account: "worker".to_owned(),
            role: "inside".to_owned(),
        }),
        network: Network::default(),
        egress_proxy: Some("http://proxy:3128".parse().unwrap()),
        canary: "canary:1".to_owned(),
        user_namespaces: UserNamespaces::On,
        defaults: Defaults { cpu: amount("1"), memory: amount("1Gi"), ephemeral_storage: amount("1Gi") },
        quota: Quota { pods: 9, cpu: amount("9"), memory: amount("9Gi"), ephemeral_storage: amount("9Gi") },
        patience: Patience {
            cluster: Duration::from_secs(4),
            launch: Duration::from_secs(15),
            look,
            ..Patience::default()
        },
        clock: Arc::new(chrono::Utc::now),
    };
    KubernetesLauncher::new(server.client(), settings)
}

fn order(number: u128) -> JobOrder {
    let run = RunId::from_uuid(uuid::Uuid::from_u128(number));
    JobOrder {
        job: JobRef { project: ProjectSlug::new("p"), run, attempt: Attempt::FIRST },
        token: SecretText::new("hunter2"),
        gateway_url: "http://gateway:8080".parse().unwrap(),
        model_url: "http://models:8081".parse().unwrap(),
        deadline: Duration::from_secs(600),
        runtime: JobRuntime::default(),
    }
}

/// Waits for something to be so, and not for ever.
async fn until(limit: Duration, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(limit, waiting).await.unwrap();
}

/// A launched Job whose pod is at work, and its end being waited for.
async fn at_work(server: &Server) -> (JobRef, tokio::task::JoinHandle<Result<JobEnding, LaunchError>>) {
    let launcher = launcher(server);
    let order = order(1);
    launcher.launch(&order).await.unwrap();
    server.pod(&order.job, "1", &json!({"phase": "Running"}));
    let job = order.job.clone();
    let waiting = tokio::spawn(async move { launcher.ended(&order.job).await });
    until(Duration::from_secs(10), || server.open_watches() >= 2).await;
    assert_eq!((server.open_watches(), waiting.is_finished()), (2, false));
    (job, waiting)
}

fn failed(code: i32) -> serde_json::Value {
    let state = json!({"terminated": {"exitCode": code, "reason": "Error"}});
    let agent = json!({"name": "agent", "state": state, "image": "", "imageID": "", "ready": false, "restartCount": 0});
    json!({"phase": "Failed", "containerStatuses": [agent]})
}

#[tokio::test]
async fn a_job_is_made_once_and_its_secret_after_it() {
    let server = Server::default();
    let (one, two) = (launcher(&server), launcher(&server));
    let order = order(1);
    let (first, second) = tokio::join!(one.launch(&order), two.launch(&order));
    first.unwrap();
    second.unwrap();
    assert_eq!((server.count("/jobs/"), server.count("/secrets/")), (1, 1));
    let written = server.written();
    let place = |part: &str| written.iter().position(|path| path.contains(part)).unwrap();
    assert!(place("default-deny") < place("/jobs/") && place("/jobs/") < place("/secrets/"), "{written:?}");
    let job = server.object("/jobs/").unwrap();
    let secret = server.object("/secrets/").unwrap();
    assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], job["metadata"]["uid"]);
    let spec = &job["spec"];
    assert_eq!((&spec["backoffLimit"], &spec["podReplacementPolicy"]), (&json!(0), &json!("Failed")));
    assert_eq!(spec["template"]["spec"]["hostUsers"], json!(false));
    assert!(!job.to_string().contains("hunter2"), "the token is in the Job");
    assert_eq!(one.projects().await.unwrap(), [order.job.project]);
}

#[tokio::test]
async fn an_api_server_that_is_busy_or_broken_is_asked_again() {
    let server = Server::default();
    server.next("/jobs/", [Answer::Status(429), Answer::Status(500), Answer::Status(409), Answer::Broken]);
    server.next("/secrets/", [Answer::Status(503)]);
    launcher(&server).launch(&order(1)).await.unwrap();
    assert_eq!((server.count("/jobs/"), server.count("/secrets/")), (1, 1));
}

#[tokio::test]
async fn what_is_not_allowed_is_said_at_once() {
    let server = Server::default();
    server.next("/jobs/", [Answer::Status(403)]);
    let begun = Instant::now();
    let refused = launcher(&server).launch(&order(1)).await.unwrap_err();
    assert!(matches!(&refused, LaunchError::Refused(why) if why.contains("right")), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn one_that_is_away_for_good_is_told_in_time_for_the_workflow() {
    let server = Server::default();
    server.away(true);
    let begun = Instant::now();
    let away = launcher(&server).launch(&order(1)).await.unwrap_err();
    assert!(matches!(away, LaunchError::Unavailable(_)), "{away}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_end_is_told_by_the_watch() {
    let server = Server::default();
    let (job, waiting) = at_work(&server).await;
    let asked = server.reads();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(server.reads(), asked, "it waits without asking");
    server.pod(&job, "1", &failed(3));
    let begun = Instant::now();
    assert_eq!(waiting.await.unwrap().unwrap(), JobEnding::Failed { exit_code: 3 });
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_watch_that_is_cut_is_taken_up_again() {
    let server = Server::default();
    let (job, waiting) = at_work(&server).await;
    server.cut_watches();
    until(Duration::from_secs(30), || server.open_watches() >= 2).await;
    server.pod(&job, "1", &failed(3));
    assert_eq!(waiting.await.unwrap().unwrap(), JobEnding::Failed { exit_code: 3 });
}

#[tokio::test]
async fn what_happened_in_a_gap_is_listed() {
    let server = Server::default();
    let (job, waiting) = at_work(&server).await;
    server.next("watch=true", [Answer::Gone, Answer::Gone]);
    server.deaf(true);
    server.pod(&job, "1", &failed(3));
    server.deaf(false);
    server.cut_watches();
    let begun = Instant::now();
    assert_eq!(waiting.await.unwrap().unwrap(), JobEnding::Failed { exit_code: 3 });
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_watch_that_is_deaf_is_not_relied_on() {
    let server = Server::default();
    let (job, waiting) = at_work(&server).await;
    server.deaf(true);
    server.pod(&job, "1", &failed(3));
    let begun = Instant::now();
    assert_eq!(waiting.await.unwrap().unwrap(), JobEnding::Failed { exit_code: 3 });
    assert!(begun.elapsed() <= Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_api_server_that_is_away_for_a_while_loses_nothing() {
    let server = Server::default();
    let (job, waiting) = at_work(&server).await;
    server.away(true);
    server.cut_watches();
    sleep(Duration::from_secs(3)).await;
    assert!(!waiting.is_finished());
    server.away(false);
    server.pod(&job, "1", &failed(3));
    assert_eq!(waiting.await.unwrap().unwrap(), JobEnding::Failed { exit_code: 3 });
}

#[tokio::test]
async fn one_that_is_away_for_too_long_ends_the_waiting() {
    let server = Server::default();
    let (_, waiting) = at_work(&server).await;
    server.away(true);
    server.cut_watches();
    let begun = Instant::now();
    let ending = waiting.await.unwrap().unwrap();
    assert!(matches!(ending, JobEnding::ClusterAway { .. }), "{ending:?}");
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_job_of_which_nothing_runs_is_launched_again() {
    let server = Server::default();
    let (launcher, order) = (launcher(&server), order(1));
    server.next("/secrets/", [Answer::Status(400)]);
    launcher.launch(&order).await.unwrap_err();
    assert_eq!((server.count("/jobs/"), server.count("/secrets/")), (1, 0));
    assert_eq!(launcher.presence(&order.job).await.unwrap(), JobPresence::Absent);
    launcher.launch(&order).await.unwrap();
    assert_eq!((server.count("/jobs/"), server.count("/secrets/")), (1, 1));
    server.pod(&order.job, "1", &failed(3));
    assert_eq!(launcher.presence(&order.job).await.unwrap(), JobPresence::Ended);
}

#[tokio::test]
async fn a_pod_that_does_not_go_is_taken_away() {
    let server = Server::default();
    let (launcher, order) = (launcher(&server), order(1));
    launcher.launch(&order).await.unwrap();
    server.pod(&order.job, "1", &json!({"phase": "Running"}));
    server.stubborn(true);
    let begun = Instant::now();
    launcher.stop(&order.job, Duration::from_secs(6)).await.unwrap();
    assert!((Duration::from_secs(5)..Duration::from_secs(9)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(server.count("/pods/"), 0);
}

#[tokio::test]
async fn a_launch_that_comes_while_its_job_is_ended_leaves_nothing() {
    let server = Server::default();
    let (launcher, order) = (launcher(&server), order(1));
    launcher.launch(&order).await.unwrap();
    server.pod(&order.job, "1", &json!({"phase": "Running"}));
    server.stubborn(true);
    let late = async {
        // The Job goes first.
        until(Duration::from_secs(2), || server.count("/jobs/") == 0).await;
        launcher.launch(&order).await.unwrap();
    };
    let (stopped, ()) = tokio::join!(launcher.stop(&order.job, Duration::from_secs(6)), late);
    stopped.unwrap();
    assert_eq!((server.count("/jobs/"), server.count("/pods/")), (0, 0));
}

/// A large image may take longer than anything else may.
#[tokio::test]
async fn one_that_starts_for_long_is_looked_at_no_more_often_than_one_at_work() {
    let server = Server::default();
    let (launcher, order) = (Arc::new(looking_every(Duration::from_secs(2), &server)), order(1));
    launcher.launch(&order).await.unwrap();
    let long_ago = chrono::Utc::now() - chrono::TimeDelta::minutes(10);
    let scheduled = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": long_ago.to_rfc3339()});
    let pulling = json!({"phase": "Pending", "conditions": [scheduled]});
    server.pod(&order.job, "1", &pulling);
    assert!(!launcher.is_well(&order.job), "nobody waits, so nothing is known");
    let waiting = tokio::spawn({
        let (launcher, job) = (Arc::clone(&launcher), order.job.clone());
        async move { launcher.ended(&job).await }
    });
    let before = server.reads();
    sleep(Duration::from_secs(5)).await;
    // Two looks, with what is said of Job and pod; and the lists from which the watches begin.
    assert!((6..=20).contains(&(server.reads() - before)), "{}", server.reads() - before);
    assert!(launcher.is_well(&order.job));
    let state = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
    let agent = json!({"name": "agent", "state": state, "image": "", "imageID": "", "ready": false, "restartCount": 0});
    server.pod(
        &order.job,
        "1",
        &json!({"phase": "Pending", "conditions": pulling["conditions"], "containerStatuses": [agent]}),
    );
    assert!(matches!(waiting.await.unwrap().unwrap(), JobEnding::ImagePull { .. }));
}

/// What is said of a Job and its pods is asked for of the whole namespace.
#[tokio::test]
async fn of_many_that_start_one_after_another_is_asked_about() {
    let server = Server::default();
    let launcher = Arc::new(looking_every(Duration::from_secs(1), &server));
    let begun = Instant::now();
    let now = chrono::Utc::now().to_rfc3339();
    let scheduled = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": now});
    let pulling = json!({"phase": "Pending", "conditions": [scheduled]});
    for number in 1..=20 {
        let order = order(number);
        launcher.launch(&order).await.unwrap();
        server.pod(&order.job, &order.job.name(), &pulling);
        let launcher = Arc::clone(&launcher);
        tokio::spawn(async move { launcher.ended(&order.job).await });
    }
    until(Duration::from_secs(60), || server.reads_of("/pods") >= 100).await;
    // Two lists each: of the Job, and of its pod.
    let (asked, passed) = (server.reads_of("/events"), begun.elapsed());
    let turns = usize::try_from(passed.as_secs()).unwrap() / 5 + 1;
    assert!((1..=2 * turns).contains(&asked), "{asked} within {passed:?}");
}

#[tokio::test]
async fn a_thousand_jobs_are_waited_for_by_two_streams() {
    let server = Server::default();
    let launcher = Arc::new(looking_every(Duration::from_secs(600), &server));
    let orders: Vec<JobOrder> = (1..=1_000).map(order).collect();
    let mut waiting = tokio::task::JoinSet::new();
    for order in &orders {
        launcher.launch(order).await.unwrap();
        server.pod(&order.job, &order.job.name(), &json!({"phase": "Running"}));
        let (launcher, job) = (Arc::clone(&launcher), order.job.clone());
        waiting.spawn(async move { launcher.ended(&job).await });
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(server.open_watches(), 2);
    // Each launch looks once whether its Job is there; what the streams tell then, none of a thousand asks for.
    assert!(server.reads() < 1_050, "{} reads for 1,000 launches", server.reads());
    for order in &orders {
        server.pod(&order.job, &order.job.name(), &failed(3));
    }
    while let Some(ended) = waiting.join_next().await {
        assert_eq!(ended.unwrap().unwrap(), JobEnding::Failed { exit_code: 3 });
    }
    assert_eq!(server.count("/jobs/"), 1_000);
}
