//! A checkpoint of a workspace of 2,000 files and 221 MB after a small change, going back to the one before, and a fork of it all;
//! beside git, which keeps the same tree in the same run.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use sandbox::checkpoint::{Bounds, Id, Place, Restore, Store, Take, Taken};
use tempfile::TempDir;

use super::statistics::{median, percentile};
use super::{Figure, Target, figure};
use crate::rig::Programs;

const SMALL_FILES: u64 = 2_000;
const LARGE_FILES: u64 = 20;
const LARGE_BYTES: usize = 10 << 20;
const ROUNDS: u64 = 15;
const FORKS: u64 = 5;

/// Bytes that are written anew in the middle of a large file with each change, and how many small ones grow.
const REWRITTEN_BYTES: usize = 100 << 10;
const GROWING_FILES: u64 = 8;

pub(super) fn beside_git(_programs: &Programs) -> Result<Vec<Figure>> {
    let folder = TempDir::with_prefix("thenar-bench-").context("make a folder for a workspace")?;
    let tree = folder.path().join("workspace");
    plant(&tree).context("make a workspace")?;
    let mut ours = Ours { store: Store::at(folder.path().join("checkpoints")), tree: tree.clone(), last: None };
    let first = timed(|| ours.take())?;
    let [mut taken, mut restored] = <[Vec<f64>; 2]>::default();
    for round in 1..=ROUNDS {
        let before = ours.last.context("there is no checkpoint")?;
        change(&tree, round).context("change the workspace")?;
        taken.push(timed(|| ours.take())?);
        restored.push(timed(|| ours.restore(before))?);
    }
    let forks = (0..FORKS).map(|number| timed(|| ours.fork(&folder.path().join(format!("fork-{number}")))));
    let forked = forks.collect::<Result<Vec<_>>>()?;
    let note = |values: &[f64]| format!("p95 {:.0} ms of {}", percentile(values, 95.0), values.len());
    let mut figures = vec![
        figure("checkpoint: the first of 2,020 files, 221 MB", first, "ms", Target::None),
        figure("checkpoint: after a small change, median", median(&taken), "ms", Target::AtMost(40.0))
            .note(note(&taken)),
        figure("checkpoint: back to the one before, median", median(&restored), "ms", Target::AtMost(50.0))
            .note(note(&restored)),
        figure("checkpoint: a fork's own files and store, median", median(&forked), "ms", Target::AtMost(500.0))
            .note(note(&forked)),
    ];
    // After ours, so that the disk is at nobody else's work while either is measured.
    if let Some(git) = Git::init(folder.path().join("git"), tree.clone())? {
        let first = timed(|| git.take())?;
        let [mut taken_git, mut restored_git] = <[Vec<f64>; 2]>::default();
        for round in 1..=ROUNDS {
            change(&tree, round).context("change the workspace")?;
            taken_git.push(timed(|| git.take())?);
            restored_git.push(timed(|| git.back())?);
        }
        figures.extend([
            figure("git: add and commit the same, first", first, "ms", Target::None),
            figure("git: after the same change, median", median(&taken_git), "ms", Target::None).note(note(&taken_git)),
            figure("git: reset and clean to the one before, median", median(&restored_git), "ms", Target::None)
                .note(note(&restored_git)),
        ]);
    }
    Ok(figures)
}

/// Milliseconds that it took.
fn timed(what: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    what()?;
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}

struct Ours {
    store: Store,
    tree: PathBuf,
    last: Option<Id>,
}

impl Ours {
    fn take(&mut self) -> Result<()> {
        let take = Take { tree: &self.tree, last: self.last, bounds: Bounds::default(), stop: &AtomicBool::new(false) };
        match self.store.take(&take, &mut |_| {}).context("take a checkpoint")? {
            Taken::New(checkpoint) => self.last = Some(checkpoint.id),
            other => bail!("a checkpoint came to {other:?}"),
        }
        Ok(())
    }

    fn restore(&mut self, checkpoint: Id) -> Result<()> {
        let (tree, last, stop) = (&self.tree, self.last, &AtomicBool::new(false));
        let restored = self.store.restore(&Restore { checkpoint, tree, last, place: Place::Same, stop })?;
        ensure!(restored.differing == 0 && !restored.changes.is_none(), "going back came to {restored:?}");
        self.last = Some(checkpoint);
        Ok(())
    }

    /// What a fork of the task gets: the chunks of this checkpoint, and a tree of its own made of them.
    fn fork(&self, folder: &Path) -> Result<()> {
        let checkpoint = self.last.context("there is no checkpoint")?;
        let (store, tree) = (Store::at(folder.join("checkpoints")), folder.join("workspace"));
        fs::create_dir_all(&tree)?;
        self.store.give(&checkpoint, &store)?;
        let stop = &AtomicBool::new(false);
        let restored = store.restore(&Restore { checkpoint, tree: &tree, last: None, place: Place::Other, stop })?;
        ensure!(restored.differing == 0, "a fork came to {restored:?}");
        Ok(())
    }
}

/// A repository beside the tree, so that the tree has nothing of it.
struct Git {
    folder: PathBuf,
    tree: PathBuf,
}

impl Git {
    /// Nothing where there is no git.
    fn init(folder: PathBuf, tree: PathBuf) -> Result<Option<Self>> {
        let git = Self { folder, tree };
        match git.run(&["init", "--quiet"]) {
            Ok(()) => Ok(Some(git)),
            Err(error) if error.downcast_ref::<std::io::Error>().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn take(&self) -> Result<()> {
        self.run(&["add", "--all"])?;
        self.run(&["commit", "--quiet", "--allow-empty", "--message", "a turn"])
    }

    fn back(&self) -> Result<()> {
        self.run(&["reset", "--quiet", "--hard", "HEAD~1"])?;
        self.run(&["clean", "--quiet", "--force", "-d"])
    }

    #[expect(clippy::disallowed_methods, reason = "the program that is measured beside ours")]
    fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(&self.folder).arg("--work-tree").arg(&self.tree);
        command.args(["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]).args(arguments);
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", &self.folder).stdin(Stdio::null());
        let status = command.status()?;
        ensure!(status.success(), "git {} ended with {status}", arguments.join(" "));
        Ok(())
    }
}

/// Half of the large files cannot be compressed; the small ones are text.
fn plant(tree: &Path) -> Result<()> {
    let mut noise = Noise(1);
    for number in 0..SMALL_FILES {
        let folder = tree.join(format!("notes-{}", number % 50));
        fs::create_dir_all(&folder)?;
        let lines: String = (0..10).map(|line| format!("line {line} of note {number}: {}\n", noise.number())).collect();
        fs::write(folder.join(format!("{number}.txt")), lines)?;
    }
    for number in 0..LARGE_FILES {
        let mut file = File::create(tree.join(format!("large-{number}.bin")))?;
        let bytes = if number % 2 == 0 { noise.bytes(LARGE_BYTES) } else { text(LARGE_BYTES, &mut noise) };
        file.write_all(&bytes)?;
    }
    Ok(())
}

/// A small change, another one in each round.
fn change(tree: &Path, round: u64) -> Result<()> {
    let mut noise = Noise(round + 1_000);
    for at in 0..GROWING_FILES {
        let number = (round * 31 + at * 211) % SMALL_FILES;
        let path = tree.join(format!("notes-{}", number % 50)).join(format!("{number}.txt"));
        fs::OpenOptions::new().append(true).open(path)?.write_all(b"and one line more\n")?;
    }
    fs::write(tree.join(format!("new-{round}.txt")), format!("round {round}\n"))?;
    let large = fs::OpenOptions::new().write(true).open(tree.join(format!("large-{}.bin", round % LARGE_FILES)))?;
    Ok(large.write_all_at(&noise.bytes(REWRITTEN_BYTES), LARGE_BYTES as u64 / 2)?)
}

fn text(bytes: usize, noise: &mut Noise) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 64);
    while text.len() < bytes {
        text.extend_from_slice(
            format!("{{\"key\": {}, \"value\": \"the same words again\"}}\n", noise.number() % 1_000).as_bytes(),
        );
    }
    text.truncate(bytes);
    text
}

/// The same numbers in every run.
struct Noise(u64);

impl Noise {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ mixed >> 27
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..count.div_ceil(8)).flat_map(|_| self.number().to_le_bytes()).collect();
        bytes.truncate(count);
        bytes
    }
}
