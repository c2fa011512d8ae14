//! The agents that do not end in a pull request; and versions of agents.

use chrono::{TimeDelta, Utc};
use devkit::{
    github::Knob,
    harness::{Platform, REPOSITORY},
};
use domain::{
    commands::RetryFrom,
    event::{Sender, SubjectKind},
    ids::Attempt,
    run::{Outcome, Step},
    triggers::VerdictKind,
};
use ingest::by_hand::{self, Asker};
use store::{
    agent_versions,
    attempts::{self, AttemptRecord},
    attention::{self, HeldDelivery, Looking},
    runs::Run,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_planner_answers_with_a_comment() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("plan")?;
    platform.label(number, "run:planner")?;
    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::AnswerPosted), "{run:?}");
    assert!(platform.forge.pulls(REPOSITORY)?.is_empty());
    let marker = domain::run::answer_marker(run.id);
    let answers = platform.forge.comments(REPOSITORY, number)?;
    assert_eq!(answers.iter().filter(|comment| comment.body.contains(&marker)).count(), 1, "{answers:?}");
    platform.finish().await
}

/// What stands on the home screen because two agents were asked for, for those who run the platform.
async fn quarrels(platform: &Platform) -> anyhow::Result<Vec<HeldDelivery>> {
    let now = Utc::now();
    let looking = Looking { seen_by: None, since: now - TimeDelta::hours(1), now };
    let held = attention::held_deliveries(&mut *platform.store().acquire().await?, looking).await?;
    Ok(held.into_iter().filter(|held| held.verdict == VerdictKind::TwoAgentLabels).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_for_two_agents_at_once_start_neither_until_one_is_chosen() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("good-fix")?;
    let (dev, docs) = ("run:dev", "run:docs");
    platform.forge.label_issue_with("maintainer", REPOSITORY, number, &[dev, docs])?;
    let both = async || Ok(Some(quarrels(&platform).await?).filter(|held| held.len() == 2));
    let held = platform.await_that("both labels refused", both).await?;
    // One delivery for each label, and each says which label it is about.
    let mut reasons: Vec<_> = held.iter().map(|held| held.reason.as_str()).collect();
    reasons.sort_unstable();
    let reason =
        |one, other| format!("labels `{one}` and `{other}` ask for two agents at once; take both off, then put one on");
    assert_eq!(reasons, [reason(dev, docs), reason(docs, dev)]);
    assert!(platform.run_of(number).await?.is_none());
    assert_eq!(platform.model.requests().len(), 0);

    for label in [dev, docs] {
        platform.forge.remove_label("maintainer", REPOSITORY, number, label)?;
    }
    // Put on within the second in which it was taken off it would count as taken off.
    platform.forge.knob(Knob::AdvanceClock { seconds: 2 }).await?;
    platform.label(number, dev)?;
    let run = platform.await_end(number).await?;
    assert_eq!((run.agent.as_str(), run.outcome), ("dev", Some(Outcome::PullRequestOpen)), "{run:?}");
    assert!(quarrels(&platform).await?.is_empty(), "nobody needs to look any more");
    platform.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_posts_one_review() -> anyhow::Result<()> {
    review_is_posted(super::platform_with(1).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_posts_one_review() -> anyhow::Result<()> {
    review_is_posted(super::platform_as_app(1).await?).await
}

async fn review_is_posted(platform: Platform) -> anyhow::Result<()> {
    platform.forge.commit("writer", REPOSITORY, "main", &[("NOTES.md", Some("Notes.\n"))]).await?;
    let change = [("greeter/extra.py", Some("WORD = 'hello'\n"))];
    platform.forge.commit("writer", REPOSITORY, "topic", &change).await?;
    let pull = platform.forge.open_pull("writer", REPOSITORY, "topic", "Add a word [scenario:review]").await?;
    platform.label(pull.number, "need:reviewer")?;
    let run = platform
        .await_run_about(SubjectKind::PullRequest, pull.number, "finished", |run| run.outcome.is_some())
        .await?;
    assert_eq!(run.outcome, Some(Outcome::ReviewPosted), "{run:?}");
    assert_eq!(platform.forge.reviews(REPOSITORY, pull.number)?.len(), 1);
    platform.finish().await
}

/// What `services.yaml` says from now on; waits until a worker has read it.
async fn tell_dev(platform: &Platform, words: &str, version: u32) -> anyhow::Result<()> {
    let yaml = format!("version: 1\nagents:\n  dev: {{prompt: {words}}}\n");
    platform.forge.commit("writer", REPOSITORY, "main", &[("services.yaml", Some(&yaml))]).await?;
    platform
        .await_that("the new version is known", async || {
            let mut conn = platform.store().acquire().await?;
            let newest = agent_versions::list(&mut conn, platform.repository.id, &"dev".parse()?, 1).await?;
            Ok(newest.first().is_some_and(|newest| newest.version == version).then_some(()))
        })
        .await
}

async fn attempt(platform: &Platform, run: &Run, number: u32) -> anyhow::Result<AttemptRecord> {
    Ok(attempts::get(&mut *platform.store().acquire().await?, run.id, Attempt(number)).await?)
}

fn words_of(attempt: &AttemptRecord) -> [bool; 2] {
    let prompt = attempt.prompt.as_deref().unwrap_or_default();
    ["Use-tabs.", "Use-spaces."].map(|words| prompt.contains(words))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_never_changes_a_run_that_has_begun() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    tell_dev(&platform, "Use-tabs.", 2).await?;
    let number = platform.open_issue("slow")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    tell_dev(&platform, "Use-spaces.", 3).await?;
    let ended = platform.await_end(number).await?;
    assert_eq!(ended.outcome, Some(Outcome::PullRequestOpen), "{ended:?}");
    let first = attempt(&platform, &run, 1).await?;
    assert_eq!((first.agent_version, words_of(&first)), (Some(2), [true, false]));

    // From a later step it goes on with what it was told; from the start it is told anew.
    let maintainer = platform.forge.user("maintainer")?;
    let by = Sender { id: i64::try_from(maintainer.id)?, login: maintainer.login, is_bot: false };
    for (place, from, version, words) in
        [(2, RetryFrom::Step(Step::Launch), 2, [true, false]), (3, RetryFrom::Start, 3, [false, true])]
    {
        let asker = Asker { by: &by, reason: None, instance: &platform.instance, now: chrono::Utc::now() };
        let mut tx = platform.store().begin().await?;
        let followed = by_hand::retry(&mut tx, run.id, (from, &format!("again-{place}")), asker).await?;
        tx.commit().await?;
        assert_eq!(followed.run, run.id);
        platform.await_run(number, "tried again", |run| run.attempt == Attempt(place) && run.outcome.is_some()).await?;
        let next = attempt(&platform, &run, place).await?;
        assert_eq!((next.agent_version, words_of(&next)), (Some(version), words), "attempt {place}");
    }
    platform.finish().await
}
