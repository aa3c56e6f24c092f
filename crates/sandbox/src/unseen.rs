//! Which characters are not seen, or make others read otherwise than they stand. Names and words of programs, pages and models are
//! full of tricks with them; whoever shows or takes one asks here.

/// In running text: controls, marks of direction, what has no width, and tags, which only a model reads. What joins letters and
/// signs stays, for scripts and pictographs need it.
pub fn in_text(c: char) -> bool {
    // Of Unicode 16: Default_Ignorable_Code_Point but for the joiners and the shapes of pictographs, and the other marks of form.
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{70f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}')
        || matches!(c, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// In a name: joiners as well, by which two names can look alike.
pub fn in_name(c: char) -> bool {
    in_text(c) || matches!(c, '\u{200c}' | '\u{200d}')
}

/// In what somebody decides by: also the spaces that look like one and are none to a program, but for the wide one of Chinese texts.
pub fn in_question(c: char) -> bool {
    let blank = c == '\u{2800}' || (c.is_whitespace() && !matches!(c, ' ' | '\u{3000}'));
    in_name(c) || blank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_is_seen_and_what_turns_hides_or_fills_is_not() {
        for c in "aß中ی🙂 \u{301}\u{fe0f}".chars() {
            assert!(!in_name(c), "{c:?}");
        }
        for c in
            "\n\t\0\u{1b}\u{9b}\u{ad}\u{61c}\u{200b}\u{200e}\u{2028}\u{202e}\u{2066}\u{2069}\u{3164}\u{feff}\u{e0041}"
                .chars()
        {
            assert!(in_text(c) && in_name(c), "{c:?}");
        }
        assert!(in_name('\u{200d}') && !in_text('\u{200d}'));
        assert!(in_question('\u{a0}') && !in_name('\u{a0}') && in_question('\u{2800}'));
        assert!(!in_question(' ') && !in_question('\u{3000}'));
    }
}
