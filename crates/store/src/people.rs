//! Who may sign in, and what each of them may do on the platform.

use chrono::{DateTime, Utc};
use domain::{
    ids::{PersonId, SessionId},
    people::{Email, Language, PlatformRole, Theme},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result, StoreError,
    convert::{clean_opt, parse, parse_opt},
};

/// Somebody who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Their id.
    pub id: PersonId,
    /// The address on the list.
    pub email: Email,
    /// GitHub's number of the account, once it is bound.
    pub github_id: Option<i64>,
    /// Login on GitHub, as of the last sign-in.
    pub login: Option<String>,
    /// Name on GitHub, as of the last sign-in.
    pub name: Option<String>,
    /// What they may do with the platform itself.
    pub role: PlatformRole,
    /// The console's language; none: as the browser asks for it.
    pub language: Option<Language>,
    /// The console's look.
    pub theme: Theme,
    /// Since when they are locked out.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Since when they are on the list.
    pub created_at: DateTime<Utc>,
    /// The last sign-in.
    pub signed_in_at: Option<DateTime<Utc>>,
}

/// What GitHub says about an account at a sign-in.
#[derive(Clone, Debug)]
pub struct Account<'a> {
    /// GitHub's number of it.
    pub github_id: i64,
    /// Its login now.
    pub login: &'a str,
    /// Its name now.
    pub name: Option<&'a str>,
}

/// Where a list goes on: after this address.
#[derive(Clone, Copy, Debug)]
pub struct PeoplePage<'a> {
    /// The last address of the page before.
    pub after: Option<&'a str>,
    /// How many at most.
    pub limit: i64,
    /// Part of address, login or name.
    pub text: Option<&'a str>,
}

struct Row {
    id: Uuid,
    email: String,
    github_id: Option<i64>,
    login: Option<String>,
    name: Option<String>,
    role: String,
    language: Option<String>,
    theme: String,
    disabled_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    signed_in_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Person {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: PersonId::from_uuid(row.id),
            email: parse("people", "email", &row.email)?,
            github_id: row.github_id,
            login: row.login,
            name: row.name,
            role: parse("people", "role", &row.role)?,
            language: parse_opt("people", "language", row.language.as_deref())?,
            theme: parse("people", "theme", &row.theme)?,
            disabled_at: row.disabled_at,
            created_at: row.created_at,
            signed_in_at: row.signed_in_at,
        })
    }
}

/// Puts an address on the list. Gives none if it is there already.
///
/// # Errors
/// The database fails.
pub async fn add(
    conn: &mut PgConnection,
    email: &Email,
    role: PlatformRole,
    now: DateTime<Utc>,
) -> Result<Option<PersonId>> {
    let id = sqlx::query_scalar!(
        "insert into people (id, email, role, created_at) values ($1, $2, $3, $4) on conflict (email) do nothing returning id",
        Uuid::now_v7(),
        email.as_str(),
        role.as_str(),
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(PersonId::from_uuid))
}

/// Makes this address the owner's, if the platform has no owner yet. Says whether it did.
///
/// # Errors
/// The database fails.
pub async fn ensure_owner(conn: &mut PgConnection, email: &Email, now: DateTime<Utc>) -> Result<bool> {
    let made = sqlx::query!(
        "insert into people (id, email, role, created_at) select $1, $2, 'owner', $3 \
         where not exists (select from people where role = 'owner') \
         on conflict (email) do update set role = 'owner'",
        Uuid::now_v7(),
        email.as_str(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(made.rows_affected() > 0)
}

/// Somebody by id.
///
/// # Errors
/// The database fails.
pub async fn get(conn: &mut PgConnection, id: PersonId) -> Result<Option<Person>> {
    let row = sqlx::query_as!(
        Row,
        "select id, email, github_id, login, name, role, language, theme, disabled_at, created_at, signed_in_at \
         from people where id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Person::try_from).transpose()
}

/// Somebody by id, locked until the transaction ends.
///
/// # Errors
/// The database fails.
pub async fn lock(conn: &mut PgConnection, id: PersonId) -> Result<Option<Person>> {
    let row = sqlx::query_as!(
        Row,
        "select id, email, github_id, login, name, role, language, theme, disabled_at, created_at, signed_in_at \
         from people where id = $1 for update",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Person::try_from).transpose()
}

/// Somebody by GitHub's number, locked until the transaction ends.
///
/// # Errors
/// The database fails.
pub async fn lock_by_github_id(conn: &mut PgConnection, github_id: i64) -> Result<Option<Person>> {
    let row = sqlx::query_as!(
        Row,
        "select id, email, github_id, login, name, role, language, theme, disabled_at, created_at, signed_in_at \
         from people where github_id = $1 for update",
        github_id
    )
    .fetch_optional(conn)
    .await?;
    row.map(Person::try_from).transpose()
}

/// Somebody by the address on the list, locked until the transaction ends.
///
/// # Errors
/// The database fails.
pub async fn lock_by_email(conn: &mut PgConnection, email: &Email) -> Result<Option<Person>> {
    let row = sqlx::query_as!(
        Row,
        "select id, email, github_id, login, name, role, language, theme, disabled_at, created_at, signed_in_at \
         from people where email = $1 for update",
        email.as_str()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Person::try_from).transpose()
}

/// Writes down a sign-in: the account is bound now, if it was not before.
///
/// # Errors
/// The database fails; the account is bound to somebody else (`people_github_id_key`).
pub async fn signed_in(conn: &mut PgConnection, id: PersonId, account: &Account<'_>, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update people set github_id = $2, login = $3, name = $4, signed_in_at = $5 where id = $1",
        id.as_uuid(),
        account.github_id,
        account.login,
        clean_opt(account.name),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What the console looks like to somebody.
///
/// # Errors
/// The database fails.
pub async fn set_preferences(
    conn: &mut PgConnection,
    id: PersonId,
    language: Option<Language>,
    theme: Theme,
) -> Result<()> {
    sqlx::query!(
        "update people set language = $2, theme = $3 where id = $1",
        id.as_uuid(),
        language.map(Language::as_str),
        theme.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What somebody may do with the platform, and since when they may not at all.
///
/// # Errors
/// The database fails.
pub async fn set_standing(
    conn: &mut PgConnection,
    id: PersonId,
    role: PlatformRole,
    disabled_at: Option<DateTime<Utc>>,
) -> Result<()> {
    sqlx::query!(
        "update people set role = $2, disabled_at = $3 where id = $1",
        id.as_uuid(),
        role.as_str(),
        disabled_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The owners who may sign in, locked until the transaction ends: so that two of them can't step down at once.
///
/// # Errors
/// The database fails.
pub async fn lock_owners(conn: &mut PgConnection) -> Result<Vec<PersonId>> {
    let ids = sqlx::query_scalar!(
        "select id from people where role = 'owner' and disabled_at is null order by id for update"
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(PersonId::from_uuid).collect())
}

/// Everybody on the list, by address.
///
/// # Errors
/// The database fails.
pub async fn list(conn: &mut PgConnection, page: PeoplePage<'_>) -> Result<Vec<Person>> {
    let rows = sqlx::query_as!(
        Row,
        "select id, email, github_id, login, name, role, language, theme, disabled_at, created_at, signed_in_at \
         from people where ($1::text is null or email > $1) \
         and ($2::text is null or strpos(email, lower($2)) > 0 or strpos(lower(login), lower($2)) > 0 \
             or strpos(lower(name), lower($2)) > 0) \
         order by email limit $3",
        page.after,
        page.text,
        page.limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Person::try_from).collect()
}

/// The person of a session that is neither revoked nor over.
///
/// # Errors
/// The database fails.
pub async fn of_session(conn: &mut PgConnection, session: SessionId, now: DateTime<Utc>) -> Result<Option<Person>> {
    let row = sqlx::query_as!(
        Row,
        "select p.id, p.email, p.github_id, p.login, p.name, p.role, p.language, p.theme, p.disabled_at, p.created_at, \
         p.signed_in_at from sessions s join people p on p.id = s.person_id \
         where s.id = $1 and s.revoked_at is null and s.expires_at > $2",
        session.as_uuid(),
        now,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Person::try_from).transpose()
}
