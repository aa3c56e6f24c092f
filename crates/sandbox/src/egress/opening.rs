//! The first line of what is no TLS: whether whoever reads it leniently could take it for a request in plain HTTP. It reads no more
//! than that line; a request is read strictly in [`super::head`].

use super::head::{HEAD_BYTES_MAX, is_token_byte};

/// Methods that a server may believe without a version behind the target.
const BARE_METHODS: &[&[u8]] = &[b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS"];

/// What a first line is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// It may become either. A server does nothing before the line is whole.
    More,
    /// A request, or what could be taken for one.
    Http,
    /// Nothing of that kind.
    Other,
}

/// What a lone CR is to a reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cr {
    /// The end of a line.
    End,
    /// A blank in it.
    Blank,
}

/// Reads as much as there is.
pub(crate) fn read(bytes: &[u8]) -> Opening {
    match read_as(bytes, Cr::End) {
        Opening::Other => read_as(bytes, Cr::Blank),
        decided => decided,
    }
}

fn read_as(bytes: &[u8], cr: Cr) -> Opening {
    let is_blank = |byte: u8| is_blank(byte) || cr == Cr::Blank && byte == b'\r';
    let is_end = |byte: u8| byte == b'\n' || cr == Cr::End && byte == b'\r';
    let full = bytes.len() > HEAD_BYTES_MAX;
    let undecided = match cr {
        _ if !full => Opening::More,
        Cr::End => Opening::Http,
        // Lines that end in CR alone are some other program's.
        Cr::Blank => Opening::Other,
    };
    let before = bytes.iter().take_while(|byte| is_blank(**byte) || is_end(**byte)).count();
    let line = &bytes[before..];
    let method = line.iter().take_while(|byte| is_token_byte(**byte)).count();
    match (method, line.get(method)) {
        (0, None) => return undecided,
        // A word without an end is no method.
        (_, None) => return if full { Opening::Other } else { Opening::More },
        (0, Some(_)) => return Opening::Other,
        (_, Some(next)) if !is_blank(*next) => return Opening::Other,
        (_, Some(_)) => {}
    }
    let blanks = line[method..].iter().take_while(|byte| is_blank(**byte)).count();
    let target = &line[method + blanks..];
    if starts_with(target, b"http:") || starts_with(target, b"https:") {
        return Opening::Http;
    }
    let Some(end) = line.iter().position(|byte| is_end(*byte)) else { return undecided };
    let words: Vec<&[u8]> = line[..end].split(|byte| is_blank(*byte)).filter(|word| !word.is_empty()).collect();
    let is_request = match &words[..] {
        [method, target] => BARE_METHODS.contains(method) && (target.starts_with(b"/") || is_version(target)),
        [_, _, third, .., last] => is_version(third) || is_version(last),
        [_, _, version] => is_version(version),
        _ => false,
    };
    if is_request { Opening::Http } else { Opening::Other }
}

/// What some server or other takes for a space.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c | 0x1c..=0x1f | 0x85 | 0xa0)
}

fn is_version(word: &[u8]) -> bool {
    starts_with(word, b"http/")
}

fn starts_with(text: &[u8], small: &[u8]) -> bool {
    text.get(..small.len()).is_some_and(|start| start.eq_ignore_ascii_case(small))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decided at its end and not before, or before if it cannot become a request any more.
    #[track_caller]
    fn check(text: &[u8], expected: &Opening) {
        assert_eq!(read(text), *expected, "{:?}", String::from_utf8_lossy(text));
        for cut in 0..text.len() {
            let so_far = read(&text[..cut]);
            assert!(
                so_far == Opening::More || so_far == *expected,
                "{:?}: {so_far:?}",
                String::from_utf8_lossy(&text[..cut])
            );
        }
    }

    #[test]
    fn what_a_server_could_take_for_a_request_is_one() {
        for text in [
            "GET / HTTP/1.1\r",
            "GET / HTTP/1.1\n",
            "get / http/1.1\r\n",
            "X-OWN /a?b HTTP/1.0\r\n",
            "\r\n\n \tGET / HTTP/1.1\r\n",
            "GET\t/ HTTP/1.1\r\n",
            "GET   /   HTTP/1.1  \r\n",
            "GET\u{b}/\u{c}HTTP/1.1\r\n",
            "GET / HTTP/1.1 x\r\n",
            "GET / x HTTP/1.1\r\n",
            "GET /\0 HTTP/1.1\r\n",
            "GET http://evil.test/\r\n",
            "GET HTTPS://evil.test/",
            "CONNECT evil.test:80 HTTP/1.1\r\n",
            "PRI * HTTP/2.0\r\n",
            "GET /\r\n",
            "GET  HTTP/1.1\r\n",
            "GET \r/ HTTP/1.1\n",
            "GET\r/\rHTTP/1.1\r\n",
        ] {
            check(text.as_bytes(), &Opening::Http);
        }
        check(b"GET\xa0/\xa0HTTP/1.1\r\n", &Opening::Http);
        let long = [&b"GET /"[..], &[b'x'; HEAD_BYTES_MAX]].concat();
        assert_eq!((read(&long[..HEAD_BYTES_MAX]), read(&long)), (Opening::More, Opening::Http));
    }

    #[test]
    fn what_other_programs_say_first_is_none() {
        for text in [
            "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
            "EHLO host.example\r\n",
            "USER anonymous\r\n",
            "a1 LOGIN me secret\r\n",
            "*1\r\n$4\r\nPING\r\n",
            "PING\r\n",
            "MOVE 1\rMOVE 2\r\n",
            "SET key value\r\n",
            "GET key\r\n",
            "get /memcached/key\r\n",
            "<34>Oct 11 host nginx: GET / HTTP/1.1\r\n",
            "192.0.2.1 - - \"GET / HTTP/1.1\" 200\n",
            "INVITE sip:a@b.example SIP/2.0\r\n",
            "OPTIONS rtsp://a.example/ RTSP/1.0\r\n",
            "NICK me\r\nUSER me 0 * :GET / HTTP/1.1\r\n",
            "CONNECT {\"verbose\":false}\r\n",
            "<?xml version='1.0'?>",
            "0032git-upload-pack /p.git\0host=a.example\x000032want 12\n",
        ] {
            check(text.as_bytes(), &Opening::Other);
        }
        check(b"\0\0\0\x54\0\x03\0\0user\0me\0", &Opening::Other);
        check(b"T\0\0\x01\x85\xa6", &Opening::Other);
        check(b"\x81\x05hello", &Opening::Other);
        assert_eq!(read(&[b'x'; HEAD_BYTES_MAX + 1]), Opening::Other);
        assert_eq!(read(&b"MOVE 1\r".repeat(HEAD_BYTES_MAX / 7 + 1)), Opening::Other);
    }
}
