//! Reading JSON that may be anything: what is absent or of another type is simply not there.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// Longest text taken over whole where it names something: a login, a label, a branch.
const MAX_NAME_CHARS: usize = 300;

/// The latest second that a four-digit year can show; later ones are no dates of a webhook.
const LAST_SECOND: i64 = 253_402_300_799;

/// An object whose values are still text. Only the parts that somebody asks for are ever read, so that a payload of
/// 25 MB costs no tree of nodes.
#[derive(Default)]
pub(super) struct Object<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Object<'a> {
    /// Reads an object; none if the value is something else.
    pub(super) fn parse(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok().map(Self)
    }

    fn value<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_str(self.0.get(key)?.get()).ok()
    }

    /// Whether the key is there with a value other than `null`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|raw| raw.get() != "null")
    }

    /// The object under a key; an empty one if there is none.
    pub(super) fn object(&self, key: &str) -> Object<'a> {
        self.0.get(key).and_then(|raw| Object::parse(raw)).unwrap_or_default()
    }

    /// The objects of the array under a key.
    pub(super) fn objects(&self, key: &str) -> Vec<Object<'a>> {
        let raws: Option<Vec<&'a RawValue>> = self.0.get(key).and_then(|raw| serde_json::from_str(raw.get()).ok());
        raws.unwrap_or_default().into_iter().filter_map(Object::parse).collect()
    }

    /// The whole text under a key, for people to read.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let text: String = self.value(key)?;
        // Postgres text can't hold NUL, and a body must never make storing it fail.
        Some(if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text })
    }

    /// The text under a key, if it is short enough to be a name.
    pub(super) fn name(&self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.is_empty() && text.chars().count() <= MAX_NAME_CHARS)
    }

    /// The whole number under a key.
    pub(super) fn number(&self, key: &str) -> Option<i64> {
        self.value(key)
    }

    /// The positive whole number under a key.
    pub(super) fn id(&self, key: &str) -> Option<i64> {
        self.number(key).filter(|id| *id > 0)
    }

    /// The truth value under a key.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.value(key)
    }

    /// The time under a key, written as RFC 3339 or, as pushes have it, as seconds since 1970.
    pub(super) fn time(&self, key: &str) -> Option<DateTime<Utc>> {
        let seconds = match self.number(key) {
            Some(seconds) => seconds,
            None => return DateTime::parse_from_rfc3339(&self.name(key)?).ok().map(|time| time.with_timezone(&Utc)),
        };
        if (0..=LAST_SECOND).contains(&seconds) { DateTime::from_timestamp(seconds, 0) } else { None }
    }
}
