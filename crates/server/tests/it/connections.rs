//! Connections as such: who takes too long, says too much, or comes too many.

use std::time::Duration;

use server::HttpLimits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::door::{Door, door_with};

struct Serving {
    _door: Door,
    address: std::net::SocketAddr,
    end: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

async fn serving(limits: HttpLimits) -> Serving {
    let door = door_with(limits);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel();
    let state = door.state.clone();
    let served = tokio::spawn(async move { server::serve(listener, state, async { drop(ended.await) }).await });
    Serving { _door: door, address, end, served }
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n";

/// Says this over a connection of its own, and reads until the server closes it.
async fn said(server: &Serving, text: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset is a way to close it as well.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_and_an_idle_connection_are_let_go() {
    let server = serving(HttpLimits::default()).await;
    for silent in ["", "G", "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-More: "] {
        let answer = said(&server, silent).await;
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    // Answered, while time goes as it does; kept for a while, and let go.
    tokio::time::resume();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("{HEALTH}\r\n").as_bytes()).await.unwrap();
    let mut answer = [0; 1_024];
    let read = stream.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    tokio::time::pause();
    assert!(stream.read_to_end(&mut Vec::new()).await.is_ok());
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = serving(HttpLimits::default()).await;
    let line = format!("X-More: {}\r\n", "x".repeat(64));
    for (lines, expected) in [(10, "200"), (101, "431"), (1_000, "431")] {
        let answer = said(&server, &format!("{HEALTH}Connection: close\r\n{}\r\n", line.repeat(lines))).await;
        assert_eq!(status(&answer), expected, "{lines} lines: {answer}");
    }
    let long = format!("X-More: {}\r\n", "x".repeat(40 * 1024));
    assert_eq!(status(&said(&server, &format!("{HEALTH}Connection: close\r\n{long}\r\n")).await), "431");
    let path = format!("GET /{} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "x".repeat(70 * 1024));
    let answer = said(&server, &path).await;
    assert!(["414", "431"].contains(&status(&answer)), "{answer}");
}

#[tokio::test]
async fn only_so_many_connections_are_answered_at_once() {
    let server = serving(HttpLimits { connections_max: 1, ..HttpLimits::default() }).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    // Answered: so it has the place.
    first.write_all(format!("{HEALTH}\r\n").as_bytes()).await.unwrap();
    let mut piece = [0; 1_024];
    assert!(first.read(&mut piece).await.unwrap() > 0);
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(format!("{HEALTH}\r\n").as_bytes()).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(200), second.read(&mut piece)).await.is_err());
    drop(first);
    let read = second.read(&mut piece).await.unwrap();
    assert!(piece[..read].starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn the_end_lets_answers_finish_and_cuts_off_the_rest() {
    let server = serving(HttpLimits::default()).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(format!("{HEALTH}\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 1_024];
    let read = idle.read(&mut piece).await.unwrap();
    answer.extend_from_slice(&piece[..read]);
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(HEALTH.as_bytes()).await.unwrap();
    server.end.send(()).unwrap();
    server.served.await.unwrap().unwrap();
    for mut stream in [idle, half] {
        // Closed or reset; either way nobody is left there.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    assert!(TcpStream::connect(server.address).await.is_err());
}
