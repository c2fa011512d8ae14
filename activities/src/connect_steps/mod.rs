//! The activities of connecting a repository, of renewing its secret and of detaching it. This file ties each declaration to the file that does it.
#![expect(missing_docs, reason = "the macros of the SDK generate items without documentation")]

mod adopt_repository;
mod check_rights;
mod count_runs;
mod drop_schedules;
mod end_connecting;
mod make_hook;
mod read_settings;
mod remove_hooks;
mod renew_secret;
mod withdraw_credential;

use std::sync::Arc;

use domain::{
    connection::ConnectionStep,
    ids::{CredentialId, RepositoryId},
    sentences,
};
use store::connections::{self, Connection};
use temporalio_common::ActivityError;
use temporalio_macros::activities;
use temporalio_sdk::activities::ActivityContext;
use workflows::messages::{ConnectionEnd, ConnectionRef, RightsVerdict, RunsLeft};

use crate::{
    beat::{OnCancel, beating},
    failure::StepError,
    platform::Platform,
};

/// Implements [`workflows::connect_steps::ConnectSteps`].
pub struct ConnectActivities {
    /// What they have at hand.
    pub platform: Arc<Platform>,
}

#[activities]
impl ConnectActivities {
    #[activity(definition = workflows::connect_steps::defs::CheckRights)]
    pub async fn check_rights(
        self: Arc<Self>,
        ctx: ActivityContext,
        at: ConnectionRef,
    ) -> Result<RightsVerdict, ActivityError> {
        let work = in_step(&self.platform, at, ConnectionStep::Rights, async |connection| {
            check_rights::run(&self.platform, connection).await
        });
        beating(&ctx, OnCancel::Stop, work).await
    }

    #[activity(definition = workflows::connect_steps::defs::AdoptRepository)]
    pub async fn adopt_repository(
        self: Arc<Self>,
        ctx: ActivityContext,
        at: ConnectionRef,
    ) -> Result<(), ActivityError> {
        let work = in_step(&self.platform, at, ConnectionStep::Repository, async |connection| {
            adopt_repository::run(&self.platform, connection).await
        });
        beating(&ctx, OnCancel::Stop, work).await
    }

    #[activity(definition = workflows::connect_steps::defs::MakeHook)]
    pub async fn make_hook(self: Arc<Self>, ctx: ActivityContext, at: ConnectionRef) -> Result<(), ActivityError> {
        let work = in_step(&self.platform, at, ConnectionStep::Hook, async |connection| {
            make_hook::run(&self.platform, connection).await
        });
        beating(&ctx, OnCancel::Finish, work).await
    }

    #[activity(definition = workflows::connect_steps::defs::ReadSettings)]
    pub async fn read_settings(self: Arc<Self>, ctx: ActivityContext, at: ConnectionRef) -> Result<(), ActivityError> {
        let work = in_step(&self.platform, at, ConnectionStep::Settings, async |connection| {
            read_settings::run(&self.platform, connection).await
        });
        beating(&ctx, OnCancel::Stop, work).await
    }

    #[activity(definition = workflows::connect_steps::defs::RenewSecret)]
    pub async fn renew_secret(self: Arc<Self>, ctx: ActivityContext, at: ConnectionRef) -> Result<(), ActivityError> {
        let work = in_step(&self.platform, at, ConnectionStep::Secret, async |connection| {
            renew_secret::run(&self.platform, connection).await
        });
        beating(&ctx, OnCancel::Finish, work).await
    }

    #[activity(definition = workflows::connect_steps::defs::DropSchedules)]
    pub async fn drop_schedules(self: Arc<Self>, ctx: ActivityContext, at: ConnectionRef) -> Result<(), ActivityError> {
        let work = in_step(&self.platform, at, ConnectionStep::Schedules, async |connection| {
            drop_schedules::run(&self.platform, connection).await
        });
        beating(&ctx, OnCancel::Stop, work).await
    }

    #[activity(definition = workflows::connect_steps::defs::RemoveHooks)]
    pub async fn remove_hooks(self: Arc<Self>, ctx: ActivityContext, at: ConnectionRef) -> Result<(), ActivityError> {
        let work = in_step(&self.platform, at, ConnectionStep::Unhook, async |connection| {
            remove_hooks::run(&self.platform, connection).await
        });
        beating(&ctx, OnCancel::Finish, work).await
    }

    #[activity(definition = workflows::connect_steps::defs::CountRuns)]
    pub async fn count_runs(
        self: Arc<Self>,
        ctx: ActivityContext,
        at: ConnectionRef,
    ) -> Result<RunsLeft, ActivityError> {
        let work = in_step(&self.platform, at, ConnectionStep::Runs, async |connection| {
            count_runs::run(&self.platform, connection).await
        });
        beating(&ctx, OnCancel::Finish, work).await
    }

    #[activity(definition = workflows::connect_steps::defs::WithdrawCredential)]
    pub async fn withdraw_credential(
        self: Arc<Self>,
        ctx: ActivityContext,
        at: ConnectionRef,
    ) -> Result<(), ActivityError> {
        let work = in_step(&self.platform, at, ConnectionStep::Withdraw, async |connection| {
            withdraw_credential::run(&self.platform, connection).await
        });
        beating(&ctx, OnCancel::Finish, work).await
    }

    #[activity(definition = workflows::connect_steps::defs::EndConnecting)]
    pub async fn end_connecting(
        self: Arc<Self>,
        ctx: ActivityContext,
        end: ConnectionEnd,
    ) -> Result<(), ActivityError> {
        beating(&ctx, OnCancel::Finish, end_connecting::run(&self.platform, &end)).await
    }
}

/// Stores how connecting ended, for one whose workflow can't.
pub(crate) async fn end(platform: &Platform, end: &ConnectionEnd) -> Result<(), StepError> {
    end_connecting::run(platform, end).await
}

/// The credential that the work is done with.
fn credential(connection: &Connection) -> Result<CredentialId, StepError> {
    let missing = || StepError::fatal("connection_incomplete", "this connection was made without a credential");
    connection.credential.ok_or_else(missing)
}

/// The repository, once it is known.
fn repository(connection: &Connection) -> Result<RepositoryId, StepError> {
    let missing = || StepError::fatal("connection_incomplete", "the repository of this connection is not known yet");
    connection.repository.ok_or_else(missing)
}

/// Notes the step in the row that people look at, and what it waits for if it has to be repeated.
async fn in_step<T>(
    platform: &Platform,
    at: ConnectionRef,
    step: ConnectionStep,
    work: impl AsyncFnOnce(Connection) -> Result<T, StepError>,
) -> Result<T, StepError> {
    let id = at.connection;
    let mut conn = platform.store.acquire().await?;
    let connection = connections::get(&mut conn, id).await?;
    if !connections::begin_step(&mut conn, id, step, platform.now()).await? {
        return Err(StepError::fatal("connection_ended", sentences::connection_ended()));
    }
    drop(conn);
    let done = work(connection).await;
    if let Err(error @ (StepError::Passing(_) | StepError::NotBefore { .. })) = &done {
        let waits = capitalised(&sentences::connection_tried_again(step.describe(), error));
        connections::note(&mut *platform.store.acquire().await?, id, &waits, platform.now()).await?;
    }
    done
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
