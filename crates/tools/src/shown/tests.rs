//! What of an output is shown, as pairs of bytes and text.

use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};

use super::*;

#[track_caller]
fn check(bytes: &[u8], expected: &str) {
    assert_eq!(safe(bytes), expected);
}

#[test]
fn escape_sequences_go() {
    check(b"\x1b[31mred\x1b[0m \x1b[1;32;48;5;10mgreen\x1b[K", "red green");
    check(b"\x1b]0;a title\x07shown", "shown");
    check(b"\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\", "link");
    check(b"\x1bPq#0;2;0;0;0#1~~@@vv\x1b\\after", "after");
    check(b"\x1b(Btext\x1b=\x1b7", "text");
    check(b"\x1b[?25l\x1b[2J\x1b[Hx", "x");
}

#[test]
fn an_escape_that_never_ends_swallows_no_more_than_its_line() {
    check(b"a\x1b]0;never ended\nnext", "a\nnext");
    check(b"a\x1b[31\nnext", "a\nnext");
    let long = [b"\x1b]".as_slice(), &[b'x'; 5_000]].concat();
    assert!(safe(&long).len() >= 3_900);
}

#[test]
fn control_and_unseen_characters_go() {
    check(b"a\x07b\x01c\x7fd", "abcd");
    check("a\u{9b}31mb\u{85}c".as_bytes(), "a31mbc");
    check("pay\u{202e}fdp\u{200f} \u{e0041}\u{e0042}now".as_bytes(), "payfdp now");
    // Bytes hidden in selectors of variants, and signs without width; what joins letters stays.
    check("a\u{e0100}\u{e01ef}b\u{200b}\u{2062}c \u{2764}\u{fe0f}\u{200d}".as_bytes(), "abc \u{2764}\u{fe0f}\u{200d}");
    check(b"one\0two", "one\u{2400}two");
    check(b"tab\tstays\n", "tab\tstays\n");
}

#[test]
fn a_line_begun_anew_replaces_the_old_one() {
    check(b" 10%\r 50%\r100%\ndone\r\n", "100%\ndone\n");
    check(b"one\r\ntwo\r\r\nthree\r", "one\ntwo\nthree");
    check(b"abc\x08\x08d", "ad");
    check(b"a\n\x08\x08b", "a\nb");
}

#[test]
fn what_is_not_utf8_is_replaced() {
    check(b"caf\xe9 \xff\xfe x", "caf\u{fffd} \u{fffd}\u{fffd} x");
    check("naïve 漢字 🎉".as_bytes(), "naïve 漢字 🎉");
}

#[track_caller]
fn shown(bytes: &[u8], part: Part, chars_max: usize) -> String {
    let read = |offset: u64, max: usize| -> Result<Vec<u8>, ()> {
        let from = bytes.len().min(offset as usize);
        assert!(max <= 2 * WINDOW_BYTES, "no more is read at once than a window");
        Ok(bytes[from..bytes.len().min(from + max)].to_vec())
    };
    show(&Source { bytes: bytes.len() as u64, read: &read, pointer: "POINTER".to_owned() }, part, chars_max).unwrap()
}

#[test]
fn a_short_output_is_shown_whole() {
    assert_eq!(shown(b"one\ntwo\n", Part::Ends, 100), "one\ntwo\n");
    assert_eq!(shown(b"", Part::Tail, 100), "");
}

#[test]
fn a_long_output_keeps_its_ends_and_says_how_much_is_between() {
    let bytes: Vec<u8> = (0..1_000).flat_map(|i| format!("{i:03}\n").into_bytes()).collect();
    assert_eq!(shown(&bytes, Part::Ends, 16), "000\n001\n\n[3984 bytes left out here; POINTER]\n998\n999\n");
    assert_eq!(shown(&bytes, Part::Tail, 8), "[3992 bytes left out here; POINTER]\n998\n999\n");
}

#[test]
fn the_count_of_what_is_left_out_is_in_bytes_also_for_an_output_of_many_megabytes() {
    let bytes: Vec<u8> = (0..2_000_000).flat_map(|i| format!("{i:07}\n").into_bytes()).collect();
    let text = shown(&bytes, Part::Ends, 80);
    assert!(text.starts_with("0000000\n0000001\n"), "{text}");
    assert!(text.contains("[15999920 bytes left out here; POINTER]"), "{text}");
    assert!(text.ends_with("1999998\n1999999\n"), "{text}");
}

#[test]
fn one_line_of_ten_megabytes_is_cut_like_any_other() {
    let bytes = vec![b'x'; 10_000_000];
    let text = shown(&bytes, Part::Ends, 1_000);
    assert_eq!(text.chars().filter(|c| *c == 'x').count(), 1_000);
    assert!(text.contains("[9999000 bytes left out here"));
    let wide = "é".repeat(5_000_000);
    let text = shown(wide.as_bytes(), Part::Ends, 1_000);
    assert!(!text.contains('\u{fffd}'), "a window begins at a character");
}

#[test]
fn binary_data_is_described() {
    let bytes: Vec<u8> = (0..=255).cycle().take(1_000).collect();
    assert!(shown(&bytes, Part::Ends, 100).starts_with("[binary data, 1000 bytes, not shown; it begins with 00 01 02"));
    let executable = [b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".as_slice(), &[0; 64]].concat();
    assert!(is_binary(&executable));
    assert!(!is_binary("Ελληνικά, 中文, \x1b[31mred\x1b[0m".as_bytes()));
    assert!(!is_binary("a name\0another name\0".as_bytes()));
    assert!(!is_binary(&"漢".repeat(100).as_bytes()[1..]));
}

#[test]
fn a_piece_says_how_many_bytes_it_stands_for() {
    assert_eq!(piece("äöü".as_bytes(), 2), ("äö".to_owned(), 4));
    assert_eq!(piece(b"\x1b[31mab", 1), ("a".to_owned(), 6));
    assert_eq!(piece(b"ab", 5), ("ab".to_owned(), 2));
}

/// Bytes as a hostile program would mix them: escapes, their parameters, returns, halves of characters, text.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop::sample::select(vec![
            "\u{1b}[", "\u{1b}]", "\u{1b}P", "\u{1b}\\", "\u{9b}", "\u{7}", "\r", "\n", "31;4m", "\u{202e}"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        "[a-z0-9 é漢]{0,12}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..200).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_is_put_out_is_safe_to_show_and_short(bytes in hostile(), chars_max in 1_usize..200) {
        for part in [Part::Ends, Part::Tail] {
            let text = shown(&bytes, part, chars_max);
            assert!(!text.chars().any(|c| c != '\n' && c != '\t' && unseen::in_text(c)), "{text:?}");
            assert!(text.chars().count() <= chars_max + 200, "{text:?}");
        }
        let (text, used) = piece(&bytes, chars_max);
        assert!(text.chars().count() <= chars_max && used <= bytes.len());
        assert!(used > 0 || bytes.is_empty(), "a reader that goes on from piece to piece comes to the end");
    }
}
