//! The agent's computer: a closed box of Linux namespaces in which commands and file operations of one task run.
//!
//! [`Computer::open`] attaches to the box of a [`ComputerSpec`], or makes it; [`Computer::start`] runs a [`Request`] in it under
//! a call id, and asking twice for the same id attaches to the first. Two small processes of ours carry it: `thenar-keeper`
//! outside (socket, table of calls, spools, deadline; it outlives its caller) and `thenar-init`, PID 1 inside. What became of a
//! call can be read from disk with neither of them alive: [`recorded`], [`read_output`].
//!
//! Its network is its own and leads nowhere but to the listeners of [`egress`], where somebody else decides.
//!
//! It does not decide what may run, holds no secrets, and knows nothing of tasks or journals. There is no mode without the box. Everything here is synchronous.

mod backup;
mod browser;
pub mod checkpoint;
mod computer;
mod confinement;
mod door;
mod driver;
pub mod egress;
mod error;
mod find;
mod folder;
mod group;
mod init;
mod inside;
mod keeper;
mod launch;
mod ledger;
mod met;
mod probe;
mod record;
mod request;
mod spec;
mod sys;
mod terminal;
mod tree;
pub mod unseen;
mod wire;

pub use backup::{RecordsCopy, copy_records};
pub use browser::{Browser, BrowserLine, Folders};
pub use checkpoint::remove_tree;
pub use computer::{Computer, clear_dead_socket, clear_left_groups, has_dead_socket, left_groups, recorded};
pub use confinement::{Confinement, Hold};
pub use door::{BroughtIn, DOOR_BYTES_MAX, DOWNLOADS, bring_in, hand_out};
pub use driver::{Build, Driver, SecondLock};
pub use error::Error;
pub use find::find_keeper;
pub use folder::{Folder, Kind, Over};
pub use keeper::main as keeper_main;
pub use launch::lendable;
pub use met::Met;
pub use probe::{Capability, Lock, NoGroups, Seen, clock_is_synchronised, landlock, probe, second_opinion};
pub use record::{give_outputs, output_bytes, read_output};
pub use request::{CALL_ID_BYTES_MAX, CallResult, Exit, FileAnswer, FileOp, FoundLine, Recorded, Request, Status};
pub use spec::{ComputerSpec, Limits, Workspace};
pub use terminal::{
    Depict, Look, SCROLLBACK_LINES, Screen, Size, TERMINAL_NAME_BYTES_MAX, TERMINALS_MAX, TYPED_COMMAND_BYTES_MAX,
    Terminal, TypedCommand, Until, is_terminal_name, recorded_terminals, typed_into,
};
pub use tree::{Copied, copy_file, copy_tree};

/// What every function here returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;
