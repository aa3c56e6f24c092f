//! Medians and percentiles of small samples. No more statistics than a table needs.

/// The middle value; zero of none.
pub(super) fn median(values: &[f64]) -> f64 {
    percentile(values, 50.0)
}

/// The value that `percent` of the sample do not exceed (nearest rank).
pub(super) fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    //! Nearest rank, at its edges.

    use super::{median, percentile};

    #[test]
    fn percentiles_are_values_of_the_sample() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(median(&values), 3.0);
        assert_eq!(percentile(&values, 95.0), 5.0);
        assert_eq!(percentile(&values, 20.0), 1.0);
        assert_eq!(median(&[]), 0.0);
    }
}
