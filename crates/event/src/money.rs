//! Money in millionths of a US dollar, as an integer, so that sums are exact.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An amount in millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct MicroUsd(pub u64);

impl MicroUsd {
    /// The sum; a budget that overflows stays at its largest value, which no cap allows.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, part) = (self.0 / 1_000_000, self.0 % 1_000_000);
        // Cents are enough above a dollar; below, a tenth of a cent is what a single call costs.
        if whole > 0 { write!(f, "${whole}.{:02}", part / 10_000) } else { write!(f, "$0.{:04}", part / 100) }
    }
}
