//! Signing in with GitHub: the page on which a person agrees, and the code that becomes a token.
//!
//! Mistakes of an application come back as GitHub tells them: with status 200 and an `error`.

mod codes;
mod exchange;
mod page;

use axum::{
    Router,
    routing::{get, post},
};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{error::ApiError, forge::Forge};

pub(crate) use codes::register;

/// The addresses of sign-in; they are no part of the described interface.
pub(crate) fn router() -> Router<Forge> {
    Router::new()
        .route("/login/oauth/authorize", get(page::ask).post(page::agree))
        .route("/login/oauth/access_token", post(exchange::exchange))
}

/// Reads what a form sends.
fn form<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let fields: Map<String, Value> =
        url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect();
    serde_json::from_value(fields.into()).map_err(|error| ApiError::unprocessable(error.to_string()))
}
