//! Which lost Jobs are followed by another attempt without anybody asking.

use crate::job_ending::FailureClass;

/// Whether a run goes on by itself, from the last kept work, after so many lost Jobs in a row, the newest included.
///
/// Only where the Job was the victim of something that passes: what it did itself, or what a person has to mend, would only
/// happen again and be paid for again.
#[must_use]
pub const fn goes_on_by_itself(class: FailureClass, lost_in_a_row: u32) -> bool {
    let most = match class {
        FailureClass::Evicted | FailureClass::Interrupted | FailureClass::NodeLost | FailureClass::ClusterAway => 2,
        // Once may be the machine's fault, twice is more likely the Job's own.
        FailureClass::Network | FailureClass::NotStarted | FailureClass::Silent => 1,
        FailureClass::OutOfMemory
        | FailureClass::PossiblyOutOfMemory
        | FailureClass::Image
        | FailureClass::Unschedulable
        | FailureClass::Quota
        | FailureClass::Deadline
        | FailureClass::Deleted
        | FailureClass::Tools
        | FailureClass::NoReport => 0,
    };
    lost_in_a_row <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn victims_go_on_and_only_so_often() {
        assert!(goes_on_by_itself(FailureClass::Evicted, 1) && goes_on_by_itself(FailureClass::Evicted, 2));
        assert!(!goes_on_by_itself(FailureClass::Evicted, 3));
        assert!(goes_on_by_itself(FailureClass::Interrupted, 2) && !goes_on_by_itself(FailureClass::Interrupted, 3));
        for class in [FailureClass::NotStarted, FailureClass::Silent] {
            assert!(goes_on_by_itself(class, 1) && !goes_on_by_itself(class, 2), "{class}");
        }
        for class in [FailureClass::OutOfMemory, FailureClass::Deleted, FailureClass::Image, FailureClass::NoReport] {
            assert!(!goes_on_by_itself(class, 1), "{class}");
        }
    }
}
