//! Waiting for what users wait for, and for rest at the end.

use anyhow::{Context, bail};
use domain::{event::SubjectKind, run::RunState, workflow_id};
use store::{runs::Run, slots};

use super::{PATIENCE, Platform, agreement, until};

impl Platform {
    /// Waits until a run about an issue is there and has passed the test.
    ///
    /// # Errors
    /// When it does not within [`PATIENCE`].
    pub async fn await_run(&self, number: u64, what: &str, fits: impl Fn(&Run) -> bool) -> anyhow::Result<Run> {
        self.await_run_about(SubjectKind::Issue, number, what, fits).await
    }

    /// The same for pull requests, too.
    ///
    /// # Errors
    /// When it does not within [`PATIENCE`].
    pub async fn await_run_about(
        &self,
        kind: SubjectKind,
        number: u64,
        what: &str,
        fits: impl Fn(&Run) -> bool,
    ) -> anyhow::Result<Run> {
        let seen = std::cell::RefCell::new(None);
        let found = until(PATIENCE, async || {
            let run = self.run_about(kind, number).await?;
            let fitting = run.clone().filter(|run| fits(run));
            *seen.borrow_mut() = run;
            Ok(fitting)
        })
        .await?;
        found.with_context(|| format!("#{number} is not {what}; last seen: {:?}", seen.borrow()))
    }

    /// Waits until the run about an issue has ended.
    ///
    /// # Errors
    /// When it does not within [`PATIENCE`].
    pub async fn await_end(&self, number: u64) -> anyhow::Result<Run> {
        self.await_run(number, "finished", |run| run.state == RunState::Finished).await
    }

    /// Waits for anything else.
    ///
    /// # Errors
    /// When it does not come within [`PATIENCE`].
    pub async fn await_that<T>(
        &self,
        what: &str,
        look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        until(PATIENCE, look).await?.with_context(|| format!("{what}: not within {PATIENCE:?}"))
    }

    /// Waits until row, label, sticky comment and commit status agree about how every run about an issue ended.
    ///
    /// # Errors
    /// When they do not within [`PATIENCE`].
    pub async fn await_agreement(&self, number: u64) -> anyhow::Result<()> {
        let number = i64::try_from(number)?;
        self.await_no_difference(|run| run.subject.number == number).await
    }

    async fn await_no_difference(&self, of: impl Fn(&Run) -> bool) -> anyhow::Result<()> {
        let seen = std::cell::RefCell::new(None);
        let agreed = until(PATIENCE, async || {
            let difference = agreement::difference(self, &of).await?;
            let agreed = difference.is_none().then_some(());
            *seen.borrow_mut() = difference;
            Ok(agreed)
        })
        .await?;
        agreed.with_context(|| format!("row and forge differ: {}", seen.take().unwrap_or_default()))
    }

    /// A run may end before the signal that would have woken it is through, or is tried again; but no command stays.
    async fn await_delivered(&self) -> anyhow::Result<()> {
        const EVER: chrono::DateTime<chrono::Utc> = chrono::DateTime::<chrono::Utc>::MAX_UTC;
        let left = std::cell::RefCell::new(Vec::new());
        let none = until(PATIENCE, async || {
            let mut conn = self.store().acquire().await?;
            let mut commands = Vec::new();
            for workflow_id in store::commands::workflows_with_pending(&mut conn, EVER, EVER, 100).await? {
                commands.extend(store::commands::pending(&mut conn, &workflow_id, 100).await?);
            }
            let none = commands.is_empty().then_some(());
            left.replace(commands);
            Ok(none)
        });
        none.await?.with_context(|| format!("commands are still undelivered: {:?}", left.borrow()))
    }

    /// Ends the test: everything must have come to rest, and say the same everywhere.
    ///
    /// # Errors
    /// When something is left, differs, or does not stop.
    pub async fn finish(self) -> anyhow::Result<()> {
        self.await_no_difference(|_| true).await?;
        let mut conn = self.store().acquire().await?;
        let places = slots::places(&mut conn, self.repository.project).await?;
        if !places.is_empty() {
            bail!("slots are still held or waited for: {places:?}");
        }
        drop(conn);
        self.await_delivered().await?;
        let mut conn = self.store().acquire().await?;
        let told = store::project_schedules::list(&mut conn, self.repository.id).await?;
        drop(conn);
        for schedule in told {
            let id = workflow_id::project_schedule(&self.instance, self.repository.id, &schedule.name);
            self.engine.delete_schedule(&id).await?;
        }
        self.jobs.finish(&self.project().await?).await?;
        self.shut_down().await
    }

    /// Ends it as it is.
    ///
    /// # Errors
    /// When something does not stop.
    pub async fn shut_down(self) -> anyhow::Result<()> {
        self.running.stop().await?;
        self.forge.shutdown().await?;
        self.model.shutdown().await;
        drop(self.folder);
        Ok(())
    }
}
