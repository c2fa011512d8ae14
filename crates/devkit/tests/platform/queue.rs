//! More runs than slots: first come, first served, and the place is visible.

use domain::run::{Outcome, RunState, Step};

#[tokio::test(flavor = "multi_thread")]
async fn runs_wait_for_a_slot_in_order() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let mut issues = Vec::new();
    for _ in 0..3 {
        let number = platform.open_issue("no-change")?;
        platform.label(number, "run:dev")?;
        // The queue is in the order of asking for a slot, which comes after the look at the sender's rights.
        platform.await_run(number, "in the queue", |run| run.step >= Some(Step::Slot)).await?;
        issues.push(number);
    }
    let mut ended = Vec::new();
    for number in issues {
        let run = platform.await_end(number).await?;
        assert_eq!(run.outcome, Some(Outcome::NoChange), "{run:?}");
        assert_eq!(run.state, RunState::Finished);
        ended.push(run.started_at);
    }
    assert!(ended.is_sorted(), "{ended:?}");
    platform.finish().await
}
