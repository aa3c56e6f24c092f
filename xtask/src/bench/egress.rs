//! The way out of a computer beside the way without one: how long a new connection takes longer through the gate, and how much
//! passes in a second. The same program, once outside straight to a server on loopback and once inside through the proxy.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sandbox::egress::{Admitted, Attempt, Ceilings, Closed, EgressGate, Grant, Refusal};
use sandbox::{Computer, Request, Status};
use tempfile::TempDir;

use super::computer::spec;
use super::statistics::{median, percentile};
use super::{Figure, Target, figure};
use crate::rig::Programs;

/// Bytes of the large answer.
const LARGE_BYTES: usize = 1 << 30;
/// What of it is written at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Times that it is fetched.
const FETCHES: usize = 3;
const CONNECTIONS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(120);

/// The name that the server has inside.
const NAME: &str = "bench.test";

/// One connection for each of the small requests, timed from before it is opened until its answer is there; then the large
/// answers. It prints milliseconds a line, and at last bytes a second.
const CLIENT: &str = r"
import socket, sys, time
host, port, name, via, small, large = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6])
buffer = bytearray(1 << 20)
def fetch(path):
    started = time.perf_counter()
    line = socket.create_connection((host, port))
    if via == 'proxy':
        line.sendall(f'CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n\r\n'.encode())
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            head += line.recv(1)
        assert b' 200 ' in head, head
    line.sendall(f'GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n'.encode())
    came = 0
    while True:
        got = line.recv_into(buffer)
        if got == 0:
            break
        came += got
    line.close()
    return time.perf_counter() - started, came
for _ in range(small):
    print(fetch('/small')[0] * 1000)
for _ in range(large):
    seconds, came = fetch('/large')
    print(came / seconds)
";

/// New connections and a large answer, both ways.
pub(super) fn both_ways(programs: &Programs) -> Result<Vec<Figure>> {
    let server = serve()?;
    let folder = TempDir::with_prefix("thenar-bench-").context("make a folder for a computer")?;
    let mut spec = spec(programs, folder.path())?;
    spec.egress = true;
    let computer = Computer::open(&spec).context("make a computer")?;
    let ceilings = Ceilings { bytes_up: u64::MAX, bytes_down: u64::MAX, connections: 8, holds: PATIENCE * 10 };
    let gate = Arc::new(Open { grant: Arc::new(Grant::new(1, Some(server), ceilings)) });
    let _egress = computer.egress(gate).context("serve the computer's way out")?;
    let direct = outside(server)?;
    let through = inside(&computer, server)?;
    computer.shutdown().context("end the computer")?;
    let added = median(&through.connections_ms) - median(&direct.connections_ms);
    let [ours, bare] = [&through, &direct].map(|way| median(&way.bytes_per_second) / 1e9);
    let p95 = |way: &Way| percentile(&way.connections_ms, 95.0);
    Ok(vec![
        figure("egress: what a connection takes longer through the gate, median", added, "ms", Target::AtMost(1.0))
            .note(format!(
                "{:.2} ms and not {:.2}; p95 {:.2} ms and not {:.2}, of {CONNECTIONS}",
                median(&through.connections_ms),
                median(&direct.connections_ms),
                p95(&through),
                p95(&direct)
            )),
        figure("egress: throughput of one connection", ours, "GB/s", Target::AtLeast(0.8))
            .note(format!("the same program without a computer or a gate {bare:.2} GB/s")),
    ])
}

/// What a client saw.
struct Way {
    connections_ms: Vec<f64>,
    bytes_per_second: Vec<f64>,
}

impl Way {
    fn told(printed: &str) -> Result<Self> {
        let numbers: Result<Vec<f64>, _> = printed.lines().map(str::parse).collect();
        let mut connections_ms = numbers.with_context(|| format!("read what the client printed: {printed}"))?;
        ensure!(connections_ms.len() == CONNECTIONS + FETCHES, "the client made {} requests", connections_ms.len());
        let bytes_per_second = connections_ms.split_off(CONNECTIONS);
        Ok(Self { connections_ms, bytes_per_second })
    }
}

fn client(address: SocketAddr, name: &str, via: &str) -> Vec<String> {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let numbers = [CONNECTIONS, FETCHES].map(|number| number.to_string());
    let [small, large] = &numbers;
    ["/usr/bin/python3", "-c", CLIENT, &host, &port, name, via, small, large].map(str::to_owned).to_vec()
}

#[expect(clippy::disallowed_methods, reason = "the same program as inside, to compare with")]
fn outside(server: SocketAddr) -> Result<Way> {
    let argv = client(server, NAME, "straight");
    let output = Command::new(&argv[0]).args(&argv[1..]).stdin(Stdio::null()).output().context("run python3")?;
    ensure!(output.status.success(), "the client outside: {}", String::from_utf8_lossy(&output.stderr));
    Way::told(&String::from_utf8_lossy(&output.stdout))
}

fn inside(computer: &Computer, server: SocketAddr) -> Result<Way> {
    let proxy = SocketAddr::from(([127, 0, 0, 1], sandbox::egress::PROXY_PORT));
    let argv = client(proxy, &format!("{NAME}:{}", server.port()), "proxy");
    computer
        .start("client", &Request::Exec { argv, cwd: None, env: Default::default() })
        .context("start the client")?;
    let status = computer.wait("client", PATIENCE).context("wait for the client")?;
    let output = computer.output("client", 0, 1 << 20).context("read what the client printed")?;
    match status {
        Status::Ended(result) if result.exit == sandbox::Exit::Code(0) => Way::told(&String::from_utf8_lossy(&output)),
        other => bail!("the client inside came to {other:?}: {}", String::from_utf8_lossy(&output)),
    }
}

/// Lets everything through under one grant: what policy and the record take is not of the way.
#[derive(Debug)]
struct Open {
    grant: Arc<Grant>,
}

impl EgressGate for Open {
    fn admit(&self, _: &Attempt, _: &dyn Fn() -> bool) -> Result<Admitted, Refusal> {
        Ok(Admitted { number: 1, grant: Arc::clone(&self.grant) })
    }

    fn refused(&self, _: &Attempt, _: &Refusal) {}

    fn closed(&self, _: Closed) {}
}

/// A server on loopback; its threads end with the process.
fn serve() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listen on loopback")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(answer(stream)));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut line) = (String::new(), String::new());
    reader.read_line(&mut first)?;
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let bytes = if first.contains("/large") { LARGE_BYTES } else { 1 };
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\nConnection: close\r\n\r\n")?;
    let chunk = vec![b'x'; CHUNK_BYTES.min(bytes)];
    for _ in 0..bytes / chunk.len() {
        stream.write_all(&chunk)?;
    }
    Ok(())
}
