//! Checks that cargo and its companions make.

use std::process::Command;

use super::{CheckError, demand};
use crate::{layout::Layout, tools};

pub(super) fn fmt(layout: &Layout, fix: bool) -> Result<(), CheckError> {
    let mut command = Command::new("cargo");
    command.args(["fmt", "--all"]);
    if !fix {
        command.args(["--", "--check"]);
    }
    demand(layout, &mut command, "put it right with `cargo fmt --all`")
}

pub(super) fn clippy(layout: &Layout) -> Result<(), CheckError> {
    demand(
        layout,
        Command::new("cargo")
            .args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
            .env("SQLX_OFFLINE", "true")
            .env_remove("DATABASE_URL"),
        "some of it goes away with `cargo clippy --fix --workspace --all-targets`",
    )
}

pub(super) fn deny(layout: &Layout, advisories: bool) -> Result<(), CheckError> {
    let mut command = Command::new(tools::cargo_deny(&layout.cache)?);
    command.args(["--log-level", "error", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
    if advisories {
        command.arg("advisories");
    }
    demand(layout, &mut command, "change the dependency, or deny.toml with a reason")
}
