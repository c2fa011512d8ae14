//! A label and its cancel a moment apart, on two gateways: whichever is stored first, no run ignores its cancel.

use devkit::harness::Platform;
use domain::run::Outcome;

use crate::webhooks::Webhooks;

async fn race(platform: &Platform, gateways: [&str; 2], webhooks: &Webhooks, number: u64) -> anyhow::Result<()> {
    let (labeled, cancel) = (webhooks.labeled(number), webhooks.cancel_command(number));
    let turn = usize::from(number.is_multiple_of(2));
    let label = platform.deliver(gateways[turn], "issues", &labeled);
    let cancel = async {
        tokio::time::sleep(std::time::Duration::from_millis(number % 3)).await;
        platform.deliver(gateways[1 - turn], "issue_comment", &cancel).await
    };
    let (started, cancelled) = tokio::try_join!(label, cancel)?;
    assert!(started["run"].is_string(), "{started} {cancelled}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_run_ignores_a_cancel_that_comes_a_millisecond_after_its_label() -> anyhow::Result<()> {
    let rounds: u64 = if std::env::var_os("CODEX_K8S_TEST_FULL").is_some() { 500 } else { 40 };
    let mut platform = super::platform_with(1).await?;
    let second = platform.add_gateway().await?;
    let webhooks = Webhooks::of(&platform)?;
    let mut numbers = Vec::new();
    for _ in 0..rounds {
        numbers.push(platform.open_issue("endless-loop")?);
    }
    for batch in numbers.chunks(8) {
        let races = batch.iter().map(|number| race(&platform, [&platform.gateway_url, &second], &webhooks, *number));
        futures::future::try_join_all(races).await?;
    }
    for number in numbers {
        let run = platform.await_end(number).await?;
        assert_eq!(run.outcome, Some(Outcome::Cancelled), "{run:?}");
    }
    platform.finish().await
}
