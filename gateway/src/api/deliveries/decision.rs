//! `GET /api/v1/deliveries/{delivery}/decision`

use axum::response::Response;
use domain::{
    ids::{DeliveryId, RunId},
    people::ProjectRole,
    sentences::{self, Coded},
    triggers::{Effect, EffectKind, Verdict, VerdictKind},
};
use http::HeaderMap;
use ingest::replay;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    super::{body::At, etag::tagged},
    found, refused,
};
use crate::{auth::Caller, problem::Problem};

/// What would be decided about a delivery if it came now.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Decision {
    delivery: DeliveryId,
    /// What was decided when it came.
    verdict_then: VerdictKind,
    /// Why, as a sentence.
    reason_then: String,
    /// The same by its code.
    reason_then_coded: Option<Coded>,
    /// What would be decided now.
    verdict: VerdictKind,
    /// Why, as a sentence.
    reason: String,
    /// The same by its code.
    reason_coded: Option<Coded>,
    /// The run that it would be about; one that would start has no id yet.
    run: Option<RunId>,
    /// What would follow. Nothing does.
    effect: EffectKind,
    /// The agent that would start.
    agent: Option<String>,
}

/// What a delivery would do now: judged by the same rules as when it came; nothing follows
#[utoipa::path(
    get, path = "/api/v1/deliveries/{delivery}/decision", tag = "deliveries",
    params(("delivery" = DeliveryId, Path, description = "Which.")),
    responses((status = 200, description = "What would be decided now.", body = Decision))
)]
pub(in crate::api) async fn decide_delivery(
    caller: Caller,
    headers: HeaderMap,
    At(id): At<DeliveryId>,
) -> Result<Response, Problem> {
    let (delivery, _) = found(&caller, id, ProjectRole::Read).await?;
    let mut conn = caller.store().acquire().await?;
    let Verdict { kind, reason, run, effect } =
        replay::decide_now(&mut conn, &delivery, caller.now()).await.map_err(refused)?;
    let agent = match &effect {
        Effect::Start(run) => Some(run.agent.as_str().to_owned()),
        _ => None,
    };
    let decision = Decision {
        delivery: id,
        verdict_then: delivery.verdict,
        reason_then_coded: sentences::read(&delivery.reason),
        reason_then: delivery.reason,
        verdict: kind,
        reason_coded: sentences::read(&reason),
        reason,
        run,
        effect: effect.kind(),
        agent,
    };
    Ok(tagged(&headers, &decision))
}
