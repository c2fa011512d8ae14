//! Who may not, gets no agent.

use devkit::harness::REPOSITORY;
use domain::run::{Outcome, Step};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_by_an_outsider_is_refused_before_anything_is_cloned() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    platform.forge.comment("outsider", REPOSITORY, 1, "/run dev please")?;
    let run = platform.await_end(1).await?;
    assert_eq!((run.outcome, run.step), (Some(Outcome::Refused), Some(Step::Authorise)), "{run:?}");
    assert!(run.cause.as_deref().is_some_and(|cause| cause.contains("outsider")), "{:?}", run.cause);
    assert_eq!(platform.model.requests().len(), 0);
    platform.finish().await
}
