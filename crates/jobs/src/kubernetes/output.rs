//! The last that a Job's containers wrote themselves: what is left to read when nobody reported.

use futures::AsyncReadExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::LogParams};

use super::{
    KubernetesLauncher,
    failure::find,
    pod::{AGENT_CONTAINER, NETWORK_STEP, TOOLS_STEP},
    waiting::pods,
};
use crate::{JobRef, LAST_OUTPUT, LaunchError};

/// Lines asked for.
const LINES: i64 = 1_000;

/// Bytes read before giving up on finding the end: lines can be long.
const MOST: usize = 16 * 1024 * 1024;

/// The end of what the agent's container wrote; of the steps before it if it never began.
pub(super) async fn last(launcher: &KubernetesLauncher, job: &JobRef) -> Result<Option<String>, LaunchError> {
    let api: Api<Pod> = Api::namespaced(launcher.client.clone(), &launcher.namespace(&job.project));
    for pod in pods(launcher, job).await? {
        let name = pod.metadata.name.clone().unwrap_or_default();
        for container in [AGENT_CONTAINER, NETWORK_STEP, TOOLS_STEP] {
            if !has_run(&pod, container) {
                continue;
            }
            let written = find("reading the Job's output", tail(&api, &name, container)).await?;
            if let Some(written) = written.filter(|written| !written.is_empty()) {
                return Ok(Some(String::from_utf8_lossy(&written).into_owned()));
            }
        }
    }
    Ok(None)
}

async fn tail(api: &Api<Pod>, pod: &str, container: &str) -> kube::Result<Vec<u8>> {
    let params = LogParams { container: Some(container.to_owned()), tail_lines: Some(LINES), ..LogParams::default() };
    let mut stream = std::pin::pin!(api.log_stream(pod, &params).await?);
    let (mut kept, mut part, mut total) = (Vec::new(), vec![0; 16 * 1024], 0);
    while total < MOST {
        let count = stream.read(&mut part).await.map_err(kube::Error::ReadEvents)?;
        if count == 0 {
            break;
        }
        total += count;
        kept.extend_from_slice(&part[..count]);
        let over = kept.len().saturating_sub(LAST_OUTPUT);
        kept.drain(..over);
    }
    Ok(kept)
}

fn has_run(pod: &Pod, container: &str) -> bool {
    let Some(status) = &pod.status else { return false };
    let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let state = all.filter(|of| of.name == container).find_map(|of| of.state.as_ref());
    state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
}
