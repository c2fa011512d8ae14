//! Money, as whole billionths of a dollar: a token of the cheapest model costs a few dozen of them.

use std::{borrow::Cow, fmt, iter::Sum, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

const NANO: u64 = 1_000_000_000;

/// No budget and no price is larger, in dollars.
const MOST: f64 = 1_000_000.0;

/// An amount in US dollars; never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Usd(u64);

/// The number is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no amount in dollars: write a number from 0 to 1000000, such as 2.50")]
pub struct InvalidUsd(pub String);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From billionths of a dollar.
    #[must_use]
    pub const fn from_nano(nano: u64) -> Self {
        Self(nano)
    }

    /// In billionths of a dollar.
    #[must_use]
    pub const fn nano(self) -> u64 {
        self.0
    }

    /// The sum; the largest amount there is, if it is larger.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference; nothing, if the other is larger.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many times this.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

impl TryFrom<f64> for Usd {
    type Error = InvalidUsd;

    fn try_from(dollars: f64) -> Result<Self, InvalidUsd> {
        if !(0.0..=MOST).contains(&dollars) {
            return Err(InvalidUsd(dollars.to_string()));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "checked above to be within 0 and 10^15"
        )]
        let nano = (dollars * NANO as f64).round() as u64;
        Ok(Self(nano))
    }
}

impl From<Usd> for f64 {
    fn from(amount: Usd) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "what was read is below 2^53")]
        let (nano, one) = (amount.0 as Self, NANO as Self);
        nano / one
    }
}

impl FromStr for Usd {
    type Err = InvalidUsd;

    fn from_str(text: &str) -> Result<Self, InvalidUsd> {
        let dollars: f64 = text.trim().parse().map_err(|_| InvalidUsd(text.to_owned()))?;
        Self::try_from(dollars).map_err(|_| InvalidUsd(text.to_owned()))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

/// `$12.34`; below a dollar with as many digits as it takes to see something. Rounded up, so that something is never
/// shown as nothing.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: usize = match self.0 {
            nano if nano >= NANO => 2,
            nano if nano >= NANO / 100 => 4,
            _ => 6,
        };
        let unit = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000][digits];
        let rounded = self.0.div_ceil(NANO / unit);
        let fraction = format!("{:0digits$}", rounded % unit);
        let shown = fraction.trim_end_matches('0').len().max(2);
        write!(f, "${}.{}", rounded / unit, &fraction[..shown])
    }
}

impl JsonSchema for Usd {
    fn schema_name() -> Cow<'static, str> {
        "Usd".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1_000_000 })
    }
}

/// What calls have cost, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Of the calls whose model has a price.
    pub known: Usd,
    /// Calls whose model has none.
    pub unpriced_calls: u32,
    /// Calls that ended without telling what they used, and were booked with the most that they could have.
    pub estimated_calls: u32,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.known, self.unpriced_calls) {
            (known, 0) => write!(f, "{known}")?,
            (Usd::ZERO, _) => f.write_str("cost unknown: the model has no price here")?,
            (known, 1) => write!(f, "{known} and 1 call of unknown cost")?,
            (known, calls) => write!(f, "{known} and {calls} calls of unknown cost")?,
        }
        match self.estimated_calls {
            0 => Ok(()),
            1 => f.write_str(" (1 call broke off and is estimated)"),
            calls => write!(f, " ({calls} calls broke off and are estimated)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_shown() {
        for (text, shown) in [
            ("0", "$0.00"),
            ("2.5", "$2.50"),
            ("1000000", "$1000000.00"),
            ("0.01", "$0.01"),
            ("0.0035", "$0.0035"),
            ("0.000001", "$0.000001"),
            ("0.0000001", "$0.000001"),
            ("0.125", "$0.125"),
            ("0.034217", "$0.0343"),
            ("0.99999", "$1.00"),
        ] {
            assert_eq!(text.parse::<Usd>().unwrap().to_string(), shown, "{text}");
        }
        for text in ["-1", "", "two", "NaN", "1e9", "inf"] {
            assert!(text.parse::<Usd>().is_err(), "{text}");
        }
        let amount: Usd = "0.1".parse().unwrap();
        assert_eq!(Usd::try_from(f64::from(amount)), Ok(amount));
    }

    #[test]
    fn a_cost_says_what_is_not_known() {
        let known = Usd::from_nano(NANO / 2);
        for (cost, words) in [
            (Cost { known, ..Cost::default() }, "$0.50"),
            (Cost { known, unpriced_calls: 2, estimated_calls: 0 }, "$0.50 and 2 calls of unknown cost"),
            (
                Cost { known: Usd::ZERO, unpriced_calls: 1, estimated_calls: 1 },
                "cost unknown: the model has no price here (1 call broke off and is estimated)",
            ),
        ] {
            assert_eq!(cost.to_string(), words);
        }
    }
}
