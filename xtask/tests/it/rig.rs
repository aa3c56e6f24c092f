//! The rig's view of processes, against real ones: what is below us is seen, also after its parent died, and can be ended.

use std::process::{Command, Stdio};
use std::time::Duration;

use xtask::rig;

const PATIENCE: Duration = Duration::from_secs(20);

fn sleepers() -> Vec<rig::Process> {
    let mut below = rig::below_us().unwrap_or_default();
    below.retain(|process| process.name == "sleep");
    below
}

#[test]
fn an_orphan_stays_below_us_until_it_is_killed_and_reaped() {
    rig::become_reaper().expect("the kernel has subreapers");
    #[expect(clippy::disallowed_methods, reason = "a process that leaves an orphan behind")]
    let mut parent = Command::new("sh")
        .args(["-c", "sleep 60 & exec sleep 60"])
        .stdin(Stdio::null())
        .spawn()
        .expect("sh can be started");
    assert!(rig::wait_until(PATIENCE, || sleepers().len() == 2), "{:?}", sleepers());
    let orphan = sleepers().into_iter().find(|process| process.pid.unsigned_abs() != parent.id()).expect("an orphan");
    assert!(orphan.pss_kib().is_some_and(|kib| kib > 0));

    parent.kill().expect("the parent can be killed");
    parent.wait().expect("the parent can be waited for");
    let fell_to_us = || sleepers().iter().any(|process| process.parent.unsigned_abs() == std::process::id());
    assert!(rig::wait_until(PATIENCE, fell_to_us), "{:?}", sleepers());

    rig::kill(orphan.pid);
    let gone = || {
        rig::reap_orphans();
        rig::descendants().expect("/proc can be read").is_empty()
    };
    assert!(rig::wait_until(PATIENCE, gone), "{:?}", rig::descendants());
}

#[test]
fn a_child_that_hangs_is_ended_and_named() {
    #[expect(clippy::disallowed_methods, reason = "a process that hangs")]
    let mut child = Command::new("sleep").arg("60").spawn().expect("sleep can be started");
    let error = rig::wait_at_most(&mut child, Duration::from_millis(50)).expect_err("it does not end by itself");
    assert!(error.to_string().contains("did not end"), "{error}");
}
