//! Failures of activities, in words.

use temporalio_workflow::ActivityExecutionError;

/// The words of the failure at the bottom of the chain: the outer ones only say "activity failed".
pub(crate) fn innermost(error: &ActivityExecutionError) -> String {
    let mut words = error.to_string();
    let mut failure = error.failure();
    while let Some(inner) = failure {
        if !inner.message.is_empty() {
            words.clone_from(&inner.message);
        }
        failure = inner.cause.as_deref();
    }
    words
}
