//! Puts checked copies where the person finds them. What goes where is written down durably first, so that a hand-over
//! cut short is finished and never done twice. It never replaces a file that the task did not deliver itself.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use event::{AcceptanceItem, Deliverable, Digest, ToolFact};
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::deliver::acceptance;
use crate::deliver::stage::{Staged, Staging, Wanted, copy_hashed};
use crate::outcome::Outcome;
use sandbox::{Folder, Over};

/// Numbers tried for a name that is taken.
const NUMBER_MAX: u32 = 10_000;

/// What is to be handed over, settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    files: Vec<Planned>,
    acceptance: Vec<AcceptanceItem>,
    summary: Option<String>,
    /// The output folder; none where the files stay where they are.
    out: Option<PathBuf>,
}

/// One file of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Planned {
    deliverable: Deliverable,
    /// The copy's name.
    staged: String,
    /// What stands under the final name and may be replaced: an earlier delivery of this task.
    replaces: Option<Digest>,
}

impl Plan {
    /// Settles the final names.
    pub(super) fn make(
        staged: Vec<Staged>,
        findings: Vec<String>,
        acceptance: Vec<AcceptanceItem>,
        summary: Option<String>,
        call: &Call<'_>,
    ) -> Result<Self, Outcome> {
        let place = &call.world.place;
        let folder = match &place.out {
            Some(out) => Some(open_out(out, place.workspace()).map_err(|error| cannot(&error))?),
            None => None,
        };
        let mut files: Vec<Planned> = Vec::new();
        for (file, finding) in staged.into_iter().zip(findings) {
            let (name, path, replaces) = match (&place.out, &folder) {
                (Some(out), Some(folder)) => {
                    let taken =
                        |name: &str| files.iter().any(|other| other.deliverable.name.eq_ignore_ascii_case(name));
                    let (name, replaces) =
                        free_name(&file, folder, out, call, &taken).map_err(|error| cannot(&error))?;
                    (name.clone(), out.join(name), replaces)
                }
                _ => (file.source.clone(), place.workspace().join(&file.source), None),
            };
            let deliverable = Deliverable {
                name,
                path: path.to_string_lossy().into_owned(),
                bytes: file.bytes,
                digest: file.digest,
                finding,
                description: file.description,
            };
            files.push(Planned { deliverable, staged: file.name, replaces });
        }
        Ok(Self { files, acceptance, summary, out: place.out.clone() })
    }

    /// The plan of a delivery that got so far.
    pub(super) fn read(staging: &Staging) -> Result<Option<Self>, Outcome> {
        match fs::read(staging.plan()) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| cannot(&error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(cannot(&error)),
        }
    }

    /// Writes the plan down: from here on the delivery is finished, not begun anew.
    pub(super) fn write(&self, staging: &Staging) -> Result<(), Outcome> {
        let path = staging.plan();
        let unfinished = path.with_extension("tmp");
        let write = || -> io::Result<()> {
            let mut file = File::create(&unfinished)?;
            file.write_all(&event::canonical(self))?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(|error| cannot(&error))
    }
}

/// Carries the plan out, or what is left of it.
pub(super) fn publish(plan: &Plan, staging: &Staging, call: &Call<'_>) -> Result<Outcome, Outcome> {
    if let Some(out) = &plan.out {
        let folder = open_out(out, call.world.place.workspace()).map_err(|error| cannot(&error))?;
        for (at, file) in plan.files.iter().enumerate() {
            put(file, &folder, staging, call).map_err(|error| {
                if call.world.cancelled() {
                    let all = plan.files.len();
                    return Outcome::interrupted(format!("Interrupted: {at} of {all} files are in the output folder."));
                }
                Outcome::failed(format!("{} could not be put into the output folder: {error}.", file.deliverable.name))
            })?;
        }
    }
    staging.tidy();
    Ok(account(plan))
}

/// What the model and the journal are told.
fn account(plan: &Plan) -> Outcome {
    let line = |file: &Planned| {
        let Deliverable { name, bytes, finding, .. } = &file.deliverable;
        format!("- {name}: {finding} ({bytes} bytes)")
    };
    let lines: Vec<String> = plan.files.iter().map(line).collect();
    let mut text = format!("Delivered:\n{}", lines.join("\n"));
    if !plan.acceptance.is_empty() {
        text.push_str(&format!("\n{}", acceptance::summary(&plan.acceptance)));
    }
    let files = plan.files.iter().map(|file| file.deliverable.clone()).collect();
    let mut outcome = Outcome::shown(text).with(ToolFact::Delivered { files });
    if !plan.acceptance.is_empty() {
        outcome = outcome.with(ToolFact::Acceptance { items: plan.acceptance.clone() });
    }
    match &plan.summary {
        Some(text) => outcome.with(ToolFact::Notice { text: text.clone() }),
        None => outcome,
    }
}

/// Opens the output folder, made if need be. Below the workspace, programs in the computer could have put links on the
/// way to it; elsewhere any links are the person's.
fn open_out(out: &Path, workspace: &Path) -> io::Result<Folder> {
    if let Ok(below) = out.strip_prefix(workspace) {
        return Folder::open(workspace)?.folder(below);
    }
    fs::create_dir_all(out)?;
    Folder::open(out)
}

/// The name under which a file can stand: its own if that is free, holds the same, or holds what this task delivered
/// there; else with a number.
fn free_name(
    file: &Staged,
    folder: &Folder,
    out: &Path,
    call: &Call<'_>,
    taken: &dyn Fn(&str) -> bool,
) -> io::Result<(String, Option<Digest>)> {
    for number in 1..NUMBER_MAX {
        let name = numbered(&file.name, number);
        if taken(&name) {
            continue;
        }
        let path = out.join(&name).to_string_lossy().into_owned();
        let ours = call.world.delivered.iter().rev().find(|known| known.path == path).map(|known| known.digest);
        match standing(folder, &name)? {
            Standing::Nothing => return Ok((name, None)),
            Standing::File(digest) if digest == file.digest => return Ok((name, None)),
            Standing::File(digest) if Some(digest) == ours => return Ok((name, ours)),
            Standing::File(_) | Standing::Other => {}
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("no free name for {}", file.name)))
}

/// `report.pdf`, `report (2).pdf`, `report (3).pdf`.
fn numbered(name: &str, number: u32) -> String {
    if number == 1 {
        return name.to_owned();
    }
    let (folder, leaf) = name.rsplit_once('/').map_or(("", name), |(folder, leaf)| (folder, leaf));
    let slash = if folder.is_empty() { "" } else { "/" };
    match leaf.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
        Some((stem, extension)) => format!("{folder}{slash}{stem} ({number}).{extension}"),
        None => format!("{folder}{slash}{leaf} ({number})"),
    }
}

/// What stands under a name.
enum Standing {
    Nothing,
    File(Digest),
    /// A folder, a link, something that is no file.
    Other,
}

fn standing(folder: &Folder, name: &str) -> io::Result<Standing> {
    match folder.file(Path::new(name)) {
        Ok(mut file) => Ok(Standing::File(copy_hashed(&mut file, &mut io::sink())?.1)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Ok(Standing::Nothing),
            io::ErrorKind::InvalidInput | io::ErrorKind::NotADirectory => Ok(Standing::Other),
            _ => Err(error),
        },
    }
}

/// Puts one copy under its final name, unless it stands there already.
fn put(file: &Planned, out: &Folder, staging: &Staging, call: &Call<'_>) -> io::Result<()> {
    let Deliverable { name, digest, .. } = &file.deliverable;
    let over = match standing(out, name)? {
        Standing::File(found) if found == *digest => return Ok(()),
        Standing::File(found) if Some(found) == file.replaces => Over::Known,
        Standing::Nothing => Over::Nothing,
        Standing::File(_) | Standing::Other => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "somebody put another file there meanwhile"));
        }
    };
    let (parent, leaf) = name.rsplit_once('/').unwrap_or(("", name));
    let folder = out.folder(Path::new(parent))?;
    let unfinished = format!(".thenar-{}-{}.part", call.name(), &digest.to_string()[..16]);
    let from = Folder::open(&staging.files())?.file(Path::new(&file.staged))?;
    let mut to = folder.create(&unfinished)?;
    let copied = copy_hashed(&mut Wanted { from, call }, &mut to).and_then(|(_, copied)| {
        if copied != *digest {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the copy changed after it was checked"));
        }
        to.sync_all()?;
        // Gigabytes take their time to reach the disk.
        if call.world.cancelled() { Err(io::Error::other("the task is being stopped")) } else { Ok(()) }
    });
    if let Err(error) = copied {
        folder.remove(&unfinished);
        return Err(error);
    }
    folder.rename(&unfinished, leaf, over)
}

fn cannot(error: &io::Error) -> Outcome {
    Outcome::failed(format!("The delivery could not be put into the output folder: {error}."))
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn a_number_goes_before_the_extension() {
        assert_eq!(numbered("a/b/report.pdf", 2), "a/b/report (2).pdf");
        assert_eq!(numbered("report.tar.gz", 3), "report.tar (3).gz");
        assert_eq!(numbered("a.b/Makefile", 2), "a.b/Makefile (2)");
        assert_eq!(numbered(".profile", 2), ".profile (2)");
        assert_eq!(numbered("x.txt", 1), "x.txt");
    }
}
