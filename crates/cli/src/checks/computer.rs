//! Computers are really made, looked at from inside, and ended; Landlock is tried apart, for inside it cannot be told from
//! the mounts.

use std::path::Path;

use sandbox::{Build, Capability, Driver};

use server::{HeldBy, Lock, NoGroups, Seen};

use super::Finding;
use super::namespaces::Rules;

const COMPUTER: &str = "computer";

/// Whether these findings say that no computer can be made: then nothing can be tried in one either.
pub(crate) fn is_none(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.name == COMPUTER && !finding.works)
}

/// What a computer is here, a finding for each lock.
pub(crate) fn findings(scratch: &Path, build: Build) -> Vec<Finding> {
    let fatal = |error: &dyn std::fmt::Display, fix: &str| {
        let seen = Seen::ComputerFailed { error: error.to_string() };
        vec![Finding::fatal(COMPUTER, seen, error.to_string(), fix)]
    };
    let keeper = match sandbox::find_keeper() {
        Ok(keeper) => keeper,
        Err(error) => return fatal(&error, error.hint().unwrap_or("make install")),
    };
    let probed = match sandbox::probe(scratch, &keeper, build) {
        Ok(probed) => probed,
        Err(error) => return fatal(&error, error.hint().unwrap_or_default()),
    };
    let mut findings: Vec<Finding> = probed
        .into_iter()
        .map(|seen| {
            // Only where there is no computer at all can it be a rule of the machine's.
            if seen.works || seen.name != COMPUTER {
                return finding(seen);
            }
            // What has nothing to do with them has a fix of its own.
            if !seen.fix.contains("namespaces") {
                return finding(seen);
            }
            let rules = Rules::read();
            let why = rules.why().map(|why| format!("{why}: {}", seen.finding));
            let fix = rules.fix(build.driver, &keeper).unwrap_or(seen.fix);
            let told = why.unwrap_or(seen.finding);
            let code = sandbox::Seen::ComputerFailed { error: told.clone() };
            finding(Capability { finding: told, seen: code, fix, ..seen })
        })
        .collect();
    findings.push(finding(sandbox::landlock(scratch)));
    let other = match build.driver {
        Driver::Native => Driver::Bwrap,
        Driver::Bwrap => Driver::Native,
    };
    // Bubblewrap is missed by nobody who did not ask for it.
    let second = sandbox::second_opinion(&scratch.join("second"), &keeper, other);
    findings.extend((second.works || other == Driver::Native).then(|| finding(second)));
    findings
}

fn finding(seen: Capability) -> Finding {
    let Capability { name, works, needed, finding, seen, fix } = seen;
    Finding { name: name.to_owned(), works, needed, what: finding, seen: said(seen), fix }
}

/// The same code as the API has it.
fn said(seen: sandbox::Seen) -> Seen {
    use sandbox::Seen as Probed;
    match seen {
        Probed::ComputerRan => Seen::ComputerRan,
        Probed::ComputerNotWell => Seen::ComputerNotWell,
        Probed::ComputerFailed { error } => Seen::ComputerFailed { error },
        Probed::Locked { lock } => Seen::Locked { lock: of_lock(lock) },
        Probed::Unlocked { lock, seen } => Seen::Unlocked { lock: of_lock(lock), seen },
        Probed::Limits { confinement, memory_unmet, processes_unmet, no_groups } => Seen::Limits {
            memory: held_by(confinement.memory),
            processes: held_by(confinement.processes),
            processor: held_by(confinement.processor),
            memory_unmet,
            processes_unmet,
            undivided: confinement.driver == Driver::Bwrap,
            no_groups: match no_groups {
                sandbox::NoGroups::There => NoGroups::There,
                sandbox::NoGroups::Refused => NoGroups::Refused,
                sandbox::NoGroups::ReadOnly => NoGroups::ReadOnly,
                sandbox::NoGroups::Other(_) => NoGroups::Other,
            },
            reason: confinement.reason,
        },
        Probed::WayOutWorks => Seen::WayOutWorks,
        Probed::WayOutNone { driver } => Seen::WayOutNone { driver },
        Probed::WayOutWrong { error } => Seen::WayOutWrong { error },
        Probed::LandlockWhole { abi } => Seen::LandlockWhole { abi },
        Probed::LandlockPartial { abi } => Seen::LandlockPartial { abi },
        Probed::LandlockOff => Seen::LandlockOff,
        Probed::LandlockNone => Seen::LandlockNone,
        Probed::LandlockWrong { abi, error } => Seen::LandlockWrong { abi, error },
        Probed::SecondWorks => Seen::SecondWorks,
        Probed::SecondNotWell => Seen::SecondNotWell,
        Probed::SecondFailed { error } => Seen::SecondFailed { error },
    }
}

fn of_lock(lock: sandbox::Lock) -> Lock {
    match lock {
        sandbox::Lock::User => Lock::User,
        sandbox::Lock::Namespaces => Lock::Namespaces,
        sandbox::Lock::Rights => Lock::Rights,
        sandbox::Lock::Seccomp => Lock::Seccomp,
        sandbox::Lock::Network => Lock::Network,
        sandbox::Lock::System => Lock::System,
        sandbox::Lock::Workspace => Lock::Workspace,
    }
}

fn held_by(hold: sandbox::Hold) -> HeldBy {
    match hold {
        sandbox::Hold::GroupV2 => HeldBy::GroupV2,
        sandbox::Hold::GroupV1 => HeldBy::GroupV1,
        sandbox::Hold::Own => HeldBy::Own,
    }
}
