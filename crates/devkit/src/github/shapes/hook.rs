//! Webhook registrations and their deliveries.

use serde_json::{Value, json};

use super::{time, time_or_null};
use crate::github::{
    forge::View,
    state::{Delivery, Hook, Repo},
};

impl View<'_> {
    /// A hook; its secret is never shown again.
    pub(crate) fn hook(self, repo: &Repo, hook: &Hook) -> Value {
        let api = format!("{}/hooks/{}", self.links(repo).api, hook.id);
        let mut config = json!({
            "url": hook.url, "content_type": hook.content_type, "insecure_ssl": hook.insecure_ssl,
        });
        if hook.secret.is_some() {
            config["secret"] = "********".into();
        }
        let last = hook.last_response.as_ref().map_or_else(
            || json!({"code": null, "status": "unused", "message": null}),
            |(code, message)| {
                let status = if (200..300).contains(code) { "active" } else { "error" };
                json!({"code": code, "status": status, "message": message})
            },
        );
        json!({
            "type": "Repository", "id": hook.id, "name": "web", "active": hook.active,
            "events": hook.events, "config": config,
            "created_at": time(hook.created_at), "updated_at": time(hook.updated_at),
            "url": api, "test_url": format!("{api}/test"), "ping_url": format!("{api}/pings"),
            "deliveries_url": format!("{api}/deliveries"), "last_response": last,
        })
    }
}

/// A delivery in the list.
pub(crate) fn delivery_item(delivery: &Delivery) -> Value {
    json!({
        "id": delivery.id, "guid": delivery.guid, "delivered_at": time_or_null(delivery.delivered_at),
        "redelivery": delivery.redelivery, "duration": delivery.duration, "status": delivery.status,
        "status_code": delivery.status_code, "event": delivery.event, "action": delivery.action,
        "installation_id": null, "repository_id": delivery.repository, "throttled_at": null,
    })
}

/// A delivery with what was sent and what came back.
pub(crate) fn delivery(delivery: &Delivery, url: &str) -> Value {
    let mut value = delivery_item(delivery);
    value["url"] = url.into();
    value["request"] = json!({
        "headers": delivery.request_headers,
        "payload": serde_json::from_str::<Value>(&delivery.payload).unwrap_or(Value::Null),
    });
    value["response"] = json!({
        "headers": delivery.response_headers, "payload": delivery.response_body,
    });
    value
}
