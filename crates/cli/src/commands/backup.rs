//! `thenar backup`: the data folder copied to a new one, task by task, while tasks may be at work. How a task is held still is
//! the agent's business. Nothing is packed or encrypted: a copy is a data folder, and restoring is naming it.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use journal::Verdict;
use sandbox::Copied;

use crate::exit::{Code, Outcome, Problem};
use crate::screen::{Look, Screen, data};
use crate::{clean, commands, config, house, words};

/// What is made anew, or copied task by task; and the secrets, which are kept in one place.
const NOT_COPIED: [&str; 5] = ["tasks", "server", "doctor", agent::Secrets::FILE, agent::Secrets::LOCK];

/// `thenar backup`.
pub(crate) fn run(folder: &Path, screen: Screen) -> Outcome {
    let instance = house::open(&config::read()?)?;
    let home = house::data_folder()?;
    let place = Place::new(folder, &home)?;
    let mut sum = copy_rest(&home, &place.part)?;
    let warn = |text: String| {
        screen.say(&format!("{} {}", screen.paint(Look::Warn, "warning:"), clean::text(&text)));
    };
    let ids = instance.ids()?;
    let (mut whole, mut wrong) = (0_usize, Vec::new());
    for id in &ids {
        let to = place.part.join("tasks").join(id.as_str());
        match instance.copy_task(id, &to) {
            Ok(copy) => {
                let left_out = &copy.copied.left_out_names;
                if let Some(first) = left_out.first() {
                    let more = copy.copied.left_out;
                    warn(format!(
                        "task {id}: {more} not copied, neither file, folder nor link or not readable: {} …",
                        first.display()
                    ));
                }
                sum.add(copy.copied);
            }
            // It was removed since it was listed.
            Err(agent::Error::NoSuchTask(_)) => continue,
            Err(error) => {
                let _ = std::fs::remove_dir_all(&to);
                wrong.push(format!("task {id} is not in it: {error}"));
                continue;
            }
        }
        match journal::verify_folder(&to).map_err(agent::Error::from)? {
            Verdict::Whole(report) => {
                data(&commands::journal::sound(&report));
                whole += 1;
            }
            Verdict::Broken { place, what } => {
                wrong.push(format!("task {id} is in it as it is, but does not verify: {place}: {what}"))
            }
        }
    }
    place.settle()?;
    let tasks = if whole == 1 { "1 task".to_owned() } else { format!("{whole} tasks") };
    screen.say(&format!("{tasks} with {} files, {}, in {}", sum.files, words::size(sum.bytes), folder.display()));
    if wrong.is_empty() {
        return Ok(Code::Done);
    }
    Err(Problem::new(Code::Failed, format!("not everything is as it should be:\n  {}", wrong.join("\n  "))))
}

/// What belongs to no task: the configuration, the access token, and what else there is.
fn copy_rest(home: &Path, to: &Path) -> Result<Copied, Problem> {
    let mut sum = Copied::default();
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| Problem::new(Code::Failed, format!("copy {}: {error}", path.display()))
    };
    for entry in std::fs::read_dir(home).map_err(failed(home))? {
        let entry = entry.map_err(failed(home))?;
        let (name, path) = (entry.file_name(), entry.path());
        let kind = entry.file_type().map_err(failed(&path))?;
        if NOT_COPIED.iter().any(|left| name == *left) {
            continue;
        }
        if kind.is_dir() {
            sum.add(sandbox::copy_tree(&path, &to.join(&name)).map_err(failed(&path))?);
        } else if kind.is_file() {
            sum.add(sandbox::copy_file(&path, &to.join(&name)).map_err(failed(&path))?);
        }
    }
    std::fs::create_dir_all(to.join("tasks")).map_err(failed(to))?;
    Ok(sum)
}

/// Where the copy is made, and where it appears when it is whole. Dropped before, it is removed.
struct Place {
    part: PathBuf,
    whole: PathBuf,
}

impl Place {
    fn new(folder: &Path, home: &Path) -> Result<Self, Problem> {
        let refuse = |why: &str| Problem::new(Code::Usage, format!("{}: {why}", folder.display()));
        let failed = |error: std::io::Error| Problem::new(Code::Failed, format!("make {}: {error}", folder.display()));
        let whole = std::path::absolute(folder).map_err(failed)?;
        if whole.symlink_metadata().is_ok() {
            return Err(refuse("there is something already")
                .hint("name a folder that is not there yet; nothing is copied over"));
        }
        let (Some(above), Some(name)) = (whole.parent(), whole.file_name()) else {
            return Err(refuse("this is no name for a folder"));
        };
        std::fs::create_dir_all(above).map_err(failed)?;
        let real = above.canonicalize().map_err(failed)?;
        if home.canonicalize().is_ok_and(|home| real.starts_with(home)) {
            return Err(
                refuse("it lies in the data folder itself").hint("name a folder elsewhere, best on another disk")
            );
        }
        let part = above.join(format!(".{}.part-{}", name.display(), std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&part).map_err(failed)?;
        Ok(Self { part, whole })
    }

    /// On the disk, then under its name.
    fn settle(mut self) -> Result<(), Problem> {
        let settled = std::fs::File::open(&self.part)
            .and_then(|folder| Ok(rustix::fs::syncfs(&folder)?))
            .and_then(|()| std::fs::rename(&self.part, &self.whole));
        settled.map_err(|error| {
            Problem::new(Code::Failed, format!("put the copy at {}: {error}", self.whole.display()))
        })?;
        self.part.clear();
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.part.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.part);
        }
    }
}
