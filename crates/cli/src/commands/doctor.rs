//! `thenar doctor`: tries what a task needs, and says how to mend what does not work. It proves rather than looks; what is
//! tried, and how, is in `checks`.

use serde_json::json;
use server::Seen;

use crate::checks::{
    Finding, Scratch, browser, clock, computer, configuration, disk, leftovers, limits, models, toolset,
};
use crate::exit::{Code, Outcome, Problem};
use crate::screen::{Look, Screen, data};
use crate::{clean, house, screen};

/// Characters of one finding.
const FINDING_CHARS_MAX: usize = 400;

/// `thenar doctor`.
pub(crate) fn run(json_wanted: bool, screen: Screen) -> Outcome {
    let begun = clock::Begun::now();
    let home = house::data_folder()?;
    let mut findings = match Scratch::new(&home) {
        Err(error) => {
            let fix = "export THENAR_HOME=/a/folder/that/can/be/written";
            let seen = Seen::DataFolderFailed { folder: home.display().to_string(), error: error.to_string() };
            let what = format!("{} cannot be written: {error}", home.display());
            let data = Finding::fatal("data folder", seen, what, fix);
            std::iter::once(data).chain(configuration::checked().err().map(configuration::failed)).collect()
        }
        Ok(scratch) => {
            let mut findings = disk::findings(&home, scratch.path());
            match configuration::checked().and_then(|config| config.computer.build()) {
                Ok(build) => {
                    let computers = computer::findings(scratch.path(), build);
                    let none = computer::is_none(&computers);
                    findings.extend(computers);
                    if none {
                        // Whatever came of them would be this, with a fix for something else.
                        let what = "not tried: there is no computer to try it in";
                        let untried = |name| Finding::poor(name, Seen::NotTried, what, "");
                        findings.extend(["toolset", "browser"].map(untried));
                    } else {
                        findings.push(toolset::finding(scratch.path(), build));
                        findings.push(browser::finding(scratch.path(), build));
                    }
                }
                Err(problem) => findings.push(configuration::failed(problem)),
            }
            findings
        }
    };
    findings.extend(leftovers::finding());
    findings.extend(limits::findings());
    findings.extend(models::findings());
    findings.extend(clock::findings(&home, begun));
    let able = findings.iter().all(|finding| finding.works || !finding.needed);
    if json_wanted {
        screen::json(&json!({ "able": able, "findings": findings }));
    } else {
        findings.iter().for_each(|finding| show(finding, screen));
    }
    if able {
        screen.say("Tasks can be run here.");
        Ok(Code::Done)
    } else {
        Err(Problem::new(Code::Setup, "tasks cannot be run here yet: see the fixes above"))
    }
}

fn show(finding: &Finding, screen: Screen) {
    let (mark, look) = match (finding.works, finding.needed) {
        (true, _) => ("✓", Look::Good),
        (false, true) => ("✗", Look::Bad),
        (false, false) => ("–", Look::Warn),
    };
    let what = clean::line(&finding.what, FINDING_CHARS_MAX);
    data(&format!("{} {:<18} {what}", screen.paint(look, mark), finding.name));
    if !finding.works && !finding.fix.is_empty() {
        data(&format!("    fix: {}", clean::text(&finding.fix)));
    }
}
