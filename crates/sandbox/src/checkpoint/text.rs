//! What differs between two texts, as people who write programs read it. Bounded in time and size, because both texts may be somebody's trap.

use std::time::Duration;

use similar::{Algorithm, TextDiff};

/// Larger texts are not compared line by line.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Bytes of a comparison; what comes after is said to be cut.
const DIFF_BYTES_MAX: usize = 256 * 1024;
/// After this, the comparison is coarser than it could be.
const PATIENCE: Duration = Duration::from_millis(300);
/// Lines shown around each change.
const CONTEXT_LINES: usize = 3;
/// Bytes that are looked at to tell text from the rest.
const SNIFF_BYTES: usize = 8192;

/// Whether these bytes are shown as text.
pub fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(SNIFF_BYTES)];
    !start.contains(&0) && std::str::from_utf8(start).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// The unified diff of two texts; nothing where one of them is no text, or too long.
pub fn text_diff(before: &[u8], after: &[u8]) -> Option<String> {
    if before.len().max(after.len()) > TEXT_BYTES_MAX || !is_text(before) || !is_text(after) {
        return None;
    }
    let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
    let diff = TextDiff::configure().algorithm(Algorithm::Myers).timeout(PATIENCE).diff_lines(&*before, &*after);
    let mut text = diff.unified_diff().context_radius(CONTEXT_LINES).to_string();
    if text.len() > DIFF_BYTES_MAX {
        let cut = (0..=DIFF_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push_str("\n[cut here]\n");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_shown_with_its_surroundings() {
        let before = b"1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let after = b"1\n2\n3\n4\nfive\n6\n7\n8\n9\n";
        assert_eq!(text_diff(before, after).unwrap(), "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
        assert_eq!(text_diff(before, before).unwrap(), "");
        assert_eq!(text_diff(b"", b"a").unwrap(), "@@ -0,0 +1 @@\n+a\n\\ No newline at end of file\n");
    }

    #[test]
    fn what_is_no_text_or_too_long_is_not_compared() {
        assert_eq!(text_diff(b"a\0b", b"a"), None);
        assert_eq!(text_diff(b"a", b"\xff\xfe"), None);
        assert_eq!(text_diff(b"a", &vec![b'x'; TEXT_BYTES_MAX + 1]), None);
    }

    #[test]
    fn texts_that_share_nothing_are_cut() {
        let lines = |from: usize| (from..from + 60_000).map(|line| format!("{line}\n")).collect::<String>();
        let text = text_diff(lines(0).as_bytes(), lines(1_000_000).as_bytes()).unwrap();
        assert!(text.ends_with("\n[cut here]\n") && text.len() < DIFF_BYTES_MAX + 100);
    }
}
