//! `GET /api/v1/runs/{run}/attempts/{attempt}/log/search`

use axum::Json;
use domain::{
    ids::{Attempt, RunId},
    log_lines::{LogLine, LogReader, plain},
    people::ProjectRole,
    sentences,
};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use store::log_archives;
use utoipa::{IntoParams, ToSchema};

use super::{
    super::body::{Asked, At},
    of_attempt,
};
use crate::{auth::Caller, problem::Problem};

/// Longest text that is looked for.
const MAX_TEXT: usize = 200;

/// Lines that are named; the count goes on.
const MAX_LINES: usize = 5_000;

/// What to look for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct SearchQuery {
    /// The text. Case does not matter unless a capital is asked for.
    q: String,
}

/// Where a text stands in a log.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Found {
    /// How often, in the whole log.
    count: u64,
    /// On which lines, in order; the first 5000.
    lines: Vec<FoundLine>,
    /// How many lines the log has.
    searched: u64,
}

/// A line that has the text.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct FoundLine {
    /// Its number, from 1.
    line: u64,
    /// How often it stands there.
    hits: u32,
}

/// Search the whole log
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/attempts/{attempt}/log/search", tag = "runs",
    params(("run" = RunId, Path, description = "Which."), ("attempt" = u32, Path, description = "Its number."), SearchQuery),
    responses((status = 200, description = "Every place.", body = Found))
)]
pub(in crate::api) async fn search_log(
    caller: Caller,
    At((id, attempt)): At<(RunId, u32)>,
    Asked(query): Asked<SearchQuery>,
) -> Result<Json<Found>, Problem> {
    of_attempt(&caller, id, attempt, ProjectRole::Read).await?;
    if query.q.is_empty() || query.q.chars().count() > MAX_TEXT {
        return Err(Problem::bad_request("q_invalid", sentences::search_text_length(MAX_TEXT)));
    }
    let mut search = Search::new(&query.q);
    let mut reader = LogReader::default();
    let mut chunks = log_archives::read(caller.store(), caller.app().blobs(), id, Attempt(attempt), 0).await?;
    while let Some(chunk) = chunks.try_next().await? {
        reader.push(&chunk).iter().for_each(|line| search.look(line));
    }
    reader.finish().iter().for_each(|line| search.look(line));
    Ok(Json(search.found))
}

struct Search {
    wanted: String,
    exact: bool,
    found: Found,
}

impl Search {
    fn new(wanted: &str) -> Self {
        let exact = wanted != wanted.to_lowercase();
        Self { wanted: wanted.to_owned(), exact, found: Found { count: 0, lines: Vec::new(), searched: 0 } }
    }

    fn look(&mut self, line: &LogLine) {
        self.found.searched = line.number;
        let text = plain(&line.text);
        let text = if self.exact { text } else { text.to_lowercase() };
        let hits = u32::try_from(text.matches(&self.wanted).count()).unwrap_or(u32::MAX);
        self.found.count += u64::from(hits);
        if hits > 0 && self.found.lines.len() < MAX_LINES {
            self.found.lines.push(FoundLine { line: line.number, hits });
        }
    }
}
