//! `cargo dev demo`: labels an issue as a person would, and follows the run to its pull request.

mod follow;
mod maintainer;

use store::Store;

use crate::{
    console::say,
    layout::Layout,
    up::{State, UpError},
};

use self::{follow::follow, maintainer::Maintainer};

/// The seeded repository.
pub(crate) const OWNER: &str = "acme";
/// Its name.
pub(crate) const NAME: &str = "greeter";
/// The label that starts the agent.
const LABEL: &str = "run:dev";

/// Runs the demo. Returns whether it ended in a pull request.
///
/// # Errors
/// When the platform is not up or does not answer.
pub async fn demo(layout: &Layout) -> Result<bool, DemoError> {
    let state = State::read(&layout.state_file()).filter(|state| state.ready).ok_or(UpError::NotUp)?;
    let maintainer = Maintainer::of(&state)?;
    let store = Store::connect(&state.postgres_url, 1).await?;
    let issue = maintainer.fresh_issue().await?;
    say(format_args!("Issue #{}: {}\n  {}", issue.number, issue.title, issue.html_url));
    let asked_at = chrono::Utc::now();
    maintainer.label(issue.number).await?;
    say(format_args!("  ✓ maintainer     put the label `{LABEL}` on it\n"));
    let run = follow(&store, issue.number, asked_at).await?;
    let Some(number) = run.pr_number else {
        say("\nThe issue's comment says more. Other endings are one `[scenario:NAME]` in an issue's title away.");
        return Ok(false);
    };
    let pull = maintainer.pull_request(number).await?;
    say(format_args!("\nPull request #{number}: {}\n  {}", pull.title, pull.html_url));
    for status in maintainer.statuses(&pull.head.sha).await? {
        let about = status.description.unwrap_or_default();
        say(format_args!("  status {}: {} {about}", status.context, status.state));
    }
    let forge = state.forge_url.trim_end_matches('/');
    say("\nGet it and run its tests:");
    say(format_args!("  git clone --branch {} {forge}/{OWNER}/{NAME}.git", pull.head.branch));
    say(format_args!("  cd {NAME} && python3 -m unittest"));
    Ok(true)
}

/// Why the demo did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The platform is not there.
    #[error(transparent)]
    Up(#[from] UpError),
    /// The state file is of another platform.
    #[error("the state file knows no token of `maintainer`: start the platform anew with `cargo dev up`")]
    NoToken,
    /// The stand-in did not answer as it should.
    #[error("the stand-in for GitHub did not do it: {what}")]
    Forge {
        /// What was asked.
        what: &'static str,
        /// Why not.
        source: reqwest::Error,
    },
    /// The run cannot be read.
    #[error("the platform's database cannot be read")]
    Store(#[from] store::StoreError),
    /// The repository is not connected.
    #[error("{OWNER}/{NAME} is not connected to the platform: start it anew with `cargo dev up`")]
    NotConnected,
    /// Nothing happened.
    #[error("nothing came of the label for {seconds} s: look at `cargo dev status` and `cargo dev logs gateway`")]
    NoRun {
        /// How long we waited.
        seconds: u64,
    },
}
