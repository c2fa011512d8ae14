//! What runs and projects have used of their model budgets, and reserving before a call is made.
//!
//! The rows of a call's three scopes are locked, always in the same order, while it is decided whether it fits: calls at the
//! same time, also on different gateways, are decided about one after another.

use chrono::{DateTime, Utc};
use domain::{
    ids::{ProjectId, RunId},
    model::{Account, Amount, Decision, Limits, Scope, Usd, Wish, decide},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    convert::{self, attempt_number, clean, stored, unsigned},
    model_calls::{ModelCallId, NewCall, Reserved},
    model_gateways::ModelGatewayId,
};

/// What became of a call's reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// The call may be made and is noted.
    Granted {
        /// Names it from now on.
        id: ModelCallId,
        /// Its longest answer, in tokens.
        output: u64,
        /// Whether that is less than was wished for.
        cut: bool,
    },
    /// It may not, now or at all; nothing is noted.
    Not(Decision),
}

/// The rows that a call is counted in.
pub(crate) struct Keys {
    run: String,
    day: String,
    month: String,
}

impl Keys {
    /// Those of a call of this run that began then.
    pub(crate) fn new(run: RunId, project: ProjectId, at: DateTime<Utc>) -> Self {
        Self {
            run: run.to_string(),
            day: format!("{project}:{}", at.format("%Y-%m-%d")),
            month: format!("{project}:{}", at.format("%Y-%m")),
        }
    }
}

/// Reserves what a call may use, and notes the call. To be done in a transaction, which should be short: others of the project
/// wait for it.
///
/// # Errors
/// The attempt is not there, or the database fails.
pub async fn reserve(
    conn: &mut PgConnection,
    call: &NewCall<'_>,
    gateway: ModelGatewayId,
    limits: &Limits,
    wish: &Wish,
) -> Result<Reservation> {
    let keys = Keys::new(call.run, call.project, call.now);
    let accounts = lock(conn, &keys).await?;
    let (output, cut, amount) = match decide(limits, &accounts, wish) {
        Decision::Granted { output, cut, amount } => (output, cut, amount),
        other => return Ok(Reservation::Not(other)),
    };
    let usd = wish.price.map(|_| amount.usd);
    let reserved = Reserved { input: wish.input, output, usd };
    let id = note(conn, (call, &keys), gateway, reserved).await?;
    Ok(Reservation::Granted { id, output, cut })
}

/// Counts the reservation and notes the call, in one statement: others wait meanwhile.
async fn note(
    conn: &mut PgConnection,
    (call, keys): (&NewCall<'_>, &Keys),
    gateway: ModelGatewayId,
    reserved: Reserved,
) -> Result<ModelCallId> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "with counted as (update model_budgets set reserved_tokens = reserved_tokens + $4 + $5, \
             reserved_nano_usd = reserved_nano_usd + coalesce($6, 0) \
             where (scope = 'day' and key = $1) or (scope = 'month' and key = $2) or (scope = 'run' and key = $3)) \
         insert into model_calls (id, run_id, attempt, started_at, kind, model, gateway_id, reserved_input_tokens, \
             reserved_output_tokens, reserved_nano_usd) values ($7, $8, $9, $10, $11, $12, $13, $4, $5, $6)",
        keys.day,
        keys.month,
        keys.run,
        stored(reserved.input),
        stored(reserved.output),
        reserved.usd.map(|usd| stored(usd.nano())) as Option<i64>,
        id,
        call.run.as_uuid(),
        attempt_number(call.attempt),
        call.now,
        call.kind.as_str(),
        &clean(call.model),
        gateway.0,
    )
    .execute(conn)
    .await?;
    Ok(ModelCallId(id))
}

/// Moves a call from one booked amount to another, and gives back what it had reserved. The last thing in its transaction, since others
/// of the project wait for it from here on.
pub(crate) async fn book(
    conn: &mut PgConnection,
    keys: &Keys,
    (from, to): (Amount, Amount),
    given_back: Option<Reserved>,
) -> Result<()> {
    let reserved = given_back.map_or_else(Amount::default, |reserved| Amount {
        tokens: reserved.input + reserved.output,
        usd: reserved.usd.unwrap_or_default(),
    });
    sqlx::query!(
        // Locked in the order in which reserving does it.
        "with locked as (select scope, key from model_budgets \
             where (scope = 'day' and key = $1) or (scope = 'month' and key = $2) or (scope = 'run' and key = $3) \
             order by scope for update) \
         update model_budgets b set spent_tokens = b.spent_tokens + $4, spent_nano_usd = b.spent_nano_usd + $5, \
             reserved_tokens = b.reserved_tokens - $6, reserved_nano_usd = b.reserved_nano_usd - $7 \
         from locked where b.scope = locked.scope and b.key = locked.key",
        keys.day,
        keys.month,
        keys.run,
        stored(to.tokens) - stored(from.tokens),
        stored(to.usd.nano()) - stored(from.usd.nano()),
        stored(reserved.tokens),
        stored(reserved.usd.nano()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a run, and its project on the day and in the month of a moment, have used; in the order of [`Scope::ALL`].
///
/// # Errors
/// The database fails.
pub async fn accounts(
    conn: &mut PgConnection,
    run: RunId,
    project: ProjectId,
    at: DateTime<Utc>,
) -> Result<[Account; 3]> {
    let keys = Keys::new(run, project, at);
    let rows = sqlx::query_as!(
        Row,
        "select scope, spent_tokens, spent_nano_usd, reserved_tokens, reserved_nano_usd from model_budgets \
         where (scope = 'day' and key = $1) or (scope = 'month' and key = $2) or (scope = 'run' and key = $3)",
        keys.day,
        keys.month,
        keys.run,
    )
    .fetch_all(conn)
    .await?;
    in_order(rows)
}

struct Row {
    scope: String,
    spent_tokens: i64,
    spent_nano_usd: i64,
    reserved_tokens: i64,
    reserved_nano_usd: i64,
}

/// Locks the rows of a call, and makes them where it is the first of its run, day or month. They are taken in one order by everybody,
/// whether they are there or not, here and by [`book`]: two calls never wait for each other.
async fn lock(conn: &mut PgConnection, keys: &Keys) -> Result<[Account; 3]> {
    let rows = sqlx::query_as!(
        Row,
        "insert into model_budgets (scope, key) values ('day', $1), ('month', $2), ('run', $3) \
         on conflict (scope, key) do update set spent_tokens = model_budgets.spent_tokens \
         returning scope, spent_tokens, spent_nano_usd, reserved_tokens, reserved_nano_usd",
        keys.day,
        keys.month,
        keys.run,
    )
    .fetch_all(conn)
    .await?;
    in_order(rows)
}

fn in_order(rows: Vec<Row>) -> Result<[Account; 3]> {
    let mut accounts = [Account::default(); 3];
    for row in rows {
        let scope: Scope = convert::parse("model_budgets", "scope", &row.scope)?;
        let amount = |tokens: i64, nano_usd: i64| -> Result<Amount> {
            Ok(Amount {
                tokens: unsigned("model_budgets", "tokens", tokens)?,
                usd: Usd::from_nano(unsigned("model_budgets", "nano_usd", nano_usd)?),
            })
        };
        let account = Account {
            spent: amount(row.spent_tokens, row.spent_nano_usd)?,
            reserved: amount(row.reserved_tokens, row.reserved_nano_usd)?,
        };
        for (place, of) in accounts.iter_mut().zip(Scope::ALL) {
            if *of == scope {
                *place = account;
            }
        }
    }
    Ok(accounts)
}
