//! What others build on, seen with a plain GitHub client that knows nothing of this project: octocrab, as it comes.

use devkit::harness::REPOSITORY;
use octocrab::{Octocrab, models::StatusState, params};

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_client_finds_everything_by_its_documented_name() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let token = platform.forge.token("maintainer").unwrap_or_default();
    let client = Octocrab::builder().base_uri(platform.forge.url())?.personal_token(token).build()?;
    let (owner, name) = REPOSITORY.split_once('/').unwrap_or_default();
    let issues = client.issues(owner, name);
    issues.add_labels(1, &["run:dev".to_owned()]).await?;

    // The state label, one at a time.
    platform
        .await_that("the label codex:done", async || {
            let labels = issues.list_labels_for_issue(1).send().await?.items;
            let states: Vec<_> =
                labels.iter().map(|label| &*label.name).filter(|name| name.starts_with("codex:")).collect();
            assert!(states.len() <= 1, "{states:?}");
            Ok((states == ["codex:done"]).then_some(()))
        })
        .await?;
    // Label, comment and status are written one after the other.
    platform.await_agreement(1).await?;

    // The pull request, from a branch of the documented name.
    let pulls = client.pulls(owner, name).list().state(params::State::Open).send().await?.items;
    let [pull] = pulls.as_slice() else { panic!("{pulls:?}") };
    assert!(pull.head.ref_field.starts_with("codex/1-names-with-spaces"), "{}", pull.head.ref_field);
    assert_eq!(pull.base.ref_field, "main");

    // The sticky comment, by its marker, which names the run.
    let comments = issues.list_comments(1).send().await?.items;
    let markers: Vec<_> = comments
        .iter()
        .filter_map(|comment| comment.body.as_deref())
        .filter_map(|body| body.split_once("<!-- codex-k8s:run:")?.1.split_once(" -->"))
        .collect();
    let [(run, text)] = markers.as_slice() else { panic!("{comments:?}") };
    assert!(text.contains(&format!("#{}", pull.number)), "{text}");
    let row = platform.run_of(1).await?;
    assert_eq!(row.map(|row| row.id.to_string()).as_deref(), Some(*run));

    // The commit status on the head of the branch, and the trailer of the commit.
    let repository = client.repos(owner, name);
    let branch = params::repos::Reference::Branch(pull.head.ref_field.clone());
    let combined = repository.combined_status_for_ref(&branch).await?;
    assert_eq!(combined.sha, pull.head.sha);
    let ours = combined.statuses.iter().find(|status| status.context.as_deref() == Some("codex-k8s/run"));
    assert_eq!(ours.map(|status| status.state), Some(StatusState::Success), "{combined:?}");
    let commits = repository.list_commits().sha(&pull.head.sha).send().await?.items;
    let message = commits.first().map(|commit| commit.commit.message.clone()).unwrap_or_default();
    assert!(message.ends_with(&format!("Codex-Run: {run}")), "{message}");
    platform.finish().await
}
