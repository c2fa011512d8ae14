//! `codex-k8s repo detach --cancel-runs`: over the staff API, since runs are cancelled in somebody's name.

use std::process::ExitCode;

use gateway::staff_client::StaffClient;
use serde_json::{Value, json};

use super::{
    Gateway, REFUSED, exit,
    following::{Stand, follow},
    new_key,
    words::text,
};
use crate::INCOMPLETE;

/// Detaches a repository with its runs, and follows it to its end.
pub(crate) async fn detach_with_runs(gateway: &Gateway, repository: &str, reason: &str) -> anyhow::Result<ExitCode> {
    exit(detach(gateway, repository, reason).await)
}

async fn detach(gateway: &Gateway, repository: &str, reason: &str) -> anyhow::Result<ExitCode> {
    let client = gateway.client()?;
    let Some(id) = id_of(&client, repository).await? else {
        eprintln!("codex-k8s: {repository} is not connected, or you are no member of its project");
        return Ok(ExitCode::from(REFUSED));
    };
    let body = json!({ "reason": reason, "running": "cancel" });
    let begun = client.post(&format!("/api/v1/repositories/{id}/detach"), &body, &new_key()).await?;
    let path = format!("/api/v1/connections/{}", text(&begun, "/connection"));
    let ended = follow(&client, &path, stand).await?;
    gateway.tell(&ended, |ended| match text(ended, "/message") {
        "" => "It has ended.".to_owned(),
        message => message.to_owned(),
    });
    Ok(if text(&ended, "/state") == "done" { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

/// One that is attached comes before one of the same name that another project had.
async fn id_of(client: &StaffClient, repository: &str) -> anyhow::Result<Option<String>> {
    let all = client.get("/api/v1/repositories").await?;
    let named = |row: &&Value| text(row, "/full_name").eq_ignore_ascii_case(repository);
    let rows = all["items"].as_array().map(Vec::as_slice).unwrap_or_default().iter().filter(named);
    Ok(rows.min_by_key(|row| row["detached_at"].is_string()).map(|row| text(row, "/id").to_owned()))
}

fn stand(connection: &Value) -> Stand {
    match text(connection, "/state") {
        "done" | "failed" => Stand::Ended,
        _ => Stand::GoesOn(text(connection, "/message").to_owned()),
    }
}
