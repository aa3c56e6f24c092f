//! The engine's own hand-over: what there is of a task that a limit cut short. No model can call it. It checks nothing
//! and says so.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use event::{ToolCall, ToolResult};
use policy::{Permit, ToolFacts};
use serde_json::Value;

use crate::call::{Call, lasting_facts};
use crate::deliver::folder::Folder;
use crate::deliver::{File, publish, stage};
use crate::limits::{DELIVER_BYTES_MAX, DELIVER_FILES_MAX};
use crate::outcome::Outcome;
use crate::world::{Place, World};

/// The name under which policy and the record know it.
pub const HAND_OVER: &str = "hand_over";

/// The folder below the output folder.
const FOLDER: &str = "unfinished";

/// How deep the workspace is looked through.
const DEPTH_MAX: usize = 8;

/// Entries of the workspace that are looked at.
const ENTRIES_MAX: usize = 20_000;

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
    let staging = stage::Staging::of(call);
    if let Some(plan) = publish::Plan::read(&staging)? {
        return publish::publish(&plan, &staging, call);
    }
    let files = work_so_far(call)?;
    if files.is_empty() {
        return Ok(Outcome::done("There was no unfinished work to hand over."));
    }
    let staged = stage::stage(&files, &staging, call)?;
    let findings = vec![FINDING.to_owned(); staged.len()];
    let plan = publish::Plan::make(staged, findings, call.world.acceptance.clone(), None, call)?;
    plan.write(&staging)?;
    publish::publish(&plan, &staging, call)
}

/// The files of the workspace that the agent made: nothing hidden, empty, given by the person, or delivered already.
fn work_so_far(call: &Call<'_>) -> Result<Vec<File>, Outcome> {
    let engine =
        |error: std::io::Error| Outcome::failed(format!("The workspace could not be looked through: {error}."));
    let given = call.call.arguments.get("leave").and_then(Value::as_array);
    let leave: Vec<&str> = given.into_iter().flatten().filter_map(Value::as_str).collect();
    let root = Folder::open(call.world.place.workspace()).map_err(engine)?;
    let (mut files, mut seen, mut left) = (Vec::new(), 0, DELIVER_BYTES_MAX);
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let mut entries = root.list(folder.as_ref()).map_err(engine)?;
        entries.sort_unstable();
        for name in entries {
            seen += 1;
            let Some(name) = kept(&name) else { continue };
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            if seen > ENTRIES_MAX || files.len() >= DELIVER_FILES_MAX {
                return Ok(files);
            }
            if leave.contains(&path.as_str()) {
                continue;
            }
            match root.file(path.as_ref()) {
                Ok(mut file) => {
                    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
                    if bytes == 0 || bytes > left || delivered(&mut file, call) {
                        continue;
                    }
                    left -= bytes;
                    files.push(File { path, description: Some("work in progress".to_owned()) });
                }
                Err(_) if path.split('/').count() < DEPTH_MAX && root.is_folder(path.as_ref()) => folders.push(path),
                // A link, a socket, a file that cannot be read: not something to hand over.
                Err(_) => {}
            }
        }
    }
    Ok(files)
}

/// A name worth handing over.
fn kept(name: &OsStr) -> Option<&str> {
    let hidden = name.as_bytes().starts_with(b".");
    let made_by_machine = ["__pycache__", "node_modules"].iter().any(|known| name == *known);
    name.to_str().filter(|_| !hidden && !made_by_machine)
}

fn delivered(file: &mut std::fs::File, call: &Call<'_>) -> bool {
    let digest = stage::copy_hashed(file, &mut std::io::sink());
    digest.is_ok_and(|(_, digest)| call.world.delivered.iter().any(|known| known.digest == digest))
}
