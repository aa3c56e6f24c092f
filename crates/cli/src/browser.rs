//! Shows a page in the person's own browser, where there is a desktop; else they are told where it is. It waits for nothing.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::env;
use crate::screen::Screen;

/// Shows the page, or prints its link.
pub(crate) fn show(screen: Screen, home: &Path, link: &str) {
    let opened = env::has_desktop() && signpost(home, link).and_then(|page| open(&page)).is_ok();
    if opened {
        screen.say("It opens in your browser.");
    } else {
        screen.say(&format!("Open this in a browser:\n  {link}"));
    }
}

/// A page that only the person can read, and that leads to the link: on a command line everybody on this machine could read
/// the token in it.
fn signpost(home: &Path, link: &str) -> io::Result<PathBuf> {
    let path = home.join("server").join("open.html");
    let _ = std::fs::remove_file(&path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    write!(file, "<!doctype html><meta http-equiv=\"refresh\" content=\"0;url={link}\"><a href=\"{link}\">Thenar</a>")?;
    Ok(path)
}

#[expect(clippy::disallowed_methods, reason = "the person's own browser, at their wish; no task has a part in it")]
fn open(page: &Path) -> io::Result<()> {
    let mut command = Command::new("xdg-open");
    command.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop)
}
