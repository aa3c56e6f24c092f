//! `thenar computer exec`: one command in a fresh computer, without any agent. Its output and exit code are ours.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use rustix::fs::FlockOperation;
use sandbox::{Computer, ComputerSpec, Exit, Request, Status, Workspace};
use tokio::signal::unix::SignalKind;

use crate::config::Config;
use crate::exit::{Code, Problem};
use crate::{config, house, screen, toolset};

/// The command's name in the computer.
const CALL: &str = "exec";

/// Holds one folder per running `computer exec`, named by its process.
const FOLDER: &str = "exec";

/// How long one look at the command waits.
const LOOK: Duration = Duration::from_millis(50);

/// Bytes of output passed on at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// Bytes of input passed on at once.
const INPUT_BYTES: usize = 16 * LINE_BYTES;

/// The command behind a terminal that does not echo: whoever types sees it where they type.
const TYPED: &str = r#"stty -echo && printf '\006' && exec "$@""#;

/// The command behind a pipe. Through a terminal only lines can be typed, and not long ones, so what is piped in goes
/// there in base64.
const PIPED: &str = r#"stty -echo && printf '\006' && exec "$@" < <(exec base64 --decode 2>/dev/null)"#;

/// What both put out when they are ready for input.
const READY: u8 = 6;

/// Bytes of input on one line of base64.
const LINE_BYTES: usize = 1500;

/// Ctrl-D.
const END_OF_INPUT: &[u8] = b"\x04";

/// The exit code where the computer itself could not be made.
const NO_COMPUTER: u8 = 125;

/// `thenar computer exec`.
pub(crate) fn exec(workspace: Option<&Path>, argv: Vec<String>) -> Result<u8, Problem> {
    in_a_folder(workspace, argv).or_else(|problem| {
        screen::Screen::new().problem(&problem);
        Ok(NO_COMPUTER)
    })
}

fn in_a_folder(workspace: Option<&Path>, argv: Vec<String>) -> Result<u8, Problem> {
    let config = config::read()?;
    let home = house::data_folder()?;
    clear_left(&home);
    let folder = home.join(FOLDER).join(std::process::id().to_string());
    let _held = folder_held(&folder).with_context(|| format!("make the folder {}", folder.display()))?;
    let outcome = run(&config, &folder, workspace, argv);
    let _ = sandbox::remove_tree(&folder);
    outcome
}

/// A folder of this process's own, held for as long as the file is open.
fn folder_held(path: &Path) -> std::io::Result<File> {
    loop {
        std::fs::create_dir_all(path)?;
        let folder = File::open(path)?;
        rustix::fs::flock(&folder, FlockOperation::LockExclusive)?;
        // Another one, clearing away, may have been quicker.
        if std::fs::metadata(path).is_ok_and(|there| folder.metadata().is_ok_and(|held| held.ino() == there.ino())) {
            return Ok(folder);
        }
    }
}

/// The folders of those before us that were killed, each held: nobody else does.
fn left(home: &Path) -> impl Iterator<Item = (PathBuf, File)> {
    let entries = std::fs::read_dir(home.join(FOLDER)).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let held = File::open(entry.path()).ok()?;
        rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some((entry.path(), held))
    })
}

/// How many there are.
pub(crate) fn count_left(home: &Path) -> usize {
    left(home).count()
}

/// Ends their computers, which they could not do themselves. How many there were.
pub(crate) fn clear_left(home: &Path) -> usize {
    let clear = |(folder, _held): (PathBuf, File)| {
        if let Ok(Some(computer)) = Computer::attach(&folder.join("computer")) {
            let _ = computer.shutdown();
        }
        sandbox::remove_tree(&folder).is_ok()
    };
    left(home).map(clear).filter(|cleared| *cleared).count()
}

fn run(config: &Config, folder: &Path, workspace: Option<&Path>, argv: Vec<String>) -> Result<u8, Problem> {
    let failed = |error: sandbox::Error| Problem::new(Code::Failed, error.to_string());
    let workspace = match workspace {
        None => Workspace::Own(folder.join("workspace")),
        Some(path) => Workspace::Folder(house::lendable(path, config)?),
    };
    let spec = ComputerSpec {
        dir: folder.join("computer"),
        workspace,
        toolset: toolset::installed(),
        limits: config.computer.limits(),
        deadline_unix_ms: None,
        env: BTreeMap::new(),
        keeper: sandbox::find_keeper().map_err(failed)?,
        forbidden: house::forbidden(config)?,
        build: config.computer.build()?,
        egress: false,
    };
    let computer = Computer::open(&spec).map_err(failed)?;
    let runtime = crate::runtime()?;
    let watched = computer.clone();
    let outcome = runtime.block_on(async {
        let command = tokio::task::spawn_blocking(move || watch(&watched, argv));
        tokio::select! {
            ended = command => ended.map_err(|error| Problem::new(Code::Failed, error.to_string()))?.map_err(failed),
            () = told_to_stop() => Ok(Code::Interrupted as u8),
        }
    });
    let _ = computer.shutdown();
    runtime.shutdown_background();
    outcome
}

/// Ctrl-C, a polite kill, or a terminal that went away: the computer must not outlive us.
async fn told_to_stop() {
    let on = |kind| tokio::signal::unix::signal(kind);
    let kinds = (on(SignalKind::interrupt()), on(SignalKind::terminate()), on(SignalKind::hangup()));
    match kinds {
        (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) => tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        },
        _ => std::future::pending().await,
    }
}

/// Types what comes on our standard input into the command, and its end as Ctrl-D.
fn pass_input(computer: Computer) {
    std::thread::spawn(move || {
        let piped = !std::io::stdin().is_terminal();
        let mut piece = vec![0; INPUT_BYTES];
        for number in 0_u64.. {
            let read = std::io::stdin().read(&mut piece).unwrap_or(0);
            let bytes = match &piece[..read] {
                [] => END_OF_INPUT.to_vec(),
                typed if !piped => typed.to_vec(),
                piped => piped.chunks(LINE_BYTES).map(|line| base64(line) + "\n").collect::<String>().into_bytes(),
            };
            if computer.write_input(&format!("input-{number}"), CALL, &bytes).is_err() || read == 0 {
                return;
            }
        }
    });
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let number = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            // Two digits for one byte, three for two, four for three.
            let shown = DIGITS[(number >> (18 - 6 * digit) & 63) as usize];
            text.push(char::from(if digit > three.len() { b'=' } else { shown }));
        }
    }
    text
}

/// Passes the output on as it comes, and gives the exit code.
fn watch(computer: &Computer, argv: Vec<String>) -> sandbox::Result<u8> {
    let behind = if std::io::stdin().is_terminal() { TYPED } else { PIPED };
    let argv = ["bash", "-c", behind, "thenar"].map(str::to_owned).into_iter().chain(argv).collect();
    computer.start(CALL, &Request::Exec { argv, cwd: None, env: BTreeMap::new() })?;
    let (mut offset, mut ready) = (0, false);
    loop {
        let status = computer.wait(CALL, LOOK)?;
        loop {
            let mut piece = computer.output(CALL, offset, PIECE_BYTES)?;
            if piece.is_empty() {
                break;
            }
            offset += piece.len() as u64;
            if !ready && piece.first() == Some(&READY) {
                piece.remove(0);
                pass_input(computer.clone());
            }
            ready = true;
            screen::data_bytes(&piece);
        }
        match status {
            Status::Running { .. } => {}
            Status::Ended(result) => {
                if let Some(limit) = &result.limit {
                    screen::Screen::new().say(&format!("limit reached: {limit}"));
                }
                return Ok(code_of(&result.exit));
            }
        }
    }
}

fn code_of(exit: &Exit) -> u8 {
    match exit {
        Exit::Code(code) => u8::try_from(*code).unwrap_or(1),
        Exit::Signal(signal) => u8::try_from(128 + *signal).unwrap_or(255),
        Exit::Died => NO_COMPUTER,
    }
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_as_in_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfb]), "//77");
    }
}
