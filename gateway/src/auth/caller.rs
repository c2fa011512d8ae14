//! Who asks the staff API, and what they may do. A handler without this extractor has no data: the state of the API's
//! router is sealed, and [`Caller`] alone opens it.

use axum::extract::FromRequestParts;
use chrono::{DateTime, Utc};
use domain::{
    ids::{ApiTokenId, ProjectId, RepositoryId, RunId, SessionId},
    people::{PlatformRole, ProjectRole, Scope},
    sentences,
};
use http::{HeaderMap, Method, StatusCode, header::AUTHORIZATION, request::Parts};
use serde_json::Value;
use store::{
    PgConnection, Store, StoreError, api_tokens,
    audit::{self, NewFlowEvent},
    members,
    people::{self, Person},
    project_deletions,
};

use super::{access, cookies::Kind, origin, secret};
use crate::{app::AppState, problem::Problem, requests::note};

/// The state of the staff API: opened by [`Caller`] alone.
#[derive(Clone)]
pub(crate) struct ApiState(AppState);

impl ApiState {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }
}

/// How somebody showed who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// A browser's sign-in.
    Session {
        /// Which.
        id: SessionId,
        /// When the access token dies.
        until: DateTime<Utc>,
    },
    /// A token for scripts.
    ApiToken {
        /// Which.
        id: ApiTokenId,
        /// What it is cut to.
        scopes: Vec<Scope>,
        /// When it ends.
        until: DateTime<Utc>,
    },
}

/// Somebody who is known, and not locked out.
pub(crate) struct Caller {
    state: AppState,
    person: Person,
    via: Via,
}

/// Somebody at a project that they may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OnProject {
    /// Which.
    pub(crate) id: ProjectId,
    /// Its short name.
    pub(crate) slug: String,
    /// How many of its runs may work at once.
    pub(crate) slots: u32,
    /// Since when it is there.
    pub(crate) created_at: DateTime<Utc>,
    /// What they may do there; for those who run the platform, everything.
    pub(crate) role: ProjectRole,
}

/// What something was done to. Those who see its project see it in the audit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DoneTo {
    /// A project itself.
    Project(ProjectId),
    /// A repository.
    Repository(RepositoryId),
    /// A run.
    Run(RunId),
}

impl Caller {
    /// Somebody who opens a page of ours in a browser: known by their sign-in alone, never by a token for scripts.
    ///
    /// # Errors
    /// 401; 403 for a write that comes from elsewhere; 503 if the database does not answer.
    pub(crate) async fn of_page(state: &AppState, headers: &HeaderMap, write: bool) -> Result<Self, Problem> {
        let judged_as = if write { Method::POST } else { Method::GET };
        let (person, via) = by_session(state, &judged_as, headers).await?;
        Self::known(state, person, via)
    }

    /// Somebody who showed who they are, unless they are locked out.
    fn known(state: &AppState, person: Person, via: Via) -> Result<Self, Problem> {
        note("person", person.id);
        if person.disabled_at.is_some() {
            return Err(Problem::unauthorised("person_disabled", sentences::locked_out()));
        }
        Ok(Self { state: state.clone(), person, via })
    }

    /// Who.
    pub(crate) fn person(&self) -> &Person {
        &self.person
    }

    /// How they showed it.
    pub(crate) fn via(&self) -> &Via {
        &self.via
    }

    /// The database.
    pub(crate) fn store(&self) -> &Store {
        self.state.store()
    }

    /// Everything else that the gateway has.
    pub(crate) fn app(&self) -> &AppState {
        &self.state
    }

    /// Now.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.state.now()
    }

    /// Whether they see every project.
    pub(crate) fn sees_all(&self) -> bool {
        self.person.role.includes(PlatformRole::Admin)
    }

    /// Lets through who runs the platform.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn on_platform(&self, needed: PlatformRole) -> Result<(), Problem> {
        if !self.person.role.includes(needed) {
            let detail =
                if needed == PlatformRole::Owner { sentences::owners_only() } else { sentences::admins_only() };
            return Err(Problem::new(StatusCode::FORBIDDEN, "role_missing", detail));
        }
        self.scope(Scope::Admin)
    }

    /// Lets through who may do this in the project. One that they may not see is as if it were not there.
    ///
    /// # Errors
    /// 404; 403 for a project that they may see, but not change; 409 for changes of one that is being deleted, or was; 503 if the
    /// database does not answer.
    pub(crate) async fn on_project(&self, slug: &str, needed: ProjectRole) -> Result<OnProject, Problem> {
        let mut conn = self.store().acquire().await?;
        let found = members::project(&mut conn, slug, self.person.id).await?;
        let seen = found.and_then(|project| Some((self.effective(project.role)?, project)));
        let (role, project) = seen.ok_or_else(no_project)?;
        self.need(role, needed)?;
        if needed != ProjectRole::Read && project_deletions::find(&mut conn, project.id).await?.is_some() {
            let detail = sentences::project_deleted();
            return Err(Problem::new(StatusCode::CONFLICT, "project_deleted", detail));
        }
        let members::SeenProject { id, slug, slots, created_at, .. } = project;
        Ok(OnProject { id, slug, slots, created_at, role })
    }

    /// The same for something that belongs to a project; `missing` is what is said if there is nothing or it may not be seen.
    ///
    /// # Errors
    /// As for [`Caller::on_project`].
    pub(crate) async fn in_project(
        &self,
        project: ProjectId,
        needed: ProjectRole,
        missing: fn() -> Problem,
    ) -> Result<ProjectRole, Problem> {
        let member = members::role(&mut *self.store().acquire().await?, project, self.person.id).await?;
        let role = self.effective(member).ok_or_else(missing)?;
        self.need(role, needed)?;
        Ok(role)
    }

    /// What they may do in a project where they have this role as a member.
    pub(crate) fn effective(&self, member: Option<ProjectRole>) -> Option<ProjectRole> {
        if self.sees_all() { Some(ProjectRole::Admin) } else { member }
    }

    /// Lets a person through, and no token of theirs: a token must not make itself another one.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn in_person(&self) -> Result<(), Problem> {
        match self.via {
            Via::Session { .. } => Ok(()),
            Via::ApiToken { .. } => {
                Err(Problem::new(StatusCode::FORBIDDEN, "session_needed", sentences::browser_needed()))
            }
        }
    }

    /// Writes down what they did to the platform.
    ///
    /// # Errors
    /// 503 if the database does not answer.
    pub(crate) async fn audit(&self, conn: &mut PgConnection, kind: &str, detail: Value) -> Result<(), Problem> {
        self.audit_about(conn, kind, detail, None).await
    }

    /// The same, of what they did to a project, or to something in one.
    ///
    /// # Errors
    /// 503 if the database does not answer.
    pub(crate) async fn audit_about(
        &self,
        conn: &mut PgConnection,
        kind: &str,
        mut detail: Value,
        about: Option<DoneTo>,
    ) -> Result<(), Problem> {
        if let Some(fields) = detail.as_object_mut() {
            fields.insert("by".into(), self.person.id.to_string().into());
            if let Via::ApiToken { id, .. } = self.via {
                fields.insert("api_token".into(), id.to_string().into());
            }
        }
        let event = NewFlowEvent::new(self.now(), self.actor(), kind, detail);
        let event = match about {
            None => event,
            Some(DoneTo::Project(project)) => NewFlowEvent { project: Some(project), ..event },
            Some(DoneTo::Repository(repository)) => NewFlowEvent { repository: Some(repository), ..event },
            Some(DoneTo::Run(run)) => NewFlowEvent { run: Some(run), ..event },
        };
        Ok(audit::append(conn, event).await?)
    }

    /// Their name in the audit.
    pub(crate) fn actor(&self) -> &str {
        self.person.login.as_deref().unwrap_or_else(|| self.person.email.as_str())
    }

    fn need(&self, role: ProjectRole, needed: ProjectRole) -> Result<(), Problem> {
        if !role.includes(needed) {
            let detail = sentences::role_missing(needed, role);
            return Err(Problem::new(StatusCode::FORBIDDEN, "role_missing", detail));
        }
        self.scope(match needed {
            ProjectRole::Admin => Scope::Admin,
            ProjectRole::Write => Scope::Write,
            ProjectRole::Read => Scope::Read,
        })
    }

    /// Lets a token through that is cut to this or more.
    fn scope(&self, needed: Scope) -> Result<(), Problem> {
        match &self.via {
            Via::ApiToken { scopes, .. } if !scopes.iter().any(|scope| scope.includes(needed)) => {
                let detail = sentences::scope_missing(needed);
                Err(Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail))
            }
            _ => Ok(()),
        }
    }
}

impl FromRequestParts<ApiState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, ApiState(state): &ApiState) -> Result<Self, Problem> {
        let (person, via) = match parts.headers.get(AUTHORIZATION) {
            Some(_) => by_api_token(state, &parts.headers).await?,
            None => by_session(state, &parts.method, &parts.headers).await?,
        };
        let caller = Self::known(state, person, via)?;
        // What a single operation needs beyond this, its handler says.
        caller.scope(if parts.method.is_safe() { Scope::Read } else { Scope::Write })?;
        Ok(caller)
    }
}

async fn by_session(state: &AppState, method: &Method, headers: &HeaderMap) -> Result<(Person, Via), Problem> {
    let signed_out = || Problem::unauthorised("signed_out", sentences::nobody_signed_in());
    let sign_in = state.sign_in().ok_or_else(signed_out)?;
    let token = sign_in.cookies().read(Kind::Access, headers).ok_or_else(signed_out)?;
    origin::check(method, headers, sign_in.public_url())?;
    let now = state.now();
    let signed_in = access::check(token, state.instance(), (state.store(), state.known_keys()), now).await?;
    let person = people::of_session(&mut *state.store().acquire().await?, signed_in.session, now).await?;
    let person = person
        .filter(|person| person.id == signed_in.person)
        .ok_or_else(|| Problem::unauthorised("session_over", sentences::sign_in_over()))?;
    Ok((person, Via::Session { id: signed_in.session, until: signed_in.until }))
}

async fn by_api_token(state: &AppState, headers: &HeaderMap) -> Result<(Person, Via), Problem> {
    let unknown = || {
        tracing::info!("a token for scripts was refused");
        Problem::unauthorised(
            "api_token_unknown",
            "this token is unknown here, has ended, or was taken back: make a new one",
        )
    };
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (scheme, token) = value.split_once(' ').ok_or_else(unknown)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || !token.starts_with(secret::API_TOKEN_PREFIX) {
        return Err(unknown());
    }
    let mut tx = state.store().begin().await?;
    let known = api_tokens::take(&mut tx, &secret::hash(token), state.now()).await?.ok_or_else(unknown)?;
    let person = people::get(&mut tx, known.person).await?.ok_or_else(unknown)?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok((person, Via::ApiToken { id: known.id, scopes: known.scopes, until: known.expires_at }))
}

/// What is said about a project that there is not, or that may not be seen.
pub(crate) fn no_project() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "project_not_found", sentences::project_not_found())
}
