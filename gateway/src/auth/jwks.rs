//! `GET /.well-known/jwks.json`: the keys that access tokens are checked with.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderValue, header::CACHE_CONTROL};
use serde_json::{Value, json};
use store::signing_keys;

use crate::{app::AppState, problem::Problem};

pub(super) async fn keys(State(state): State<AppState>) -> Result<Response, Problem> {
    let living = signing_keys::living(&mut *state.store().acquire().await?, state.now()).await?;
    let keys: Vec<Value> = living
        .into_iter()
        .map(|key| {
            let x = BASE64_URL_SAFE_NO_PAD.encode(&key.public);
            json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.kid, "x": x})
        })
        .collect();
    let mut response = Json(json!({"keys": keys})).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    Ok(response)
}
