//! `cargo dev status`.

use clap::ValueEnum;

use super::{Role, State, UpError, lock::UpLock, people::PEOPLE};
use crate::{console::say, layout::Layout, processes::is_alive};

/// Shows what runs and where.
///
/// # Errors
/// When nothing runs.
pub fn status(layout: &Layout) -> Result<(), UpError> {
    let holder = UpLock::holder(layout)?.ok_or(UpError::NotUp)?;
    say(format_args!("Up since {} (process {}).\n", holder.since, holder.pid));
    let Some(state) = State::read(&layout.state_file()) else {
        say("It is just starting.");
        return Ok(());
    };
    for role in Role::value_variants() {
        let line = match state.pids.get(role) {
            Some(pid) if is_alive(*pid) => format!("runs as process {pid}"),
            Some(pid) => format!("process {pid} has ended"),
            None => "does not run".to_owned(),
        };
        say(format_args!("  {:<14} {line}", role.name()));
    }
    say(format_args!("\n  console        {}", state.console_url));
    say(format_args!("  gateway        {}", state.gateway_url));
    say(format_args!("  GitHub         {}", state.forge_url));
    say(format_args!("  Temporal's UI  {}", state.temporal_ui_url));
    if let Some(kubeconfig) = &state.kubeconfig {
        say(format_args!("  Jobs           in the cluster of KUBECONFIG={}", kubeconfig.display()));
    }
    let logins = PEOPLE.map(|person| person.login).join(", ");
    say(format_args!("\nSign in to the console as one of: {logins} (the first is the owner)."));
    Ok(())
}
