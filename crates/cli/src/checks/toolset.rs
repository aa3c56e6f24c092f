//! The toolset is imported, inside a computer. What is in it is `toolset/` in the repository.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use sandbox::{Build, Computer, ComputerSpec, Exit, Request, Status, Workspace};

use server::Seen;

use super::Finding;
use crate::toolset;

/// What it is for: it works if these can be imported.
const IMPORTS: &str = "import numpy, pandas, matplotlib, openpyxl, docx, pptx, pypdf, reportlab";

/// How long the imports may take.
const IMPORTS_WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn finding(scratch: &Path, build: Build) -> Finding {
    const FIX: &str = "thenar setup";
    let Some(folder) = toolset::installed() else {
        let what = "not installed: no charts, spreadsheets or documents";
        return Finding::poor("toolset", Seen::ToolsetNone, what, FIX);
    };
    match imports(&scratch.join("toolset"), &folder, build) {
        Ok(()) => {
            let folder = folder.display().to_string();
            let what = format!("{folder}, imported in a computer");
            Finding::good("toolset", Seen::ToolsetThere { folder }, what)
        }
        Err(what) => Finding::poor("toolset", Seen::ToolsetFailed { error: what.clone() }, what, FIX),
    }
}

fn imports(scratch: &Path, toolset: &Path, build: Build) -> Result<(), String> {
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
        build,
        egress: false,
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
