//! The binary `thenar`: wires everything together. What a command does is in its own file under `commands/`; this file
//! only finds the command and ends with its exit code.

mod answers;
mod args;
mod browser;
mod checks;
mod choice;
mod clean;
mod commands;
mod config;
mod env;
mod exit;
mod house;
#[cfg(test)]
mod reference;
mod report;
mod screen;
mod settings;
mod shelf;
mod show;
mod telemetry;
mod toolset;
mod words;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command, Computer, Journal, Models, Task};
use crate::exit::{Code, Outcome, Problem};
use crate::screen::Screen;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Help and version are no errors.
            return if error.use_stderr() { Code::Usage.into() } else { Code::Done.into() };
        }
    };
    let screen = Screen::new();
    let _telemetry = telemetry::start(screen);
    match command(cli.command, screen) {
        Ok(commands::Ended::Code(code)) => code.into(),
        Ok(commands::Ended::Raw(code)) => ExitCode::from(code),
        Err(problem) => {
            screen.problem(&problem);
            problem.code.into()
        }
    }
}

fn command(command: Command, screen: Screen) -> Result<commands::Ended, Problem> {
    let outcome: Outcome = match command {
        Command::Run(run) => commands::run::run(run, screen),
        Command::Demo => commands::demo::run(screen),
        Command::Serve(serve) => commands::serve::run(&serve, screen),
        Command::Task(task) => match task {
            Task::List { json } => commands::task::list(json, screen),
            Task::Show { id, json } => commands::task::show(&id, json, screen),
            Task::Path { id } => commands::task::path(&id),
            Task::Send { id, text } => commands::task::send(&id, text, screen),
            Task::Confirm { id, deny, effect, note } => commands::task::confirm(&id, !deny, effect, note, screen),
            Task::Hosts { id, allow, deny, json } => commands::hosts::hosts(&id, allow, deny, json, screen),
            Task::Stop { id } => commands::task::stop(&id, screen),
            Task::Checkpoints { id, json } => commands::checkpoints::list(&id, json, screen),
            Task::Diff { id, from, to, patch, json } => commands::checkpoints::diff(&id, from, to, patch, json),
            Task::Restore { id, at, throw_away } => commands::checkpoints::restore(&id, at, throw_away, screen),
            Task::Fork { id, at, out, json, text } => commands::run::fork(&id, at, out.as_deref(), text, json, screen),
            Task::ExportFiles { id, at, file } => commands::checkpoints::export(&id, at, &file, screen),
            Task::Resume { id, last: _, limits, reach, json } => {
                commands::run::resume(id.as_deref(), &limits, &reach, json, screen)
            }
        },
        Command::Secret(secret) => commands::secret::run(secret, screen),
        Command::Journal(journal) => match journal {
            Journal::Show { id, json } => commands::journal::show(&id, json),
            Journal::Verify { id_or_file } => commands::journal::verify(&id_or_file, screen),
            Journal::Export { id, file } => commands::journal::export(&id, &file, screen),
        },
        Command::Computer(Computer::Exec { workspace, command }) => {
            return commands::computer::exec(workspace.as_deref(), command).map(commands::Ended::Raw);
        }
        Command::Models { test: None, json } => commands::models::list(json, screen),
        Command::Models { test: Some(Models::Test { name, json: below }), json } => {
            commands::try_out::test(name.as_deref(), json || below, screen)
        }
        Command::Backup { folder } => commands::backup::run(&folder, screen),
        Command::Doctor { json } => commands::doctor::run(json, screen),
        Command::Clean => commands::leftovers::clean(screen),
        Command::Setup => commands::setup::run(screen),
    };
    outcome.map(commands::Ended::Code)
}

/// One thread for the loop; blocking work has its own.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Problem> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Problem::new(Code::Failed, format!("start the runtime: {error}")))
}
