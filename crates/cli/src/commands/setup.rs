//! `thenar setup`: builds the toolset with the script that ships in this binary.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::exit::{Code, Outcome, Problem};
use crate::screen::Screen;
use crate::toolset;

/// `thenar setup`.
#[expect(clippy::disallowed_methods, reason = "the set-up script is ours, and runs for the person, not for a task")]
pub(crate) fn run(screen: Screen) -> Outcome {
    let folder = toolset::folder()?;
    let mut child = Command::new("/bin/sh")
        .args(["-c", toolset::SETUP, "thenar-setup", "--lock", "-"])
        .env("THENAR_TOOLSET", &folder)
        .stdin(Stdio::piped())
        .spawn()
        .context("start the set-up script with /bin/sh")?;
    if let Some(mut input) = child.stdin.take() {
        // A script that does not read all of it says itself what is wrong.
        let _ = input.write_all(toolset::LOCK.as_bytes());
    }
    let status = child.wait().context("wait for the set-up script")?;
    if !status.success() {
        return Err(Problem::new(Code::Failed, format!("the toolset was not built ({status})"))
            .hint("run `thenar setup` again; what was there before is untouched"));
    }
    screen.say(&format!("The toolset is in {}. Next: thenar doctor", folder.display()));
    Ok(Code::Done)
}
