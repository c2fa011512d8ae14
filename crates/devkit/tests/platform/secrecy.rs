//! What an agent can't get at, though it runs on the same machine and as the same user as the runner.

use domain::job::LogStream;

#[tokio::test(flavor = "multi_thread")]
async fn the_run_token_is_out_of_the_agents_reach() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let number = platform.open_issue("seek-token")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_end(number).await?;
    let seen = platform.output(&run, LogStream::Codex).await?;
    // That Codex's own token is found shows that the search is one.
    assert!(seen.contains("run tokens: 0\\nmodel tokens: ") && !seen.contains("model tokens: 0"), "{seen}");
    assert!(seen.contains("runners: True open: False"), "{seen}");
    platform.finish().await
}
