//! The processes below this one, read from `/proc`. Only descendants are ever listed, so only descendants are ever killed.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitOptions};

/// Ticks in a second, as `/proc` counts CPU time on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// One process as `/proc/PID/stat` has it.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its name, cut at 15 bytes by the kernel.
    pub name: String,
    /// Ended and not yet waited for.
    pub zombie: bool,
    /// CPU time of its own, in milliseconds.
    pub cpu_ms: f64,
    /// CPU time of the children it has waited for, and of theirs.
    pub cpu_children_ms: f64,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks: Vec<f64> = fields.get(11..15)?.iter().filter_map(|field| field.parse().ok()).collect();
        let [user, system, children_user, children_system] = ticks[..] else { return None };
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            name: name.to_owned(),
            zombie: fields.first() == Some(&"Z"),
            cpu_ms: (user + system) * 1000.0 / TICKS_PER_SECOND,
            cpu_children_ms: (children_user + children_system) * 1000.0 / TICKS_PER_SECOND,
        })
    }

    /// Whether it has ended. One that fell to us when its parent died is waited for.
    pub fn is_gone(&self) -> bool {
        let Some(pid) = Pid::from_raw(self.pid) else { return true };
        match rustix::process::waitpid(Some(pid), WaitOptions::NOHANG) {
            Ok(ended) => ended.is_some(),
            // It is somebody else's child, if it is there.
            Err(_) => rustix::process::test_kill_process(pid).is_err(),
        }
    }

    /// Its share of memory in KiB: own pages, and its part of the shared ones.
    pub fn pss_kib(&self) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse().ok()
    }
}

/// From now on, processes orphaned below us become our children, and so stay below us.
pub fn become_reaper() -> Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).context("become the reaper of orphans")
}

/// All living descendants.
pub fn below_us() -> Result<Vec<Process>> {
    Ok(descendants()?.into_iter().filter(|process| !process.zombie).collect())
}

/// All descendants, the dead that nobody has waited for among them.
pub fn descendants() -> Result<Vec<Process>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").context("list /proc")?.flatten() {
        let pid = entry.file_name().to_string_lossy().parse().ok();
        if let Some(process) = pid.and_then(Process::read) {
            all.insert(process.pid, process);
        }
    }
    let us = rustix::process::getpid().as_raw_nonzero().get();
    let under_us = |process: &Process| {
        let mut above = process.parent;
        while above != us {
            match all.get(&above) {
                Some(next) => above = next.parent,
                None => return false,
            }
        }
        true
    };
    Ok(all.values().filter(|process| under_us(process)).cloned().collect())
}

/// Waits for dead keepers and their like, which fell to us when their parent died. Children that somebody holds as a
/// `Child` are `thenar` and the server; they are left alone.
pub fn reap_orphans() {
    let us = rustix::process::getpid().as_raw_nonzero().get();
    for process in descendants().unwrap_or_default() {
        let held = process.name == "thenar" || process.name == "scripted-model";
        if process.zombie && process.parent == us && !held {
            let _ = Pid::from_raw(process.pid).map(|pid| rustix::process::waitpid(Some(pid), WaitOptions::NOHANG));
        }
    }
}

/// SIGKILL to a descendant. One that is gone already is no failure.
pub fn kill(pid: i32) {
    let _ = Pid::from_raw(pid).map(|pid| rustix::process::kill_process(pid, Signal::KILL));
}
