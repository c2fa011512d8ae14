//! Ending a Job: its pod is asked to end, then made to; and the Job goes first, so that it makes no other.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::DeleteParams};
use tokio::time::Instant;

use super::{
    KubernetesLauncher,
    failure::{find, persist},
    pod::GRACE_SECS,
    waiting::pods,
};
use crate::{JobRef, LaunchError};

/// How often is looked whether the pod is gone. It is gone within seconds.
const LOOK: Duration = Duration::from_millis(300);

/// What the node needs beyond the grace to make an end and to say so.
const NODE: Duration = Duration::from_secs(4);

/// How long a pod that was taken away by force may still be shown: a busy cluster takes its time to note that it is gone.
const FORCED: Duration = Duration::from_secs(8);

/// How often it is taken away meanwhile.
const AGAIN: Duration = Duration::from_secs(1);

/// Longest that the deleting itself is tried while the API server is away.
const DELETING: Duration = Duration::from_secs(15);

/// Ends the Job with everything it started.
pub(super) async fn stop(launcher: &KubernetesLauncher, job: &JobRef, grace: Duration) -> Result<(), LaunchError> {
    let name = job.name();
    // What grace there is includes what the node takes.
    let seconds = grace.saturating_sub(NODE).as_secs().min(u64::try_from(GRACE_SECS).unwrap_or_default());
    let seconds = u32::try_from(seconds).unwrap_or_default();
    let until = Instant::now() + Duration::from_secs(u64::from(seconds)) + NODE;
    delete(launcher, job, (seconds, DELETING)).await?;
    if is_gone(launcher, job, until).await? {
        return Ok(());
    }
    tracing::warn!(job = name, "its pod did not end by itself and is taken away");
    let until = Instant::now() + FORCED;
    while Instant::now() < until {
        // Again and again: a launch that is under way may make the Job, and the cluster its pod, after we looked.
        match delete(launcher, job, (0, until - Instant::now())).await {
            Err(LaunchError::Unavailable(why)) => tracing::debug!(why, "the Job is not deleted yet"),
            done => done?,
        }
        if is_gone(launcher, job, until.min(Instant::now() + AGAIN)).await? {
            return Ok(());
        }
    }
    Err(LaunchError::Unavailable(format!("the pod of the Job {name} is still there")))
}

/// Deletes the Job and the pods that it has now, which get some seconds; tried for a while.
async fn delete(
    launcher: &KubernetesLauncher,
    job: &JobRef,
    (grace, patience): (u32, Duration),
) -> Result<(), LaunchError> {
    let (jobs, name) = (launcher.jobs(job), job.name());
    let params = DeleteParams::background();
    persist(patience, || find("deleting the Job", jobs.delete(&name, &params))).await?;
    let api: Api<Pod> = Api::namespaced(launcher.client.clone(), &launcher.namespace(&job.project));
    let params = DeleteParams { grace_period_seconds: Some(grace), ..DeleteParams::background() };
    for pod in persist(patience, || pods(launcher, job)).await? {
        let name = pod.metadata.name.unwrap_or_default();
        persist(patience, || find("deleting the Job's pod", api.delete(&name, &params))).await?;
    }
    Ok(())
}

/// A Job that had no pod yet can't get one any more once it is gone itself: its controller looks at the Job before it makes one, and a pod that
/// it made at the same moment has an owner that is gone, so that the cluster takes it away. All of that is waited for here.
async fn is_gone(launcher: &KubernetesLauncher, job: &JobRef, until: Instant) -> Result<bool, LaunchError> {
    let mut absent = 0;
    loop {
        match is_absent(launcher, job).await {
            Ok(true) => absent += 1,
            Ok(false) => absent = 0,
            Err(LaunchError::Refused(why)) => return Err(LaunchError::Refused(why)),
            Err(LaunchError::Unavailable(why)) => tracing::debug!(why, "whether the pod is gone is not known"),
        }
        if absent > 1 {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn is_absent(launcher: &KubernetesLauncher, job: &JobRef) -> Result<bool, LaunchError> {
    let there = find("looking for the Job", launcher.jobs(job).get(&job.name())).await?;
    Ok(there.is_none() && pods(launcher, job).await?.is_empty())
}
