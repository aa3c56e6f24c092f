//! What the model can ask for: one file per tool.
//!
//! A tool is its argument type: the fields yield the JSON Schema, the first paragraph of the doc comment is what the
//! model is told, the whole of it is the manual ([`reference`]). A call runs only against a [`policy::Permit`], which it
//! consumes; nothing here decides whether a call may happen, keeps a record of it, or reads a clock.
//!
//! A call that was under way when its engine died is never started again: [`attach`] finds it by its effect's number and
//! gives the result that it would have given.

pub mod autorun;

mod arguments;
mod browser_click;
mod browser_console_exec;
mod browser_console_view;
mod browser_input;
mod browser_move_mouse;
mod browser_navigate;
mod browser_press_key;
mod browser_restart;
mod browser_scroll_down;
mod browser_scroll_up;
mod browser_select_option;
mod browser_view;
mod browsing;
mod call;
mod catalog;
mod deliver;
mod downloads;
mod file_find_by_name;
mod file_find_in_content;
mod file_read;
mod file_str_replace;
mod file_write;
mod files;
mod idle;
mod limits;
mod manual;
mod message_ask_user;
mod message_notify_user;
mod met;
mod outcome;
mod picture;
mod plan_update;
mod process;
mod shell_exec;
mod shell_kill_process;
mod shell_view;
mod shell_wait;
mod shell_write_to_process;
mod shown;
mod terminal;
mod trust;
mod world;

pub use browsing::{DOWNLOADS_INSIDE, Held};
pub use catalog::{
    Offered, ToolSpec, admit, attach, durable_first, facts, is_known, list, list_json, process_name, run, unknown_tool,
};
pub use deliver::{HAND_OVER, hand_over, hand_over_facts};
pub use limits::{
    DELIVER_BYTES_MAX, DELIVER_FILE_BYTES_MAX, DELIVER_FILES_MAX, OBSERVATION_CHARS_MAX, SHELL_CONTROL_MS,
    UPLOAD_FILES_MAX,
};
pub use manual::reference;
pub use picture::{Album, seen as page_seen};
pub use trust::TRUST;
pub use world::{Place, World};
