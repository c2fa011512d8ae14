//! The log of what a webhook sent.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{GitHub, transport::Call};
use crate::{
    ForgeError, RepoRef,
    ids::{DeliveryNumber, HookNumber},
    model::{HookDelivery, HookLog, LogPage},
};

const PAGE: &str = "100";

/// The forge sends no event of more than 25 MB; written anew, with the headers and our answer, it is a little larger.
const MAX_DELIVERY_BYTES: usize = 40 << 20;

#[derive(Deserialize)]
struct WireDelivery {
    id: i64,
    guid: String,
    event: String,
    delivered_at: DateTime<Utc>,
    status_code: u16,
}

#[derive(Deserialize)]
struct WireDetail {
    request: WireRequest,
}

#[derive(Deserialize)]
struct WireRequest {
    payload: Option<Box<RawValue>>,
}

impl GitHub {
    pub(super) async fn read_hook_log(
        &self,
        repo: &RepoRef,
        hook: HookNumber,
        page: LogPage<'_>,
    ) -> Result<HookLog, ForgeError> {
        let route = self.repo_route(repo, &["hooks", &hook.to_string(), "deliveries"])?.query("per_page", PAGE);
        let call = match page {
            LogPage::Newest { unless } => Call::get(route).unless(unless),
            LogPage::After(cursor) => Call::get(route.query("cursor", cursor)),
        };
        let reply = self.call(repo, call).await?;
        if reply.unchanged {
            return Ok(HookLog::Unchanged);
        }
        let wire: Vec<WireDelivery> = reply.json()?;
        let deliveries = wire.into_iter().map(|of| HookDelivery {
            number: DeliveryNumber(of.id),
            guid: of.guid,
            event: of.event,
            delivered_at: of.delivered_at,
            status: of.status_code,
        });
        Ok(HookLog::Page { deliveries: deliveries.collect(), etag: reply.etag(), next: reply.next_cursor() })
    }

    pub(super) async fn read_delivery(
        &self,
        repo: &RepoRef,
        hook: HookNumber,
        delivery: DeliveryNumber,
    ) -> Result<Vec<u8>, ForgeError> {
        let route = self.repo_route(repo, &["hooks", &hook.to_string(), "deliveries", &delivery.to_string()])?;
        let detail: WireDetail = self.call(repo, Call::get(route).up_to(MAX_DELIVERY_BYTES)).await?.json()?;
        let payload = detail.request.payload.ok_or_else(|| ForgeError::Unexpected {
            detail: "the delivery is there, but not what it carried".to_owned(),
        })?;
        Ok(payload.get().as_bytes().to_vec())
    }
}
