//! The agent: from a sentence to finished files, one event at a time.
//!
//! [`state`], [`decide`] and [`context`] are pure: events in, values out. [`run`] is the one loop, and the only async
//! file: it appends events, asks policy, performs what `decide` returned, and appends what came of it. [`Instance`] is
//! the door for everybody else: create a task, run it, look at it, tell it something.
//!
//! Nothing here talks to a screen, a socket of the network or a provider's dialect.

mod allow;
mod backup;
mod because;
mod checkpoints;
mod context;
mod control;
mod decide;
mod delete;
mod egress;
mod error;
mod faults;
mod follow;
mod fork;
mod handover;
mod home;
mod hosts;
mod instance;
mod keeping;
mod leftovers;
mod limits;
mod models;
mod network;
mod onlook;
mod prompt;
mod record;
mod retention;
mod run;
mod secrets;
mod state;
mod summary;
mod terminals;
mod trace;
mod viewer;
mod watch;

pub use allow::{PLACES_NAMED_MAX, allow_list};
pub use backup::CopiedTask;
pub use because::Because;
/// And its browser.
pub use browser::{Frame as PageFrame, Going, Held as KeysHeld, Input as PageInput, OpenTab, Sight as PageSight};
pub use checkpoints::Side;
pub use context::{Context, Entry};
pub use control::{Answer, Command};
pub use decide::{Action, Limits, decide, missing};
pub use error::Error;
pub use faults::{Crash, Faults, NoFaults, Place};
pub use follow::Follower;
pub use fork::NewFork;
pub use home::{Home, TaskFolder};
pub use instance::{Input, Instance, Listing, NewTask, Reached, Recorded, Setup, Stamp};
pub use leftovers::Left;
pub use limits::{BRIEF_BYTES_MAX, INPUT_FILES_MAX, MESSAGE_BYTES_MAX, STEPS_DEFAULT_MAX};
/// What an onlooker hears of a reply; they know the models only through this crate.
pub use model::Delta;
pub use models::{Models, Offered, Opened, Unavailable};
pub use network::Network;
pub use onlook::Onlooker;
pub use prompt::system as system_prompt;
pub use run::Start;
/// And its terminals.
pub use sandbox::{Depict, Error as ComputerError, Look, Size as TerminalSize, Terminal, Until};
/// How the doors to a task reach its files; they know the computer only through this crate.
pub use sandbox::{Folder, unseen};
pub use secrets::{KeptSecret, Secrets};
pub use state::{Call, Ended, Kept, KeptCheckpoint, OpenModelCall, Stage, State};
pub use summary::{Approval, Summary};
pub use tools::UPLOAD_FILES_MAX;
pub use trace::CONTENT;
pub use viewer::Viewer;
pub use watch::{Nobody, Patience, Watcher};
