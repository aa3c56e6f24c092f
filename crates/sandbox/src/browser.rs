//! A browser beside a computer's shell: the words with which a caller asks for one, and where it keeps its files. What is
//! said to the browser is the caller's business: here it is only bytes, in messages that end with a zero byte.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::wire::Ask;
use crate::{Computer, Met, Result};

/// The programs that can be a browser, the first that is there; they are looked for where a box sees them too.
const LEAN: &[&str] = &["/usr/lib/chromium/chromium-headless-shell", "/usr/lib64/chromium-browser/headless_shell"];
const FULL: &[&str] = &[
    "/usr/lib/chromium/chromium",
    "/usr/lib/chromium-browser/chromium-browser",
    "/usr/lib64/chromium-browser/chromium-browser",
];

/// What is read of the names of downloads.
const NAMES_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Which browser.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Browser {
    /// The headless shell: quick and small. The full one stands in where it is missing.
    #[default]
    Lean,
    /// The whole of Chromium, for pages that must be seen as people see them.
    Full,
}

impl Browser {
    /// The program to run, and whether it is the full one.
    ///
    /// # Errors
    /// In words for a person, with what to install.
    pub fn program(self) -> Result<(&'static Path, Self), String> {
        let first = |list: &[&'static str]| list.iter().map(|path| Path::new(*path)).find(|path| path.is_file());
        let full = || first(FULL).map(|path| (path, Self::Full));
        let found = match self {
            Self::Lean => first(LEAN).map(|path| (path, Self::Lean)).or_else(full),
            Self::Full => full(),
        };
        let package = match self {
            Self::Lean => "chromium-headless-shell",
            Self::Full => "chromium",
        };
        found.ok_or_else(|| format!("there is no browser on this machine: install the package {package}"))
    }
}

/// A line to a living browser.
#[derive(Debug)]
pub struct BrowserLine {
    /// Messages both ways, each ended by a zero byte. Closing it leaves the browser as it is.
    pub stream: UnixStream,
    /// Grows with every line to this computer's browsers, so that two callers never number their messages alike.
    pub generation: u32,
    /// The browser was started for this line.
    pub fresh: bool,
    /// What the browser before this one complained about last; empty if there was none or it had nothing to say.
    pub last_words: String,
    /// What still holds of what the browser said to callers before: the messages as they were. Empty where not all is known.
    pub standing: Vec<String>,
}

impl Computer {
    /// A line to the computer's browser, started now if there is none. A line that somebody else had is cut.
    ///
    /// # Errors
    /// [`crate::Error::Refused`] in words for a person if this machine has no browser or it does not start.
    pub fn browser(&self, which: Browser) -> Result<BrowserLine> {
        let line = self.ask_for_browser(Ask::Browser { which, living: false })?;
        line.ok_or_else(|| crate::Error::Refused("the keeper started no browser".to_owned()))
    }

    /// The same to one that lives; none is started.
    ///
    /// # Errors
    /// If the keeper cannot be spoken to.
    pub fn living_browser(&self) -> Result<Option<BrowserLine>> {
        self.ask_for_browser(Ask::Browser { which: Browser::default(), living: true })
    }

    /// The limits that the browser's box met since this was asked last, by whomever: each is told once.
    ///
    /// # Errors
    /// If the keeper cannot be spoken to, or is of a version that looks at none.
    pub fn browser_limits(&self) -> Result<Vec<Met>> {
        self.ask_for_browser_limits()
    }

    /// Ends the browser with all its pages; its profile stays. None is as good.
    ///
    /// # Errors
    /// If the keeper cannot be spoken to.
    pub fn end_browser(&self) -> Result<()> {
        self.tell(Ask::EndBrowser)
    }

    /// Puts on the computer's record that something is about to be done under this id, by other means than a call. False
    /// if the record has that id already. From here on [`crate::recorded`] never says again that it was not seen.
    ///
    /// # Errors
    /// If the keeper cannot be spoken to, or cannot write.
    pub fn mark(&self, id: &str) -> Result<bool> {
        crate::record::check_id(id)?;
        self.ask_to_mark(id)
    }

    /// Where the browser's files lie on the host.
    pub fn browser_folders(&self) -> Folders {
        Folders::of(self.dir())
    }
}

/// The folders of a computer's browser on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// The one that they are all in.
    all: PathBuf,
    /// Cookies, caches and the like: `/profile` inside.
    pub profile: PathBuf,
    /// What pages gave: `/downloads` inside.
    pub downloads: PathBuf,
    /// What pages may be given: `/uploads` inside, read-only.
    pub uploads: PathBuf,
    /// What pages called what they gave, a line each. Not to be seen inside.
    pub(crate) names: PathBuf,
}

/// A file among the downloads, and what its page called it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedDownload {
    pub(crate) file: String,
    pub(crate) name: String,
}

impl Folders {
    pub(crate) fn of(dir: &Path) -> Self {
        let browser = dir.join("browser");
        let [profile, downloads, uploads, names] =
            ["profile", "downloads", "uploads", "names"].map(|name| browser.join(name));
        Self { all: browser, profile, downloads, uploads, names }
    }

    pub(crate) fn all(&self) -> &Path {
        &self.all
    }

    /// What the page called a file among the downloads, whoever listened when it came.
    pub fn name_of(&self, file: &str) -> Option<String> {
        let lines = BufReader::new(File::open(&self.names).ok()?.take(NAMES_BYTES_MAX)).lines();
        let mut named =
            lines.map_while(Result::ok).filter_map(|line| serde_json::from_str::<NamedDownload>(&line).ok());
        named.find(|named| named.file == file).map(|named| named.name)
    }
}
