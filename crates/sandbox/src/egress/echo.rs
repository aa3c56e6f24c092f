//! What a server says, with the values of secrets blanked: one that says back what it was sent would tell them to the program. It
//! knows a value as it was sent; one that comes back in another form passes.

use super::Secret;

/// A shorter value may stand in any text.
const VALUE_BYTES_MIN: usize = 12;
/// So much of a value is held back until it is seen how it goes on. Less passes: many an answer ends in some letter.
const BEGUN_BYTES_MIN: usize = 4;
/// What stands for each byte: the length of an answer stays what it was said to be.
const BLANK: u8 = b'*';

/// Listens for these values.
pub(crate) struct Echo<'a> {
    values: Vec<&'a [u8]>,
    /// What may be the beginning of one.
    begun: Vec<u8>,
    /// So much of it has passed.
    passed: usize,
}

impl<'a> Echo<'a> {
    pub(crate) fn of(secrets: &'a [Secret]) -> Self {
        let long = |value: &&[u8]| value.len() >= VALUE_BYTES_MIN;
        let mut values: Vec<&[u8]> = secrets.iter().map(Secret::value).filter(long).collect();
        // One may hold another: were that blanked first, the rest of the longer would be left.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { values, begun: Vec::new(), passed: 0 }
    }

    /// Takes what the server says, and puts what passes of all so far behind `passes`.
    pub(crate) fn hear(&mut self, said: &[u8], passes: &mut Vec<u8>) {
        if self.values.is_empty() {
            return passes.extend_from_slice(said);
        }
        let mut heard = std::mem::take(&mut self.begun);
        heard.extend_from_slice(said);
        let mut begun = 0;
        for value in &self.values {
            let own = heard.len() - begun;
            blank(&mut heard, value, own);
            begun = begun.max(begins(&heard, value));
        }
        let before = heard.len() - begun;
        let until = if begun < BEGUN_BYTES_MIN { heard.len() } else { before.max(self.passed) };
        passes.extend_from_slice(&heard[self.passed..until]);
        self.passed = until.saturating_sub(before);
        self.begun = heard.split_off(before);
    }

    /// The server says nothing more: what was held back was no value, though it may hold a shorter one.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        let mut heard = std::mem::take(&mut self.begun);
        let all = heard.len();
        self.values.iter().for_each(|value| blank(&mut heard, value, all));
        heard.split_off(std::mem::take(&mut self.passed))
    }
}

/// Blanks a value wherever it begins before this place: what comes then may be the beginning of a longer one, and is kept for it.
fn blank(heard: &mut [u8], value: &[u8], until: usize) {
    let mut at = 0;
    while let Some(next) = heard[at..].iter().position(|byte| *byte == value[0]) {
        at += next;
        if at >= until {
            return;
        }
        let length = if heard[at..].starts_with(value) { value.len() } else { 0 };
        heard[at..at + length].fill(BLANK);
        at += length.max(1);
    }
}

/// How much of the value stands at the end.
fn begins(heard: &[u8], value: &[u8]) -> usize {
    (1..value.len()).rev().find(|length| heard.ends_with(&value[..*length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "sk-0123456789";

    fn heard(secrets: &[Secret], pieces: &[&[u8]]) -> String {
        let (mut echo, mut passes) = (Echo::of(secrets), Vec::new());
        pieces.iter().for_each(|piece| echo.hear(piece, &mut passes));
        passes.extend(echo.end());
        String::from_utf8(passes).unwrap()
    }

    #[test]
    fn a_value_that_comes_back_is_blanked_wherever_it_is_cut() {
        let secrets = || [Secret::new("holder-1", VALUE).unwrap(), Secret::new("holder-2", "short").unwrap()];
        let with = |value: &str| format!("sk-sk-01 {value}{value} short {value}, sk-012345678");
        let (text, blanked) = (with(VALUE), with(&"*".repeat(VALUE.len())));
        for cut in 0..=text.len() {
            let (one, other) = text.as_bytes().split_at(cut);
            let passed = heard(&secrets(), &[one, other]);
            // What passed before the cut may be the first letters of one.
            let differ = passed.bytes().zip(blanked.bytes()).filter(|(is, should)| is != should).count();
            assert!(passed.len() == text.len() && differ < BEGUN_BYTES_MIN, "cut at {cut}: {passed}");
        }
        let letters: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        let passed = heard(&secrets(), &letters);
        assert!(passed.len() == text.len() && !passed.contains(&VALUE[3..]), "{passed}");
        assert_eq!(heard(&[], &[text.as_bytes()]), text);
    }

    #[test]
    fn of_two_values_of_which_one_holds_the_other_nothing_is_left() {
        let whole = format!("{VALUE}-and-more");
        for secrets in [[VALUE, &whole], [&whole, VALUE]] {
            let secrets = secrets.map(|value| Secret::new("holder", value).unwrap());
            let text = format!("{whole} {VALUE}. {VALUE}");
            let blanked = text.replace(&whole, &"*".repeat(whole.len())).replace(VALUE, &"*".repeat(VALUE.len()));
            for cut in BEGUN_BYTES_MIN..text.len() {
                let passed = heard(&secrets, &[&text.as_bytes()[..cut], &text.as_bytes()[cut..]]);
                let differ = passed.bytes().zip(blanked.bytes()).filter(|(is, should)| is != should).count();
                assert!(passed.len() == text.len() && differ < BEGUN_BYTES_MIN, "cut at {cut}: {passed}");
            }
        }
    }

    #[test]
    fn an_answer_that_ends_like_a_value_begins_is_not_waited_with() {
        let secrets = [Secret::new("holder-1", VALUE).unwrap()];
        let (mut echo, mut passes) = (Echo::of(&secrets), Vec::new());
        echo.hear(b"success", &mut passes);
        assert_eq!(passes, b"success");
        echo.hear(b"k-012", &mut passes);
        assert_eq!((passes.as_slice(), echo.end().as_slice()), (&b"success"[..], &b"k-012"[..]));
    }
}
