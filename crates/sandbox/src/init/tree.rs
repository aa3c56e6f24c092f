//! Everything below one process, read from `/proc`: to ask it to end, or to end it. Processes that left their session or their parent are found too, because the watcher of a call adopts them.

use std::collections::{HashMap, HashSet};
use std::fs;

use rustix::process::{Pid, Signal};

/// How often a tree that keeps growing is looked at again before it is given up to the end of the computer.
const ROUNDS_MAX: usize = 100;

/// Asks all below `watcher` to end, and hangs up on them where that is what they listen to.
pub(super) fn ask(watcher: Pid, hang_up: bool) {
    for pid in below(watcher) {
        if hang_up {
            let _ = rustix::process::kill_process(pid, Signal::HUP);
        }
        let _ = rustix::process::kill_process(pid, Signal::TERM);
        let _ = rustix::process::kill_process(pid, Signal::CONT);
    }
}

/// Ends all below `watcher`. They are stopped first, so that none can fork away between the look and the blow.
pub(super) fn end(watcher: Pid) {
    let mut stopped = HashSet::new();
    for _ in 0..ROUNDS_MAX {
        let new: Vec<Pid> = below(watcher).into_iter().filter(|pid| stopped.insert(*pid)).collect();
        if new.is_empty() {
            break;
        }
        for pid in new {
            let _ = rustix::process::kill_process(pid, Signal::STOP);
        }
    }
    for pid in below(watcher) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

fn below(top: Pid) -> Vec<Pid> {
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
        for child in children.remove(&parent).unwrap_or_default() {
            open.push(child);
            found.extend(Pid::from_raw(child));
        }
    }
    found
}
