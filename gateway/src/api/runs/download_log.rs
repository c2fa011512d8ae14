//! `GET /api/v1/runs/{run}/attempts/{attempt}/log/download`

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chrono::SecondsFormat;
use domain::{
    ids::{Attempt, RunId},
    log_lines::{LogLine, LogReader, plain},
    people::ProjectRole,
};
use futures::{TryStreamExt, stream};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE},
};
use store::log_archives;

use super::{super::body::At, of_attempt};
use crate::{auth::Caller, problem::Problem};

/// Bytes that are put together before they go.
const PIECE: usize = 64 * 1024;

/// The whole log as a file, without what only colours a screen
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/attempts/{attempt}/log/download", tag = "runs",
    params(("run" = RunId, Path, description = "Which."), ("attempt" = u32, Path, description = "Its number.")),
    responses((status = 200, description = "A line: time, stream, text.", body = String, content_type = "text/plain"))
)]
pub(in crate::api) async fn download_log(
    caller: Caller,
    At((id, attempt)): At<(RunId, u32)>,
) -> Result<Response, Problem> {
    of_attempt(&caller, id, attempt, ProjectRole::Read).await?;
    let chunks = log_archives::read(caller.store(), caller.app().blobs(), id, Attempt(attempt), 0).await?;
    let pieces = stream::try_unfold((chunks, Some(LogReader::default())), |(mut chunks, reader)| async move {
        let Some(mut reader) = reader else { return Ok(None) };
        let mut text = String::new();
        while text.len() < PIECE {
            let Some(chunk) = chunks.try_next().await? else {
                reader.finish().iter().for_each(|line| write(&mut text, line));
                return Ok::<_, store::StoreError>(Some((Bytes::from(text), (chunks, None))));
            };
            reader.push(&chunk).iter().for_each(|line| write(&mut text, line));
        }
        Ok(Some((Bytes::from(text), (chunks, Some(reader)))))
    });
    let mut answer = Body::from_stream(pieces).into_response();
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let name = format!("attachment; filename=\"{id}-{attempt}.log\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(answer)
}

fn write(text: &mut String, line: &LogLine) {
    text.push_str(&line.at.to_rfc3339_opts(SecondsFormat::Millis, true));
    text.push(' ');
    text.push_str(line.stream.as_str());
    text.push_str(" | ");
    text.push_str(&plain(&line.text));
    text.push('\n');
}
