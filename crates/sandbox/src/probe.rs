//! What this machine can really do for a computer, found out by making one. It repairs nothing and says what would.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::{Computer, ComputerSpec, Error, Exit, Limits, Request, Result, Status, Workspace};

/// How long the trial may take.
const TRIAL_WAIT: Duration = Duration::from_secs(20);

/// One thing that was tried, for a person to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// What it is for.
    pub name: &'static str,
    /// Whether it works here.
    pub works: bool,
    /// What was seen.
    pub finding: String,
    /// What to do about it; empty where nothing needs doing.
    pub fix: String,
}

/// Makes a computer below `scratch` (an existing folder that may be used freely), looks around in it, and ends it.
///
/// The first entry tells whether there can be a computer at all; the others, how it is confined.
///
/// # Errors
/// Only if the scratch folder cannot be used: what the machine lacks is a finding.
pub fn probe(scratch: &Path, keeper: &Path) -> Result<Vec<Capability>> {
    let spec = ComputerSpec {
        dir: scratch.join("computer"),
        workspace: Workspace::Own(scratch.join("workspace")),
        toolset: None,
        limits: Limits::default(),
        deadline_unix_ms: None,
        env: BTreeMap::new(),
        keeper: keeper.to_owned(),
        forbidden: Vec::new(),
    };
    let computer = match Computer::open(&spec) {
        Ok(computer) => computer,
        Err(error @ (Error::Launch { .. } | Error::KeeperMissing { .. } | Error::Workspace { .. })) => {
            let fix = error.hint().unwrap_or_default().to_owned();
            return Ok(vec![Capability { name: "computer", works: false, finding: error.to_string(), fix }]);
        }
        Err(error) => return Err(error),
    };
    let found = look_around(&computer);
    computer.shutdown()?;
    found
}

/// One line per question, answered from inside: a name, then what was seen.
const QUESTIONS: &str = r#"
echo "user $(id -u) $(cut -d' ' -f6- /proc/self/uid_map | tr -s ' ')"
echo "rights $(sed -n 's/^CapEff:\s*//p;s/^CapBnd:\s*//p' /proc/self/status | tr '\n' ' ')"
echo "calls $(sed -n 's/^Seccomp:\s*//p' /proc/self/status)"
echo "network $(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | tr '\n' ' ')"
(touch /usr/thenar-probe) 2>/dev/null && echo "system open" || echo "system closed"
(touch /workspace/.thenar-probe && rm /workspace/.thenar-probe) 2>/dev/null && echo "workspace open" || echo "workspace closed"
"#;

fn look_around(computer: &Computer) -> Result<Vec<Capability>> {
    let argv = ["sh", "-c", QUESTIONS].map(str::to_owned).to_vec();
    computer.start("probe", &Request::Exec { argv, cwd: None, env: BTreeMap::new() })?;
    let ended = match computer.wait("probe", TRIAL_WAIT)? {
        Status::Ended(result) => result.exit == Exit::Code(0),
        Status::Running { .. } => false,
    };
    let seen = String::from_utf8_lossy(&computer.output("probe", 0, 64 * 1024)?).into_owned();
    let answer = |name: &str| {
        let line = seen.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().to_owned()
    };
    let check = |name, question: &str, right: &dyn Fn(&str) -> bool, good: &str, bad: &str| {
        let seen = answer(question);
        let works = right(&seen);
        let finding = if works { good.to_owned() } else { format!("{bad} (seen: {seen:?})") };
        let fix = if works { String::new() } else { "report this: the box is not what it should be".to_owned() };
        Capability { name, works, finding, fix }
    };
    let zero = |seen: &str| !seen.is_empty() && seen.chars().all(|letter| letter == '0' || letter == ' ');
    Ok(vec![
        Capability {
            name: "computer",
            works: ended,
            finding: if ended { "a command ran in a fresh one" } else { "it was made, but a command did not end well" }
                .to_owned(),
            fix: String::new(),
        },
        check(
            "user",
            "user",
            &|seen| seen.starts_with("1000"),
            "commands are an ordinary user",
            "commands are somebody else",
        ),
        check("rights", "rights", &zero, "no capability is left", "capabilities are left"),
        check("calls", "calls", &|seen| seen == "2", "dangerous system calls are refused", "the call filter is not on"),
        check("network", "network", &|seen| seen == "lo", "there is none but loopback", "there is a network"),
        check(
            "system",
            "system",
            &|seen| seen == "closed",
            "system files cannot be changed",
            "system files can be changed",
        ),
        check(
            "workspace",
            "workspace",
            &|seen| seen == "open",
            "the workspace can be written",
            "the workspace cannot be written",
        ),
    ])
}
