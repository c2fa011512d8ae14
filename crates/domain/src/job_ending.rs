//! How the Job of an attempt ended as those see it who run it, and what that means: a class, a sentence, a next step.
//!
//! This matters only where the runner could not report: a report says more than any of it.

use serde::{Deserialize, Serialize};

use crate::{sentences, text_enum::text_enum};

/// Longest foreign message repeated in a sentence.
const MAX_WORDS: usize = 300;

text_enum! {
    /// Why a Job ended without a report. The words are in a table and in messages of workflows.
    FailureClass {
        /// It took more memory than it may have.
        OutOfMemory = "out_of_memory",
        /// It was killed in a way that is mostly for want of memory, but nobody said so.
        PossiblyOutOfMemory = "possibly_out_of_memory",
        /// Its node put it out: short of disk, memory, or drained.
        Evicted = "evicted",
        /// It was asked to end, and neither by us nor by anybody that is known.
        Interrupted = "interrupted",
        /// Its node is not heard of any more.
        NodeLost = "node_lost",
        /// Its image can't be had.
        Image = "image",
        /// No node has room for it.
        Unschedulable = "unschedulable",
        /// The project's quota has no room for it.
        Quota = "quota",
        /// Its pod could not be made or started.
        NotStarted = "not_started",
        /// Its time was up.
        Deadline = "deadline",
        /// Somebody deleted it.
        Deleted = "deleted",
        /// The cluster did not answer for too long.
        ClusterAway = "cluster_away",
        /// The network's rules did not come into force in time.
        Network = "network",
        /// The runner could not be put into it.
        Tools = "tools",
        /// It ended, with an exit code or by vanishing, and told nothing.
        NoReport = "no_report",
        /// Nothing was heard of it for too long.
        Silent = "silent",
    }
}

/// A step before the agent's container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitStep {
    /// Brings the runner and its tools.
    Tools,
    /// Waits for the network's rules.
    Network,
    /// Any other, which the cluster added.
    Other(String),
}

/// How a Job ended, with what proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobEnding {
    /// Its container exited with 0.
    Completed,
    /// Its container exited with another code.
    Failed {
        /// The code.
        exit_code: i32,
    },
    /// The kernel ended a process of it for want of memory.
    OutOfMemory {
        /// The limit, as Kubernetes writes it; none if it had none.
        limit: Option<String>,
        /// Whether the node said so; an exit code 137 alone only makes it likely.
        certain: bool,
    },
    /// Its node put it out.
    Evicted {
        /// The node's words.
        why: String,
    },
    /// It was asked to end, did so, and nothing tells by whom.
    Interrupted,
    /// Its node is gone.
    NodeLost {
        /// The node's name.
        node: String,
    },
    /// An image can't be pulled.
    ImagePull {
        /// Which one.
        image: String,
        /// The node's words.
        words: String,
    },
    /// An image is there, and what has to be in it is not.
    ImageUnfit {
        /// Which one.
        image: String,
        /// The node's words.
        words: String,
    },
    /// Its pod could not be made, or the node it was given to can't start it.
    NotStarted {
        /// The cluster's words.
        words: String,
    },
    /// No node takes it.
    Unschedulable {
        /// The scheduler's words.
        words: String,
    },
    /// The namespace's quota does not allow its pod.
    Quota {
        /// The API server's words.
        words: String,
    },
    /// It took longer than it may.
    Deadline {
        /// Seconds that it had.
        seconds: u64,
    },
    /// Job or pod were deleted, and not by us.
    Deleted {
        /// What is known about it.
        words: String,
    },
    /// A step before the agent failed.
    InitFailed {
        /// Which one.
        step: InitStep,
        /// Its exit code.
        exit_code: i32,
        /// Its own words.
        words: String,
    },
    /// The cluster did not answer.
    ClusterAway {
        /// The last error.
        words: String,
    },
    /// It is over, and nothing tells how.
    Vanished,
}

impl JobEnding {
    /// The same of a Job that had been asked to end, and not by us: where nothing else explains its end, that does.
    #[must_use]
    pub fn of_interrupted(self) -> Self {
        match self {
            Self::Completed | Self::Failed { .. } | Self::Vanished | Self::ClusterAway { .. } => Self::Interrupted,
            explained => explained,
        }
    }

    /// The class of a Job that ended so without a report.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::Completed | Self::Failed { .. } | Self::Vanished => FailureClass::NoReport,
            Self::OutOfMemory { certain: true, .. } => FailureClass::OutOfMemory,
            Self::OutOfMemory { certain: false, .. } => FailureClass::PossiblyOutOfMemory,
            Self::Evicted { .. } => FailureClass::Evicted,
            Self::Interrupted => FailureClass::Interrupted,
            Self::NodeLost { .. } => FailureClass::NodeLost,
            Self::ImagePull { .. } | Self::ImageUnfit { .. } => FailureClass::Image,
            Self::NotStarted { .. } => FailureClass::NotStarted,
            Self::Unschedulable { .. } => FailureClass::Unschedulable,
            Self::Quota { .. } => FailureClass::Quota,
            Self::Deadline { .. } => FailureClass::Deadline,
            Self::Deleted { .. } => FailureClass::Deleted,
            Self::InitFailed { step: InitStep::Network, .. } => FailureClass::Network,
            Self::InitFailed { .. } => FailureClass::Tools,
            Self::ClusterAway { .. } => FailureClass::ClusterAway,
        }
    }

    /// What happened, as a sentence for people.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Completed => sentences::job_said_nothing().to_owned(),
            Self::Failed { exit_code } => sentences::job_exit_code(exit_code),
            Self::OutOfMemory { limit: Some(limit), certain: true } => sentences::job_over_memory(limit),
            Self::OutOfMemory { limit: None, certain: true } => sentences::node_out_of_memory().to_owned(),
            Self::OutOfMemory { limit: Some(limit), certain: false } => sentences::job_killed_at_limit(limit),
            Self::OutOfMemory { limit: None, certain: false } => sentences::job_killed().to_owned(),
            Self::Evicted { why } => sentences::job_evicted(words(why)),
            Self::Interrupted => sentences::job_interrupted().to_owned(),
            Self::NodeLost { node } => sentences::job_node_lost(node),
            Self::ImagePull { image, words: why } => sentences::image_not_pulled(image, words(why)),
            Self::ImageUnfit { image, words: why } => sentences::image_unfit(image, words(why)),
            Self::NotStarted { words: why } => sentences::job_not_started(words(why)),
            Self::Unschedulable { words: why } => sentences::job_unschedulable(words(why)),
            Self::Quota { words: why } => sentences::job_over_quota(words(why)),
            Self::Deadline { seconds } => sentences::job_too_slow(minutes(*seconds)),
            Self::Deleted { words: why } => sentences::job_deleted(words(why)),
            Self::InitFailed { step: InitStep::Network, words: why, .. } => sentences::network_not_ready(words(why)),
            Self::InitFailed { step: InitStep::Tools, exit_code, words: why } => {
                sentences::runner_not_brought(exit_code, words(why))
            }
            Self::InitFailed { step: InitStep::Other(name), exit_code, words: why } => {
                sentences::pod_step_failed(name, exit_code, words(why))
            }
            Self::ClusterAway { words: why } => sentences::cluster_away(words(why)),
            Self::Vanished => sentences::job_vanished().to_owned(),
        }
    }
}

impl FailureClass {
    /// What a person can do about it, as a sentence.
    #[must_use]
    pub const fn next_step(self) -> &'static str {
        match self {
            Self::OutOfMemory | Self::PossiblyOutOfMemory => sentences::next_memory(),
            Self::Evicted => sentences::next_evicted(),
            Self::Interrupted => sentences::next_interrupted(),
            Self::NodeLost => sentences::next_node_lost(),
            Self::Image => sentences::next_image(),
            Self::NotStarted => sentences::next_not_started(),
            Self::Unschedulable => sentences::next_unschedulable(),
            Self::Quota => sentences::next_quota(),
            Self::Deadline => sentences::next_deadline(),
            Self::Deleted => sentences::next_deleted(),
            Self::ClusterAway => sentences::next_cluster_away(),
            Self::Network => sentences::next_network(),
            Self::Tools => sentences::next_tools(),
            Self::NoReport | Self::Silent => sentences::next_output(),
        }
    }
}

fn words(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = match line.chars().count() {
        0 => return sentences::no_more_words().to_owned(),
        count if count > MAX_WORDS => line.chars().take(MAX_WORDS).chain(['…']).collect(),
        _ => line,
    };
    if line.ends_with(['.', '…', '!']) { line } else { format!("{line}.") }
}

fn minutes(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, 1) => sentences::second().to_owned(),
        (0, seconds) => sentences::seconds(seconds),
        (1, 0) => sentences::minute().to_owned(),
        (minutes, 0) => sentences::minutes(minutes),
        (minutes, seconds) => sentences::minutes_seconds(minutes, seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_has_a_class_and_a_sentence() {
        let oom = |certain| JobEnding::OutOfMemory { limit: Some("64Mi".into()), certain };
        let init = |step| JobEnding::InitFailed { step, exit_code: 1, words: " a\nb ".into() };
        let table = [
            (JobEnding::Failed { exit_code: 3 }, FailureClass::NoReport, "exit code 3"),
            (oom(true), FailureClass::OutOfMemory, "its limit of 64Mi."),
            (oom(false), FailureClass::PossiblyOutOfMemory, "probably because 64Mi"),
            (init(InitStep::Network), FailureClass::Network, "in time: a b."),
            (init(InitStep::Tools), FailureClass::Tools, "into the pod (exit code 1): a b."),
            (init(InitStep::Other("mesh".into())), FailureClass::Tools, "`mesh`"),
            (JobEnding::Deadline { seconds: 90 }, FailureClass::Deadline, "1 min 30 s"),
            (JobEnding::Interrupted, FailureClass::Interrupted, "nobody had cancelled"),
            (JobEnding::Evicted { why: String::new() }, FailureClass::Evicted, "it says no more."),
        ];
        for (ending, class, said) in table {
            assert_eq!(ending.class(), class, "{ending:?}");
            assert!(ending.sentence().contains(said), "{}", ending.sentence());
            let text = serde_json::to_string(&ending).unwrap();
            assert_eq!(serde_json::from_str::<JobEnding>(&text).unwrap(), ending, "{text}");
        }
    }

    #[test]
    fn what_explains_the_end_of_an_interrupted_job_stays() {
        let deadline = JobEnding::Deadline { seconds: 60 };
        assert_eq!(deadline.clone().of_interrupted(), deadline);
        for unexplained in [JobEnding::Completed, JobEnding::Failed { exit_code: 1 }, JobEnding::Vanished] {
            assert_eq!(unexplained.of_interrupted(), JobEnding::Interrupted);
        }
    }

    #[test]
    fn foreign_words_are_kept_short() {
        let sentence = JobEnding::Unschedulable { words: "x".repeat(5_000) }.sentence();
        assert!(sentence.chars().count() < 350 && sentence.ends_with('…'), "{sentence}");
    }
}
