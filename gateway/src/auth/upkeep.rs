//! What sign-in needs to have done from time to time, by whichever gateway comes first.

use std::time::Duration;

use chrono::TimeDelta;
use store::{StoreError, idempotency, people, sessions, signing_keys};

use super::keys::{self, KeyTrouble};
use crate::{app::AppState, problem::Chain};

const PAUSE: Duration = Duration::from_secs(60);

/// Sessions that ended are kept for so long, so that people can see them in the audit's light.
const KEEP_SESSIONS: TimeDelta = TimeDelta::days(30);

/// A wish may be repeated with its key for so long.
const KEEP_ANSWERS: TimeDelta = TimeDelta::days(1);

impl AppState {
    /// Changes signing keys in time, makes the first owner, and forgets what is over; until dropped.
    pub async fn keep_sign_in(self) {
        let mut told = false;
        loop {
            match self.tend_sign_in().await {
                Ok(()) => told = false,
                Err(error) if !told => {
                    told = true;
                    tracing::warn!(error = %Chain(&error), "the upkeep of sign-in failed; it is tried again");
                }
                Err(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn tend_sign_in(&self) -> Result<(), KeyTrouble> {
        let Some(sign_in) = self.sign_in() else { return Ok(()) };
        let now = self.now();
        keys::keep_current(self.store(), self.key(), now).await?;
        let mut tx = self.store().begin().await?;
        if let Some(owner) = &sign_in.settings().owner_email
            && people::ensure_owner(&mut tx, owner, now).await?
        {
            tracing::info!("the owner of the settings is on the list");
        }
        signing_keys::forget(&mut tx, now).await?;
        sessions::forget(&mut tx, now, now - KEEP_SESSIONS).await?;
        idempotency::forget(&mut tx, now - KEEP_ANSWERS).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(())
    }
}
