//! What models cost and how long their answers get, by configuration. Prices change and differ between contracts, so none is
//! built in: a model without one is counted in tokens, and its cost is said to be unknown.

use std::collections::BTreeMap;

use domain::model::{Price, Usd};
use serde::Deserialize;

/// The longest answer, in tokens, of a model of which nothing is known.
pub const DEFAULT_MAX_OUTPUT: u64 = 32_768;

/// Prices by model.
#[derive(Clone, Debug, Default)]
pub struct Prices(BTreeMap<String, Listed>);

/// What is known about a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listed {
    price: Price,
    max_output: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    models: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    input_usd_per_million: Usd,
    cached_input_usd_per_million: Option<Usd>,
    output_usd_per_million: Usd,
    max_output_tokens: Option<u64>,
}

impl Prices {
    /// Reads a price table.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let listed = |(model, entry): (String, Entry)| {
            let token = |of: &str, per_million: Usd| {
                let nano = per_million.nano();
                if nano.is_multiple_of(1_000_000) {
                    Ok(Usd::from_nano(nano / 1_000_000))
                } else {
                    Err(format!("the price of {of} of `{model}` has more than three digits after the point"))
                }
            };
            let input = token("input", entry.input_usd_per_million)?;
            let cached_input = entry.cached_input_usd_per_million.map(|usd| token("cached input", usd)).transpose()?;
            let output = token("output", entry.output_usd_per_million)?;
            if entry.max_output_tokens == Some(0) {
                return Err(format!("the longest answer of `{model}` has 0 tokens"));
            }
            let price = Price { input, cached_input: cached_input.unwrap_or(input), output };
            Ok((model, Listed { price, max_output: entry.max_output_tokens }))
        };
        Ok(Self(file.models.into_iter().map(listed).collect::<Result<_, String>>()?))
    }

    /// The price of a model, if it has one.
    #[must_use]
    pub fn of(&self, model: &str) -> Option<Price> {
        self.0.get(model).map(|listed| listed.price)
    }

    /// The longest answer of a model, in tokens.
    #[must_use]
    pub fn max_output(&self, model: &str) -> u64 {
        self.0.get(model).and_then(|listed| listed.max_output).unwrap_or(DEFAULT_MAX_OUTPUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_per_million_tokens() {
        let prices = Prices::parse(
            "[models.m]\ninput_usd_per_million = 1.25\ncached_input_usd_per_million = 0.125\noutput_usd_per_million = 10\n\
             max_output_tokens = 9\n[models.e]\ninput_usd_per_million = 0.02\noutput_usd_per_million = 0\n",
        )
        .unwrap();
        let (input, cached_input, output) = (Usd::from_nano(1_250), Usd::from_nano(125), Usd::from_nano(10_000));
        assert_eq!((prices.of("m"), prices.max_output("m")), (Some(Price { input, cached_input, output }), 9));
        let vectors = prices.of("e").unwrap();
        assert_eq!((vectors.cached_input, vectors.output), (Usd::from_nano(20), Usd::ZERO));
        assert_eq!((prices.of("x"), prices.max_output("x")), (None, DEFAULT_MAX_OUTPUT));
    }

    #[test]
    fn a_wrong_table_is_refused() {
        for text in [
            "[models.m]\ninput_usd_per_million = 1",
            "[models.m]\ninput_usd_per_million = -1\noutput_usd_per_million = 1",
            "[models.m]\ninput_usd_per_million = 0.0001\noutput_usd_per_million = 1",
            "[models.m]\ninput_usd_per_million = 1\noutput_usd_per_million = 1\nprice = 2",
            "models = 3",
        ] {
            assert!(Prices::parse(text).is_err(), "{text}");
        }
    }
}
