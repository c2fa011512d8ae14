//! What a model's tokens cost.

use super::Usd;
use crate::job::Usage;

/// Prices of one token each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Of the input.
    pub input: Usd,
    /// Of input that the provider had in its cache.
    pub cached_input: Usd,
    /// Of the output, reasoning included.
    pub output: Usd,
}

impl Price {
    /// What a call costs that used so much.
    #[must_use]
    pub fn of(&self, usage: Usage) -> Usd {
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        let fresh = self.input.times(usage.input_tokens - cached);
        fresh.plus(self.cached_input.times(cached)).plus(self.output.times(usage.output_tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_input_has_its_own_price_and_reasoning_is_output() {
        let price = Price { input: Usd::from_nano(10), cached_input: Usd::from_nano(1), output: Usd::from_nano(100) };
        let usage = Usage { input_tokens: 50, cached_input_tokens: 40, output_tokens: 3, reasoning_output_tokens: 2 };
        assert_eq!(price.of(usage), Usd::from_nano(100 + 40 + 300));
        // A provider that counts more cached tokens than there were is not believed.
        let odd = Usage { input_tokens: 1, cached_input_tokens: 5, ..Usage::default() };
        assert_eq!(price.of(odd), Usd::from_nano(1));
    }
}
