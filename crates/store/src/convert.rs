//! Between what Postgres holds and what the domain says.

use std::{borrow::Cow, fmt::Display, str::FromStr};

use domain::ids::Attempt;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Result, StoreError};

/// Reads the text form of an enumeration.
pub(crate) fn parse<T>(table: &'static str, column: &'static str, text: &str) -> Result<T>
where
    T: FromStr<Err: Display>,
{
    text.parse().map_err(|error: T::Err| StoreError::Corrupt { table, column, detail: error.to_string() })
}

/// Reads the text form of an enumeration that may be absent.
pub(crate) fn parse_opt<T>(table: &'static str, column: &'static str, text: Option<&str>) -> Result<Option<T>>
where
    T: FromStr<Err: Display>,
{
    text.map(|text| parse(table, column, text)).transpose()
}

/// What can't be read.
pub(crate) fn corrupt(table: &'static str, column: &'static str, detail: &str) -> StoreError {
    StoreError::Corrupt { table, column, detail: detail.to_owned() }
}

/// Reads a JSON column.
pub(crate) fn json<T: DeserializeOwned>(table: &'static str, column: &'static str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| StoreError::Corrupt { table, column, detail: error.to_string() })
}

/// Writes a JSON column.
pub(crate) fn to_json(table: &'static str, column: &'static str, value: &impl Serialize) -> Result<Value> {
    let value = serde_json::to_value(value).map_err(|error| StoreError::Corrupt {
        table,
        column,
        detail: error.to_string(),
    })?;
    Ok(clean_json(&value).into_owned())
}

/// Reads a number that is never negative.
pub(crate) fn unsigned<T>(table: &'static str, column: &'static str, number: impl Into<i64>) -> Result<T>
where
    T: TryFrom<i64, Error: Display>,
{
    T::try_from(number.into()).map_err(|error| StoreError::Corrupt { table, column, detail: error.to_string() })
}

/// Reads the number of an attempt.
pub(crate) fn attempt(table: &'static str, number: i32) -> Result<Attempt> {
    unsigned(table, "attempt", number).map(Attempt)
}

/// The number of an attempt as it is stored.
pub(crate) fn attempt_number(attempt: Attempt) -> i32 {
    i32::try_from(attempt.0).unwrap_or(i32::MAX)
}

/// A count as it is stored.
pub(crate) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Text by outsiders may hold a NUL, which Postgres takes nowhere.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// [`clean`] for text that may be absent.
pub(crate) fn clean_opt(text: Option<&str>) -> Option<String> {
    text.map(|text| clean(text).into_owned())
}

/// [`clean`] for every text inside a JSON value.
pub(crate) fn clean_json(value: &Value) -> Cow<'_, Value> {
    if has_nul(value) { Cow::Owned(without_nul(value)) } else { Cow::Borrowed(value) }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn without_nul(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(text).into_owned()),
        Value::Array(items) => Value::Array(items.iter().map(without_nul).collect()),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (clean(key).into_owned(), without_nul(value))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nul_is_replaced_wherever_it_is() {
        assert_eq!(clean("a\0b"), "a\u{fffd}b");
        let dirty = json!({"a\0": ["x", {"b": "\0"}], "n": 1});
        assert_eq!(*clean_json(&dirty), json!({"a\u{fffd}": ["x", {"b": "\u{fffd}"}], "n": 1}));
        let fine = json!({"a": [1, null, "x"]});
        assert!(matches!(clean_json(&fine), Cow::Borrowed(_)));
    }

    #[test]
    fn a_negative_number_is_corrupt() {
        assert!(matches!(attempt("runs", -1), Err(StoreError::Corrupt { table: "runs", column: "attempt", .. })));
    }
}
