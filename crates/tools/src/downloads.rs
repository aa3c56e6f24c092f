//! Files between pages and the workspace, as the model is told of them. The door itself, which no link leads through, is the
//! computer's.

use std::path::Path;
use std::time::Duration;

use browser::{Download, Progress};
use sandbox::{DOOR_BYTES_MAX, Folder};

use crate::browsing::{Taken, not_so};
use crate::call::{Call, path};
use crate::limits::{DOWNLOAD_WAIT_MS, UPLOAD_FILES_MAX};
use crate::outcome::Outcome;
use crate::shown;
use crate::world::Place;

/// What Chromium puts behind the name of a file that is not whole yet.
const UNFINISHED: &str = ".crdownload";

/// How old a file is of which the browser cannot be about to tell.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(10);

/// Downloads that are told one by one: a page can make a great many.
const TOLD_MAX: usize = 5;

/// Brings what was downloaded into the workspace, and says where the first files are and how many more there are. One that
/// is under way is waited for a little.
pub(crate) fn bring_in(taken: &Taken, place: &Place) -> Vec<String> {
    let mut lines = Vec::new();
    if taken.downloads_under_way().is_some() {
        // A browser that is gone has none any more, and the next call says so.
        let _ = taken.wait_for_downloads(Duration::from_millis(DOWNLOAD_WAIT_MS));
    }
    for download in taken.take_downloads() {
        lines.push(settle(taken, place, &download));
    }
    let running = taken.downloads_under_way();
    if running.is_none() {
        lines.extend(left_behind(taken, place));
    }
    let mut lines = first_few(lines);
    lines.extend(
        running.map(|running| format!("Downloads under way: {running}. A later look tells when they are there.")),
    );
    lines
}

fn first_few(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(TOLD_MAX);
    if more > 0 {
        lines.truncate(TOLD_MAX);
        lines.push(format!("{more} more downloads ended: what came whole is in /workspace/downloads too."));
    }
    lines
}

fn settle(taken: &Taken, place: &Place, download: &Download) -> String {
    let name = quoted(&download.suggested);
    match download.progress {
        Progress::Done => {}
        Progress::Running | Progress::Broken => return format!("The download of {name} broke off."),
        Progress::TooLarge => {
            return format!("The download of {name} was stopped: it has more than {DOOR_BYTES_MAX} bytes.");
        }
    }
    let folders = taken.computer.browser_folders();
    match sandbox::bring_in(place.workspace(), &folders, &download.file, &download.suggested) {
        Ok(file) => format!("Downloaded {name} ({} bytes) to {}.", file.bytes, inside(&file.path)),
        Err(error) => format!("The page gave {name}, but it could not be put into the workspace: {error}."),
    }
}

/// Whole files that nobody tells of any more: they came while no engine listened.
fn left_behind(taken: &Taken, place: &Place) -> Vec<String> {
    let folders = taken.computer.browser_folders();
    let Ok(folder) = Folder::open(&folders.downloads) else { return Vec::new() };
    let files = folder.entries().map(|(_, files)| files).unwrap_or_default();
    // Of one that has just come the browser's word may still be on its way.
    let old = |file: &String| {
        let changed = folder.file(Path::new(file)).and_then(|file| file.metadata()?.modified());
        changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > LEFT_BEHIND_AFTER))
    };
    let whole = files.into_iter().filter(|file| !file.ends_with(UNFINISHED) && old(file));
    let one = |file: String| {
        let name = folders.name_of(&file);
        let brought = sandbox::bring_in(place.workspace(), &folders, &file, name.as_deref().unwrap_or("download"));
        let named = name.map(|name| format!(" of {}", quoted(&name))).unwrap_or_default();
        brought
            .ok()
            .map(|file| format!("An earlier download{named} ({} bytes) is at {}.", file.bytes, inside(&file.path)))
    };
    whole.filter_map(one).collect()
}

/// Puts copies of the files that the text names, one a line, where the browser can give them to a page.
pub(crate) fn hand_out(call: &Call<'_>, taken: &Taken, text: &str) -> Result<Vec<String>, Outcome> {
    let wanted: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if wanted.is_empty() || wanted.len() > UPLOAD_FILES_MAX {
        return Err(not_so(&format!(
            "it takes files: `text` is 1 to {UPLOAD_FILES_MAX} paths in /workspace, one a line"
        )));
    }
    let folders = taken.computer.browser_folders();
    let mut inside = Vec::new();
    for (nth, wanted) in wanted.into_iter().enumerate() {
        let whole = path(wanted)?;
        let below = whole.strip_prefix("/workspace/").filter(|below| !below.is_empty());
        let below = below.ok_or_else(|| {
            not_so(&format!("{} is not in /workspace: only files there can be given", shown::plain(wanted)))
        })?;
        let slot = format!("{}-{nth}", call.name());
        let copy = sandbox::hand_out(call.world.place.workspace(), &folders, Path::new(below), &slot);
        inside.push(copy.map_err(|error| not_so(&format!("{} cannot be given: {error}", shown::plain(wanted))))?);
    }
    Ok(inside)
}

/// Where a file is whose name is a page's word, in quotation marks too.
fn inside(path: &str) -> String {
    format!("{:?}", format!("/workspace/{path}"))
}

/// A page's word on one line, in quotation marks.
fn quoted(text: &str) -> String {
    format!("{:?}", shown::plain(text).chars().take(120).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_great_many_downloads_a_few_are_told_and_the_rest_are_counted() {
        let lines = |count: usize| (0..count).map(|nth| format!("Downloaded {nth}.")).collect::<Vec<_>>();
        assert_eq!(first_few(lines(5)), lines(5));
        let told = first_few(lines(100));
        assert_eq!(told[..5], lines(5));
        assert_eq!(told[5..], ["95 more downloads ended: what came whole is in /workspace/downloads too."]);
    }
}
