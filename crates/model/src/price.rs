//! What a call costs, from a price list in the configuration. An unknown price stays unknown: nothing is guessed.

use event::{MicroUsd, Usage};
use serde::Deserialize;

/// The smallest part of a price: a millionth of a dollar per million tokens, so a dollar's worth is a step a token.
const PRICE_STEPS: u128 = 1_000_000;

/// The prices of one model, in US dollars per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
pub struct Price {
    pub input: f64,
    /// For input tokens that the provider had cached; the full price where it is not said.
    pub cached_input: Option<f64>,
    /// For input tokens that the provider began to keep; the full price where it is not said.
    pub cache_write: Option<f64>,
    pub output: f64,
}

impl Price {
    /// What these tokens cost, rounded up.
    pub fn cost(&self, usage: &Usage) -> MicroUsd {
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        let written = usage.cache_write_input_tokens.min(usage.input_tokens - cached);
        let fresh = usage.input_tokens - cached - written;
        let output = (usage.output_tokens, self.output);
        self.sum(&[(fresh, self.input), (cached, self.cached()), (written, self.written()), output])
    }

    /// What a call can cost at the most.
    pub fn reserve(&self, input_tokens_max: u64, output_tokens_max: u64) -> MicroUsd {
        let input = self.input.max(self.cached()).max(self.written());
        self.sum(&[(input_tokens_max, input), (output_tokens_max, self.output)])
    }

    fn cached(&self) -> f64 {
        self.cached_input.unwrap_or(self.input)
    }

    fn written(&self) -> f64 {
        self.cache_write.unwrap_or(self.input)
    }

    /// Counted in whole numbers, or ten cents times three would round up to a millionth too much.
    fn sum(&self, parts: &[(u64, f64)]) -> MicroUsd {
        let total = parts.iter().fold(0_u128, |sum, (tokens, price)| {
            // A float turned into an integer stops at the integer's ends; no price below nothing is ever read.
            let price = (price * PRICE_STEPS as f64).round() as u64;
            sum.saturating_add(u128::from(*tokens) * u128::from(price))
        });
        MicroUsd(u64::try_from(total.div_ceil(PRICE_STEPS)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_have_their_own_price_and_sums_round_up() {
        let usage = |input_tokens, cached_input_tokens, output_tokens| Usage {
            input_tokens,
            cached_input_tokens,
            output_tokens,
            ..Usage::default()
        };
        let price = Price { input: 2.0, cached_input: Some(0.5), cache_write: None, output: 8.0 };
        assert_eq!(price.cost(&usage(1_000, 600, 10)), MicroUsd(400 * 2 + 300 + 80));
        assert_eq!(price.reserve(1_000, 10), MicroUsd(2_080));
        let cheap = Price { input: 0.05, output: 0.4, ..Price::default() };
        assert_eq!(cheap.cost(&usage(1, 1, 0)), MicroUsd(1));
        assert_eq!(cheap.cost(&Usage::default()), MicroUsd(0));
        let odd = Price { input: 0.1, output: 0.7, ..Price::default() };
        assert_eq!(odd.cost(&usage(3_000, 0, 10)), MicroUsd(307));
        assert_eq!(odd.reserve(u64::MAX, u64::MAX), MicroUsd(14_757_395_258_967_641_292));
        assert_eq!(Price { input: 1e9, ..odd }.reserve(u64::MAX, 0), MicroUsd(u64::MAX));
    }

    #[test]
    fn what_a_provider_begins_to_keep_has_its_own_price() {
        let price = Price { input: 4.0, cached_input: Some(0.4), cache_write: Some(5.0), output: 20.0 };
        let usage =
            Usage { input_tokens: 1_000, cached_input_tokens: 600, cache_write_input_tokens: 300, output_tokens: 10 };
        assert_eq!(price.cost(&usage), MicroUsd(100 * 4 + 240 + 300 * 5 + 200));
        // All of a call may come to be kept.
        assert_eq!(price.reserve(1_000, 10), MicroUsd(5_200));
        assert_eq!(Price { cache_write: None, ..price }.cost(&usage), MicroUsd(400 * 4 + 240 + 200));
        // A server that counts more than there was charges for what there was.
        let wrong = Usage { cache_write_input_tokens: 9_000, ..usage };
        assert_eq!(price.cost(&wrong), MicroUsd(240 + 400 * 5 + 200));
    }
}
