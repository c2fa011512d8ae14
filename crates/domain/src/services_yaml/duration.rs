//! Durations as people write them: `90s`, `10m`, `1h30m`.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Longest duration that makes sense in a project's settings: a week.
const MAX_SECS: u64 = 7 * 24 * 3600;

/// A whole number of seconds, at least one and at most a week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HumanDuration(u64);

/// The text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: write it like `90s`, `10m` or `1h30m`, from a second to a week")]
pub struct InvalidDuration(pub String);

impl HumanDuration {
    /// A duration of whole minutes; what is out of range is brought to the nearest bound.
    #[must_use]
    pub const fn minutes(minutes: u32) -> Self {
        let secs = minutes as u64 * 60;
        if secs == 0 {
            Self(1)
        } else if secs > MAX_SECS {
            Self(MAX_SECS)
        } else {
            Self(secs)
        }
    }

    /// In seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }
}

impl FromStr for HumanDuration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text)
            .filter(|secs| (1..=MAX_SECS).contains(secs))
            .map(Self)
            .ok_or_else(|| InvalidDuration(text.to_owned()))
    }
}

/// Hours, minutes, seconds, in this order and each at most once.
fn read(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    for (unit, factor) in [('h', 3600), ('m', 60), ('s', 1)] {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        if let Some(after) = after.strip_prefix(unit) {
            total = number.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(total)?;
            rest = after;
        }
    }
    rest.is_empty().then_some(total)
}

impl TryFrom<String> for HumanDuration {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HumanDuration> for String {
    fn from(duration: HumanDuration) -> Self {
        duration.to_string()
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, secs) = (self.0 / 3600, self.0 / 60 % 60, self.0 % 60);
        for (number, unit) in [(hours, 'h'), (minutes, 'm'), (secs, 's')] {
            if number > 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        Ok(())
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A duration such as `90s`, `10m` or `1h30m`.",
            "format": super::schema::DURATION_FORMAT,
            "pattern": "^([0-9]{1,3}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$",
            "minLength": 2,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, secs, again) in [
            ("90s", 90, "1m30s"),
            ("10m", 600, "10m"),
            ("1h30m", 5400, "1h30m"),
            ("1h5s", 3605, "1h5s"),
            ("168h", MAX_SECS, "168h"),
        ] {
            let duration: HumanDuration = text.parse().unwrap();
            assert_eq!((duration.as_secs(), duration.to_string().as_str()), (secs, again), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_durations() {
        for text in ["", "10", "m", "0s", "169h", "5m1h", "1.5h", "-1m", "10 m", "1m1m", "99999999999999999999h", "1d"]
        {
            assert!(text.parse::<HumanDuration>().is_err(), "{text}");
        }
    }
}
