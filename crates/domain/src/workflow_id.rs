//! Workflow ids: fixed by what they are about, so that a second start is a no-op. No `/` ever.

use crate::{
    ids::{Attempt, ConnectionId, Instance, ProjectId, RepositoryId, RunId},
    reconciler::Reconciler,
};

/// `<instance>:agent-run:<run>:<attempt>`.
#[must_use]
pub fn agent_run(instance: &Instance, run: RunId, attempt: Attempt) -> String {
    format!("{instance}:agent-run:{run}:{attempt}")
}

/// `<instance>:reconcile:<name>`: a schedule; the engine adds the time to the ids of the workflows that it starts.
#[must_use]
pub fn reconcile(instance: &Instance, reconciler: Reconciler) -> String {
    format!("{instance}:reconcile:{reconciler}")
}

/// `<instance>:schedule:<repository id>:<name>`: a schedule of a project's settings.
#[must_use]
pub fn project_schedule(instance: &Instance, repository: RepositoryId, name: &str) -> String {
    format!("{instance}:schedule:{repository}:{name}")
}

/// `<instance>:connect:<connection>`.
#[must_use]
pub fn connect_repository(instance: &Instance, connection: ConnectionId) -> String {
    format!("{instance}:connect:{connection}")
}

/// `<instance>:delete-project:<project>:<attempt>`.
#[must_use]
pub fn delete_project(instance: &Instance, project: ProjectId, attempt: u32) -> String {
    format!("{instance}:delete-project:{project}:{attempt}")
}

/// The attempt that a workflow id of [`agent_run`] is about.
#[must_use]
pub fn attempt_of(workflow_id: &str) -> Option<(RunId, Attempt)> {
    let [_, "agent-run", run, attempt] = workflow_id.split(':').collect::<Vec<_>>()[..] else { return None };
    Some((run.parse().ok()?, Attempt(attempt.parse().ok()?)))
}

/// Name of the Job of an attempt: unique, a DNS label, and the key that makes launching it idempotent.
#[must_use]
pub fn job_name(run: RunId, attempt: Attempt) -> String {
    format!("run-{}-{attempt}", run.as_uuid().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_fixed_form() {
        let run: RunId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let instance: Instance = "dev".parse().unwrap();
        assert_eq!(agent_run(&instance, run, Attempt::FIRST), "dev:agent-run:01890a5d-ac96-774b-bcce-b302099a8057:1");
        assert_eq!(reconcile(&instance, Reconciler::PartitionsAhead), "dev:reconcile:partitions_ahead");
        assert_eq!(attempt_of(&agent_run(&instance, run, Attempt(3))), Some((run, Attempt(3))));
        for other in
            ["dev:deploy:1:staging", "dev:agent-run:x:1", "dev:agent-run:01890a5d-ac96-774b-bcce-b302099a8057", ""]
        {
            assert_eq!(attempt_of(other), None, "{other}");
        }
        let job = job_name(run, Attempt(12));
        assert_eq!(job, "run-01890a5dac96774bbcceb302099a8057-12");
        assert!(job.len() <= 63);
    }
}
