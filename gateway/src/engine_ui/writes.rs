//! A write through the engine's UI: signed with the person's name, written down before it is sent, and its end after.

use bytes::Bytes;
use domain::workflow_id;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Map, Value, json};
use store::{StoreError, operator_grants, runs};
use uuid::Uuid;

use super::{
    Passed, Read,
    calls::{Asked, Kind, Signature},
    signature::{Signed, sign},
    upstream::{Sent, Upstream, whole},
};
use crate::{
    auth::{Caller, DoneTo},
    problem::Problem,
};

/// Longest text of a request that stands in the audit.
const MAX_TEXT: usize = 500;

/// Most workflows of one write that stand in the audit.
const MAX_WORKFLOWS: usize = 100;

/// A write, with what it is about.
pub(super) struct Write {
    id: Uuid,
    method: Method,
    headers: HeaderMap,
    signed: Signed,
    about: Option<DoneTo>,
    detail: Map<String, Value>,
}

/// Lets a write through of who holds the grant for it.
///
/// # Errors
/// 403 for everybody else.
pub(super) async fn allowed(caller: &Caller) -> Result<(), Problem> {
    let grant = operator_grants::of(&mut *caller.store().acquire().await?, caller.person().id).await?;
    grant.map(drop).ok_or_else(|| {
        let detail = "you may look at everything here, and change nothing: an owner can give you the operator grant on the \
                      page of people";
        Problem::new(StatusCode::FORBIDDEN, "operator_grant_missing", detail)
    })
}

impl Write {
    /// Reads a write; `asked` is none for one that nobody knows.
    ///
    /// # Errors
    /// 400 if its body can't be signed.
    pub(super) async fn read(
        caller: &Caller,
        asked: Option<&Asked<'_>>,
        (method, uri, headers): (Method, &Uri, HeaderMap),
        body: Bytes,
    ) -> Result<Self, Problem> {
        let signature = match asked.map(|asked| asked.call.kind) {
            Some(Kind::Write(signature)) => signature,
            _ => Signature::None,
        };
        let signed = sign(signature, &method, (uri, body), caller.actor())?;
        let id = Uuid::now_v7();
        let workflow = asked.and_then(|asked| asked.named("workflow_id"));
        let about = match workflow.and_then(workflow_id::attempt_of) {
            Some((run, _)) => runs::find(&mut *caller.store().acquire().await?, run).await?,
            None => None,
        };
        let about = about.map(|run| DoneTo::Run(run.id));
        let mut detail = Map::new();
        detail.insert("write".into(), id.to_string().into());
        detail.insert("call".into(), asked.map_or(Value::Null, |asked| asked.call.name.into()));
        for (name, value) in asked.into_iter().flat_map(|asked| &asked.named) {
            detail.insert(name.rsplit('.').next().unwrap_or(name).to_owned(), cut(value));
        }
        if asked.is_none() {
            detail.insert("method".into(), method.as_str().into());
            detail.insert("path".into(), cut(uri.path()));
        }
        detail.extend(particulars(&signed.said));
        Ok(Self { id, method, headers, signed, about, detail })
    }

    /// Writes it down, sends it, and writes down what became of it: even if the person is gone by then.
    ///
    /// # Errors
    /// 503 if it can't be written down, and was not sent; those of [`Upstream::send`].
    pub(super) async fn send(self, caller: Caller, upstream: Upstream) -> Result<Passed, Problem> {
        self.write_down(&caller, "engine_ui.write_sent", self.detail.clone()).await?;
        let sending = tokio::spawn(async move {
            let sent = Sent {
                method: &self.method,
                uri: &self.signed.uri,
                headers: &self.headers,
                body: self.signed.body.clone(),
                packed: false,
            };
            let answered = match upstream.send(sent).await {
                Ok((parts, body)) => whole(body).await.map(|bytes| Passed { parts, read: Read::Whole(bytes) }),
                Err(problem) => Err(problem),
            };
            let mut detail = Map::new();
            detail.insert("write".into(), self.id.to_string().into());
            detail.extend(
                ["call", "namespace", "workflow_id"]
                    .into_iter()
                    .filter_map(|name| Some((name.to_owned(), self.detail.get(name)?.clone()))),
            );
            match &answered {
                Ok(passed) => detail.insert("status".into(), passed.parts.status.as_u16().into()),
                // Whether it arrived is open then; the engine's history says.
                Err(problem) => detail.insert("unanswered".into(), problem.code.into()),
            };
            if let Err(problem) = self.write_down(&caller, "engine_ui.write_answered", detail).await {
                tracing::error!(write = %self.id, code = problem.code, "the end of a write through the engine's UI is not in the audit");
            }
            answered
        });
        sending.await.map_err(|error| {
            tracing::error!(%error, "a write through the engine's UI broke off");
            Problem::internal()
        })?
    }

    async fn write_down(&self, caller: &Caller, kind: &str, detail: Map<String, Value>) -> Result<(), Problem> {
        let mut tx = caller.store().begin().await?;
        caller.audit_about(&mut tx, kind, detail.into(), self.about).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(())
    }
}

/// What of a body stands in the audit: which executions, and why. Inputs do not: they may be anything.
fn particulars(said: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    let text = |names: [&str; 2], object: &Map<String, Value>| {
        names
            .into_iter()
            .find_map(|name| object.get(name))
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(cut)
    };
    let of_execution =
        ["workflowExecution", "workflow_execution"].into_iter().find_map(|name| said.get(name)?.as_object());
    let engine_run = of_execution.and_then(|execution| text(["runId", "run_id"], execution));
    let first_run = || text(["firstExecutionRunId", "first_execution_run_id"], said);
    if let Some(run) = engine_run.or_else(first_run).or_else(|| text(["runId", "run_id"], said)) {
        kept.insert("engine_run".into(), run);
    }
    for (name, names) in [("reason", ["reason", "reason"]), ("query", ["visibilityQuery", "visibility_query"])] {
        kept.extend(text(names, said).map(|value| (name.to_owned(), value)));
    }
    let many = ["executions", "targetExecutions", "target_executions"]
        .into_iter()
        .filter_map(|name| said.get(name)?.as_array());
    let ids: Vec<Value> = many
        .flatten()
        .filter_map(|execution| text(["workflowId", "workflow_id"], execution.as_object()?))
        .take(MAX_WORKFLOWS)
        .collect();
    if !ids.is_empty() {
        kept.insert("workflows".into(), json!(ids));
    }
    let operations = said.iter().filter(|(key, value)| key.to_lowercase().ends_with("operation") && value.is_object());
    kept.extend(operations.map(|(key, _)| ("operation".to_owned(), cut(key))));
    kept
}

fn cut(text: &str) -> Value {
    text.chars().take(MAX_TEXT).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_says_which_and_why_and_not_with_what() {
        let said = json!({
            "workflowExecution": {"runId": "r-1"}, "reason": "stuck", "input": {"payloads": ["secret"]}, "identity": "ann",
        });
        assert_eq!(
            particulars(said.as_object().unwrap()),
            *json!({"engine_run": "r-1", "reason": "stuck"}).as_object().unwrap()
        );
        let batch = json!({
            "executions": [{"workflowId": "a"}, {"workflow_id": "b"}, 7], "visibilityQuery": "x", "terminationOperation": {},
        });
        let kept = json!({"workflows": ["a", "b"], "query": "x", "operation": "terminationOperation"});
        assert_eq!(particulars(batch.as_object().unwrap()), *kept.as_object().unwrap());
        assert!(particulars(&Map::new()).is_empty());
    }
}
