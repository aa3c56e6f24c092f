//! The scripted model server on its own, for benches and for trying Thenar over HTTP without a model.
//!
//! `scripted-model [--addr HOST:PORT] [--steps N] [--command TEXT]`: prints its address; replies with one `shell_exec` per
//! step (`{i}` in the command is the step's number), then ends the task. `GET /report` tells what it saw.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own that says where it listens")]

use std::process::ExitCode;

use testkit::{Answer, ModelServer, Turn};

const USAGE: &str = "usage: scripted-model [--addr HOST:PORT] [--steps N] [--command TEXT]";

/// It ends by itself after so long, whoever forgot it.
const LIFETIME: std::time::Duration = std::time::Duration::from_secs(3_600);

fn main() -> ExitCode {
    let (mut address, mut steps, mut command) = ("127.0.0.1:0".to_owned(), 50, "echo {i}".to_owned());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next();
        match (word.as_str(), value) {
            ("--addr", Some(value)) => address = value,
            ("--steps", Some(value)) => steps = value.parse().unwrap_or(steps),
            ("--command", Some(value)) => command = value,
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let server = ModelServer::start_on(&address, move |_, request| {
        let step = testkit::replies_in(request) + 1;
        let turn = Turn { usage: Some((1_000, 900, 20)), ..Turn::exec(&command.replace("{i}", &step.to_string())) };
        Answer::Stream(if step > steps { Turn::say("done") } else { turn })
    });
    match server {
        Ok(server) => {
            println!("{}", server.base_url());
            std::thread::park_timeout(LIFETIME);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("listen on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}
