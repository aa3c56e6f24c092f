//! `thenar doctor`: tries what a task needs, and says how to mend what does not work. It proves rather than looks.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use sandbox::{Computer, ComputerSpec, Exit, Request, Status, Workspace};
use serde_json::json;

use crate::exit::{Code, Outcome, Problem};
use crate::namespaces::Rules;
use crate::screen::{Look, Screen, data};
use crate::{choice, clean, config, house, screen, toolset, words};

/// Free space under which a task may soon stop.
const FREE_BYTES_MIN: u64 = 1_000_000_000;

/// What the toolset is for: it works if these can be imported.
const IMPORTS: &str = "import numpy, pandas, matplotlib, openpyxl, docx, pptx, pypdf, reportlab";

/// How long the imports may take.
const IMPORTS_WITHIN: Duration = Duration::from_secs(60);

/// One thing that was tried.
struct Finding {
    name: String,
    works: bool,
    /// Without it nothing can be run.
    needed: bool,
    what: String,
    fix: String,
}

/// `thenar doctor`.
pub(crate) fn run(json_wanted: bool, screen: Screen) -> Outcome {
    let home = house::data_folder()?;
    let mut findings = vec![data_folder(&home)];
    findings.extend(computer(&home));
    findings.push(toolset_works(&home));
    findings.extend(model());
    let able = findings.iter().all(|finding| finding.works || !finding.needed);
    if json_wanted {
        let list: Vec<_> = findings
            .iter()
            .map(|f| json!({ "name": f.name, "works": f.works, "needed": f.needed, "finding": f.what, "fix": f.fix }))
            .collect();
        screen::json(&json!({ "able": able, "findings": list }));
    } else {
        for finding in &findings {
            let (mark, look) = match (finding.works, finding.needed) {
                (true, _) => ("✓", Look::Good),
                (false, true) => ("✗", Look::Bad),
                (false, false) => ("–", Look::Warn),
            };
            let what = clean::line(&finding.what, 400);
            data(&format!("{} {:<18} {what}", screen.paint(look, mark), finding.name));
            if !finding.works && !finding.fix.is_empty() {
                data(&format!("    fix: {}", finding.fix));
            }
        }
    }
    if able {
        screen.say("Tasks can be run here.");
        Ok(Code::Done)
    } else {
        Err(Problem::new(Code::Setup, "tasks cannot be run here yet: see the fixes above"))
    }
}

fn data_folder(home: &Path) -> Finding {
    let (what, works) = match rustix::fs::statvfs(home) {
        Ok(space) => {
            let free = space.f_bavail.saturating_mul(space.f_frsize);
            (format!("{}, {} free", home.display(), words::size(free)), free >= FREE_BYTES_MIN)
        }
        Err(error) => (format!("{}: {error}", home.display()), false),
    };
    let fix = "free some space, or set THENAR_HOME to a folder on another disk".to_owned();
    Finding { name: "data folder".to_owned(), works, needed: true, what, fix }
}

/// A computer is really made.
fn computer(home: &Path) -> Vec<Finding> {
    let broken = |error: &dyn std::fmt::Display| {
        let fix = "see the message".to_owned();
        vec![Finding { name: "computer".to_owned(), works: false, needed: true, what: error.to_string(), fix }]
    };
    let keeper = match sandbox::find_keeper() {
        Ok(keeper) => keeper,
        Err(error) => return broken(&error),
    };
    let scratch = home.join("doctor").join(std::process::id().to_string());
    if let Err(error) = std::fs::create_dir_all(&scratch) {
        return broken(&error);
    }
    let probed = sandbox::probe(&scratch, &keeper);
    let _ = std::fs::remove_dir_all(&scratch);
    match probed {
        Err(error) => broken(&error),
        Ok(list) => list
            .into_iter()
            .map(|seen| Finding {
                name: seen.name.to_owned(),
                works: seen.works,
                needed: seen.needed,
                what: seen.finding,
                // Only where there is no computer at all can it be a rule of the machine's.
                fix: Rules::read().fix(&keeper).filter(|_| !seen.works && seen.name == "computer").unwrap_or(seen.fix),
            })
            .collect(),
    }
}

/// The toolset is imported, inside a computer.
fn toolset_works(home: &Path) -> Finding {
    let fix = "thenar setup".to_owned();
    let finding = |works, what: String| Finding { name: "toolset".to_owned(), works, needed: false, what, fix };
    let Some(folder) = toolset::installed() else {
        return finding(false, "not installed: no charts, spreadsheets or documents".to_owned());
    };
    let scratch = home.join("doctor").join(format!("toolset-{}", std::process::id()));
    let tried = imports(&scratch, &folder);
    let _ = std::fs::remove_dir_all(&scratch);
    match tried {
        Ok(()) => finding(true, folder.display().to_string()),
        Err(what) => finding(false, what),
    }
}

fn imports(scratch: &Path, toolset: &Path) -> Result<(), String> {
    let text = |error: sandbox::Error| error.to_string();
    std::fs::create_dir_all(scratch).map_err(|error| error.to_string())?;
    let spec = ComputerSpec {
        dir: scratch.join("computer"),
        workspace: Workspace::Own(scratch.join("workspace")),
        toolset: Some(toolset.to_owned()),
        limits: sandbox::Limits::default(),
        deadline_unix_ms: None,
        env: BTreeMap::new(),
        keeper: sandbox::find_keeper().map_err(text)?,
        forbidden: Vec::new(),
    };
    let computer = Computer::open(&spec).map_err(text)?;
    let argv = ["python3", "-c", IMPORTS].map(str::to_owned).to_vec();
    let tried = computer
        .start("imports", &Request::Exec { argv, cwd: None, env: BTreeMap::new() })
        .and_then(|()| computer.wait("imports", IMPORTS_WITHIN))
        .map_err(text)
        .and_then(|status| match status {
            Status::Ended(result) if result.exit == Exit::Code(0) => Ok(()),
            Status::Ended(_) => {
                let said = computer.output("imports", 0, 4_096).unwrap_or_default();
                Err(String::from_utf8_lossy(&said).lines().last().unwrap_or("it cannot be imported").to_owned())
            }
            Status::Running { .. } => Err("importing it takes more than a minute".to_owned()),
        });
    let _ = computer.shutdown();
    tried
}

fn model() -> Vec<Finding> {
    let finding = |works, what: String, fix: &str| {
        vec![Finding { name: "model".to_owned(), works, needed: false, what, fix: fix.to_owned() }]
    };
    let config = match config::read() {
        Ok(config) => config,
        Err(problem) => return finding(false, problem.message, "mend the configuration file"),
    };
    match choice::name(None, &config) {
        Ok(name) => finding(true, format!("{name} (thenar models test tries it)"), ""),
        Err(_) => finding(false, "none chosen; the demo works without".to_owned(), "thenar models"),
    }
}
