//! The limits of what is taken from a browser and how long it is waited for, each with its unit in its name.

use std::time::Duration;

/// The longest message: a picture of a large window fits, a page that wants to fill our memory does not.
pub(crate) const MESSAGE_BYTES_MAX: usize = 96 * 1024 * 1024;

/// How long the browser may take for what it does at once.
pub(crate) const ANSWER: Duration = Duration::from_secs(15);

/// How long a page may take to take a key or a click, before it is taken for busy.
pub(crate) const ACT: Duration = Duration::from_secs(5);

/// How long a browser may take to come up.
pub(crate) const START: Duration = Duration::from_secs(30);

/// How long a page's server may take to begin its answer, before it is told that the page is slow.
pub(crate) const NAVIGATE: Duration = Duration::from_secs(20);

/// How long a page may take to load once it has begun, before it is shown as it is.
pub(crate) const LOAD: Duration = Duration::from_secs(10);

/// How long a page may take to come to rest after something was done to it.
pub(crate) const SETTLE: Duration = Duration::from_secs(6);

/// How long what a page fetches by itself is waited for.
pub(crate) const FETCH: Duration = Duration::from_millis(2_500);

/// A page in which nothing changes for so long has come to rest; one that never stops changing is looked at after so long.
pub(crate) const STILL_MS: u64 = 120;
pub(crate) const RESTLESS_MS: u64 = 1_200;

/// How often a wait looks whether the caller wants it to stop.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// Navigations of a page by itself, while it is waited for, after which it is stopped.
pub(crate) const NAVIGATIONS_MAX: u64 = 20;

/// Pages open at one time; what is opened beyond is closed again.
pub(crate) const TABS_MAX: usize = 12;

/// Pages and frames with a process of their own that are listened to.
pub(crate) const SESSIONS_MAX: usize = 1_000;

/// Frames of a page that are looked into.
pub(crate) const FRAMES_MAX: usize = 24;

/// Frames that are kept account of at all.
pub(crate) const FRAMES_KNOWN_MAX: usize = 1_000;

/// Requests of a page that are kept account of.
pub(crate) const FETCHES_MAX: usize = 500;

/// Lines of a page's console that are kept, and characters of one.
pub(crate) const CONSOLE_LINES_MAX: usize = 300;
pub(crate) const CONSOLE_LINE_CHARS_MAX: usize = 500;

/// Things to be told that happened by themselves.
pub(crate) const NEWS_MAX: usize = 20;

/// Characters of a title, an address, a dialog's text.
pub(crate) const TITLE_CHARS_MAX: usize = 200;
pub(crate) const ADDRESS_CHARS_MAX: usize = 500;
pub(crate) const DIALOG_CHARS_MAX: usize = 1_000;

/// Lines of a page that are taken over from it.
pub(crate) const LINES_MAX: usize = 4_000;

/// Custom elements of a page that are looked into for trees that the page keeps to itself.
pub(crate) const CLOSED_TREES_MAX: usize = 40;

/// How long a script of the caller's may run, and characters shown of its result.
pub(crate) const SCRIPT: Duration = Duration::from_secs(15);

/// Elements in a script's result that are numbered.
pub(crate) const RESULT_ELEMENTS_MAX: usize = 50;

/// Characters that are typed key by key; of what is longer only the end is.
pub(crate) const KEYS_TYPED_MAX: usize = 300;

/// Downloads that are kept account of, and bytes of one.
pub(crate) const DOWNLOADS_MAX: usize = 100;
pub(crate) const DOWNLOAD_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Elements that are drawn on a picture.
pub(crate) const BOXES_MAX: usize = 300;

/// How good the pictures are, from 0 to 1.
pub(crate) const PICTURE_QUALITY: f64 = 0.6;
