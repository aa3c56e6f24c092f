//! The limits of the tools, each with its unit in its name. What a computer may use is bounded by `sandbox`, not here.

/// Characters of one observation, notices and pointer included.
pub const OBSERVATION_CHARS_MAX: usize = 10_000;

/// Characters of an observation kept for its status line and the notice of a cut.
pub(crate) const NOTICE_CHARS: usize = 400;

/// Bytes read from either end of an output that is too long to be read whole.
pub(crate) const WINDOW_BYTES: usize = 32 * 1024;

/// How long `shell_exec` waits for its command before it gives control back.
pub const SHELL_CONTROL_MS: u64 = 10_000;

/// How long `shell_wait` waits when it is not told.
pub(crate) const WAIT_SECONDS_DEFAULT: u64 = 30;

/// The longest that `shell_wait` waits.
pub(crate) const WAIT_SECONDS_MAX: u64 = 300;

/// How long after typing the program's reaction is waited for.
pub(crate) const REACTION_MS: u64 = 3_000;

/// Output that stays as it is for this long is taken for the whole reaction.
pub(crate) const REACTION_QUIET_MS: u64 = 400;

/// Characters shown of the output after typing.
pub(crate) const REACTION_CHARS_MAX: usize = 3_000;

/// How long a new terminal's shell may take until it waits for a command.
pub(crate) const TERMINAL_READY_MS: u64 = 10_000;

/// How often a wait looks whether the person wants it to stop.
pub(crate) const CANCEL_POLL_MS: u64 = 200;

/// How long a file operation may take.
pub(crate) const FILE_OPERATION_MS: u64 = 60_000;

/// Bytes of a file that one look takes: as much as can be shown of any script.
pub(crate) const FILE_READ_BYTES_MAX: u64 = 4 * OBSERVATION_CHARS_MAX as u64;

/// Bytes that `file_write` takes in one call.
pub(crate) const FILE_WRITE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Matches that a search gives back.
pub(crate) const MATCHES_MAX: u64 = 200;

/// Characters shown of one matching line.
pub(crate) const MATCH_LINE_CHARS_MAX: usize = 300;

/// Characters of a message, a plan's line or an acceptance point.
pub(crate) const TEXT_CHARS_MAX: usize = 20_000;
pub(crate) const LINE_CHARS_MAX: usize = 500;

/// Steps of a plan, and points of an acceptance list.
pub(crate) const PLAN_STEPS_MAX: usize = 100;
pub(crate) const ACCEPTANCE_ITEMS_MAX: usize = 100;

/// Characters of a command and of what is typed at once.
pub(crate) const COMMAND_BYTES_MAX: usize = 120_000;
pub(crate) const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Characters of the name given to a process.
pub(crate) const PROCESS_NAME_CHARS_MAX: usize = 64;

/// Files of one delivery, bytes of one of them, bytes of all.
pub const DELIVER_FILES_MAX: usize = 100;
pub const DELIVER_FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
pub const DELIVER_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// How long the checks of one delivery may take.
pub(crate) const DELIVER_CHECK_MS: u64 = 180_000;

/// How long the checks' computer outlives an engine that died over them.
pub(crate) const CHECK_IDLE_MS: u64 = 30_000;

/// Folders deep, and entries, that a hand-over of unfinished work looks at; bytes that it takes.
pub(crate) const HAND_OVER_DEPTH_MAX: usize = 8;
pub(crate) const HAND_OVER_ENTRIES_MAX: usize = 10_000;
pub(crate) const HAND_OVER_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Data files that one acceptance point's check names; bytes of those that a delivery copies to look numbers up in.
pub(crate) const CHECK_DATA_FILES_MAX: usize = 10;
pub(crate) const CHECK_DATA_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Bytes of the checker's report.
pub(crate) const CHECK_REPORT_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of one picture.
pub(crate) const PICTURE_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a picture of a page that is kept for the person, and of all of them in one task.
pub(crate) const PAGE_PICTURE_BYTES_MAX: usize = 150 * 1024;
pub(crate) const PAGE_PICTURES_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// How long such a picture may take: only a browser that hangs needs as long.
pub(crate) const PAGE_PICTURE_MS: u64 = 3_000;

/// How long a call waits for a download that has begun.
pub(crate) const DOWNLOAD_WAIT_MS: u64 = 3_000;

/// Files that a page is given in one call, and names of options that are chosen in one.
pub const UPLOAD_FILES_MAX: usize = 20;
pub(crate) const OPTIONS_MAX: usize = 100;

/// Lines of a page's console that are shown unless told, and at most.
pub(crate) const CONSOLE_LINES_DEFAULT: u64 = 50;
pub(crate) const CONSOLE_LINES_MAX: u64 = 300;

/// How long a killed process may take to be gone.
pub(crate) const KILL_MS: u64 = 10_000;
