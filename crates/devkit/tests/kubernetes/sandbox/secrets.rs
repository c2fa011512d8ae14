//! The canary: the platform's secrets are known texts, and are looked for wherever they must not be, while a real run is at work and
//! after it.

use std::collections::BTreeMap;

use activities::run_token::RunTokenKey;
use anyhow::Context;
use devkit::harness::{MODEL_KEY, Platform, REPOSITORY, RUN_TOKEN_KEY, Victim, WEBHOOK_SECRET, canary};
use domain::run::Outcome;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod, Secret},
};
use kube::{
    Api,
    api::{ListParams, LogParams},
};

use super::scene::{self, AtWork};
use crate::world::World;

/// A secret, and who has it.
struct Known {
    name: &'static str,
    text: String,
    /// The roles whose processes may have it; none: the test's own process, which is model gateway and GitHub.
    owners: &'static [Victim],
    /// The file in which the role is given it.
    file: Option<&'static str>,
}

fn known(platform: &Platform, run: &AtWork) -> anyhow::Result<Vec<Known>> {
    let read = |name: &str| std::fs::read_to_string(platform.folder().join(name)).map(|text| text.trim().to_owned());
    let token = RunTokenKey::parse(RUN_TOKEN_KEY)?.token(run.run.id, run.run.attempt);
    let of = |name, text: String, owners, file| Known { name, text, owners, file };
    let repository = platform.forge.token("codex-bot").context("it has one")?;
    Ok(vec![
        of("model key", MODEL_KEY.to_owned(), &[], None),
        of("repository token", repository, &[Victim::Worker], None),
        // One hands it out, the other is shown it.
        of("run token", token.expose().to_owned(), &[Victim::Worker, Victim::Gateway], None),
        of("webhook secret", WEBHOOK_SECRET.to_owned(), &[Victim::Gateway], None),
        of("gateway key", read("gateway.key")?, &[Victim::Gateway], Some("gateway.key")),
        of("sealing key", read("sealing.key")?, &[Victim::Worker], Some("sealing.key")),
        of("run token key", RUN_TOKEN_KEY.to_owned(), &[Victim::Worker], Some("run-token.key")),
    ])
}

/// Environments, arguments and memory of all processes: those of the roles, Temporal, and everything in the pod.
fn in_processes(platform: &Platform, at_work: &AtWork, secrets: &[Known]) -> anyhow::Result<Vec<String>> {
    let pod = at_work.processes()?;
    let mut wrong = Vec::new();
    for secret in secrets {
        let of_pod = canary::in_processes(&pod, &secret.text);
        assert!(of_pod.programs.iter().any(|program| program.ends_with("/codex")), "{:?}", of_pod.programs);
        // The runner has been given its token; what it started, has not.
        let runners = |holder: &String| secret.name == "run token" && !holder.ends_with("/codex");
        let mut holders: Vec<String> = of_pod.holders.into_iter().filter(|holder| !runners(holder)).collect();
        for role in Victim::ALL {
            let pid = platform.pid(role).context("it is a process")?;
            // What a role has started is not the role.
            let mut others = canary::family(pid)?;
            others.retain(|other| *other != pid || !secret.owners.contains(&role));
            holders.extend(canary::in_processes(&others, &secret.text).holders);
        }
        wrong.extend(holders.into_iter().map(|holder| format!("{} in {holder}", secret.name)));
    }
    Ok(wrong)
}

/// Everything that the cluster says about the run, but for the one Secret with its token.
async fn in_cluster(world: &World, at_work: &AtWork, secrets: &[Known]) -> anyhow::Result<Vec<String>> {
    let all = ListParams::default();
    let namespace = &at_work.namespace;
    let client = || world.client.clone();
    let jobs = Api::<Job>::namespaced(client(), namespace).list(&all).await?;
    let pods = Api::<Pod>::namespaced(client(), namespace);
    let events = Api::<Event>::namespaced(client(), namespace).list(&all).await?;
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    texts.insert("Jobs".to_owned(), serde_json::to_string(&jobs.items)?);
    texts.insert("events".to_owned(), serde_json::to_string(&events.items)?);
    for pod in pods.list(&all).await?.items {
        let name = pod.metadata.name.clone().unwrap_or_default();
        texts.insert(format!("the pod {name}"), serde_json::to_string(&pod)?);
        for container in ["tools", "network", "agent"] {
            let of = LogParams { container: Some(container.to_owned()), ..LogParams::default() };
            if let Ok(log) = pods.logs(&name, &of).await {
                texts.insert(format!("the log of {name} {container}"), log);
            }
        }
    }
    assert!(texts["Jobs"].contains(&at_work.job.name()) && texts.len() > 4, "{:?}", texts.keys());
    let mut wrong = Vec::new();
    for secret in secrets {
        let holding = texts.iter().filter(|(_, text)| text.contains(&secret.text));
        wrong.extend(holding.map(|(place, _)| format!("{} in {place}", secret.name)));
    }
    for given in Api::<Secret>::namespaced(client(), namespace).list(&all).await?.items {
        let data: Vec<u8> = given.data.unwrap_or_default().into_values().flat_map(|value| value.0).collect();
        let text = String::from_utf8_lossy(&data).into_owned();
        let others = secrets.iter().filter(|secret| secret.name != "run token" && text.contains(&secret.text));
        wrong.extend(others.map(|secret| format!("{} in a Secret", secret.name)));
    }
    Ok(wrong)
}

/// Rows, the engine's histories, logs, bundles and work folders.
async fn kept(platform: &Platform, secrets: &[Known]) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for secret in secrets {
        let tables = store::testing::tables_with(platform.store(), &secret.text).await?;
        wrong.extend(tables.into_iter().map(|table| format!("{} in {table}", secret.name)));
        let files = canary::files_with(platform.folder(), &secret.text)?;
        let holding = files.holding.into_iter().filter(|path| {
            let own = secret.file.is_some_and(|file| path.ends_with(file));
            // What GitHub itself keeps of its users is its own.
            !own && !path.starts_with(platform.folder().join("forge"))
        });
        wrong.extend(holding.map(|path| format!("{} in {}", secret.name, path.display())));
    }
    Ok(wrong)
}

/// What GitHub shows to everybody.
fn on_github(platform: &Platform, issue: u64, secrets: &[Known]) -> anyhow::Result<Vec<String>> {
    let mut texts: Vec<String> =
        platform.forge.comments(REPOSITORY, issue)?.into_iter().map(|comment| comment.body).collect();
    for pull in platform.forge.pulls(REPOSITORY)? {
        texts.push(format!("{pull:?}"));
        texts.extend(platform.forge.comments(REPOSITORY, pull.number)?.into_iter().map(|comment| comment.body));
    }
    assert!(texts.len() > 1, "there is a comment, and a pull request: {texts:?}");
    let holding = |secret: &&Known| texts.iter().any(|text| text.contains(&secret.text));
    Ok(secrets.iter().filter(holding).map(|secret| format!("{} on GitHub", secret.name)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_with_their_owners_alone() -> anyhow::Result<()> {
    let world = World::new().await;
    let stage = scene::start().await?;
    let platform = &stage.platform;
    let at_work = AtWork::begin(&stage).await?;
    let secrets = known(platform, &at_work)?;
    // That it is found where it has to be shows that the search is one.
    assert!(canary::in_this_process(MODEL_KEY)?);
    let gateway = platform.pid(Victim::Gateway).context("it is a process")?;
    assert!(!canary::in_processes(&[gateway], WEBHOOK_SECRET).holders.is_empty());
    let mut wrong = in_processes(platform, &at_work, &secrets)?;
    wrong.extend(in_cluster(&world, &at_work, &secrets).await?);
    at_work.let_go(platform);
    platform.await_end(at_work.number).await?;

    let number = platform.open_issue("good-fix")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::PullRequestOpen), "{run:?}");
    wrong.extend(kept(platform, &secrets).await?);
    wrong.extend(on_github(platform, number, &secrets)?);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The same searches find what is there: the run in the engine's histories, the repository in rows.
    let histories = canary::files_with(platform.folder(), &run.id.to_string())?.holding;
    assert!(histories.iter().any(|path| path.to_string_lossy().contains("temporal.db")), "{histories:?}");
    assert!(!store::testing::tables_with(platform.store(), REPOSITORY).await?.is_empty());
    stage.finish().await
}
