//! The page on which a person agrees. Here it also asks who they are: there are no passwords.

use axum::{
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use url::Url;

use super::{
    codes::{Asked, destination, issue},
    form,
};
use crate::github::{
    error::ApiError,
    forge::Forge,
    pages::{escape, page},
    state::AccountKind,
};

/// What the page sends when a person presses their button.
#[derive(Deserialize)]
pub(super) struct Agreed {
    /// Who; without it the person says no.
    #[serde(default)]
    login: String,
    #[serde(flatten)]
    asked: Asked,
}

pub(super) async fn ask(State(forge): State<Forge>, Query(asked): Query<Asked>) -> Result<Response, ApiError> {
    let (back, people) = forge.read(|view| {
        let back = destination(view, &asked)?;
        let people = view.model.users.values().filter(|user| user.kind == AccountKind::User);
        let people: Vec<(String, String)> =
            people.map(|user| (user.login.clone(), user.name.clone().unwrap_or_else(|| user.login.clone()))).collect();
        Ok::<_, ApiError>((back, people))
    })?;
    let mut fields = String::new();
    for (name, value) in [
        ("client_id", Some(&asked.client_id)),
        ("redirect_uri", asked.redirect_uri.as_ref()),
        ("scope", asked.scope.as_ref()),
        ("state", asked.state.as_ref()),
        ("code_challenge", asked.code_challenge.as_ref()),
        ("code_challenge_method", asked.code_challenge_method.as_ref()),
    ] {
        if let Some(value) = value {
            fields.push_str(&format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value)));
        }
    }
    let mut body = format!(
        "<p>An application at {} wants to know who you are, and your e-mail addresses. Choose who you are here.</p>\
         <form method=\"post\" action=\"/login/oauth/authorize\">{fields}",
        escape(&back)
    );
    for (login, name) in people {
        let (login, name) = (escape(&login), escape(&name));
        body.push_str(&format!(
            "<p><button name=\"login\" value=\"{login}\">Sign in as {login}</button> <span class=\"meta\">{name}</span></p>"
        ));
    }
    body.push_str("<p><button name=\"login\" value=\"\">Cancel</button></p></form>");
    Ok(page("Sign in to the stand-in for GitHub", &body))
}

pub(super) async fn agree(State(forge): State<Forge>, body: Bytes) -> Result<Response, ApiError> {
    let agreed: Agreed = form(&body)?;
    let back = forge.read(|view| destination(view, &agreed.asked))?;
    let mut target: Url = back.parse().map_err(|_| ApiError::unprocessable("The callback is no address."))?;
    {
        let mut query = target.query_pairs_mut();
        if agreed.login.is_empty() {
            query.append_pair("error", "access_denied");
            query.append_pair("error_description", "The user has denied your application access.");
        } else {
            query.append_pair("code", &issue(&forge, &agreed.asked, &agreed.login)?);
        }
        if let Some(state) = &agreed.asked.state {
            query.append_pair("state", state);
        }
    }
    Ok(Redirect::to(target.as_str()).into_response())
}
