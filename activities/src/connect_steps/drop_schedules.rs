//! Takes the schedules of the repository back from the engine. What the engine does not take now, a reconciler tells it again.

use store::{connections::Connection, repositories};

use crate::{
    failure::StepError,
    platform::Platform,
    project_schedules::{self, Tell},
};

pub(super) async fn run(platform: &Platform, connection: Connection) -> Result<(), StepError> {
    let id = super::repository(&connection)?;
    let repository = repositories::get(&mut *platform.store.acquire().await?, id).await?;
    project_schedules::sync(platform, &repository, Tell::Changes).await.map(drop)
}
