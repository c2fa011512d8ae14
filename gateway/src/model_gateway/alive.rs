//! Being heard of, and booking what gateways had under way that are no longer.

use std::time::Duration;

use chrono::TimeDelta;
use store::{
    StoreError,
    model_calls::{self, CallEnd, Charge},
    model_gateways,
};

use super::ModelGateway;
use crate::problem::Chain;

/// How often a gateway says that it is at work, and looks after the others.
const PERIOD: Duration = Duration::from_secs(5);

/// After such a silence a gateway is taken for dead. One that was only held up corrects what was booked for it: what the
/// provider reported takes the place of an estimate.
const SILENCE: TimeDelta = TimeDelta::seconds(30);

/// Gateways that had nothing under way are forgotten after this.
const FORGOTTEN: TimeDelta = TimeDelta::days(1);

/// Calls booked in one look.
const MOST: u32 = 200;

impl ModelGateway {
    /// Says that it is at work and books the calls of gateways that are gone, until dropped.
    pub async fn keep_alive(self) {
        let mut period = tokio::time::interval(PERIOD);
        loop {
            period.tick().await;
            if let Err(error) = self.look_after().await {
                tracing::warn!(error = %Chain(&error), "model calls of gateways that are gone could not be looked after");
            }
        }
    }

    /// Does so once; says how many calls were booked.
    ///
    /// # Errors
    /// The database fails.
    pub async fn look_after(&self) -> Result<u32, StoreError> {
        let now = (self.clock)();
        let mut conn = self.store.acquire().await?;
        model_gateways::seen(&mut conn, self.id, now).await?;
        let orphans = model_calls::orphans(&mut conn, now - SILENCE, MOST).await?;
        model_gateways::forget(&mut conn, now - FORGOTTEN).await?;
        drop(conn);
        let mut booked = 0;
        for id in orphans {
            let end = CallEnd {
                status: None,
                charge: Charge::Estimated,
                first_byte_at: None,
                served_by: None,
                tries: 0,
                waited: Duration::ZERO,
                stopped: None,
                bodies: None,
                now,
            };
            let mut tx = self.store.begin().await?;
            let news = model_calls::finish(&mut tx, id, &end).await?;
            tx.commit().await.map_err(StoreError::from)?;
            booked += u32::from(news);
        }
        if booked > 0 {
            tracing::warn!(booked, "calls of model gateways that are gone were booked with what they had reserved");
        }
        Ok(booked)
    }
}
