//! The migration, as the Job of that name does it in a cluster: `DATABASE_URL` says where.

use anyhow::Context;
use role::{Environment, Reader, SecretText};

use super::surroundings::RoleError;

pub(super) async fn run() -> Result<(), RoleError> {
    let environment = Environment::of_process();
    let mut reader = Reader::new(&environment);
    let url: Option<SecretText> = reader.required("DATABASE_URL", "write postgres://user:password@host:port/database");
    let url = reader.finish(url).map_err(|errors| RoleError::Failed(errors.into()))?;
    migrate(&url).await.map_err(RoleError::Failed)
}

async fn migrate(url: &SecretText) -> anyhow::Result<()> {
    let store = store::Store::connect(url.expose(), 2).await.context("connect to the database")?;
    store::migrate(store.pool()).await.context("bring the schema up to date")
}
