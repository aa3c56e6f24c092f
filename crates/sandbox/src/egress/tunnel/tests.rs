//! A tunnel hears texts cut at every byte: what passes is the same wherever that is. No socket is opened here.

use super::*;

const GET: &str = "GET /a HTTP/1.1\r\nHost: shop.test\r\n\r\n";

fn tunnel() -> Tunnel {
    Tunnel::new(Host::parse("shop.test").unwrap(), 80, Vec::new())
}

/// What passes of a text that comes in these pieces, and why it ends, if it does.
fn heard<'a>(tunnel: &mut Tunnel, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Option<Refusal>) {
    let mut all = Vec::new();
    for piece in pieces {
        match tunnel.said(piece.to_vec(), &[]) {
            Ok(passes) => all.extend(passes),
            Err(refusal) => return (all, Some(refusal)),
        }
        if let Some(refusal) = tunnel.over() {
            return (all, Some(refusal.clone()));
        }
    }
    (all, None)
}

/// In one piece, cut at every byte, and byte by byte.
fn in_all_pieces(text: &[u8], mut check: impl FnMut((Vec<u8>, Option<Refusal>), &Tunnel)) {
    for cut in 0..text.len() {
        let mut tunnel = tunnel();
        check(heard(&mut tunnel, [&text[..cut], &text[cut..]]), &tunnel);
    }
    let mut tunnel = tunnel();
    check(heard(&mut tunnel, text.chunks(1)), &tunnel);
}

#[track_caller]
fn passes(text: &str, expected: &str) {
    in_all_pieces(text.as_bytes(), |(passed, refused), _| {
        assert_eq!((String::from_utf8_lossy(&passed).as_ref(), &refused), (expected, &None), "{text:?}");
    });
}

/// Refused by this rule in these words, and of the request no whole line has passed.
#[track_caller]
fn refused(text: &str, rule: &str, why: &str) {
    in_all_pieces(text.as_bytes(), |(passed, refused), tunnel| {
        let refused = refused.or_else(|| {
            let mut tunnel = Tunnel { held: tunnel.held.clone(), ..self::tunnel() };
            tunnel.phase = Phase::Head;
            tunnel.ends().err()
        });
        assert!(refused.as_ref().is_some_and(|it| it.rule == rule && it.reason.contains(why)), "{text:?}: {refused:?}");
        let line = passed.trim_ascii_start();
        assert!(!line.contains(&b'\n') && !line.contains(&b'\r'), "{text:?}: {:?}", String::from_utf8_lossy(&passed));
    });
}

#[test]
fn requests_for_the_host_pass_one_after_the_other() {
    passes(GET, GET);
    passes(&GET.repeat(3), &GET.repeat(3));
    let post = "POST /b HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\n\r\nab\r\nc";
    passes(&[post, GET, post].concat(), &[post, GET, post].concat());
    let pieces = "PUT /c HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    passes(&[pieces, GET].concat(), &[pieces, GET].concat());
    passes("GET / HTTP/1.1\r\nHost: SHOP.test.:80\r\n\r\n", "GET / HTTP/1.1\r\nHost: shop.test:80\r\n\r\n");
    let whole = "GET http://shop.test/a HTTP/1.1\r\nHost: shop.test\r\n\r\n";
    passes(whole, whole);
    let old = "GET / HTTP/1.0\r\nHost: shop.test\r\nConnection: Keep-Alive\r\n\r\n";
    passes(old, &old.replace("Keep-Alive", "keep-alive"));
    passes("get / HTTP/1.1\r\nHost: shop.test\r\n\r\n", "get / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
}

#[test]
fn a_request_for_another_host_does_not() {
    refused("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", "egress.host", "asks for evil.test:80");
    refused("GET / HTTP/1.1\r\nHost: shop.test:81\r\n\r\n", "egress.host", "asks for shop.test:81");
    refused("GET http://evil.test/ HTTP/1.1\r\nHost: shop.test\r\n\r\n", "egress.host", "asks for evil.test:80");
    refused("GET http://shop.test@evil.test/ HTTP/1.1\r\nHost: shop.test\r\n\r\n", "egress.request", "name");
    refused("CONNECT evil.test:80 HTTP/1.1\r\nHost: shop.test\r\n\r\n", "egress.request", "for a proxy");
}

#[test]
fn what_can_be_read_in_two_ways_does_not_either() {
    let with = |line: &str| format!("POST / HTTP/1.1\r\nHost: shop.test\r\n{line}\r\n\r\n");
    for (line, why) in [
        ("Host: shop.test", "two hosts"),
        ("Content-Length: 1\r\nContent-Length: 2", "twice"),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", "two ways"),
        ("Transfer-Encoding: gzip, chunked", "not known"),
        (" folded: 1", "signs"),
        ("X : 1", "signs"),
        ("X: a\nHost: evil.test", "does not end"),
        ("X: a\rHost: evil.test", "does not end"),
    ] {
        refused(&with(line), "egress.request", if why == "does not end" { "" } else { why });
    }
    for text in [
        "GET / HTTP/1.1\nHost: evil.test\n\n",
        "GET / HTTP/1.1\rHost: evil.test\r\r",
        "\r\nGET / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        "GET / http/1.1\r\nHost: shop.test\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET /\r\nHost: evil.test\r\n\r\n",
        "GET http://evil.test/\r\n\r\n",
    ] {
        refused(text, "egress.request", "");
    }
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "egress.request", "HTTP/2 without TLS");
}

#[test]
fn a_head_without_end_is_refused() {
    for text in
        [format!("GET /{}", "x".repeat(100 * 1024)), format!("{}X: {}", &GET[..GET.len() - 2], "x".repeat(100 * 1024))]
    {
        for size in [1_000, 7_000, text.len()] {
            let (passed, refused) = heard(&mut tunnel(), text.as_bytes().chunks(size));
            assert!(refused.is_some_and(|refused| refused.reason.contains("too long")));
            assert!(passed.len() <= HEAD_BYTES_MAX + size && !passed.contains(&b'\r'));
        }
    }
}

#[test]
fn what_passed_before_a_refusal_stays_passed_and_nothing_after() {
    for second in ["GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", "\r\nGET", "0\r\n\r\n", "X\n"] {
        let text = [GET, second, GET].concat();
        in_all_pieces(text.as_bytes(), |(passed, refused), _| {
            assert!(refused.is_some(), "{second:?}");
            assert_eq!(String::from_utf8_lossy(&passed), GET, "{second:?}");
        });
    }
}

#[test]
fn what_is_no_http_passes_at_once() {
    for text in [
        "SSH-2.0-x y\r\nGET / HTTP/1.1\r\n",
        "EHLO a.example\r\n",
        "hello",
        "hello world",
        "\0\0\0\x08\x04\u{d2}\x16/",
        "\u{16}\u{10}",
        // Packets of MySQL, 277 and 278 bytes long.
        "\u{15}\u{1}\0\u{1}\u{a6}",
        "\u{16}\u{1}\0\u{1}\u{a6}",
    ] {
        in_all_pieces(text.as_bytes(), |(passed, refused), _| {
            assert_eq!((passed, refused), (text.as_bytes().to_vec(), None));
        });
    }
}

#[test]
fn tls_passes_for_the_host_only() {
    let of = |name: &str| hello::tests::hello(&[name]);
    in_all_pieces(&of("shop.test"), |(passed, refused), tunnel| {
        assert_eq!((passed, refused), (of("shop.test"), None));
        assert!(tunnel.is_free() && tunnel.tls_name() == Some("shop.test"));
    });
    in_all_pieces(&of("evil.test"), |(passed, refused), tunnel| {
        assert!(passed.is_empty() && refused.is_some_and(|refused| refused.rule == "egress.tls_name"));
        assert_eq!(tunnel.tls_name(), Some("evil.test"));
    });
    let mut half = tunnel();
    assert_eq!(heard(&mut half, [&of("shop.test")[..40]]), (Vec::new(), None));
    assert!(half.ends().is_err());
}

#[test]
fn tls_in_a_form_that_only_some_servers_read_does_not_pass() {
    let evil = hello::tests::hello(&["evil.test"]);
    let warning = |version: u8| [&[0x15, version, 1, 0, 2, 1, 90][..], &evil].concat();
    let older = [&[0x16, 2, 1][..], &evil[3..]].concat();
    let rest = u16::try_from(evil.len() - 6).unwrap().to_be_bytes();
    let cut = [&[0x16, 2, 1, 0, 1, 1, 0x16, 2, 1], &rest[..], &evil[6..]].concat();
    let changed = [&[0x14, 3, 3, 0, 1, 1][..], &evil].concat();
    for text in [warning(3), warning(2), older, cut, changed, [&[0x16, 2, 1, 0, 0][..], &evil].concat()] {
        in_all_pieces(&text, |(passed, refused), _| {
            assert!(passed.is_empty() && refused.is_some_and(|refused| refused.rule == "egress.tls_name"), "{text:?}");
        });
        assert!(heard(&mut tunnel(), [&text[..3]]).0.is_empty(), "nothing of it passes before that is seen");
    }
}

const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nHost: shop.test\r\nUpgrade: websocket\r\nX: 1\r\nConnection: Upgrade\r\n\r\n";

#[test]
fn after_a_change_of_protocol_all_passes_but_another_request() {
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    for (then, whole) in [("\u{81}abc", true), ("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", false)] {
        for cut in 0..answer.len() {
            let mut tunnel = tunnel();
            assert_eq!(tunnel.said([UPGRADE, then].concat().into_bytes(), &[]).unwrap(), UPGRADE.as_bytes());
            assert!(tunnel.waits());
            let judged = [&answer[..cut], &answer[cut..]].map(|piece| tunnel.answered(piece));
            assert!(judged[0] != judged[1], "{cut}");
            let passed = tunnel.said(Vec::new(), &[]).unwrap();
            assert_eq!(passed, if whole { then.as_bytes() } else { b"" });
            assert_eq!(tunnel.over().is_none(), whole);
        }
    }
}

#[test]
fn where_the_server_changes_nothing_requests_go_on_being_read() {
    for answer in [&b"HTTP/1.1 200 OK\r\n"[..], b"HTTP/1.0 101 x\r\n", b"no HTTP\n", b"HTTP/1.1 101"] {
        let mut tunnel = tunnel();
        tunnel.said(UPGRADE.into(), &[]).unwrap();
        let judged = tunnel.answered(answer);
        assert_eq!(judged, answer.ends_with(b"\n"));
        assert_eq!(tunnel.said(GET.into(), &[]).unwrap(), if judged { GET.as_bytes() } else { b"" });
    }
}

#[test]
fn an_answer_that_is_announced_without_end_is_not_waited_for() {
    let announced = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(20);
    let mut tunnel = tunnel();
    tunnel.said(UPGRADE.into(), &[]).unwrap();
    let pieces = (0..10_000).position(|_| tunnel.answered(&announced));
    assert!(pieces.is_some_and(|pieces| pieces * announced.len() <= 2 * HEAD_BYTES_MAX), "{pieces:?}");
    // What the program says goes on being read, and a change that comes later is none.
    assert_eq!(tunnel.said(GET.into(), &[]).unwrap(), GET.as_bytes());
    assert!(!tunnel.answered(b"HTTP/1.1 101 Switching Protocols\r\n\r\n") && !tunnel.is_free());
}

#[test]
fn only_a_first_request_may_change_the_protocol_and_none_to_plain_http_2() {
    let without = "GET /chat HTTP/1.1\r\nHost: shop.test\r\nX: 1\r\n\r\n";
    passes(&[GET, UPGRADE].concat(), &[GET, without].concat());
    passes(&UPGRADE.replace("websocket", "foo, h2c"), without);
}

#[test]
fn a_secret_is_put_into_each_request() {
    let secrets = || Secret::new("holder-1", "value").unwrap();
    let with = |value: &str| format!("GET / HTTP/1.1\r\nHost: shop.test\r\nX: {value}\r\n\r\n");
    for (secret, sent) in [(secrets().in_clear_too(), "value"), (secrets(), "holder-1")] {
        let passed = tunnel().said(with("holder-1").repeat(2).into_bytes(), &[secret]).unwrap();
        assert_eq!(String::from_utf8(passed).unwrap(), with(sent).repeat(2), "in clear only where its owner said so");
    }
}
