//! Everything below one process, read from `/proc`: to ask it to end, or to end it. Processes that left their session or their parent are found too, because the watcher of a call adopts them.

use std::collections::{HashMap, HashSet};
use std::fs;

use rustix::process::{Pid, Signal};

/// How often a tree that keeps growing is looked at again before it is given up to the end of the computer.
const ROUNDS_MAX: usize = 100;

/// Asks all below `watcher` to end, and hangs up on them where that is what they listen to.
pub(super) fn ask(watcher: Pid, hang_up: bool) {
    for pid in below(watcher, &[]) {
        if hang_up {
            let _ = rustix::process::kill_process(pid, Signal::HUP);
        }
        let _ = rustix::process::kill_process(pid, Signal::TERM);
        let _ = rustix::process::kill_process(pid, Signal::CONT);
    }
}

/// Ends all below `watcher`.
pub(super) fn end(watcher: Pid) {
    end_below(watcher, &[]);
}

/// Ends all that none of these watchers has: what a dead one leaves behind is PID 1's own.
pub(super) fn end_unwatched(watchers: &[Pid]) {
    end_below(rustix::process::getpid(), watchers);
}

/// Whether nothing below `watcher` lives.
pub(super) fn is_bare(watcher: Pid) -> bool {
    let is_dead = |pid: Pid| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
    };
    below(watcher, &[]).into_iter().all(is_dead)
}

/// They are stopped first, so that none can fork away between the look and the blow.
fn end_below(top: Pid, but: &[Pid]) {
    let mut stopped = HashSet::new();
    for _ in 0..ROUNDS_MAX {
        let new: Vec<Pid> = below(top, but).into_iter().filter(|pid| stopped.insert(*pid)).collect();
        if new.is_empty() {
            break;
        }
        for pid in new {
            let _ = rustix::process::kill_process(pid, Signal::STOP);
        }
    }
    for pid in below(top, but) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

/// All below a process, but some and what is below them.
fn below(top: Pid, but: &[Pid]) -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name in brackets may hold anything, brackets and spaces included; the fields after the last one do not.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<i32>().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![top.as_raw_nonzero().get()];
    while let Some(parent) = open.pop() {
        let children = children.remove(&parent).unwrap_or_default().into_iter().filter_map(Pid::from_raw);
        for child in children.filter(|child| !but.contains(child)) {
            open.push(child.as_raw_nonzero().get());
            found.push(child);
        }
    }
    found
}
