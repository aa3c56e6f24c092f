//! A Chromium spoken to over DevTools: pages as a person sees them, acted upon with real mouse and key events.
//!
//! [`Browser::attach`] is handed a stream of bytes and opens nothing itself. What a page shows becomes text with a number
//! on everything that can be acted upon; a number stays with its element for as long as that lives, also for the next
//! caller of the same browser, because it is kept in the page (in a world of our own that the page cannot see).
//!
//! Pages are hostile: whatever they say is cut, quoted line by line, and never taken for words of ours. Nothing here
//! decides what may be opened, touches the disk, or knows what a task is. Everything is synchronous and has a time limit.

mod act;
mod browser;
mod console;
mod drag;
mod error;
mod field;
mod files;
mod keys;
mod limits;
mod line;
mod patience;
mod person;
mod picture;
mod place;
mod places;
mod settle;
mod state;
mod view;
mod watch;
mod world;

pub use act::{Click, Direction, Spot};
pub use browser::{Browser, Start};
pub use error::Error;
pub use files::Upload;
pub use keys::Held;
pub use person::Going;
pub use picture::Snapshot;
pub use place::Destination;
pub use state::{Download, Progress};
pub use watch::{Frame, Input, OpenTab, Page, Question, Sight, Watch};

/// What every function here returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;
