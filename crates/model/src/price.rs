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
    pub output: f64,
}

impl Price {
    /// What these tokens cost, rounded up.
    pub fn cost(&self, usage: &Usage) -> MicroUsd {
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        let fresh = usage.input_tokens - cached;
        let cached_price = self.cached_input.unwrap_or(self.input);
        self.sum(&[(fresh, self.input), (cached, cached_price), (usage.output_tokens, self.output)])
    }

    /// What a call can cost at the most.
    pub fn reserve(&self, input_tokens_max: u64, output_tokens_max: u64) -> MicroUsd {
        let input = self.input.max(self.cached_input.unwrap_or(0.0));
        self.sum(&[(input_tokens_max, input), (output_tokens_max, self.output)])
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
        let price = Price { input: 2.0, cached_input: Some(0.5), output: 8.0 };
        let usage = Usage { input_tokens: 1_000, cached_input_tokens: 600, output_tokens: 10 };
        assert_eq!(price.cost(&usage), MicroUsd(400 * 2 + 300 + 80));
        assert_eq!(price.reserve(1_000, 10), MicroUsd(2_080));
        let cheap = Price { input: 0.05, cached_input: None, output: 0.4 };
        assert_eq!(cheap.cost(&Usage { input_tokens: 1, cached_input_tokens: 1, output_tokens: 0 }), MicroUsd(1));
        assert_eq!(cheap.cost(&Usage::default()), MicroUsd(0));
        let odd = Price { input: 0.1, cached_input: None, output: 0.7 };
        assert_eq!(odd.cost(&Usage { input_tokens: 3_000, cached_input_tokens: 0, output_tokens: 10 }), MicroUsd(307));
        assert_eq!(odd.reserve(u64::MAX, u64::MAX), MicroUsd(14_757_395_258_967_641_292));
        assert_eq!(Price { input: 1e9, ..odd }.reserve(u64::MAX, 0), MicroUsd(u64::MAX));
    }
}
