//! What people and programs can do, whichever way they ask: each operation checks, changes the model and sends its events.

pub(crate) mod apps;
pub(crate) mod comments;
pub(crate) mod files;
pub(crate) mod hooks;
pub(crate) mod issues;
pub(crate) mod labels;
pub(crate) mod merge;
pub(crate) mod pulls;
pub(crate) mod push;
pub(crate) mod repos;
pub(crate) mod review_comments;
pub(crate) mod reviews;
pub(crate) mod statuses;

/// A text field that a request leaves out, clears or sets.
pub(crate) mod field {
    use serde::{Deserialize, Deserializer};

    /// Tells an explicit null (`Some(None)`) from a field that is not there (`None`).
    pub(crate) fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
    where
        D: Deserializer<'de>,
        T: Deserialize<'de>,
    {
        Option::<T>::deserialize(deserializer).map(Some)
    }
}
