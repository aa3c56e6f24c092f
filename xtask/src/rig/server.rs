//! The scripted model server as a child process, and its report. What it checks and records is its own business (`testkit`).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// No answer of the server takes longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What the model will do: so many turns of one command, then the end.
#[derive(Debug, Clone)]
pub struct Script {
    /// Turns with a command.
    pub steps: usize,
    /// The command; `{i}` is the turn's number, from one.
    pub command: String,
}

/// A running server. Dropped, it is ended.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
}

/// What the server saw.
#[derive(Debug, Clone)]
pub struct Report {
    /// In order of arrival.
    pub requests: Vec<Request>,
    /// Rules that a request broke, in the server's words.
    pub violations: Vec<String>,
}

/// One request to the model.
#[derive(Debug, Clone)]
pub struct Request {
    /// When its last byte was here, in microseconds since 1970.
    pub arrived_us: f64,
    /// When the reply's last byte was handed to the kernel.
    pub replied_us: f64,
    /// Share of the request before it that is a prefix of this one; 1 is append-only.
    pub append_only: f64,
}

impl Server {
    /// Starts it on a free port of the loopback.
    #[expect(clippy::disallowed_methods, reason = "the bench starts the scripted server itself")]
    pub fn start(program: &Path, script: &Script, folder: &Path) -> Result<Self> {
        let steps = script.steps.to_string();
        let mut child = Command::new(program)
            .args(["--addr", "127.0.0.1:0", "--steps", &steps, "--command", &script.command])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let said = child.stdout.take().context("read what the server says")?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line).context("wait for the server's address")?;
        let address = line.split(['/', ' ', '\n']).find_map(|word| word.parse().ok());
        let Some(address) = address else {
            child.kill().context("end the server")?;
            child.wait().context("end the server")?;
            bail!("the scripted server said no address but: {line}");
        };
        Ok(Self { child, address })
    }

    /// What goes into `OPENAI_BASE_URL`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Process number, to tell it from the product's.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has seen so far.
    pub fn report(&self) -> Result<Report> {
        let body = self.get("/report")?;
        Report::read(&serde_json::from_slice(&body).context("read the server's report")?)
    }

    /// The body of one request, counted from zero.
    pub fn request(&self, index: usize) -> Result<Value> {
        let body = self.get(&format!("/requests/{index}"))?;
        serde_json::from_slice(&body).with_context(|| format!("read request {index}"))
    }

    fn get(&self, path: &str) -> Result<Vec<u8>> {
        let mut stream =
            TcpStream::connect_timeout(&self.address, ANSWER_WITHIN).context("reach the scripted server")?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address)?;
        let mut answer = BufReader::new(stream);
        let mut status = String::new();
        answer.read_line(&mut status).context("read the scripted server's answer")?;
        ensure!(status.contains(" 200"), "GET {path}: {}", status.trim());
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line).context("read the head of the scripted server's answer")?;
            match line.trim().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse()?,
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).context("read the body of the scripted server's answer")?;
        Ok(body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Report {
    fn read(value: &Value) -> Result<Self> {
        let list = |name: &str| value[name].as_array().with_context(|| format!("the report has no {name}"));
        let number = |value: &Value, name: &str| {
            value[name].as_f64().with_context(|| format!("a request of the report has no {name}: {value}"))
        };
        let request = |value: &Value| {
            Ok(Request {
                arrived_us: number(value, "arrived_us")?,
                replied_us: number(value, "replied_us")?,
                append_only: number(value, "append_only")?,
            })
        };
        Ok(Self {
            requests: list("requests")?.iter().map(request).collect::<Result<_>>()?,
            violations: list("violations")?.iter().map(ToString::to_string).collect(),
        })
    }

    /// The smallest append-only share of all requests.
    pub fn append_only_min(&self) -> f64 {
        self.requests.iter().map(|request| request.append_only).fold(1.0, f64::min)
    }

    /// Milliseconds from each reply to the request after it.
    pub fn gaps_ms(&self) -> Vec<f64> {
        self.requests.windows(2).map(|pair| (pair[1].arrived_us - pair[0].replied_us) / 1000.0).collect()
    }
}
