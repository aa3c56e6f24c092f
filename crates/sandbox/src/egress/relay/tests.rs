//! What passes between two real ends of a connection, and what becomes of it when either goes. No gate and no TLS: those are tried where they are.

use std::net::TcpListener;

use super::*;
use crate::egress::Ceilings;

/// Two ends of a connection.
fn line() -> (Arc<TcpStream>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    unwaiting(&one).unwrap();
    (Arc::new(one), listener.accept().unwrap().0)
}

#[test]
fn a_connection_that_is_cut_ends_at_once_and_one_that_is_done_delivers_the_rest() {
    let hour = Duration::from_secs(3_600);
    for (bytes_up, cut) in [(2, true), (1 << 20, false)] {
        let ((mut client, _program), (mut server, far)) = (line(), line());
        let grant = Grant::new(1, None, Ceilings { bytes_up, bytes_down: 1 << 20, connections: 1, holds: hour });
        drop(far);
        let passed = pump(&mut client, &mut server, &grant, b"more".to_vec(), Upward::Free);
        assert_eq!(passed.refused.is_some(), cut);
        let linger = rustix::net::sockopt::socket_linger(&client).unwrap();
        assert_eq!(linger, cut.then_some(Duration::ZERO));
    }
}

#[test]
fn nobody_waits_long_for_an_answer_to_a_program_that_has_gone() {
    let ((mut client, program), (mut server, mut far)) = (line(), line());
    let hour = Duration::from_secs(3_600);
    let ceilings = Ceilings { bytes_up: 1 << 20, bytes_down: 1 << 20, connections: 1, holds: hour };
    let grant = Grant::new(1, None, ceilings);
    drop(program);
    let passed = pump(&mut client, &mut server, &grant, b"GET / ".to_vec(), Upward::Rest(Body::nothing()));
    assert_eq!((passed.up, passed.down, passed.refused), (6, 0, None));
    // The server is there all the time, and says nothing.
    let mut heard = [0; 6];
    far.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"GET / ");
}

const PLENTY: Ceilings =
    Ceilings { bytes_up: 1 << 30, bytes_down: 1 << 30, connections: 1, holds: Duration::from_secs(3_600) };

/// Reads late and all of it.
fn hear_late(mut from: TcpStream, late: &std::sync::mpsc::Receiver<()>) -> usize {
    late.recv().unwrap();
    let mut heard = Vec::new();
    from.read_to_end(&mut heard).unwrap();
    heard.len()
}

#[test]
fn what_was_said_before_an_end_arrives_however_late_it_is_read() {
    const ALL: usize = 16 << 20;
    for down in [true, false] {
        let ((mut client, program), (mut server, far)) = (line(), line());
        let grant = Grant::new(1, None, PLENTY);
        let (speaker, reader) = if down { (far, program) } else { (program, far) };
        let (said, late) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            // Whoever reads has said its last word before, so that both ways are closed when the other is done.
            reader.shutdown(Shutdown::Write).unwrap();
            scope.spawn(move || {
                let mut speaker = speaker;
                // So much fits on the way: what is left is said while the other reads.
                speaker.write_all(&vec![b'x'; ALL / 64]).unwrap();
                said.send(()).unwrap();
                speaker.write_all(&vec![b'x'; ALL - ALL / 64]).unwrap();
            });
            let heard = scope.spawn(move || hear_late(reader, &late));
            let passed = pump(&mut client, &mut server, &grant, Vec::new(), Upward::Free);
            drop((client, server));
            assert_eq!((heard.join().unwrap(), passed.refused), (ALL, None), "down: {down}");
            let all = u64::try_from(ALL).unwrap();
            assert_eq!((passed.up, passed.down), if down { (0, all) } else { (all, 0) });
        });
    }
}

#[test]
fn an_answer_that_comes_before_the_request_is_whole_arrives() {
    for upward in [Upward::Free, Upward::Rest(Body::of_length(1 << 20))] {
        let ((mut client, mut program), (mut server, mut far)) = (line(), line());
        // It closes with a piece of the request unread, and so takes nothing more of it.
        (&*server).write_all(b"POST / ").unwrap();
        far.write_all(b"HTTP/1.1 413 too much\r\n\r\n").unwrap();
        drop(far);
        program.write_all(&[b'x'; 4096]).unwrap();
        let passed = pump(&mut client, &mut server, &Grant::new(1, None, PLENTY), vec![b'x'; 4096], upward);
        assert_eq!((passed.refused, passed.parting), (None, Parting::Wait));
        let mut heard = String::new();
        program.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "HTTP/1.1 413 too much\r\n\r\n");
    }
}

#[test]
fn one_that_is_cut_while_an_answer_is_still_heard_is_cut_at_once() {
    let ((mut client, program), (mut server, mut far)) = (line(), line());
    (&*server).write_all(b"POST / ").unwrap();
    far.write_all(&[b'x'; 4096]).unwrap();
    drop(far);
    let grant = Grant::new(1, None, Ceilings { bytes_down: 1_000, ..PLENTY });
    let passed = pump(&mut client, &mut server, &grant, vec![b'x'; 4096], Upward::Free);
    assert_eq!(passed.refused.map(|it| it.rule).as_deref(), Some("egress.bytes"));
    assert_eq!(passed.parting, Parting::Cut);
    assert_eq!(rustix::net::sockopt::socket_linger(&client).unwrap(), Some(Duration::ZERO));
    drop(program);
}

#[test]
fn a_request_that_is_left_half_said_holds_no_line() {
    let ((mut client, program), (mut server, mut far)) = (line(), line());
    drop(program);
    let passed =
        pump(&mut client, &mut server, &Grant::new(1, None, PLENTY), b"ab".to_vec(), Upward::Rest(Body::of_length(5)));
    assert_eq!((passed.up, passed.refused), (2, None));
    drop(server);
    let mut heard = String::new();
    far.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "ab");
}

#[test]
fn behind_a_request_for_another_protocol_a_program_is_heard_if_the_server_speaks_it() {
    let host = || crate::egress::Host::parse("shop.test").unwrap();
    for (answer, tunnel, said, passes) in [
        ("HTTP/1.1 101 Switching\r\n\r\n", false, "GET / of mine\n", true),
        ("HTTP/1.1 101 Switching\r\n\r\n", true, "\u{81}frame\n", true),
        ("HTTP/1.1 101 Switching\r\n\r\n", true, "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\n\r\n", false, "GET / HTTP/1.1\r\n\r\n", false),
    ] {
        let ((mut client, mut program), (mut server, mut far)) = (line(), line());
        let then = tunnel.then(|| Box::new(Tunnel::behind_a_switch(host(), 80)));
        let heard = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut heard = vec![0; answer.len()];
                program.read_exact(&mut heard).unwrap();
                assert_eq!(heard, answer.as_bytes());
                program.write_all(said.as_bytes()).unwrap();
                program.shutdown(Shutdown::Write).unwrap();
            });
            let heard = scope.spawn(|| {
                far.read_exact(&mut [0; 3]).unwrap();
                far.write_all(answer.as_bytes()).unwrap();
                let mut heard = String::new();
                far.read_to_string(&mut heard).unwrap();
                far.shutdown(Shutdown::Both).unwrap();
                heard
            });
            let upward = Upward::Switching(Switch::default(), then);
            let passed = pump(&mut client, &mut server, &Grant::new(1, None, PLENTY), b"ask".to_vec(), upward);
            assert_eq!(passed.refused.map(|it| it.rule).as_deref(), (tunnel && !passes).then_some("egress.host"));
            server.shutdown(Shutdown::Both).unwrap_or_default();
            heard.join().unwrap()
        });
        assert_eq!(heard, if passes { said } else { "" });
    }
}
