//! What this machine can really do for a computer, found out by making one. It repairs nothing and says what would.

mod landlock;
mod seen;
mod way_out;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{
    Build, Computer, ComputerSpec, Confinement, Driver, Error, Exit, Limits, Met, Request, Result, Status, Workspace,
};

pub use landlock::landlock;
pub use seen::{Lock, NoGroups, Seen};

/// How long the trial may take: a machine that is emulated needs most of it.
const TRIAL_WAIT: Duration = Duration::from_secs(60);
/// How often it is looked whether it met a limit.
const TRIAL_LOOK: Duration = Duration::from_millis(100);

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
    /// The same by a code, for whoever says it in another language.
    pub seen: Seen,
    /// What to do about it, ready to paste; empty where nothing needs doing.
    pub fix: String,
}

/// Whether the kernel says that somebody keeps its clock right; nothing where it does not say.
pub fn clock_is_synchronised() -> Option<bool> {
    crate::sys::clock_is_synchronised().ok()
}

/// Makes a computer below `scratch` (an existing folder that may be used freely), looks around in it, and ends it.
///
/// The first entry tells whether there can be a computer at all; the others, how it is confined.
///
/// # Errors
/// Only if the scratch folder cannot be used: what the machine lacks is a finding.
pub fn probe(scratch: &Path, keeper: &Path, build: Build) -> Result<Vec<Capability>> {
    let spec = trial(scratch, keeper, build);
    let computer = match Computer::open(&spec) {
        Ok(computer) => computer,
        Err(error @ (Error::Launch { .. } | Error::KeeperMissing { .. } | Error::Workspace { .. })) => {
            let fix = error.hint().unwrap_or_default().to_owned();
            return Ok(vec![Capability {
                name: "computer",
                works: false,
                needed: true,
                finding: error.to_string(),
                seen: Seen::ComputerFailed { error: error.to_string() },
                fix,
            }]);
        }
        Err(error) => return Err(error),
    };
    let found = look_around(&computer);
    computer.shutdown()?;
    let mut found = found?;
    found.push(limits(&spec)?);
    found.push(way_out::look(scratch, keeper, build)?);
    Ok(found)
}

/// A computer to try things in.
fn trial(scratch: &Path, keeper: &Path, build: Build) -> ComputerSpec {
    ComputerSpec {
        dir: scratch.join("computer"),
        workspace: Workspace::Own(scratch.join("workspace")),
        toolset: None,
        limits: Limits::default(),
        deadline_unix_ms: None,
        env: BTreeMap::new(),
        keeper: keeper.to_owned(),
        forbidden: Vec::new(),
        egress: false,
        build,
    }
}

/// Makes a computer by a driver that is not the one in use, and has it say something: a second opinion, no more.
pub fn second_opinion(scratch: &Path, keeper: &Path, driver: Driver) -> Capability {
    let name = match driver {
        Driver::Native => "native launcher",
        Driver::Bwrap => "bubblewrap",
    };
    let finding = |seen: Seen, finding: String, fix: String| {
        let works = seen == Seen::SecondWorks;
        Capability { name, works, needed: false, finding, seen, fix }
    };
    let ran = Computer::open(&trial(scratch, keeper, driver.into())).and_then(|computer| {
        let argv = ["echo", "here"].map(str::to_owned).to_vec();
        let said = computer
            .start("say", &Request::Exec { argv, cwd: None, env: BTreeMap::new() })
            .and_then(|()| computer.wait("say", TRIAL_WAIT))
            .and_then(|_| computer.output("say", 0, 64));
        computer.shutdown()?;
        said
    });
    match ran {
        Ok(said) if said == b"here\n" => {
            let text = "it can make computers here, too; another driver is in use";
            finding(Seen::SecondWorks, text.to_owned(), String::new())
        }
        Ok(_) => {
            let text = "it made a computer, but a command did not end well";
            finding(Seen::SecondNotWell, text.to_owned(), String::new())
        }
        Err(error) => {
            let text = format!("{error}; not needed: another driver is in use");
            let seen = Seen::SecondFailed { error: error.to_string() };
            finding(seen, text, error.hint().unwrap_or_default().to_owned())
        }
    }
}

/// Uses a small computer up: more memory than it has, in processes that each stay below, and more processes than it may have.
/// Each keeps it until the limit is met, however long it takes the others here to have theirs.
const USE_UP: &str = r#"
hold() { (head -c 32000000 /dev/zero; exec sleep 90) | tail -c 32000000 >/dev/null; }
hold & hold & hold & hold & wait
"#;
/// The first one ends while the shell waits for room: it gives up then, with all others still there to be counted.
const CROWD: &str = "sleep 1.5 & for i in $(seq 100); do sleep 90 & done";

/// Which limits hold, and by whom; proved by meeting them.
fn limits(spec: &ComputerSpec) -> Result<Capability> {
    let small = Limits { memory_bytes: 64 * 1024 * 1024, processes: 60, ..spec.limits.clone() };
    let spec = ComputerSpec { dir: spec.dir.with_extension("small"), limits: small, ..spec.clone() };
    let computer = Computer::open(&spec)?;
    let start = |call: &str, script: &str| {
        let argv = ["bash", "-c", script].map(str::to_owned).to_vec();
        computer.start(call, &Request::Exec { argv, cwd: None, env: BTreeMap::new() })
    };
    let memory = || -> Result<bool> {
        start("memory", USE_UP)?;
        let until = Instant::now() + TRIAL_WAIT;
        let met = |limits: &[Met]| limits.iter().any(|met| matches!(met, Met::Memory { .. }));
        loop {
            match computer.wait("memory", TRIAL_LOOK)? {
                Status::Ended(result) => return Ok(met(&result.limits)),
                Status::Running { limits, .. } if met(&limits) || Instant::now() >= until => {
                    computer.kill("memory")?;
                    computer.wait("memory", TRIAL_WAIT)?;
                    return Ok(met(&limits));
                }
                Status::Running { .. } => {}
            }
        }
    };
    let processes = || -> Result<bool> {
        start("processes", CROWD)?;
        let Status::Ended(crowd) = computer.wait("processes", TRIAL_WAIT)? else { return Ok(false) };
        // A shell that got every process it wanted was refused none, whoever counted them meanwhile.
        Ok(crowd.exit != Exit::Code(0) && crowd.limits.iter().any(|met| matches!(met, Met::Processes { .. })))
    };
    let held = memory().and_then(|memory| Ok((memory, processes()?)));
    computer.shutdown()?;
    let held = held?;
    let confinement = Confinement::of(&spec.dir)?;
    let unmet = match held {
        (true, true) => "",
        (false, _) => "; but a computer that used its memory up was not stopped",
        (true, false) => "; but a computer that had too many processes was not stopped",
    };
    let fix = if unmet.is_empty() { fix_of(&confinement) } else { "report this: a limit does not hold".to_owned() };
    let undivided = match confinement.driver {
        Driver::Native => "",
        Driver::Bwrap => "; what the kernel counts per user (terminals, file watches) has no limit of its own",
    };
    let why = match NoGroups::of(&confinement.reason).in_words() {
        "" => String::new(),
        why => format!(", since {why}"),
    };
    let seen = Seen::Limits {
        memory_unmet: !held.0,
        processes_unmet: held.0 && !held.1,
        no_groups: NoGroups::of(&confinement.reason),
        confinement: confinement.clone(),
    };
    Ok(Capability {
        name: "limits",
        seen,
        works: confinement.is_whole() && unmet.is_empty(),
        needed: !unmet.is_empty(),
        finding: format!("{confinement}{unmet}{undivided}{why}"),
        fix,
    })
}

/// How control groups come to whoever runs this.
fn fix_of(confinement: &Confinement) -> String {
    let there = |path: &str| Path::new(path).exists();
    let (v1, v2) = (there("/sys/fs/cgroup/memory/cgroup.procs"), there("/sys/fs/cgroup/cgroup.procs"));
    match () {
        () if confinement.is_whole() => String::new(),
        () if there("/run/systemd/system") => format!(
            "systemd-run --user --scope -p Delegate=yes -- thenar serve    # {OTHERWISE}; packaging/systemd/thenar.service has it"
        ),
        () if rustix::process::geteuid().is_root() || !(v1 || v2) => {
            format!("start thenar where control groups can be made    # {OTHERWISE}; a container may not by default")
        }
        () if v1 => {
            format!("for c in cpu memory pids; do {} done; thenar serve    # {OTHERWISE}", given("$c/thenar-$USER"))
        }
        () => format!(
            "echo '+cpu +memory +pids' | sudo tee /sys/fs/cgroup/cgroup.subtree_control; {} thenar serve    # {OTHERWISE}",
            given("thenar-$USER")
        ),
    }
}

const OTHERWISE: &str = "a greedy task can slow the others otherwise";

/// Gives this shell a group of its own, where nobody keeps the tree of them.
fn given(group: &str) -> String {
    format!(
        "d=/sys/fs/cgroup/{group}; sudo mkdir -p $d && sudo chown -R $USER $d && echo $$ | sudo tee $d/cgroup.procs;"
    )
}

/// One line per question, answered from inside: a name, then what was seen.
const QUESTIONS: &str = r#"
echo "user $(id -u) $(cut -d' ' -f6- /proc/self/uid_map | tr -s ' ')"
echo "rights $(sed -n 's/^CapEff:\s*//p;s/^CapBnd:\s*//p' /proc/self/status | tr '\n' ' ')"
echo "spaces $(for name in cgroup ipc mnt net pid user uts; do readlink "/proc/self/ns/$name"; done | tr '\n' ' ')"
(: > /tmp/probe) 2>/dev/null
mode=$(sed -n 's/^Seccomp:\s*//p' /proc/self/status)
echo "calls $mode $(chmod 700 /tmp/probe && echo plain) $(chmod 4700 /tmp/probe 2>/dev/null && echo set-id)"
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
    let check = |lock: Lock, question: &str, right: &dyn Fn(&str) -> bool, good: &str, bad: &str| {
        let seen = answer(question);
        let works = right(&seen);
        let finding = if works { good.to_owned() } else { format!("{bad} (seen: {seen:?})") };
        let fix = if works { String::new() } else { "report this: the box is not what it should be".to_owned() };
        let seen = if works { Seen::Locked { lock } } else { Seen::Unlocked { lock, seen } };
        Capability { name: lock.name(), works, needed: true, finding, seen, fix }
    };
    let zero = |seen: &str| !seen.is_empty() && seen.chars().all(|letter| letter == '0' || letter == ' ');
    Ok(vec![
        Capability {
            name: "computer",
            works: ended,
            needed: true,
            finding: if ended { "a command ran in a fresh one" } else { "it was made, but a command did not end well" }
                .to_owned(),
            seen: if ended { Seen::ComputerRan } else { Seen::ComputerNotWell },
            fix: String::new(),
        },
        check(
            Lock::User,
            "user",
            &|seen| seen.starts_with("1000"),
            "commands are an ordinary user",
            "commands are somebody else",
        ),
        check(
            Lock::Namespaces,
            "spaces",
            &are_its_own,
            "users, processes, mounts, network, IPC, host name and cgroups are its own",
            "it shares some with this machine",
        ),
        check(Lock::Rights, "rights", &zero, "no capability is left", "capabilities are left"),
        check(
            Lock::Seccomp,
            "calls",
            &|seen| seen == "2 plain",
            "a call that sets an owner's rights on a file was refused, a plain one was not",
            "the call filter refuses the wrong calls",
        ),
        check(Lock::Network, "network", &|seen| seen == "lo", "there is none but loopback", "there is a network"),
        check(
            Lock::System,
            "system",
            &|seen| seen == "closed",
            "system files cannot be changed",
            "system files can be changed",
        ),
        check(
            Lock::Workspace,
            "workspace",
            &|seen| seen == "open",
            "the workspace can be written",
            "the workspace cannot be written",
        ),
    ])
}

/// Whether these seven namespaces, as links of `/proc/self/ns` name them, are all others than ours.
fn are_its_own(seen: &str) -> bool {
    let ours = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).ok();
    let inside: Vec<&str> = seen.split_whitespace().collect();
    let differs = |inside: &&str| {
        let name = inside.split(':').next().unwrap_or_default();
        ours(name).is_some_and(|ours| ours != Path::new(inside))
    };
    inside.len() == 7 && inside.iter().all(differs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_is_ours_is_seen() {
        let ours: Vec<String> = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"]
            .iter()
            .map(|name| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string())
            .collect();
        let others: Vec<String> = ours.iter().map(|name| name.replace(":[", ":[9")).collect();
        assert!(are_its_own(&others.join(" ")));
        for shared in 0..others.len() {
            let mut seen = others.clone();
            seen[shared].clone_from(&ours[shared]);
            assert!(!are_its_own(&seen.join(" ")), "{seen:?}");
        }
        assert!(!are_its_own(&others[1..].join(" ")));
        assert!(!are_its_own(""));
    }
}
