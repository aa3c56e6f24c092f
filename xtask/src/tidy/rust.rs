//! A reading of Rust text that is just good enough for rules: comments and literals blanked, tests cut off.
//!
//! It is no parser; a rule that needs one belongs to clippy.

/// The same text, line for line, with the inside of comments, strings and characters replaced by spaces.
pub(super) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at).unwrap_or(at);
        if end > at {
            out.extend(bytes[at..end].iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }));
            at = end;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Where the comment or literal that opens at `at` ends, if one does.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let after_word = at > 0 && is_word(bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => Some(find(bytes, at, b"\n").unwrap_or(bytes.len())),
        [b'/', b'*', ..] => Some(block_comment_end(bytes, at)),
        [b'"', ..] => Some(string_end(bytes, at + 1)),
        [b'r', b'"' | b'#', ..] if !after_word => raw_string_end(bytes, at + 1),
        [b'b', b'r', b'"' | b'#', ..] if !after_word => raw_string_end(bytes, at + 2),
        [b'\'', b'\\', _, ..] => find(bytes, at + 3, b"'").map(|end| end + 1),
        [b'\'', first, ..] => {
            let length = utf8_length(*first);
            (bytes.get(at + 1 + length) == Some(&b'\'')).then_some(at + 2 + length)
        }
        _ => None,
    }
}

fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut here) = (0usize, at);
    while here + 1 < bytes.len() {
        match &bytes[here..here + 2] {
            b"/*" => (depth, here) = (depth + 1, here + 2),
            b"*/" if depth == 1 => return here + 2,
            b"*/" => (depth, here) = (depth - 1, here + 2),
            _ => here += 1,
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut here = from;
    while here < bytes.len() {
        match bytes[here] {
            b'\\' => here += 2,
            b'"' => return here + 1,
            _ => here += 1,
        }
    }
    bytes.len()
}

/// `hashes` stands after the `r`; a raw identifier such as `r#type` is no string.
fn raw_string_end(bytes: &[u8], hashes: usize) -> Option<usize> {
    let count = bytes[hashes..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(hashes + count) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.extend(std::iter::repeat_n(b'#', count));
    Some(find(bytes, hashes + count + 1, &close).map_or(bytes.len(), |end| end + close.len()))
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes.get(from..)?.windows(what.len()).position(|window| window == what).map(|position| from + position)
}

fn utf8_length(first: u8) -> usize {
    match first {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Lines before the tests at the file's foot.
pub(super) fn lines_before_tests(code: &str) -> usize {
    let lines: Vec<&str> = code.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0].starts_with("#[cfg(test)]") && pair[1].trim_start().starts_with("mod ") && pair[1].contains('{')
    });
    tests.unwrap_or(lines.len())
}

/// The code without its tests.
pub(super) fn without_tests(code: &str) -> String {
    code.lines().take(lines_before_tests(code)).collect::<Vec<_>>().join("\n")
}

/// Lines (from one) on which `word` stands by itself.
pub(super) fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let stands_alone = |line: &str| {
        line.match_indices(word).any(|(at, found)| {
            let before = line[..at].bytes().next_back();
            let after = line[at + found.len()..].bytes().next();
            let opens = !found.starts_with(|letter: char| letter.is_alphanumeric()) || !before.is_some_and(is_word);
            opens && !after.is_some_and(is_word)
        })
    };
    code.lines().enumerate().filter(|(_, line)| stands_alone(line)).map(|(index, _)| index + 1).collect()
}

/// Files that are tests from first line to last.
pub(super) fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.contains("/benches/") || path.starts_with("fuzz/")
}
