//! The engine's own hand-over: what there is of a task that a limit cut short. No model can call it. It checks nothing
//! and says so.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use event::{ToolCall, ToolResult};
use policy::{Permit, ToolFacts};
use serde_json::Value;

use crate::call::{Call, lasting_facts};
use crate::deliver::publish;
use crate::deliver::stage::{self, Staged, Staging};
use crate::limits::{DELIVER_FILES_MAX, HAND_OVER_BYTES_MAX, HAND_OVER_DEPTH_MAX, HAND_OVER_ENTRIES_MAX};
use crate::outcome::Outcome;
use crate::world::{Place, World};
use sandbox::Folder;

/// The name under which policy and the record know it.
pub const HAND_OVER: &str = "hand_over";

/// The folder below the output folder.
const FOLDER: &str = "unfinished";

/// What every file of it is marked with.
const FINDING: &str = "unfinished, not checked";

/// What policy is told of it.
pub fn hand_over_facts() -> ToolFacts {
    lasting_facts()
}

/// Copies the work so far to `unfinished` in the output folder. The argument `leave` names what the person gave
/// themselves. Twice under one effect does nothing twice.
pub fn hand_over(permit: Permit<ToolCall>, world: &World) -> ToolResult {
    let call = permit.redeem();
    let place = &world.place;
    let aside = Place::new(
        place.task_dir.clone(),
        place.spec.clone(),
        place.out.as_ref().map(|out| out.join(FOLDER)),
        Arc::clone(&place.cancel),
    );
    let world = World { place: Arc::new(aside), ..world.clone() };
    let outcome = copy_out(&Call { call: &call, world: &world }).unwrap_or_else(|outcome| outcome);
    outcome.into_result(&call)
}

fn copy_out(call: &Call<'_>) -> Result<Outcome, Outcome> {
    if call.world.place.out.is_none() {
        return Ok(Outcome::done("The work so far stands in the person's folder."));
    }
    let staging = Staging::of(call);
    if let Some(plan) = publish::Plan::read(&staging)? {
        return publish::publish(&plan, &staging, call);
    }
    let failed = |error: io::Error| Outcome::failed(format!("The work so far could not be handed over: {error}."));
    let (staged, left_out) = collect(&staging, call).map_err(failed)?;
    if staged.is_empty() {
        return Ok(Outcome::done("There was no unfinished work to hand over."));
    }
    let findings = vec![FINDING.to_owned(); staged.len()];
    let summary = (left_out > 0).then(|| format!("{left_out} more files stay in the task's workspace."));
    let plan = publish::Plan::make(staged, findings, call.world.acceptance.clone(), summary, call)?;
    plan.write(&staging)?;
    publish::publish(&plan, &staging, call)
}

/// Copies what the agent made: nothing hidden, empty, given by the person, or delivered already. A file that cannot be
/// had keeps no other back. Beside the copies, how many files did not fit.
fn collect(staging: &Staging, call: &Call<'_>) -> io::Result<(Vec<Staged>, usize)> {
    staging.clear()?;
    let workspace = match Folder::open(call.world.place.workspace()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        other => other?,
    };
    let copies = Folder::open(&staging.files())?;
    let given = call.call.arguments.get("leave").and_then(Value::as_array);
    let leave: BTreeSet<&str> = given.into_iter().flatten().filter_map(Value::as_str).collect();
    let (mut staged, mut left_out, mut bytes_left) = (Vec::<Staged>::new(), 0, HAND_OVER_BYTES_MAX);
    for source in files_below(&workspace) {
        if leave.contains(source.as_str()) {
            continue;
        }
        let name = stage::safe_name(&source.split('/').collect::<Vec<_>>());
        let taken = staged.iter().any(|other| other.name.eq_ignore_ascii_case(&name));
        if taken || staged.len() >= DELIVER_FILES_MAX {
            left_out += 1;
            continue;
        }
        let file = stage::take(&workspace, &copies, &source, &name, bytes_left, call);
        if call.world.cancelled() {
            return Err(io::Error::other("the task is being stopped"));
        }
        let Ok(file) = file else { continue };
        if call.world.delivered.iter().any(|known| known.digest == file.digest) {
            continue;
        }
        bytes_left -= file.bytes;
        staged.push(Staged { description: "work in progress".to_owned(), ..file });
    }
    Ok((staged, left_out))
}

/// The paths of the files in a tree, a folder's own before those of the folders in it.
fn files_below(top: &Folder) -> Vec<String> {
    let mut found = Vec::new();
    let mut level = vec![String::new()];
    let mut entries = 0;
    for _ in 0..HAND_OVER_DEPTH_MAX {
        let mut next = Vec::new();
        for folder in &level {
            let open = if folder.is_empty() { top.folder(Path::new("")) } else { top.existing(Path::new(folder)) };
            // A folder that is gone or closed meanwhile holds nothing for us.
            let Ok((folders, files)) = open.and_then(|open| open.entries()) else { continue };
            entries += folders.len() + files.len();
            if entries > HAND_OVER_ENTRIES_MAX {
                return found;
            }
            let path = |name: String| if folder.is_empty() { name } else { format!("{folder}/{name}") };
            found.extend(files.into_iter().filter(|name| is_work(name)).map(path));
            next.extend(folders.into_iter().filter(|name| is_work(name)).map(path));
        }
        level = next;
    }
    found
}

/// A name worth handing over.
fn is_work(name: &str) -> bool {
    !name.starts_with('.') && !["__pycache__", "node_modules", "venv"].contains(&name)
}
