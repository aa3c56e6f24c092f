//! `thenar secret`: values that tasks use and never see. A value comes from standard input and is never printed.

use std::io::{self, IsTerminal, Read};

use rustix::termios::{LocalModes, OptionalActions};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::args::Secret;
use crate::exit::{Code, Outcome, Problem};
use crate::screen::{self, Screen};
use crate::{clean, house};

/// More is no secret but a file.
const VALUE_BYTES_MAX: u64 = 64 * 1024;

/// `thenar secret …`.
pub(crate) fn run(secret: Secret, screen: Screen) -> Outcome {
    let secrets = agent::Secrets::of(&house::data_folder()?);
    let wrong = |error: agent::Error| Problem::new(Code::Usage, error.to_string());
    match secret {
        Secret::Set { name, host } => {
            let value = value(&name, screen)?;
            secrets.set(&name, value.trim_end_matches(['\r', '\n']), &host).map_err(wrong)?;
            screen.say(&format!("Kept. Give it to a task: thenar run --secret {name} \"…\""));
            Ok(Code::Done)
        }
        Secret::List { json } => {
            let all = secrets.list().map_err(wrong)?;
            if json {
                let all: Vec<_> = all.iter().map(|kept| json!({ "name": kept.name, "hosts": kept.hosts })).collect();
                screen::json(&json!(all));
            } else {
                for kept in all {
                    screen::data(&format!(
                        "{}  {}",
                        clean::line(&kept.name, 100),
                        clean::line(&kept.hosts.join(", "), 300)
                    ));
                }
            }
            Ok(Code::Done)
        }
        Secret::Remove { name } => match secrets.remove(&name).map_err(wrong)? {
            true => {
                screen.say("Removed: tasks that were given it cannot use it any more.");
                Ok(Code::Done)
            }
            false => Err(Problem::new(Code::Usage, format!("there is no secret {name}"))),
        },
    }
}

/// The value from standard input; from a terminal without showing it.
fn value(name: &str, screen: Screen) -> Result<String, Problem> {
    let failed = |error: io::Error| Problem::new(Code::Usage, format!("read the value of {name}: {error}"));
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let mut value = String::new();
        stdin.take(VALUE_BYTES_MAX).read_to_string(&mut value).map_err(failed)?;
        return Ok(value);
    }
    screen.say_part(&format!("Value of {}: ", clean::line(name, 100)));
    let before = rustix::termios::tcgetattr(&stdin).map_err(|error| failed(error.into()))?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    let set = |modes| rustix::termios::tcsetattr(&stdin, OptionalActions::Flush, modes);
    let typed = crate::runtime()?.block_on(async {
        let mut interrupted = signal(SignalKind::interrupt())?;
        set(&silent)?;
        let line = line_of_stdin();
        tokio::select! {
            _ = interrupted.recv() => Ok(None),
            line = line => line.unwrap_or_else(|_| Err(io::ErrorKind::UnexpectedEof.into())).map(Some),
        }
    });
    let _ = set(&before);
    screen.say("");
    typed.map_err(failed)?.ok_or_else(|| Problem::new(Code::Interrupted, "nothing was kept"))
}

/// The next line, read by a thread of its own: nothing else ends such a read but what is typed.
fn line_of_stdin() -> oneshot::Receiver<io::Result<String>> {
    let (sender, line) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = sender.send(io::stdin().read_line(&mut line).map(|_| line));
    });
    line
}
