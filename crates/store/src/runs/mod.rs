//! Runs: one row each, over all attempts.

pub use begin::{NewAttempt, NewRun, NewRunResult, RetryError, begin_attempt, insert};
pub use progress::{End, Facts, finish, heard, learn_title, set_facts, withdraw};
pub use read::{
    Cursor, Page, RecentCount, Run, RunFilter, SameFailure, UnfinishedRun, active_for_subject, by_business_key,
    by_pull_request, count_recent_for_subject, count_revisions, find, get, latest_for_subject, list,
    pull_request_with_head, same_failure, unfinished_before, unfinished_in,
};

mod begin;
mod progress;
mod read;
