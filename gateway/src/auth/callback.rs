//! `GET /auth/callback`: GitHub has sent the browser back. Whoever is on the list is signed in; nobody else is.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, Query, State},
    response::{IntoResponse, Redirect, Response},
};
use domain::{ids::PersonId, people::Email, sentences};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, USER_AGENT},
};
use serde::Deserialize;
use serde_json::json;
use store::{
    PgConnection, StoreError,
    audit::{self, NewFlowEvent},
    people::{self, Account, Person},
    sessions::{self, NewSession},
};

use super::{
    SESSION_LIFE, SignIn, configured,
    cookies::Kind,
    github::{ForgeAccount, ForgeTrouble},
    refresh::hand_out,
    secret::{hash, random},
    shown,
    state::Pending,
};
use crate::{app::AppState, problem::Problem};

/// What a browser's name is cut to.
const MAX_USER_AGENT: usize = 300;

/// What GitHub sends along.
#[derive(Deserialize)]
pub(super) struct Answer {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// Why somebody is not signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    NotListed,
    AnotherAccount,
    BoundElsewhere,
    Disabled,
}

impl Refusal {
    fn code(self) -> &'static str {
        match self {
            Self::NotListed => "not_on_the_list",
            Self::AnotherAccount => "another_account",
            Self::BoundElsewhere => "account_bound_elsewhere",
            Self::Disabled => "person_disabled",
        }
    }

    fn problem(self) -> Problem {
        let detail = match self {
            Self::NotListed => "your primary e-mail address on GitHub is not on the list: ask an admin to add it",
            Self::AnotherAccount => {
                "this address belongs to another GitHub account here: sign in with that one, or ask an admin"
            }
            Self::BoundElsewhere => "your GitHub account belongs to another address here: ask an admin",
            Self::Disabled => sentences::locked_out(),
        };
        Problem::new(StatusCode::FORBIDDEN, self.code(), detail)
    }
}

pub(super) async fn complete(
    State(state): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Response {
    let admitted = state.sign_in().map_or(Ok(()), |sign_in| sign_in.admit_completion(peer, &headers, state.now()));
    if let Err(problem) = admitted {
        // The cookie stays, and the answer was not taken: the same address completes the sign-in a moment later.
        return shown(&state, &headers, problem);
    }
    let mut response = match completed(&state, &headers, &answer).await {
        Ok(response) => response,
        Err(problem) => shown(&state, &headers, problem),
    };
    if let Some(sign_in) = state.sign_in() {
        sign_in.cookies().clear(response.headers_mut(), Kind::State);
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn completed(state: &AppState, headers: &HeaderMap, answer: &Answer) -> Result<Response, Problem> {
    let sign_in = configured(state)?;
    let pending = pending(state, sign_in, headers, answer).await?;
    let code = match (&answer.code, &answer.error) {
        (Some(code), None) => code,
        _ => return Err(Problem::new(StatusCode::FORBIDDEN, "sign_in_denied", "GitHub did not let you sign in here")),
    };
    let (account, email) = ask(sign_in, code, &pending).await?;
    let person = admit(state, &account, &email).await?;
    let mut response = Redirect::to(&sign_in.address(pending.return_to())).into_response();
    begin_session(state, headers, person, &mut response).await?;
    Ok(response)
}

/// The sign-in that this browser began, taken: it is not completed twice.
async fn pending(state: &AppState, sign_in: &SignIn, headers: &HeaderMap, answer: &Answer) -> Result<Pending, Problem> {
    let again = "begin the sign-in again: this one is too old, or was begun in another browser";
    let stale = || Problem::bad_request("sign_in_stale", again);
    let cookie = sign_in.cookies().read(Kind::State, headers).ok_or_else(stale)?;
    let pending = Pending::read(cookie, state.now()).ok_or_else(stale)?;
    let came = answer.state.as_deref().unwrap_or_default();
    if !pending.is_answered_by(came) {
        return Err(Problem::bad_request("state_mismatch", again));
    }
    let mut conn = state.store().acquire().await?;
    if sessions::spend_sign_in(&mut conn, &hash(came), pending.ends_at()).await? {
        return Ok(pending);
    }
    Err(Problem::bad_request("state_used", "this sign-in was completed already: begin again"))
}

async fn ask(sign_in: &SignIn, code: &str, pending: &Pending) -> Result<(ForgeAccount, Email), Problem> {
    let client = sign_in.client();
    let asked = async {
        let token = client.exchange(code, &sign_in.address("/auth/callback"), &pending.verifier()).await?;
        Ok((client.account(&token).await?, client.primary_email(&token).await?))
    };
    let (account, email) = asked.await.map_err(|trouble: ForgeTrouble| {
        tracing::warn!(%trouble, "a sign-in failed at GitHub");
        match trouble {
            ForgeTrouble::Refused(_) => {
                Problem::new(StatusCode::FORBIDDEN, "sign_in_refused", "GitHub refused this sign-in: begin again")
            }
            ForgeTrouble::Unavailable(_) => Problem::unavailable(
                "github_unavailable",
                "GitHub can't be asked who you are; try again in a moment",
                5,
            ),
        }
    })?;
    let unverified = "verify your primary e-mail address on GitHub first (Settings > Emails), then sign in again";
    let email = email.ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "email_not_verified", unverified))?;
    Ok((account, email))
}

/// Finds the person on the list and binds the account to them at the first time.
async fn admit(state: &AppState, account: &ForgeAccount, email: &Email) -> Result<PersonId, Problem> {
    let (now, mut tx) = (state.now(), state.store().begin().await?);
    if let Some(owner) = state.sign_in().and_then(|sign_in| sign_in.settings().owner_email.as_ref()) {
        people::ensure_owner(&mut tx, owner, now).await?;
    }
    let verdict = judge(&mut tx, account, email).await?;
    let (kind, reason) = match &verdict {
        Ok(_) => ("sign_in.done", None),
        Err(refusal) => ("sign_in.refused", Some(refusal.code())),
    };
    let detail = json!({"email": email, "github_id": account.id, "login": account.login, "reason": reason});
    let event = NewFlowEvent::new(now, &account.login, kind, detail);
    audit::append(&mut tx, event).await?;
    if let Ok(person) = &verdict {
        let account = Account { github_id: account.id, login: &account.login, name: account.name.as_deref() };
        people::signed_in(&mut tx, person.id, &account, now).await?;
    }
    // A refusal stays written down, too.
    tx.commit().await.map_err(StoreError::from)?;
    verdict.map(|person| person.id).map_err(|refusal| {
        tracing::warn!(reason = refusal.code(), login = account.login, github_id = account.id, "a sign-in was refused");
        refusal.problem()
    })
}

async fn judge(
    conn: &mut PgConnection,
    account: &ForgeAccount,
    email: &Email,
) -> Result<Result<Person, Refusal>, StoreError> {
    let Some(person) = people::lock_by_email(conn, email).await? else { return Ok(Err(Refusal::NotListed)) };
    Ok(match person.github_id {
        Some(bound) if bound != account.id => Err(Refusal::AnotherAccount),
        _ if person.disabled_at.is_some() => Err(Refusal::Disabled),
        Some(_) => Ok(person),
        None if people::lock_by_github_id(conn, account.id).await?.is_some() => Err(Refusal::BoundElsewhere),
        None => Ok(person),
    })
}

async fn begin_session(
    state: &AppState,
    headers: &HeaderMap,
    person: PersonId,
    response: &mut Response,
) -> Result<(), Problem> {
    let (now, token) = (state.now(), random());
    let user_agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    let user_agent: Option<String> = user_agent.map(|text| text.chars().take(MAX_USER_AGENT).collect());
    let new = NewSession {
        person,
        hash: &hash(&token),
        user_agent: user_agent.as_deref(),
        now,
        expires_at: now + SESSION_LIFE,
    };
    let mut tx = state.store().begin().await?;
    let session = sessions::begin(&mut tx, new).await?;
    tx.commit().await.map_err(StoreError::from)?;
    hand_out(state, (person, session), &token, response.headers_mut()).await.map(drop)
}
