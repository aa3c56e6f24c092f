//! What a call costs, from a price list in the configuration. An unknown price stays unknown: nothing is guessed.

use event::{MicroUsd, Usage};
use serde::Deserialize;

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

    /// A dollar per million tokens is a millionth of a dollar per token, so the sum is in the right unit as it is.
    fn sum(&self, parts: &[(u64, f64)]) -> MicroUsd {
        let total: f64 = parts.iter().map(|(tokens, price)| *tokens as f64 * price).sum();
        // A float turned into an integer stops at the integer's ends, which no cap allows.
        MicroUsd(total.ceil() as u64)
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
    }
}
