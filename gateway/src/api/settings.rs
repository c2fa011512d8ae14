//! `GET /api/v1/settings`

use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::{
    people::PlatformRole,
    told_settings::{ToldProvider, ToldRole, ToldSetting, ToldSettings},
};
use http::HeaderMap;
use serde::Serialize;
use store::{
    AppliedMigration, last_migration,
    members::{self, ProjectsPage},
    role_settings::{self, RoleSettings},
};
use utoipa::ToSchema;

use super::etag::tagged;
use crate::{auth::Caller, engine_seen::EngineTrouble, problem::Problem};

/// The platform's settings that are in force. They are changed in the environments of the roles, nowhere else.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct PlatformSettings {
    /// Version of the program that answers.
    version: &'static str,
    /// Of every role that has begun since it tells them.
    roles: Vec<RoleOfPlatform>,
    /// Who has the models, the preferred one first. Of keys only their number is known here.
    providers: Vec<ToldProvider>,
    /// Version of the database's server.
    database_version: String,
    /// The schema that it has.
    schema: Option<DatabaseSchema>,
    engine: EngineOfPlatform,
    /// The projects' slots.
    slots: Vec<ProjectSlots>,
}

/// What made the schema of the database what it is: the last migration that was applied.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct DatabaseSchema {
    /// Its version.
    #[schema(example = "20261126212745")]
    version: String,
    /// What it did, in a few words.
    change: String,
    /// When it was applied.
    applied_at: DateTime<Utc>,
}

/// The engine that the gateway talks to.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct EngineOfPlatform {
    /// `host:port` of its frontend.
    address: String,
    namespace: String,
    /// Version of its server, as it was last seen; none while it does not say.
    server_version: Option<String>,
    /// Why it does not say.
    trouble: Option<EngineTrouble>,
}

/// What a role was told.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct RoleOfPlatform {
    role: ToldRole,
    version: String,
    /// When the newest of its processes began.
    since: DateTime<Utc>,
    settings: Vec<ToldSetting>,
}

/// How many runs of a project may work at once.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct ProjectSlots {
    /// Short name of the project.
    project: String,
    slots: u32,
}

/// The platform's settings that are in force, each with the variable that changes it
#[utoipa::path(
    get, path = "/api/v1/settings", tag = "settings",
    responses((status = 200, description = "The settings.", body = PlatformSettings))
)]
pub(in crate::api) async fn read_platform_settings(caller: Caller, headers: HeaderMap) -> Result<Response, Problem> {
    caller.on_platform(PlatformRole::Admin)?;
    let mut conn = caller.store().acquire().await?;
    let mut providers = Vec::new();
    let mut roles = Vec::new();
    for RoleSettings { role, told, at } in role_settings::list(&mut conn).await? {
        let ToldSettings { version, settings, budgets: _, providers: told } = told;
        providers.extend(told);
        roles.push(RoleOfPlatform { role, version, since: at, settings });
    }
    let all = ProjectsPage { person: caller.person().id, all: true, after: None, limit: i64::MAX };
    let projects = members::projects(&mut conn, all).await?.into_iter();
    let database_version = role_settings::server_version(&mut conn).await?;
    let schema = last_migration(&mut conn).await?.map(DatabaseSchema::of);
    drop(conn);
    let shown = PlatformSettings {
        version: env!("CARGO_PKG_VERSION"),
        roles,
        providers,
        database_version,
        schema,
        engine: engine(&caller).await,
        slots: projects.map(|project| ProjectSlots { project: project.slug, slots: project.slots }).collect(),
    };
    Ok(tagged(&headers, &shown))
}

/// Never fails, and never takes long: who looks at the settings may well be looking for what is wrong.
async fn engine(caller: &Caller) -> EngineOfPlatform {
    let engine = caller.app().dispatcher().engine();
    let (address, namespace) = (engine.settings().address(), engine.settings().namespace.clone());
    let (server_version, trouble) = match caller.app().engine_seen().version(engine, caller.now()).await {
        Ok(version) => (Some(version), None),
        Err(trouble) => (None, Some(trouble)),
    };
    EngineOfPlatform { address, namespace, server_version, trouble }
}

impl DatabaseSchema {
    fn of(AppliedMigration { version, description, at }: AppliedMigration) -> Self {
        Self { version: version.to_string(), change: description, applied_at: at }
    }
}
