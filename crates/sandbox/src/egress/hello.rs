//! The first words of TLS, as far as they say which name is meant. It speaks no TLS.

/// A client's first words are never longer than this here.
pub(crate) const HELLO_BYTES_MAX: usize = 64 * 1024;
/// No host has a longer name; it stands on the record.
const NAME_BYTES_MAX: usize = 255;

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Hello {
    /// Too few to tell.
    More,
    /// No TLS.
    Other,
    /// TLS that asks for this name, or for none.
    Tls(Option<String>),
}

/// Whether this is meant for TLS, or may become that.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    !bytes.is_empty() && is_like_tls(bytes) != Some(false)
}

/// Whether a server could take this for TLS, once that is to be seen. Some read records of any version below 16, and pass over a warning
/// before the hello. To nobody is a long alert one of these, or what is no hello: a packet of a database may begin with the same numbers.
fn is_like_tls(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [] | [0x14..=0x17] => None,
        [0x14..=0x17, 3, ..] | [0x16, ..=15, _, 0, 0, ..] => Some(true),
        [0x15, ..=15, _, high, ..] => Some(*high == 0),
        [0x16, ..=15, _, _, _, kind, ..] => Some(*kind == 1),
        [0x15 | 0x16, ..=15, ..] => None,
        _ => Some(false),
    }
}

/// Reads as much as there is.
pub(crate) fn read(bytes: &[u8]) -> Hello {
    match is_like_tls(bytes) {
        None => return Hello::More,
        Some(false) => return Hello::Other,
        Some(true) => {}
    }
    let mut words = Vec::new();
    let mut rest = bytes;
    loop {
        // The handshake may be spread over records.
        match rest {
            [0x16, 3, _, high, low, body @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                if length == 0 {
                    return Hello::Other;
                }
                let Some(body_of) = body.get(..length) else { return more(bytes) };
                words.extend_from_slice(body_of);
                rest = &body[length..];
            }
            _ if rest.len() < 5 => return more(bytes),
            _ => return Hello::Other,
        }
        if let [kind, a, b, c, body @ ..] = &words[..] {
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            if *kind != 1 || length > HELLO_BYTES_MAX {
                return Hello::Other;
            }
            if let Some(body) = body.get(..length) {
                return name(body).map_or(Hello::Other, Hello::Tls);
            }
        }
    }
}

fn more(bytes: &[u8]) -> Hello {
    if bytes.len() > HELLO_BYTES_MAX { Hello::Other } else { Hello::More }
}

/// The name in a client's hello; nothing where the hello is none.
fn name(hello: &[u8]) -> Option<Option<String>> {
    let mut rest = hello.get(34..)?;
    skip(&mut rest, 1)?;
    skip(&mut rest, 2)?;
    skip(&mut rest, 1)?;
    if rest.is_empty() {
        return Some(None);
    }
    let mut extensions = take(&mut rest, 2)?;
    let mut found = None;
    while !extensions.is_empty() {
        let [high, low, more @ ..] = extensions else { return None };
        extensions = more;
        let body = take(&mut extensions, 2)?;
        if [*high, *low] == [0, 0] {
            let mut list = body;
            let mut names = take(&mut list, 2)?;
            let [0, text @ ..] = names else { return None };
            names = text;
            let name = take(&mut names, 2)?;
            let is_name = name.len() <= NAME_BYTES_MAX && name.iter().all(u8::is_ascii_graphic);
            // Two names would be one for us and one for the server.
            if !is_name || found.is_some() || !names.is_empty() || !list.is_empty() {
                return None;
            }
            found = Some(std::str::from_utf8(name).ok()?.to_owned());
        }
    }
    Some(found)
}

/// What stands behind a length of so many bytes.
fn take<'a>(rest: &mut &'a [u8], width: usize) -> Option<&'a [u8]> {
    let (length, body) = rest.split_at_checked(width)?;
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let (taken, after) = body.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn skip(rest: &mut &[u8], width: usize) -> Option<()> {
    take(rest, width).map(drop)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn long(width: usize, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&length[4 - width..], body].concat()
    }

    /// A client's hello with these names.
    pub(crate) fn hello(names: &[&str]) -> Vec<u8> {
        let one = |name: &&str| {
            let list = [&[0], &long(2, name.as_bytes())[..]].concat();
            [&[0, 0], &long(2, &long(2, &list))[..]].concat()
        };
        let extensions: Vec<u8> = names.iter().flat_map(one).chain([0, 43, 0, 3, 2, 3, 4]).collect();
        let body =
            [&[3, 3][..], &[7; 32], &long(1, &[9; 32]), &long(2, &[0x13, 1]), &long(1, &[0]), &long(2, &extensions)]
                .concat();
        let handshake = [&[1], &long(3, &body)[..]].concat();
        [&[0x16, 3, 1], &long(2, &handshake)[..]].concat()
    }

    #[test]
    fn the_name_is_found_once_the_hello_is_whole() {
        let all = hello(&["example.org"]);
        for cut in 0..all.len() {
            assert_eq!(read(&all[..cut]), Hello::More, "{cut} of {} bytes", all.len());
        }
        assert_eq!(read(&all), Hello::Tls(Some("example.org".to_owned())));
        assert_eq!(read(&hello(&[])), Hello::Tls(None));
    }

    #[test]
    fn a_hello_in_pieces_is_read_all_the_same() {
        let all = hello(&["example.org"]);
        let pieces: Vec<u8> =
            all[5..].chunks(20).flat_map(|piece| [&[0x16, 3, 1], &long(2, piece)[..]].concat()).collect();
        assert_eq!(read(&pieces), Hello::Tls(Some("example.org".to_owned())));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        assert_eq!(read(&hello(&["a.example", "b.example"])), Hello::Other);
        for no_name in ["a.\u{202e}example", "a\nb", &"a".repeat(256)] {
            assert_eq!(read(&hello(&[no_name])), Hello::Other, "{no_name:?}");
        }
        assert_eq!(read(b"GET / HTTP/1.1\r\n"), Hello::Other);
        assert_eq!(read(&[0x16, 3, 1, 0, 0]), Hello::Other);
        assert_eq!(read(&[0x16, 3, 1, 0, 4, 2, 0, 0, 0]), Hello::Other, "a server's hello");
        let mut all = hello(&["example.org"]);
        for at in 0..all.len() {
            all[at] ^= 0xff;
            let _ = read(&all);
            all[at] ^= 0xff;
        }
    }
}
