//! Computers are really made, looked at from inside, and ended; Landlock is tried apart, for inside it cannot be told from
//! the mounts.

use std::path::Path;

use sandbox::{Build, Capability, Driver};

use super::Finding;
use super::namespaces::Rules;

const COMPUTER: &str = "computer";

/// Whether these findings say that no computer can be made: then nothing can be tried in one either.
pub(crate) fn is_none(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.name == COMPUTER && !finding.works)
}

/// What a computer is here, a finding for each lock.
pub(crate) fn findings(scratch: &Path, build: Build) -> Vec<Finding> {
    let fatal = |error: &dyn std::fmt::Display, fix: &str| vec![Finding::fatal(COMPUTER, error.to_string(), fix)];
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
            finding(Capability { finding: why.unwrap_or(seen.finding), fix, ..seen })
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
    Finding { name: seen.name.to_owned(), works: seen.works, needed: seen.needed, what: seen.finding, fix: seen.fix }
}
