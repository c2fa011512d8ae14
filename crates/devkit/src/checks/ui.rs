//! The console: its form, its types, its unit tests, its weight, and that it speaks the API as described.

use std::{fs, process::Command};

use super::{CheckError, demand_in};
use crate::{console::say, file_error::FileError, layout::Layout, staff_console::Workshop};

/// Types that are written from the description of the staff API.
const TYPES: &str = "src/api/schema.d.ts";

pub(super) fn ui(layout: &Layout, fix: bool) -> Result<(), CheckError> {
    let workshop = Workshop::open(layout)?;
    api_types(layout, &workshop, fix)?;
    let run = |program: &str, arguments: &[&str], remedy: &'static str| {
        let mut command = workshop.command(program);
        command.args(arguments);
        demand_in(&workshop.path(), &mut command, remedy)
    };
    run("eslint", &["--max-warnings=0", "."], "the lines above say what eslint wants")?;
    run("vue-tsc", &["--noEmit"], "the lines above say which types do not fit")?;
    run("vitest", &["run", "--reporter=dot"], "a unit test of the console fails")?;
    run("vite", &["build", "--logLevel", "warn"], "the console can't be built")?;
    let mut budget = Command::new("node");
    budget.arg("scripts/budget.mjs");
    demand_in(&workshop.path(), &mut budget, "load what is not needed at once with import()")
}

/// Writes the types anew, and compares or keeps them.
fn api_types(layout: &Layout, workshop: &Workshop, fix: bool) -> Result<(), CheckError> {
    let fresh = workshop.path().join("fresh.d.ts");
    let mut command = workshop.command("openapi-typescript");
    command.args(["../docs/openapi.json", "--output", "fresh.d.ts"]).stdout(std::process::Stdio::null());
    demand_in(&workshop.path(), &mut command, "docs/openapi.json can't be read")?;
    let read = |path: &std::path::Path| fs::read(path).map_err(FileError::of("read", path));
    let (stored, wanted) = (layout.tree.join("ui").join(TYPES), read(&fresh)?);
    fs::remove_file(&fresh).map_err(FileError::of("remove", &fresh))?;
    if read(&stored).is_ok_and(|content| content == wanted) {
        return Ok(());
    }
    if !fix {
        return Err(CheckError::Bad { remedy: "ui/src/api/schema.d.ts is stale: `cargo dev check ui --fix`" });
    }
    say(format_args!("    ui/{TYPES} is written anew"));
    for path in [stored, workshop.path().join(TYPES)] {
        fs::write(&path, &wanted).map_err(FileError::of("write", path))?;
    }
    Ok(())
}
