//! Webhook registrations and their delivery log.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, Listing, created};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::{Forge, View},
    ops::hooks::{self, EditHook, NewHook},
    shapes,
    state::{Delivery, Hook},
};

pub(super) fn router() -> Router<Forge> {
    Router::new()
        .route("/repos/{owner}/{repo}/hooks", get(list).post(create))
        .route("/repos/{owner}/{repo}/hooks/{hook}", get(one).patch(edit).delete(delete))
        .route("/repos/{owner}/{repo}/hooks/{hook}/pings", post(ping))
        .route("/repos/{owner}/{repo}/hooks/{hook}/deliveries", get(deliveries))
        .route("/repos/{owner}/{repo}/hooks/{hook}/deliveries/{delivery}", get(delivery))
        .route("/repos/{owner}/{repo}/hooks/{hook}/deliveries/{delivery}/attempts", post(redeliver))
}

#[derive(Deserialize)]
struct OfHook {
    hook: u64,
}

#[derive(Deserialize)]
struct OfDelivery {
    hook: u64,
    delivery: u64,
}

fn find<'a>(view: View<'a>, at: &At, hook: u64) -> Result<&'a Hook, ApiError> {
    view.repo(at, Need::Admin)?.hooks.get(&hook).ok_or(ApiError::NotFound)
}

fn show(forge: &Forge, at: &At, hook: &Hook) -> Result<Value, ApiError> {
    forge.read(|view| Ok(view.hook(view.repo(at, Need::Admin)?, hook)))
}

async fn list(State(forge): State<Forge>, at: At, list: Listing) -> Result<Response, ApiError> {
    let items: Vec<Value> = forge.read(|view| {
        let repo = view.repo(&at, Need::Admin)?;
        Ok::<_, ApiError>(repo.hooks.values().map(|hook| view.hook(repo, hook)).collect())
    })?;
    Ok(list.respond(&forge, &items))
}

async fn create(State(forge): State<Forge>, at: At, Body(new): Body<NewHook>) -> Result<Response, ApiError> {
    let hook = hooks::create(&forge, &at, new)?;
    show(&forge, &at, &hook).map(created)
}

async fn one(State(forge): State<Forge>, at: At, Path(OfHook { hook }): Path<OfHook>) -> Result<Json<Value>, ApiError> {
    forge.read(|view| Ok(Json(view.hook(view.repo(&at, Need::Admin)?, find(view, &at, hook)?))))
}

async fn edit(
    State(forge): State<Forge>,
    at: At,
    Path(OfHook { hook }): Path<OfHook>,
    Body(edit): Body<EditHook>,
) -> Result<Json<Value>, ApiError> {
    let hook = hooks::edit(&forge, &at, hook, edit)?;
    show(&forge, &at, &hook).map(Json)
}

async fn delete(
    State(forge): State<Forge>,
    at: At,
    Path(OfHook { hook }): Path<OfHook>,
) -> Result<StatusCode, ApiError> {
    hooks::delete(&forge, &at, hook)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn ping(State(forge): State<Forge>, at: At, Path(OfHook { hook }): Path<OfHook>) -> Result<StatusCode, ApiError> {
    hooks::ping(&forge, &at, hook)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Newest first; the pages of this list are named by a cursor instead of a number.
async fn deliveries(
    State(forge): State<Forge>,
    at: At,
    Path(OfHook { hook }): Path<OfHook>,
    list: Listing,
) -> Result<Response, ApiError> {
    let size = list.get("per_page").and_then(|text| text.parse().ok()).unwrap_or(30).clamp(1, 100);
    let before: Option<u64> = list.get("cursor").and_then(|text| text.strip_prefix("v1_")?.parse().ok());
    let (api, items, more) = forge.read(|view| {
        find(view, &at, hook)?;
        let all = view.model.deliveries.values().rev();
        let mut found = all
            .filter(|delivery| delivery.hook == hook && delivery.delivered_at.is_some())
            .filter(|delivery| before.is_none_or(|before| delivery.id < before));
        let page: Vec<&Delivery> = found.by_ref().take(size).collect();
        let more = found.next().and(page.last().map(|delivery| delivery.id));
        let items: Vec<Value> = page.into_iter().map(shapes::delivery_item).collect();
        let api = view.links(view.repo(&at, Need::Admin)?).api;
        Ok::<_, ApiError>((api, items, more))
    })?;
    let mut response = Json(items).into_response();
    if let Some(last) = more {
        let link = format!("<{api}/hooks/{hook}/deliveries?per_page={size}&cursor=v1_{last}>; rel=\"next\"");
        if let Ok(link) = link.parse() {
            response.headers_mut().insert(http::header::LINK, link);
        }
    }
    Ok(response)
}

async fn delivery(
    State(forge): State<Forge>,
    at: At,
    Path(OfDelivery { hook, delivery }): Path<OfDelivery>,
) -> Result<Json<Value>, ApiError> {
    forge.read(|view| {
        let url = &find(view, &at, hook)?.url;
        let found = view.model.deliveries.get(&delivery);
        let found = found.filter(|known| known.hook == hook && known.delivered_at.is_some());
        Ok(Json(shapes::delivery(found.ok_or(ApiError::NotFound)?, url)))
    })
}

async fn redeliver(
    State(forge): State<Forge>,
    at: At,
    Path(OfDelivery { hook, delivery }): Path<OfDelivery>,
) -> Result<Response, ApiError> {
    hooks::redeliver(&forge, &at, hook, delivery)?;
    Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response())
}
