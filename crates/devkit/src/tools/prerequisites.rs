//! What must be on the machine before the devkit can install the rest.

use std::process::{Command, Stdio};

use super::ToolError;

/// Demands git, with its part that serves repositories over HTTP.
///
/// # Errors
/// When it is missing, with the command that installs it.
pub fn require_git() -> Result<(), ToolError> {
    require("git", &["--version"], "git", "sudo apt-get install git")
}

/// Demands Node with npm.
///
/// # Errors
/// When either is missing, with the command that installs it.
pub fn require_node() -> Result<(), ToolError> {
    let command = "sudo apt-get install nodejs npm";
    require("node", &["--version"], "Node 20", command)?;
    require("npm", &["--version"], "npm", command)
}

/// Demands Python with pip.
pub(super) fn require_pip() -> Result<(), ToolError> {
    require("python3", &["--version"], "Python 3", "sudo apt-get install python3 python3-pip")?;
    require("python3", &["-m", "pip", "--version"], "pip", "sudo apt-get install python3-pip")
}

/// Demands Go, for the checkers that are built from Go modules.
pub(super) fn require_go() -> Result<(), ToolError> {
    require(
        "go",
        &["version"],
        "Go 1.25, which builds the checkers of workflow files and manifests,",
        "sudo apt-get install golang-go",
    )
}

/// Demands the programs that get and unpack packages of Debian or Ubuntu.
pub(super) fn require_deb() -> Result<(), ToolError> {
    let what = "apt-get and dpkg, which come with Debian and Ubuntu,";
    require("apt-get", &["--version"], what, "use a Debian or Ubuntu system")?;
    require("dpkg", &["--version"], what, "use a Debian or Ubuntu system")
}

fn require(program: &str, arguments: &[&str], what: &'static str, command: &'static str) -> Result<(), ToolError> {
    let works = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if works { Ok(()) } else { Err(ToolError::Prerequisite { what, command }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_command_that_installs_it() {
        let error = require("no-such-program-here", &[], "thing", "get thing").unwrap_err();
        assert_eq!(error.to_string(), "thing is missing; install it with: get thing");
    }
}
