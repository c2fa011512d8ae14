//! `POST /login/oauth/access_token`

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{
    HeaderMap,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde_json::json;
use url::form_urlencoded::Serializer;

use super::{
    codes::{Offered, redeem},
    form,
};
use crate::github::{error::ApiError, forge::Forge};

pub(super) async fn exchange(
    State(forge): State<Forge>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (as_json, sends_json) = (header(ACCEPT).contains("json"), header(CONTENT_TYPE).contains("json"));
    let offered: Offered =
        if sends_json { serde_json::from_slice(&body).map_err(|_| ApiError::MalformedJson)? } else { form(&body)? };
    let pairs = match redeem(&forge, &offered)? {
        Ok((token, scopes)) => {
            vec![("access_token", token), ("scope", scopes.join(",")), ("token_type", "bearer".to_owned())]
        }
        Err(mistake) => vec![
            ("error", mistake.word().to_owned()),
            ("error_description", mistake.sentence().to_owned()),
            ("error_uri", "https://docs.github.com/apps/oauth-apps/building-oauth-apps".to_owned()),
        ],
    };
    if as_json {
        let object: serde_json::Map<_, _> =
            pairs.into_iter().map(|(name, value)| (name.into(), json!(value))).collect();
        return Ok(Json(object).into_response());
    }
    let text = Serializer::new(String::new()).extend_pairs(pairs).finish();
    Ok(([(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")], text).into_response())
}
