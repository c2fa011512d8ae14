//! `POST /api/v1/deliveries/{delivery}/replay`

use axum::response::Response;
use domain::{
    ids::{DeliveryId, RunId},
    people::ProjectRole,
    sentences::{self, Coded},
    triggers::VerdictKind,
};
use http::{HeaderMap, StatusCode};
use ingest::{
    by_hand::Followed,
    replay::{self, Replaying},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{
        body::{At, Sent},
        idempotency::{Begun, Wish},
        reasons,
    },
    found, refused,
};
use crate::{auth::Caller, problem::Problem};

/// Why a delivery is to be judged once more.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ReplayDelivery {
    /// Stands in the audit.
    #[schema(max_length = 500)]
    reason: String,
}

/// What became of it this time.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Replayed {
    /// The delivery that the replay is.
    delivery: DeliveryId,
    verdict: VerdictKind,
    /// Why, as a sentence.
    reason: String,
    /// The same by its code.
    reason_coded: Option<Coded>,
    /// The run that it started, told or found.
    run: Option<RunId>,
}

/// Judge a delivery once more, with everything that follows
///
/// What it started the first time is not started again.
#[utoipa::path(
    post, path = "/api/v1/deliveries/{delivery}/replay", tag = "deliveries", request_body = ReplayDelivery,
    params(
        ("delivery" = DeliveryId, Path, description = "Which."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is done once.")
    ),
    responses((status = 201, description = "It was judged once more.", body = Replayed))
)]
pub(in crate::api) async fn replay_delivery(
    caller: Caller,
    headers: HeaderMap,
    At(id): At<DeliveryId>,
    Sent(why): Sent<ReplayDelivery>,
) -> Result<Response, Problem> {
    let (delivery, _) = found(&caller, id, ProjectRole::Write).await?;
    let reason = reasons::needed(&why.reason)?;
    let wish = Wish::read(&headers, &format!("replay_delivery {id}"), &why)?;
    let mut writing = match wish.begin(&caller).await? {
        Begun::Answered(answer) => return Ok(answer),
        Begun::New(writing) => writing,
    };
    let replaying = Replaying { actor: caller.actor(), reason, instance: caller.app().instance(), now: caller.now() };
    let recorded = replay::replay(writing.conn(), &delivery, replaying).await.map_err(refused)?;
    let answer = Replayed {
        delivery: recorded.delivery,
        verdict: recorded.verdict,
        reason_coded: sentences::read(&recorded.reason),
        reason: recorded.reason,
        run: recorded.run,
    };
    let followed = recorded.run.map(|run| Followed { run, workflow_id: recorded.workflow_id });
    writing.answer(&caller, StatusCode::CREATED, &answer, followed).await
}
