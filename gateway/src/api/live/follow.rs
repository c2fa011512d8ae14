//! `GET /api/v1/live`

use std::{convert::Infallible, fmt::Write, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{ids::RunId, people::ProjectRole, sentences};
use futures::{Stream, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use store::live::{self, Horizon};
use utoipa::IntoParams;

use super::super::{body::Asked, runs::found};
use crate::{
    app::AppState,
    auth::Caller,
    live::{Live, Open, Over, Told, TooMany, Topic, Watcher, look},
    problem::Problem,
};

/// A stream says at least this often that it is alive.
const TICK: Duration = Duration::from_secs(5);

/// Changes are kept for an hour; who was away for longer than this loads everything again.
const RESUME: TimeDelta = TimeDelta::minutes(50);

/// What a page is about, and where its last stream ended.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct LiveQuery {
    /// One run and its log; everything that you see unless it is named.
    run: Option<RunId>,
    /// The last id of an earlier stream, for who can't send it as `Last-Event-ID`.
    after: Option<String>,
}

/// Learn at once what has changed
///
/// Server-sent events. `ready` begins: load what you show. `runs` names runs that have changed (`{"runs": […]}`), `log` how far
/// the log of the run's newest attempt is (`{"attempt": 1, "next": 42}`), `deliveries` that something came in; ask for it.
/// `reload`: more has changed than is named, load again what you show. `tick`: all is well. `over` is the last one, with a `why`:
/// `token` (open it again with a new one), `signed_out`, `unseen` or `restart`. Send the last `id` as `Last-Event-ID` to
/// miss nothing; then `ready` does not come unless you were away for too long.
#[utoipa::path(
    get, path = "/api/v1/live", tag = "live", params(LiveQuery),
    responses((status = 200, description = "What changes, as it does.", body = String, content_type = "text/event-stream"))
)]
pub(in crate::api) async fn follow_live(
    caller: Caller,
    headers: HeaderMap,
    Asked(query): Asked<LiveQuery>,
) -> Result<Response, Problem> {
    let given = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let from = match given.or(query.after).filter(|id| !id.is_empty()) {
        Some(id) => Some(read_id(&id)?),
        None => None,
    };
    let topic = match query.run {
        Some(run) => Topic::Run(run, found(&caller, run, ProjectRole::Read).await?.0.project_id),
        None => Topic::Everything,
    };
    let person = caller.person().id;
    let sight = live::sights(&mut *caller.store().acquire().await?, &[person]).await?.pop();
    let sees = look::sees(sight.ok_or_else(locked_out)?);
    let watcher = Watcher::new(topic, (person, caller.via().clone()), sees);
    let open = Live::open(caller.app(), watcher).map_err(too_many)?;
    begin(&caller, &open, from).await?;
    let mut answer = Body::from_stream(events(open, caller.app().clone())).into_response();
    let fixed = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // Proxies hold back what they think is short.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    for (name, value) in fixed {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(answer)
}

/// What was missed since the last stream; without one, that the page is to load what it shows. The stream is open already, so
/// that nothing falls between.
async fn begin(caller: &Caller, open: &Open, from: Option<(Horizon, DateTime<Utc>)>) -> Result<(), Problem> {
    let mut conn = caller.store().acquire().await?;
    let Some((horizon, _)) = from.filter(|(_, at)| caller.now() - *at < RESUME) else {
        let horizon = live::horizon(&mut conn).await?;
        caller.app().live().begin_at(horizon);
        open.watcher.reached(horizon);
        open.watcher.tell(|told| told.ready = true);
        return Ok(());
    };
    let missed = live::since(&mut conn, horizon, look::MOST_CHANGES).await?;
    let whole = missed.changes.len() < look::MOST_CHANGES as usize;
    let wanted: Vec<RunId> = missed
        .changes
        .into_iter()
        .filter(|change| open.watcher.wants(change.run, change.project))
        .map(|change| change.run)
        .collect();
    caller.app().live().begin_at(missed.horizon);
    open.watcher.reached(missed.horizon);
    open.watcher.tell(|told| {
        told.runs.extend(wanted);
        told.reload |= !whole;
        // Which deliveries came meanwhile is not kept.
        told.deliveries = open.watcher.run().is_none();
    });
    Ok(())
}

fn locked_out() -> Problem {
    Problem::unauthorised("person_disabled", sentences::locked_out())
}

fn too_many(why: TooMany) -> Problem {
    match why {
        TooMany::Yours => Problem::new(StatusCode::TOO_MANY_REQUESTS, "streams_too_many", sentences::too_many_pages()),
        TooMany::Everybodys => Problem::unavailable("streams_too_many", sentences::too_many_pages_here(), 30),
    }
}

/// An id is how far the page was told, and when.
fn id(horizon: Horizon, now: DateTime<Utc>) -> String {
    format!("{horizon}-{}", now.timestamp())
}

fn read_id(text: &str) -> Result<(Horizon, DateTime<Utc>), Problem> {
    let parts = text.split_once('-').and_then(|(horizon, at)| {
        // Numbers of transactions are kept as 64 bits with a sign in between.
        let horizon = horizon.parse().ok().filter(|horizon| i64::try_from(*horizon).is_ok())?;
        Some((Horizon(horizon), DateTime::from_timestamp(at.parse().ok()?, 0)?))
    });
    parts.ok_or_else(|| {
        Problem::bad_request("last_event_invalid", "begin without `Last-Event-ID`: no stream gave this one")
    })
}

/// What is told, as it comes. Nothing is taken from the watcher until the reader has taken what was before.
fn events(open: Open, app: AppState) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold(Some((open, app)), |at_work| async {
        let (open, app) = at_work?;
        loop {
            let told = open.watcher.take();
            if told.over.is_some() {
                return Some((Ok(written(&told, &app)), None));
            }
            if told.is_news() {
                return Some((Ok(written(&told, &app)), Some((open, app))));
            }
            let horizon = told.horizon;
            if let Some(horizon) = horizon {
                open.watcher.reached(horizon);
            }
            let until = (open.watcher.until() - app.now()).to_std().unwrap_or_default();
            tokio::select! {
                () = open.watcher.ready() => {}
                () = tokio::time::sleep(TICK.min(until)) => {
                    if open.watcher.until() <= app.now() {
                        open.watcher.end(Over::Token);
                    } else if app.live().is_fresh() {
                        let tick = Told { horizon, ..Told::default() };
                        return Some((Ok(written(&tick, &app)), Some((open, app))));
                    }
                }
            }
        }
    })
}

fn written(told: &Told, app: &AppState) -> Bytes {
    let mut text = String::new();
    // The id comes with the last word: who is cut off before it is told everything again.
    let mut words: Vec<(&str, serde_json::Value)> = Vec::new();
    if told.ready {
        words.push(("ready", serde_json::json!({})));
    }
    if told.reload {
        words.push(("reload", serde_json::json!({})));
    }
    if !told.runs.is_empty() {
        words.push(("runs", serde_json::json!({ "runs": told.runs })));
    }
    if let Some((attempt, next)) = told.log {
        words.push(("log", serde_json::json!({ "attempt": attempt, "next": next })));
    }
    if told.deliveries {
        words.push(("deliveries", serde_json::json!({})));
    }
    if let Some(over) = told.over {
        words.push(("over", serde_json::json!({ "why": over.word() })));
    }
    if words.is_empty() {
        words.push(("tick", serde_json::json!({})));
    }
    let last = words.len() - 1;
    for (at, (word, data)) in words.iter().enumerate() {
        if let Some(horizon) = told.horizon.filter(|_| at == last) {
            let _ = writeln!(text, "id: {}", id(horizon, app.now()));
        }
        let _ = write!(text, "event: {word}\ndata: {data}\n\n");
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_as_it_was_given() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert_eq!(read_id(&id(Horizon(77), now)).unwrap(), (Horizon(77), now));
        for wrong in [
            "",
            "7",
            "-",
            "x-1",
            "1-x",
            "-1-1",
            "99999999999999999999-1",
            "18446744073709551615-1",
            "1-99999999999999999",
        ] {
            assert_eq!(read_id(wrong).unwrap_err().code, "last_event_invalid", "{wrong}");
        }
    }
}
