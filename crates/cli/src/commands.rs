//! The commands, one file each. Each returns how the program ends and prints only through `screen`.

pub(crate) mod backup;
pub(crate) mod checkpoints;
pub(crate) mod computer;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod hosts;
pub(crate) mod journal;
pub(crate) mod leftovers;
pub(crate) mod models;
pub(crate) mod on_server;
pub(crate) mod run;
pub(crate) mod secret;
pub(crate) mod serve;
pub(crate) mod setup;
pub(crate) mod task;
pub(crate) mod try_out;

use crate::exit::Code;

/// How a command ends the program.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    /// By the table.
    Code(Code),
    /// With the exit code of the command that was run.
    Raw(u8),
}
