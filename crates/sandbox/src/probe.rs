//! What this machine can really do for a computer, found out by making one. It repairs nothing and says what would.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::{Computer, ComputerSpec, Confinement, Error, Exit, Limits, Request, Result, Status, Workspace};

/// How long the trial may take.
const TRIAL_WAIT: Duration = Duration::from_secs(20);

/// One thing that was tried, for a person to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// What it is for.
    pub name: &'static str,
    /// Whether it works here.
    pub works: bool,
    /// Without it nothing can be run.
    pub needed: bool,
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
            return Ok(vec![Capability {
                name: "computer",
                works: false,
                needed: true,
                finding: error.to_string(),
                fix,
            }]);
        }
        Err(error) => return Err(error),
    };
    let found = look_around(&computer);
    computer.shutdown()?;
    let mut found = found?;
    found.push(limits(&spec)?);
    Ok(found)
}

/// Uses a small computer up: more memory than it has, in processes that each stay below, and more processes than it may have.
const USE_UP: &str = r#"
hold() { (head -c 48000000 /dev/zero; sleep 3) | tail -c 48000000 >/dev/null; }
hold & hold & hold & hold & sleep 3 & wait -n
"#;
const CROWD: &str = "for i in $(seq 100); do sleep 1 & done";

/// Which limits hold, and by whom; proved by meeting them.
fn limits(spec: &ComputerSpec) -> Result<Capability> {
    let small = Limits { memory_bytes: 96 * 1024 * 1024, processes: 60, ..spec.limits.clone() };
    let spec = ComputerSpec { dir: spec.dir.with_extension("small"), limits: small, ..spec.clone() };
    let computer = Computer::open(&spec)?;
    let met = |call: &str, script: &str, what: &str| -> Result<bool> {
        let argv = ["bash", "-c", script].map(str::to_owned).to_vec();
        computer.start(call, &Request::Exec { argv, cwd: None, env: BTreeMap::new() })?;
        let Status::Ended(result) = computer.wait(call, TRIAL_WAIT)? else { return Ok(false) };
        Ok(result.limit.is_some_and(|limit| limit.contains(what)))
    };
    let held = met("memory", USE_UP, "memory").and_then(|memory| Ok((memory, met("processes", CROWD, "processes")?)));
    computer.shutdown()?;
    let held = held?;
    let confinement = Confinement::of(&spec.dir)?;
    let unmet = match held {
        (true, true) => "",
        (false, _) => "; but a computer that used its memory up was not stopped",
        (true, false) => "; but a computer that had too many processes was not stopped",
    };
    let fix = if unmet.is_empty() { fix_of(&confinement) } else { "report this: a limit does not hold".to_owned() };
    let why = if confinement.reason.is_empty() { String::new() } else { format!(" ({})", confinement.reason) };
    Ok(Capability {
        name: "limits",
        works: confinement.is_whole() && unmet.is_empty(),
        needed: !unmet.is_empty(),
        finding: format!("{confinement}{why}{unmet}"),
        fix,
    })
}

/// How control groups come to whoever runs this.
fn fix_of(confinement: &Confinement) -> String {
    if confinement.is_whole() {
        return String::new();
    }
    "tasks run, but a greedy one can slow the others: run thenar under a unit to which control groups are delegated, as \
     `systemd-run --user --scope -p Delegate=yes thenar ...` or with packaging/systemd/thenar.service"
        .to_owned()
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
        Capability { name, works, needed: true, finding, fix }
    };
    let zero = |seen: &str| !seen.is_empty() && seen.chars().all(|letter| letter == '0' || letter == ' ');
    Ok(vec![
        Capability {
            name: "computer",
            works: ended,
            needed: true,
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
