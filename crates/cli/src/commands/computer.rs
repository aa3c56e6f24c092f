//! `thenar computer exec`: one command in a fresh computer, without any agent. Its output and exit code are ours.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use sandbox::{Computer, ComputerSpec, Exit, Request, Status, Workspace};

use tokio::signal::unix::SignalKind;

use crate::config::Config;
use crate::exit::{Code, Problem};
use crate::{config, house, screen, toolset};

/// The command's name in the computer.
const CALL: &str = "exec";

/// How long one look at the command waits.
const LOOK: Duration = Duration::from_millis(50);

/// Bytes of output passed on at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// Bytes of input passed on at once: less than a line of a terminal holds.
const INPUT_BYTES: usize = 2048;

/// Ctrl-D.
const END_OF_INPUT: &[u8] = b"\x04";

/// The exit code where the computer itself could not be made.
const NO_COMPUTER: u8 = 125;

/// `thenar computer exec`.
pub(crate) fn exec(workspace: Option<&Path>, argv: Vec<String>) -> Result<u8, Problem> {
    let home = house::data_folder()?;
    let folder = home.join("exec").join(std::process::id().to_string());
    let outcome = config::read().and_then(|config| run(&config, &folder, workspace, argv));
    let _ = std::fs::remove_dir_all(&folder);
    outcome.or_else(|problem| {
        screen::Screen::new().problem(&problem);
        Ok(NO_COMPUTER)
    })
}

fn run(config: &Config, folder: &Path, workspace: Option<&Path>, argv: Vec<String>) -> Result<u8, Problem> {
    let failed = |error: sandbox::Error| Problem::new(Code::Failed, error.to_string());
    let workspace = match workspace {
        None => Workspace::Own(folder.join("workspace")),
        Some(path) => Workspace::Folder(house::lendable(path, config)?),
    };
    std::fs::create_dir_all(folder).map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
    let spec = ComputerSpec {
        dir: folder.join("computer"),
        workspace,
        toolset: toolset::installed(),
        limits: sandbox::Limits::default(),
        deadline_unix_ms: None,
        env: BTreeMap::new(),
        keeper: sandbox::find_keeper().map_err(failed)?,
        forbidden: house::forbidden(config)?,
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
        let mut piece = [0; INPUT_BYTES];
        for number in 0_u64.. {
            let read = std::io::stdin().read(&mut piece).unwrap_or(0);
            let bytes = if read == 0 { END_OF_INPUT } else { &piece[..read] };
            if computer.write_input(&format!("input-{number}"), CALL, bytes).is_err() || read == 0 {
                return;
            }
        }
    });
}

/// Passes the output on as it comes, and gives the exit code.
fn watch(computer: &Computer, argv: Vec<String>) -> sandbox::Result<u8> {
    computer.start(CALL, &Request::Exec { argv, cwd: None, env: BTreeMap::new() })?;
    pass_input(computer.clone());
    let mut offset = 0;
    loop {
        let status = computer.wait(CALL, LOOK)?;
        loop {
            let piece = computer.output(CALL, offset, PIECE_BYTES)?;
            if piece.is_empty() {
                break;
            }
            offset += piece.len() as u64;
            screen::data_bytes(&piece);
        }
        match status {
            Status::Running { .. } => {}
            Status::Ended(result) => return Ok(code_of(&result.exit)),
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
