//! A wait for a provider's limit, where people see it: on the step of the run in which its agent works.

use chrono::{DateTime, Utc};
use domain::run::Step;
use store::{
    Store, StoreError,
    steps::{self, StepKey},
};

use super::ModelGateway;
use crate::{problem::Chain, runner_endpoint::RunnerAuth};

/// A wait under way. Whoever leaves in the middle ends it, too.
pub(super) struct Wait {
    store: Store,
    key: StepKey,
    ended: bool,
}

impl Wait {
    /// Shows that the agent's step waits. That it can't be shown is no reason not to wait.
    pub(super) async fn begin(gateway: &ModelGateway, auth: RunnerAuth, until: DateTime<Utc>) -> Self {
        let RunnerAuth(run, attempt) = auth;
        tracing::info!(%run, %attempt, %until, "a model call waits for the provider's rate limit");
        let wait =
            Self { store: gateway.store.clone(), key: StepKey { run, attempt, step: Step::Agent }, ended: false };
        let shown = async {
            let mut conn = wait.store.acquire().await?;
            steps::waits(&mut conn, wait.key, "The model API's rate limit is reached.", until).await
        };
        told(shown.await);
        wait
    }

    /// It is over.
    pub(super) async fn end(mut self) {
        self.ended = true;
        told(over(&self.store, self.key).await);
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (store, key) = (self.store.clone(), self.key);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { told(over(&store, key).await) });
        }
    }
}

async fn over(store: &Store, key: StepKey) -> Result<(), StoreError> {
    steps::waits_no_longer(&mut *store.acquire().await?, key).await
}

fn told(shown: Result<(), StoreError>) {
    if let Err(error) = shown {
        tracing::warn!(error = %Chain(&error), "a wait could not be shown");
    }
}
