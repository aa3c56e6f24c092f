//! Has each copy opened by a parser of its type, in a fresh computer: what a file holds is nobody's word. It judges
//! nothing itself; it reads the checker's report.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use sandbox::{Computer, ComputerSpec, Exit, Limits, Request, Status, Workspace};
use serde::Deserialize;

use crate::call::Call;
use crate::deliver::stage::{Staged, Staging};
use crate::limits::{CANCEL_POLL_MS, CHECK_IDLE_MS, CHECK_REPORT_BYTES_MAX, DELIVER_CHECK_MS};
use crate::outcome::Outcome;
use crate::shown;

/// The checker: standard Python plus what the toolset has.
const CHECKER: &str = include_str!("../check.py");

/// The check's name in its own computer.
const CHECK: &str = "check";

/// Our own files beside the copies. No delivered file's name begins with a dot, and what is run from here never takes a
/// delivered `json.py` for a library: Python looks beside its program, not where it was started.
pub(super) const FOLDER: &str = ".checks";

/// Characters of what a parser found or missed.
const FINDING_CHARS_MAX: usize = 500;

/// One line of the checker's report.
#[derive(Debug, Deserialize)]
struct Line {
    name: String,
    ok: bool,
    /// Whether there is a parser for its type at all.
    #[serde(default)]
    checked: bool,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    finding: Option<String>,
    #[serde(default)]
    problem: Option<String>,
}

/// What was found in each copy, in order; refused if one is broken.
pub(super) fn check(staged: &[Staged], staging: &Staging, call: &Call<'_>) -> Result<Vec<String>, Outcome> {
    let failed = |error: io::Error| Outcome::failed(format!("Not delivered: the files could not be checked: {error}."));
    put(&staging.files().join(FOLDER), &[("check.py", CHECKER.as_bytes())]).map_err(failed)?;
    let argv = ["python3", "-B", ".checks/check.py"].into_iter().chain(staged.iter().map(|file| file.name.as_str()));
    let (report, ending) = run(CHECK, argv.map(str::to_owned).collect(), staging, call)?;
    let lines: Vec<Line> = report.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut findings = Vec::new();
    let mut problems = Vec::new();
    for file in staged {
        match lines.iter().find(|line| line.name == file.name) {
            Some(line) if line.ok => findings.push(finding(line)),
            Some(line) => {
                let problem = line.problem.as_deref().unwrap_or("it cannot be opened");
                problems.push(format!("/workspace/{}: {}", file.source, brief(problem)));
            }
            None => {
                let last = report.lines().last().unwrap_or_default();
                let text =
                    format!("Not delivered: the check of {} gave no result ({ending}). {}", file.source, brief(last));
                return Err(Outcome::failed(text));
            }
        }
    }
    if problems.is_empty() {
        return Ok(findings);
    }
    let text =
        format!("Not delivered: these files are broken.\n- {}\nMend them and deliver again.", problems.join("\n- "));
    Err(Outcome { words: crate::outcome::Words::Computer, ..Outcome::invalid(text) })
}

/// Puts files of ours beside the copies, to be read by the computer's user whatever the umask says.
pub(super) fn put(folder: &Path, files: &[(&str, &[u8])]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

fn finding(line: &Line) -> String {
    let found = line.finding.as_deref().or(line.kind.as_deref()).unwrap_or("opened");
    if line.checked { brief(found) } else { format!("{} (not checked: no parser for this type)", brief(found)) }
}

pub(super) fn brief(text: &str) -> String {
    shown::safe(text.as_bytes()).replace('\n', " ").chars().take(FINDING_CHARS_MAX).collect()
}

/// Runs a program of ours over the copies in a fresh computer; what it put out and how it ended.
pub(super) fn run(
    name: &str,
    argv: Vec<String>,
    staging: &Staging,
    call: &Call<'_>,
) -> Result<(String, String), Outcome> {
    let task = &call.world.place.spec;
    let spec = ComputerSpec {
        dir: staging.computer(),
        workspace: Workspace::Own(staging.files()),
        env: BTreeMap::new(),
        egress: false,
        limits: Limits { idle_ms: CHECK_IDLE_MS, ..task.limits.clone() },
        ..task.clone()
    };
    let failed =
        |error: sandbox::Error| Outcome::failed(format!("Not delivered: the files could not be checked: {error}."));
    let computer = Computer::open(&spec).map_err(failed)?;
    let ran = wait(&computer, name, &Request::Exec { argv, cwd: None, env: BTreeMap::new() }, call);
    let report = computer.output(name, 0, CHECK_REPORT_BYTES_MAX);
    // A computer that does not end when told ends with its keeper's idle time; the result stands either way.
    let _ = computer.shutdown();
    let ending = ran?;
    Ok((String::from_utf8_lossy(&report.map_err(failed)?).into_owned(), ending))
}

fn wait(computer: &Computer, name: &str, request: &Request, call: &Call<'_>) -> Result<String, Outcome> {
    let failed =
        |error: sandbox::Error| Outcome::failed(format!("Not delivered: the files could not be checked: {error}."));
    computer.start(name, request).map_err(failed)?;
    let until = Instant::now() + Duration::from_millis(DELIVER_CHECK_MS);
    loop {
        match computer.wait(name, Duration::from_millis(CANCEL_POLL_MS)).map_err(failed)? {
            Status::Ended(result) => {
                return Ok(match result.exit {
                    Exit::Code(127) => "python3 is not there".to_owned(),
                    Exit::Code(code) => format!("exit code {code}"),
                    Exit::Signal(signal) => format!("killed by signal {signal}"),
                    Exit::Died => "its computer died under it".to_owned(),
                });
            }
            Status::Running { .. } if call.world.cancelled() => {
                return Err(Outcome::interrupted("Interrupted while the files were checked: nothing was delivered."));
            }
            Status::Running { .. } if Instant::now() > until => {
                let text = format!("Not delivered: the check did not end within {} s.", DELIVER_CHECK_MS / 1_000);
                return Err(Outcome::failed(text));
            }
            Status::Running { .. } => {}
        }
    }
}
