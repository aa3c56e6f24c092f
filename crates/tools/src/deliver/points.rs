//! The acceptance points that name a check: made of the copies, in a fresh computer. How a point stands is what was found,
//! whatever the model said of it; this never decides what follows from that.

use std::io;
use std::path::Path;

use event::{AcceptanceCheck, AcceptanceItem, AcceptanceStatus};
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::deliver::check::{self, FOLDER};
use crate::deliver::stage::{self, Staged, Staging};
use crate::limits::CHECK_DATA_BYTES_MAX;
use crate::outcome::Outcome;
use sandbox::Folder;

/// What checks points: standard Python, the toolset, and the checker of files beside it.
const POINTS: &str = include_str!("../points.py");

/// Its name in its own computer.
const NAME: &str = "points";

/// What is asked of the program.
#[derive(Debug, Serialize)]
struct Asked<'a> {
    delivered: Vec<&'a str>,
    points: Vec<Point<'a>>,
}

/// One point with its files by the names of their copies.
#[derive(Debug, Serialize)]
struct Point<'a> {
    #[serde(flatten)]
    check: &'a AcceptanceCheck,
    files: Vec<&'a str>,
    data: Vec<Data<'a>>,
}

/// A file in which numbers are looked up.
#[derive(Debug, Serialize)]
struct Data<'a> {
    name: String,
    source: &'a str,
}

/// One line of the answer.
#[derive(Debug, Deserialize)]
struct Line {
    at: usize,
    outcome: Found,
    note: String,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Found {
    Passed,
    Failed,
    Unchecked,
}

/// Makes the checks that the list names and writes down what they found.
pub(super) fn check(
    items: &mut [AcceptanceItem],
    staged: &[Staged],
    staging: &Staging,
    call: &Call<'_>,
) -> Result<(), Outcome> {
    let checks: Vec<(usize, AcceptanceCheck)> =
        items.iter().enumerate().filter_map(|(at, item)| Some((at, item.check.clone()?))).collect();
    let mut asked = Asked { delivered: staged.iter().map(|file| file.name.as_str()).collect(), points: Vec::new() };
    let mut asked_of = Vec::new();
    let mut copies = DataCopies::new(staged, staging, call)?;
    for (at, check) in &checks {
        let Some(files) = files_of(check, staged) else {
            not_delivered(&mut items[*at], check);
            continue;
        };
        match check.data.iter().map(|source| copies.copy(source)).collect() {
            Ok(data) => {
                asked.points.push(Point { check, files, data });
                asked_of.push(*at);
            }
            Err(problem) => settle(&mut items[*at], Found::Failed, problem),
        }
    }
    if asked.points.is_empty() {
        return Ok(());
    }
    let failed = |error: io::Error| Outcome::failed(format!("Not delivered: the checks could not be made: {error}."));
    let ours = [("points.py", POINTS.as_bytes()), ("asked.json", &event::canonical(&asked))];
    check::put(&staging.files().join(FOLDER), &ours).map_err(failed)?;
    let argv = ["python3", "-B", ".checks/points.py", ".checks/asked.json"].map(str::to_owned).to_vec();
    let (report, ending) = check::run(NAME, argv, staging, call)?;
    let lines: Vec<Line> = report.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for (number, at) in asked_of.into_iter().enumerate() {
        match lines.iter().find(|line| line.at == number) {
            Some(line) => settle(&mut items[at], line.outcome, check::brief(&line.note)),
            None => settle(&mut items[at], Found::Unchecked, format!("the check gave no result ({ending})")),
        }
    }
    Ok(())
}

/// The copies that a check is made of; none if its file is not among them.
fn files_of<'a>(check: &AcceptanceCheck, staged: &'a [Staged]) -> Option<Vec<&'a str>> {
    let Some(wanted) = &check.file else { return Some(staged.iter().map(|file| file.name.as_str()).collect()) };
    let known = staged.iter().find(|file| file.source == *wanted);
    let known = known.or_else(|| staged.iter().find(|file| file.name == *wanted));
    // `report.pdf` for `out/report.pdf`: where only one is meant.
    let mut ending = staged.iter().filter(|file| Path::new(&file.source).ends_with(wanted));
    let known = known.or_else(|| ending.next().filter(|_| ending.next().is_none()));
    known.map(|file| vec![file.name.as_str()])
}

/// A point whose file is not part of this delivery: one that stood already stands.
fn not_delivered(item: &mut AcceptanceItem, check: &AcceptanceCheck) {
    match item.status {
        AcceptanceStatus::Passed | AcceptanceStatus::Waived => {}
        AcceptanceStatus::Failed | AcceptanceStatus::Unchecked => {
            let file = check.file.as_deref().unwrap_or_default();
            settle(item, Found::Failed, format!("{file} is not among the files of this delivery"));
        }
    }
}

/// Writes down what was found. A failure that the model itself told, or that the person accepted, stays.
fn settle(item: &mut AcceptanceItem, found: Found, note: String) {
    let status = match (item.status, found) {
        (AcceptanceStatus::Failed, Found::Passed | Found::Unchecked) => return,
        (AcceptanceStatus::Waived, Found::Failed | Found::Unchecked) => AcceptanceStatus::Waived,
        (_, Found::Failed) => AcceptanceStatus::Failed,
        (_, Found::Passed) => AcceptanceStatus::Passed,
        (_, Found::Unchecked) => AcceptanceStatus::Unchecked,
    };
    (item.status, item.note) = (status, note);
}

/// Copies of the data: what is delivered is there already.
struct DataCopies<'a> {
    workspace: Folder,
    copies: Folder,
    known: Vec<(String, String)>,
    bytes_left: u64,
    staged: &'a [Staged],
    call: &'a Call<'a>,
}

impl<'a> DataCopies<'a> {
    fn new(staged: &'a [Staged], staging: &Staging, call: &'a Call<'a>) -> Result<Self, Outcome> {
        let open = |path: &Path| {
            Folder::open(path)
                .map_err(|error| Outcome::failed(format!("Not delivered: the checks could not be made: {error}.")))
        };
        let workspace = open(call.world.place.workspace())?;
        let copies = open(&staging.files())?;
        Ok(Self { workspace, copies, known: Vec::new(), bytes_left: CHECK_DATA_BYTES_MAX, staged, call })
    }

    /// The copy of a file of data, or in words why there is none.
    fn copy<'b>(&mut self, source: &'b str) -> Result<Data<'b>, String> {
        if let Some(file) = self.staged.iter().find(|file| file.source == source) {
            return Ok(Data { name: file.name.clone(), source });
        }
        if let Some((_, name)) = self.known.iter().find(|(known, _)| known == source) {
            return Ok(Data { name: name.clone(), source });
        }
        let leaf = stage::safe_name(&[source.rsplit('/').next().unwrap_or(source)]);
        let name = format!("{FOLDER}/{}/{leaf}", self.known.len());
        let file = stage::take(&self.workspace, &self.copies, source, &name, self.bytes_left, self.call)
            .map_err(|problem| format!("the data {source}: {problem}"))?;
        self.bytes_left -= file.bytes;
        self.known.push((source.to_owned(), name.clone()));
        Ok(Data { name, source })
    }
}
