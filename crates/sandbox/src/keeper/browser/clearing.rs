//! Clearing away what a browser that has ended kept. Gigabytes in many files take a while to go, so they are put out of the
//! way by their name and removed by a process of their own: the keeper has others to answer meanwhile. It does not say what
//! goes, but for the one question of whether the profile must.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, WaitOptions};

use crate::browser::Folders;
use crate::checkpoint::remove_tree;
use crate::met::Met;
use crate::sys::{self, Forked};

/// Clearing away steps back behind everything else.
const NICENESS: i32 = 15;
/// Bytes of a block, as the file system counts them.
const BLOCK: u64 = 512;

/// What is on its way out.
pub(super) struct Clearing {
    folder: PathBuf,
    process: Option<Pid>,
    put: u32,
}

impl Clearing {
    /// In the folder of a computer.
    pub(super) fn of(dir: &Path) -> Self {
        Self { folder: dir.join("browser-gone"), process: None, put: 0 }
    }

    /// Clears these folders away: at their place there is nothing any more when this returns. What cannot be moved is removed
    /// at once; what cannot be removed either is in the way of the next browser, which says so.
    pub(super) fn away(&mut self, folders: &[&Path]) {
        for folder in folders.iter().filter(|folder| folder.exists()) {
            if self.put_aside(folder).is_err() {
                let _ = remove_tree(folder);
            }
        }
        self.go_on();
    }

    /// Removes what was put aside, also by a keeper before this one.
    pub(super) fn go_on(&mut self) {
        self.take_leave();
        if self.process.is_some() || !self.folder.exists() {
            return;
        }
        match sys::fork() {
            Ok(Forked::Parent(process)) => self.process = Some(process),
            Ok(Forked::Child) => {
                let _ = remove(&self.folder);
                sys::exit_now(0)
            }
            // The next one to go takes it along.
            Err(_) => {}
        }
    }

    /// Lets go of a removing process that has ended.
    pub(super) fn take_leave(&mut self) {
        let ended = |process: &Pid| !matches!(rustix::process::waitpid(Some(*process), WaitOptions::NOHANG), Ok(None));
        self.process.take_if(|process| ended(process));
    }

    fn put_aside(&mut self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        loop {
            let to = self.folder.join(self.put.to_string());
            self.put += 1;
            if !to.exists() {
                return std::fs::rename(folder, to);
            }
        }
    }
}

impl Drop for Clearing {
    fn drop(&mut self) {
        if let Some(process) = self.process {
            let _ = rustix::process::kill_process(process, Signal::KILL);
            let _ = rustix::process::waitpid(Some(process), WaitOptions::empty());
        }
    }
}

/// The removing process's whole life. It holds nothing of the keeper's.
fn remove(folder: &Path) -> io::Result<()> {
    sys::close_from(3)?;
    sys::be_nice(NICENESS);
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    remove_tree(folder)
}

/// Whether a browser that kept too much has room without what lies beside its profile: copies of files that pages were given
/// are there again for the asking, logins are not.
pub(super) fn profile_may_stay(folders: &Folders, met: &Met) -> bool {
    let Met::BrowserRoom { bytes, files, max_bytes, max_files } = *met else { return false };
    let (beside_bytes, beside_files) = [&folders.downloads, &folders.uploads]
        .map(|folder| beside(folder))
        .into_iter()
        .fold((0u64, 0u64), |(bytes, files), (more_bytes, more_files)| {
            (bytes.saturating_add(more_bytes), files + more_files)
        });
    // Room for half as much again, or the next one would soon be ended too.
    bytes.saturating_sub(beside_bytes) <= max_bytes / 2 && files.saturating_sub(beside_files) <= max_files / 2
}

/// Bytes and files in a folder and in those directly in it; no browser or keeper of ours makes deeper ones there.
fn beside(folder: &Path) -> (u64, u64) {
    let list = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let about = |entry: &std::fs::DirEntry| entry.metadata().ok();
    let (mut bytes, mut files) = (0u64, 0u64);
    let mut count = |about: &Metadata| {
        bytes = bytes.saturating_add(about.blocks().saturating_mul(BLOCK));
        files += 1;
    };
    for entry in list(folder) {
        let Some(about_it) = about(&entry) else { continue };
        count(&about_it);
        if about_it.is_dir() {
            list(&entry.path()).filter_map(|inner| about(&inner)).for_each(|inner| count(&inner));
        }
    }
    (bytes, files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_goes_only_where_the_rest_is_not_enough() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::of(dir.path());
        let slot = folders.uploads.join("call-0");
        for folder in [&folders.profile, &folders.downloads, &slot] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let met = |bytes: u64| Met::BrowserRoom { bytes, files: 9, max_bytes: 1 << 20, max_files: 100 };
        assert!(!profile_may_stay(&folders, &met(2 << 20)));
        std::fs::write(slot.join("large.bin"), vec![1; 1 << 20]).unwrap();
        std::fs::write(folders.downloads.join("guid"), vec![1; 1 << 20]).unwrap();
        assert!(profile_may_stay(&folders, &met((2 << 20) + 4096)));
        assert!(!profile_may_stay(&folders, &met(4 << 20)));
    }

    #[test]
    fn what_is_cleared_away_is_out_of_the_way_at_once_and_gone_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        let mut clearing = Clearing::of(dir.path());
        for _ in 0..2 {
            for folder in [&one, &two] {
                std::fs::create_dir_all(folder.join("in")).unwrap();
                std::fs::write(folder.join("in/file"), "x").unwrap();
            }
            clearing.away(&[&one, &two, &dir.path().join("three")]);
            assert!(!one.exists() && !two.exists());
        }
        while clearing.folder.exists() {
            std::thread::yield_now();
            clearing.go_on();
        }
    }
}
