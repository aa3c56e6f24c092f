//! Which page and frame each number is in. It only saves a question: of a number that it does not know, the page itself is asked.

use std::collections::HashMap;

/// Numbers that are remembered. A page can have as many given as it likes.
const PLACES_MAX: usize = 50_000;

/// The page and frame of numbers that were given.
#[derive(Debug, Default)]
pub(crate) struct Places(HashMap<u32, (String, String)>);

impl Places {
    pub(crate) fn get(&self, number: u32) -> Option<(String, String)> {
        self.0.get(&number).cloned()
    }

    /// Remembers where these are. What was remembered before goes where there is no room for both.
    pub(crate) fn put(&mut self, numbers: &[u32], target: &str, frame: &str) {
        if self.0.len() + numbers.len() > PLACES_MAX {
            self.0.clear();
        }
        let place = || (target.to_owned(), frame.to_owned());
        self.0.extend(numbers.iter().take(PLACES_MAX).map(|number| (*number, place())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_has_number_after_number_given_takes_no_more_room() {
        let mut places = Places::default();
        let numbers: Vec<u32> = (0..40_000).collect();
        for round in 0..5 {
            let numbers: Vec<u32> = numbers.iter().map(|number| number + round * 40_000).collect();
            places.put(&numbers, "page", "frame");
            assert_eq!(
                (places.0.len(), places.get(numbers[7])),
                (40_000, Some(("page".to_owned(), "frame".to_owned())))
            );
        }
        assert_eq!(places.get(7), None);
    }
}
