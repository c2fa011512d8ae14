//! Whether pods of this cluster can have user namespaces: a pod that was started with one looks at its own.
//!
//! The API server accepts the wish whatever the node can do. Some runtimes ignore it silently, others fail for ever.

use std::time::Duration;

use domain::ids::Attempt;
use kube::api::DeleteParams;

use super::{KubernetesLauncher, failure::call, namespace::apply, objects, waiting::pods};
use crate::{JobOrder, JobRef, LaunchError};

/// Longest that the pod is waited for; a node that can't do it tries for ever.
const PATIENCE: Duration = Duration::from_secs(30);

const LOOK: Duration = Duration::from_millis(500);

/// What `/proc/self/uid_map` says where there is no user namespace: everything is as outside.
const EVERYTHING: &str = "0 0 4294967295";

/// Finds it out once for this process, in the namespace of the first order.
pub(super) async fn user_namespaces(launcher: &KubernetesLauncher, order: &JobOrder) -> Result<bool, LaunchError> {
    let found = launcher.own_users.get_or_try_init(|| async {
        let own = look(launcher, order).await?;
        tracing::info!(user_namespaces = own, "looked whether pods have user namespaces of their own");
        Ok(own)
    });
    found.await.copied()
}

/// A Job like any other, of an attempt that there is none of: nothing else is admitted there, and one that is left over is
/// found and ended as any stray Job is.
async fn look(launcher: &KubernetesLauncher, order: &JobOrder) -> Result<bool, LaunchError> {
    let job = JobRef { attempt: Attempt(0), ..order.job.clone() };
    let jobs = launcher.jobs(&job);
    apply(&jobs, "looking for user namespaces", &objects::probe(&job, &launcher.settings)).await?;
    let found = tokio::time::timeout(PATIENCE, answer(launcher, &job)).await;
    call("removing the Job that looked", jobs.delete(&job.name(), &DeleteParams::background())).await?;
    // One that does not come up in time is taken as a node that can't.
    found.unwrap_or(Ok(false))
}

async fn answer(launcher: &KubernetesLauncher, job: &JobRef) -> Result<bool, LaunchError> {
    loop {
        let statuses = pods(launcher, job).await?.into_iter().filter_map(|pod| pod.status?.container_statuses);
        let over = statuses.flatten().find_map(|of| of.state?.terminated);
        if let Some(over) = over {
            return Ok(over.exit_code == 0 && is_own(&over.message.unwrap_or_default()));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn is_own(uid_map: &str) -> bool {
    let map = uid_map.split_whitespace().collect::<Vec<_>>().join(" ");
    !map.is_empty() && map != EVERYTHING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_of_everything_is_no_namespace() {
        assert!(!is_own("         0          0 4294967295\n") && !is_own(""));
        assert!(is_own("         0 2147549184      65536\n"));
    }
}
