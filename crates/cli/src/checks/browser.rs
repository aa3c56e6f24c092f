//! A browser is started in a computer's box and asked its name. No page is opened.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use sandbox::{Browser, Build, Computer, ComputerSpec, Workspace};

use server::Seen;

use super::Finding;

/// How long it may take to come up.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Bytes of its answer.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

pub(crate) fn finding(scratch: &Path, build: Build) -> Finding {
    const FIX: &str = "sudo apt-get install chromium-headless-shell fonts-liberation";
    const FIX_OF_A_BROKEN_ONE: &str = "sudo apt-get install --reinstall chromium-headless-shell fonts-liberation";
    if !build.driver.has_browser() {
        let fix =
            "unset THENAR_COMPUTER    # and take `driver` out of config.toml: the driver native makes a box for one";
        let seen = Seen::BrowserNoBox { driver: build.driver.to_string() };
        return Finding::poor(
            "browser",
            seen,
            "the driver bwrap makes no box for one: tasks cannot look at pages",
            fix,
        );
    }
    match Browser::default().program() {
        Err(_) => Finding::poor("browser", Seen::BrowserNone, "there is none: tasks cannot look at pages", FIX),
        Ok((program, _)) => match answers(&scratch.join("browser"), build) {
            Ok(name) => {
                let what = format!("{name}, started in its box");
                Finding::good("browser", Seen::BrowserThere { name }, what)
            }
            Err(error) => {
                let what = format!("{} does not start: {error}", program.display());
                let seen = Seen::BrowserFailed { program: program.display().to_string(), error };
                Finding::poor("browser", seen, what, FIX_OF_A_BROKEN_ONE)
            }
        },
    }
}

/// The name that a browser gives itself.
fn answers(scratch: &Path, build: Build) -> Result<String, String> {
    let text = |error: sandbox::Error| error.to_string();
    std::fs::create_dir_all(scratch).map_err(|error| error.to_string())?;
    let spec = ComputerSpec {
        dir: scratch.join("computer"),
        workspace: Workspace::Own(scratch.join("workspace")),
        toolset: None,
        limits: sandbox::Limits::default(),
        deadline_unix_ms: None,
        env: BTreeMap::new(),
        keeper: sandbox::find_keeper().map_err(text)?,
        forbidden: Vec::new(),
        egress: false,
        build,
    };
    let computer = Computer::open(&spec).map_err(text)?;
    let name = ask(&computer);
    let _ = computer.shutdown();
    name
}

fn ask(computer: &Computer) -> Result<String, String> {
    let line = computer.browser(Browser::default()).map_err(|error| error.to_string())?;
    let mut stream = line.stream;
    let talk = || -> std::io::Result<Vec<u8>> {
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.write_all(b"{\"id\":1,\"method\":\"Browser.getVersion\"}\0")?;
        let mut answer = Vec::new();
        let mut byte = [0];
        let mut bytes = stream.take(ANSWER_BYTES_MAX);
        while bytes.read(&mut byte)? == 1 && byte[0] != 0 {
            answer.push(byte[0]);
        }
        Ok(answer)
    };
    let answer = { talk }().map_err(|error| format!("it does not answer ({error})"))?;
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
    answer["result"]["product"].as_str().map(str::to_owned).ok_or_else(|| "it ended at once".to_owned())
}
