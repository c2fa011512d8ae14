//! `codex-k8s project`: what is kept of a project as JSON Lines, and its deletion.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use gateway::staff_client::StaffClient;
use serde_json::{Value, json};
use url::Url;

use super::{
    EXITS, Gateway, exit,
    following::{Stand, follow},
    new_key,
    words::{plain, text},
};

/// `codex-k8s project …`
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    /// Print everything that is kept of a project, one thing a line as JSON: members, repositories, runs with attempts and steps,
    /// deliveries, audit. Prompts, logs, payloads and secrets are not in it.
    ///
    /// For those who administer the project; the token has to have the scope `admin`.
    #[command(after_help = EXITS)]
    Export(ExportArguments),
    /// Delete a project: its runs are cancelled, its repositories detached, their webhooks and credentials go. There is no way back.
    ///
    /// It says what it is about to do, asks for the short name once more, and then waits until nothing is left to be done. Ctrl-C ends
    /// the waiting alone; the same command takes it up again. For those who administer the project; the token has to have the scope
    /// `admin`.
    #[command(after_help = EXITS)]
    Delete(DeleteArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    #[command(flatten)]
    gateway: Gateway,
    /// Short name of the project.
    project: String,
    /// Write it into this file, which is there only once it is whole; else it is printed.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    #[command(flatten)]
    gateway: Gateway,
    /// Short name of the project.
    project: String,
    /// Why; stands in the audit, and in the comments of the runs that are cancelled.
    #[arg(long)]
    reason: String,
    /// The short name once more, for scripts; else it is asked for and read from standard input.
    #[arg(long, value_name = "PROJECT")]
    confirm: Option<String>,
}

pub(crate) async fn project(command: ProjectCommand) -> anyhow::Result<ExitCode> {
    match command {
        ProjectCommand::Export(arguments) => exit(export(&arguments).await),
        ProjectCommand::Delete(arguments) => exit(delete(&arguments).await),
    }
}

async fn export(arguments: &ExportArguments) -> anyhow::Result<ExitCode> {
    let client = arguments.gateway.client()?;
    let path = format!("{}/export", address(&arguments.project)?);
    let Some(to) = &arguments.to else {
        copy(&client, &path, &mut io::stdout().lock()).await?;
        return Ok(ExitCode::SUCCESS);
    };
    let unfinished = unfinished(to);
    let written = write(&client, &path, &unfinished).await;
    let lines = match written.and_then(|lines| Ok(fs::rename(&unfinished, to).map(|()| lines)?)) {
        Ok(lines) => lines,
        Err(error) => {
            // It may never have been made.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
    };
    let answer = json!({ "file": to, "lines": lines });
    arguments.gateway.tell(&answer, |_| format!("{lines} lines are in {}.", to.display()));
    Ok(ExitCode::SUCCESS)
}

/// Beside where it is to be.
fn unfinished(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

async fn write(client: &StaffClient, path: &str, file: &Path) -> anyhow::Result<usize> {
    // Addresses of people are in it.
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file);
    let mut file: File = opened.with_context(|| format!("write {}", file.display()))?;
    let lines = copy(client, path, &mut file).await?;
    file.sync_all()?;
    Ok(lines)
}

/// Passes an export on as it comes, and counts its lines.
async fn copy(client: &StaffClient, path: &str, to: &mut impl io::Write) -> anyhow::Result<usize> {
    let mut export = client.stream(path).await?;
    let mut lines = Lines::default();
    while let Some(piece) = export.next().await? {
        to.write_all(&piece).context("write the export")?;
        lines.take(&piece);
    }
    to.flush()?;
    ensure!(lines.whole, "the export was cut off: its last line is missing. Try again");
    Ok(lines.count)
}

/// The lines of an export, as far as they came.
#[derive(Default)]
struct Lines {
    open: Vec<u8>,
    count: usize,
    /// Whether the last one says that nothing is missing.
    whole: bool,
}

impl Lines {
    fn take(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.open.extend_from_slice(part);
            self.whole = false;
            if part.ends_with(b"\n") {
                self.count += 1;
                self.whole = serde_json::from_slice(&self.open).is_ok_and(|line: Value| line["kind"] == "end");
                self.open.clear();
            }
        }
    }
}

async fn delete(arguments: &DeleteArguments) -> anyhow::Result<ExitCode> {
    let client = arguments.gateway.client()?;
    let (slug, path) = (&arguments.project, address(&arguments.project)?);
    let project = client.get(&path).await?;
    if project["deletion"].is_null() {
        let mut of_project = Url::parse("http://gateway/api/v1/repositories")?;
        of_project.query_pairs_mut().append_pair("project", slug);
        let repositories =
            client.get(&format!("{}?{}", of_project.path(), of_project.query().unwrap_or_default())).await?;
        eprintln!("{}", plan(slug, &repositories));
        let name = confirmed(arguments.confirm.as_deref())?;
        let body = json!({ "name": name, "reason": arguments.reason });
        client.post(&format!("{path}/delete"), &body, &new_key()).await?;
        eprintln!("It has begun, and goes on by itself: Ctrl-C ends only the waiting.");
    } else {
        let (by, reason) = (text(&project, "/deletion/by"), text(&project, "/deletion/reason"));
        eprintln!("@{by} has had it deleted: {}", plain(reason));
    }
    let ended = follow(&client, &path, stand).await?;
    arguments.gateway.tell(&ended, |_| {
        format!("Project {slug} is deleted. What was done in it stays readable for those who run the platform.")
    });
    Ok(ExitCode::SUCCESS)
}

/// What is going to be done.
fn plan(slug: &str, repositories: &Value) -> String {
    let rows = repositories["items"].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let attached = rows.filter(|row| !row["detached_at"].is_string()).map(|row| plain(text(row, "/full_name")));
    let attached: Vec<String> = attached.collect();
    let detached = match attached.as_slice() {
        [] => "no repository is attached to it".to_owned(),
        names => format!("detached, with their webhooks and credentials: {}", names.join(", ")),
    };
    let slug = plain(slug);
    format!(
        "Project {slug} is about to be deleted. There is no way back.\n  - runs that are at work or wait are cancelled\n  - {detached}\n  \
         - what the cluster keeps for its Jobs goes\nWhat was done in it stays readable for those who run the platform; its name is not \
         free again.\nTo keep a copy, stop here: codex-k8s project export {slug} --to {slug}.jsonl"
    )
}

/// The short name once more, as it was given or is written now. Whether it is the right one the gateway judges.
fn confirmed(given: Option<&str>) -> anyhow::Result<String> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    eprint!("Write its short name to delete it: ");
    let mut line = String::new();
    io::stdin().read_line(&mut line).context("read the short name")?;
    ensure!(!line.trim().is_empty(), "nothing was deleted: its short name was not written");
    Ok(line.trim().to_owned())
}

fn stand(project: &Value) -> Stand {
    if project.pointer("/deletion/ended_at").is_some_and(Value::is_string) {
        return Stand::Ended;
    }
    Stand::GoesOn(text(project, "/deletion/waits_for").to_owned())
}

/// The address of a project; older names may hold anything.
fn address(slug: &str) -> anyhow::Result<String> {
    let mut url = Url::parse("http://gateway/api/v1/projects")?;
    if let Ok(mut parts) = url.path_segments_mut() {
        parts.push(slug);
    }
    Ok(url.path().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_whole_when_its_last_line_says_so() {
        let taken = |pieces: &[&str]| {
            let mut lines = Lines::default();
            pieces.iter().for_each(|piece| lines.take(piece.as_bytes()));
            (lines.count, lines.whole)
        };
        assert_eq!(taken(&["{\"kind\":\"project\"}\n{\"ki", "nd\":\"end\"}\n"]), (2, true));
        assert_eq!(taken(&["{\"kind\":\"end\"}\n", "{\"kind\":\"run\"}\n"]), (2, false));
        assert_eq!(taken(&["{\"kind\":\"end\"}\n{"]), (1, false));
        assert_eq!(taken(&["{\"kind\":\"end\"}"]), (0, false));
        assert_eq!(taken(&[]), (0, false));
    }

    #[test]
    fn what_is_about_to_be_done_is_said_beforehand() {
        let repositories = json!({ "items": [
            { "full_name": "acme/greeter", "detached_at": null }, { "full_name": "acme/old", "detached_at": "2026-11-26T12:00:00Z" },
        ] });
        let said = plan("demo", &repositories);
        assert!(said.contains("webhooks and credentials: acme/greeter\n") && !said.contains("acme/old"), "{said}");
        assert!(said.contains("runs that are at work or wait are cancelled") && said.contains("no way back"), "{said}");
        assert!(said.contains("codex-k8s project export demo --to demo.jsonl"), "{said}");
        assert!(plan("demo", &json!({ "items": [] })).contains("no repository is attached"));
    }

    #[test]
    fn a_name_leads_to_its_own_address_whatever_it_holds() {
        assert_eq!(address("demo").unwrap(), "/api/v1/projects/demo");
        assert_eq!(address("a/../b?c").unwrap(), "/api/v1/projects/a%2F..%2Fb%3Fc");
    }
}
