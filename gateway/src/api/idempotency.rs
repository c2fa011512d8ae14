//! `Idempotency-Key`: a write that is sent again because its answer was lost gets the answer, and is not done again.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::sentences;
use http::{HeaderMap, HeaderName, StatusCode};
use ingest::by_hand::Followed;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::{
    PgConnection, StoreError, Transaction,
    idempotency::{self, Known},
};

use crate::{auth::Caller, problem::Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const MAX_KEY: usize = 200;

/// Whether a write is new.
pub(super) enum Begun {
    /// It was done already, and this was the answer.
    Answered(Response),
    /// It is to be done now.
    New(Writing),
}

/// A write that is being done: nothing of it holds until it is answered.
pub(super) struct Writing {
    wish: Wish,
    tx: Transaction,
}

impl Writing {
    /// The transaction that it is done in.
    pub(super) fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Commits it with its answer. Of a run that it is about pages hear at once, and its commands are delivered.
    ///
    /// # Errors
    /// 503 if the database does not answer.
    pub(super) async fn answer(
        mut self,
        caller: &Caller,
        status: StatusCode,
        answer: &impl Serialize,
        followed: Option<Followed>,
    ) -> Result<Response, Problem> {
        let response = self.wish.answer(caller, &mut self.tx, status, answer).await?;
        self.tx.commit().await.map_err(StoreError::from)?;
        if let Some(Followed { run, workflow_id }) = followed {
            caller.store().ring(run);
            if let Some(workflow) = workflow_id {
                caller.app().dispatcher().spawn(workflow);
            }
        }
        Ok(response)
    }
}

/// A write with a key, or without one.
pub(super) struct Wish {
    key: Option<String>,
    hash: [u8; 32],
}

impl Wish {
    /// The write of this operation with this body.
    ///
    /// # Errors
    /// 400 for a key that is none.
    pub(super) fn read(headers: &HeaderMap, operation: &str, body: &impl Serialize) -> Result<Self, Problem> {
        let key = headers.get(&IDEMPOTENCY_KEY).map(|value| value.to_str().unwrap_or_default().to_owned());
        let fits = |key: &String| (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
        if key.as_ref().is_some_and(|key| !fits(key)) {
            let detail = format!("an Idempotency-Key has 1 to {MAX_KEY} visible ASCII characters");
            return Err(Problem::bad_request("idempotency_key_invalid", detail));
        }
        let body = serde_json::to_vec(body).unwrap_or_default();
        let hash = Sha256::new().chain_update(operation).chain_update([0]).chain_update(body).finalize().into();
        Ok(Self { key, hash })
    }

    /// The answer, if the wish was done already. To be asked at the beginning of the transaction that does it.
    ///
    /// # Errors
    /// 422 if the key was given to another wish; 503 if the database does not answer.
    pub(super) async fn earlier(&self, caller: &Caller, conn: &mut PgConnection) -> Result<Option<Response>, Problem> {
        let Some(wish) = self.stored(caller) else { return Ok(None) };
        match idempotency::claim(conn, wish).await? {
            Known::New => Ok(None),
            Known::Answered { status, body } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
                Ok(Some((status, Json(body)).into_response()))
            }
            Known::Another => {
                let detail = sentences::key_of_another_wish();
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail))
            }
        }
    }

    /// The answer to what was done now; stored in the same transaction.
    ///
    /// # Errors
    /// 503 if the database does not answer.
    pub(super) async fn answer(
        &self,
        caller: &Caller,
        conn: &mut PgConnection,
        status: StatusCode,
        answer: &impl Serialize,
    ) -> Result<Response, Problem> {
        let body: Value = serde_json::to_value(answer).map_err(|error| {
            tracing::error!(%error, "an answer does not serialise");
            Problem::internal()
        })?;
        if let Some(wish) = self.stored(caller) {
            idempotency::answered(conn, wish, status.as_u16(), &body).await?;
        }
        Ok((status, Json(body)).into_response())
    }

    /// Begins the write; or gives the answer, if it was done already.
    ///
    /// # Errors
    /// As for [`Wish::earlier`].
    pub(super) async fn begin(self, caller: &Caller) -> Result<Begun, Problem> {
        let mut tx = caller.store().begin().await?;
        match self.earlier(caller, &mut tx).await? {
            Some(answer) => Ok(Begun::Answered(answer)),
            None => Ok(Begun::New(Writing { wish: self, tx })),
        }
    }

    fn stored(&self, caller: &Caller) -> Option<idempotency::Wish<'_>> {
        let key = self.key.as_deref()?;
        Some(idempotency::Wish { person: caller.person().id, key, request_hash: &self.hash, now: caller.now() })
    }
}
