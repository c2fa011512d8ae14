//! Lists, page by page: each page begins behind the last entry of the one before, wherever that is by then.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use domain::sentences;
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::problem::Problem;

/// Entries of a page, unless asked otherwise.
const DEFAULT: u32 = 50;

/// Most entries of a page.
const MAX: u32 = 200;

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Page<T: ToSchema> {
    /// The entries.
    pub(super) items: Vec<T>,
    /// Send this as `cursor` for the next page; none on the last one.
    pub(super) next: Option<String>,
}

/// How many entries are to be shown.
///
/// # Errors
/// 400 for a number that no page has.
pub(super) fn limit(asked: Option<u32>) -> Result<usize, Problem> {
    match asked.unwrap_or(DEFAULT) {
        limit @ 1..=MAX => Ok(limit as usize),
        _ => Err(Problem::bad_request("limit_invalid", sentences::ask_for_entries(MAX))),
    }
}

/// One more than are shown, so that it is known whether there is another page.
pub(super) fn fetched(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1
}

/// Where a list goes on.
///
/// # Errors
/// 400 for a cursor that none of our pages gave.
pub(super) fn after<K: DeserializeOwned>(cursor: Option<&str>) -> Result<Option<K>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    let key = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let wrong = || Problem::bad_request("cursor_invalid", sentences::cursor_of_no_page());
    key.map(Some).ok_or_else(wrong)
}

/// A page of what was fetched: the entries, and where the next page begins.
pub(super) fn page<R, K: Serialize, T: ToSchema + From<R>>(
    rows: Vec<R>,
    limit: usize,
    key: impl Fn(&R) -> K,
) -> Page<T> {
    let (rows, next) = cut(rows, limit, key);
    Page { items: rows.into_iter().map(T::from).collect(), next }
}

/// The rows of a page, and where the next one begins.
pub(super) fn cut<R, K: Serialize>(mut rows: Vec<R>, limit: usize, key: impl Fn(&R) -> K) -> (Vec<R>, Option<String>) {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| more).map(key);
    // Keys are texts, times and ids: they always serialise.
    let next = last.and_then(|key| serde_json::to_vec(&key).ok()).map(|key| BASE64_URL_SAFE_NO_PAD.encode(key));
    (rows, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_the_next_begins() {
        let first: Page<u32> = page(vec![1_u32, 2, 3], 2, |row| (*row, "x".to_owned()));
        assert_eq!(first.items, [1, 2]);
        let after: Option<(u32, String)> = after(first.next.as_deref()).unwrap();
        assert_eq!(after, Some((2, "x".into())));
        let last: Page<u32> = page(vec![3_u32], 2, |row| *row);
        assert!(last.next.is_none());
    }

    #[test]
    fn what_no_page_gave_is_refused() {
        for wrong in ["", "x", "////", &BASE64_URL_SAFE_NO_PAD.encode("[1,2"), &BASE64_URL_SAFE_NO_PAD.encode("{}")] {
            assert_eq!(after::<(u32, String)>(Some(wrong)).unwrap_err().code, "cursor_invalid", "{wrong}");
        }
        assert!(limit(Some(0)).is_err() && limit(Some(201)).is_err());
        assert_eq!((limit(None).unwrap(), limit(Some(200)).unwrap()), (50, 200));
    }
}
