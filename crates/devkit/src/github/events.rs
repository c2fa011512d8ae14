//! Webhook payloads: which event a change sends, and what stands in it.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    error::ApiError,
    forge::Tx,
    state::{AccountKind, Delivery},
};

/// An event about to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) action: Option<&'static str>,
    /// Who did it.
    pub(crate) actor: u64,
    /// What stands in the payload besides action, repository and sender.
    pub(crate) fields: Map<String, Value>,
}

impl Event {
    pub(crate) fn new(name: &'static str, action: Option<&'static str>, actor: u64, fields: Value) -> Self {
        let fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Self { name, action, actor, fields }
    }
}

impl Tx<'_> {
    /// Stores one delivery for each hook that wants the event.
    pub(crate) fn emit(&mut self, repo: u64, event: Event) -> Result<(), ApiError> {
        let hooks: Vec<u64> =
            self.repo_mut(repo)?.hooks.values().filter(|hook| hook.wants(event.name)).map(|hook| hook.id).collect();
        self.emit_to(repo, &hooks, event)
    }

    /// Stores one delivery for each of those hooks.
    pub(crate) fn emit_to(&mut self, repo: u64, hooks: &[u64], event: Event) -> Result<(), ApiError> {
        if hooks.is_empty() {
            return Ok(());
        }
        let Event { name, action, actor, fields } = event;
        let payload = self.payload(repo, action, actor, fields)?.to_string();
        let shared = Uuid::new_v4();
        for hook in hooks {
            let guid = if self.model.distinct_guids { Uuid::new_v4() } else { shared };
            let id = self.model.fresh_id();
            self.model.deliveries.insert(
                id,
                Delivery {
                    id,
                    hook: *hook,
                    repository: repo,
                    guid: guid.to_string(),
                    event: name.to_owned(),
                    action: action.map(str::to_owned),
                    payload: payload.clone(),
                    redelivery: false,
                    delivered_at: None,
                    duration: 0.0,
                    status: "pending".into(),
                    status_code: 0,
                    request_headers: std::collections::BTreeMap::new(),
                    response_headers: std::collections::BTreeMap::new(),
                    response_body: String::new(),
                },
            );
            self.outgoing.push(id);
        }
        Ok(())
    }

    fn payload(
        &self,
        repo: u64,
        action: Option<&str>,
        actor: u64,
        fields: Map<String, Value>,
    ) -> Result<Value, ApiError> {
        let view = self.view();
        let repo = view.model.repos.get(&repo).ok_or(ApiError::NotFound)?;
        let mut payload = Map::new();
        if let Some(action) = action {
            payload.insert("action".into(), action.into());
        }
        payload.extend(fields);
        payload.entry("repository").or_insert_with(|| view.repository(repo));
        if let Some(owner) = view.model.users.get(&repo.owner)
            && owner.kind == AccountKind::Organization
        {
            let mut organization = view.user(owner.id);
            organization["description"] = Value::Null;
            payload.insert("organization".into(), organization);
        }
        payload.insert("sender".into(), view.user(actor));
        Ok(Value::Object(payload))
    }

    /// Sends `issues`, or `pull_request` where the number is one.
    pub(crate) fn emit_issue(
        &mut self,
        repo: u64,
        number: u64,
        action: &'static str,
        actor: u64,
        more: Value,
    ) -> Result<(), ApiError> {
        let view = self.view();
        let known = view.model.repos.get(&repo).ok_or(ApiError::NotFound)?;
        let issue = known.issues.get(&number).ok_or(ApiError::NotFound)?;
        let (name, mut fields) = if issue.pull.is_some() {
            let pull = view.pull(known, issue, None);
            ("pull_request", json!({"number": number, "pull_request": pull}))
        } else {
            ("issues", json!({"issue": view.issue(known, issue)}))
        };
        if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
            fields.extend(more);
        }
        self.emit(repo, Event::new(name, Some(action), actor, fields))
    }

    /// Sends `issue_comment`.
    pub(crate) fn emit_comment(
        &mut self,
        repo: u64,
        action: &'static str,
        actor: u64,
        comment: &super::state::Comment,
        more: Value,
    ) -> Result<(), ApiError> {
        let view = self.view();
        let known = view.model.repos.get(&repo).ok_or(ApiError::NotFound)?;
        let issue = known.issues.get(&comment.number).ok_or(ApiError::NotFound)?;
        let mut fields = json!({"issue": view.issue(known, issue), "comment": view.comment(known, comment)});
        if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
            fields.extend(more);
        }
        self.emit(repo, Event::new("issue_comment", Some(action), actor, fields))
    }
}
