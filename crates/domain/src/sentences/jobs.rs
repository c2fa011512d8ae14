//! How a Job ended that did not report, and what a person can do about it.

use super::sentences;

sentences! {
    ended_and_next(ending: Sentence, next: Plain) = "{ending} {next}";

    job_said_nothing() = "The Job ended by itself and reported nothing.";
    job_exit_code(exit_code: Text) = "The Job ended with exit code {exit_code} and reported nothing.";
    job_over_memory(limit: Text) = "The Job took more memory than its limit of {limit}.";
    node_out_of_memory() = "The node had no memory left for the Job.";
    job_killed_at_limit(limit: Text) = "The Job was killed (exit code 137), probably because {limit} of memory were not enough.";
    job_killed() = "The Job was killed (exit code 137), probably for want of memory.";
    job_evicted(words: Either) = "The Job's pod was evicted: {words}";
    job_interrupted() = "The Job was asked to end by its surroundings, while nobody had cancelled the run.";
    job_node_lost(node: Text) = "The node `{node}`, on which the Job was, is not heard of any more.";
    image_not_pulled(image: Text, words: Either) = "The image `{image}` can't be pulled: {words}";
    image_unfit(image: Text, words: Either) = "The image `{image}` can't be started; it needs `/bin/sh`: {words}";
    job_not_started(words: Either) = "The Job's pod could not be started: {words}";
    job_unschedulable(words: Either) = "No node takes the Job: {words}";
    job_over_quota(words: Either) = "The project's quota has no room for the Job: {words}";
    job_too_slow(time: Sentence) = "The Job was not done after {time}.";
    job_deleted(words: Either) = "The Job was deleted in the cluster: {words}";
    network_not_ready(words: Either) = "The network's rules were not in force in time: {words}";
    runner_not_brought(exit_code: Text, words: Either) = "The runner could not be put into the pod (exit code {exit_code}): {words}";
    pod_step_failed(step: Text, exit_code: Text, words: Either) = "The pod's step `{step}` failed with exit code {exit_code}: {words}";
    cluster_away(words: Either) = "The cluster did not answer for too long: {words}";
    job_vanished() = "The Job ended without a report: it was killed, or its machine was.";
    job_silent(seconds: Text) = "The Job was not heard of for {seconds} seconds.";
    no_more_words() = "it says no more.";

    second() = "1 second";
    seconds(seconds: Text) = "{seconds} seconds";
    minute() = "1 minute";
    minutes(minutes: Text) = "{minutes} minutes";
    minutes_seconds(minutes: Text, seconds: Text) = "{minutes} min {seconds} s";

    next_memory() = "Give the agent more memory (`runtime.memory` in services.yaml), or have its checks take less.";
    next_evicted() = "If it happens again, give the agent more room (`runtime.ephemeral_storage` or `runtime.memory`).";
    next_interrupted() = "Look at what stops pods on the cluster's nodes if it happens again.";
    next_node_lost() = "Look at the cluster's nodes if it happens again.";
    next_image() = "Correct `runtime.image` in services.yaml, or make the image available to the cluster.";
    next_not_started() = "Look at the cluster's nodes; where they can't give pods user namespaces, set USER_NAMESPACES=off.";
    next_unschedulable() = "Ask for less (`runtime` in services.yaml), correct its node selector, or add a node to the cluster.";
    next_quota() = "Wait for other runs of the project to end, or raise the quota of its namespace.";
    next_deadline() = "Give the agent more time (`limits.minutes`), or a smaller task.";
    next_deleted() = "Whoever deleted it knows why.";
    next_cluster_away() = "Look at the cluster's API server.";
    next_network() = "Look at the cluster's network policies, and whether gateway and model gateway answer.";
    next_tools() = "Look at the platform's runner image.";
    next_output() = "The end of the Job's output may tell more.";
}
