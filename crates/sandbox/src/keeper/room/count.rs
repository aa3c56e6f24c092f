//! Counts what a folder holds, whatever a hostile program does to it meanwhile: nothing is followed out of it, every depth and number has an end. It reads no file.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};

/// Folders held open on the way down; those above are opened anew on the way back: from what is below them, as long as nothing moves.
const OPEN_MAX: usize = 32;
/// Files with several names that are told apart; of more, each name counts.
const LINKED_MAX: usize = 100_000;
/// Devices that are told apart.
const DEVICES_MAX: usize = 10_000;
/// Longest path that is opened at one time.
const PATH_BYTES_MAX: usize = 3000;

/// Room in bytes and in files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) bytes: u64,
    pub(super) files: u64,
}

impl Used {
    pub(super) fn exceeds(self, most: Self) -> bool {
        self.bytes > most.bytes || self.files > most.files
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(other.bytes), files: self.files.saturating_sub(other.files) }
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), files: self.files.saturating_add(other.files) }
    }

    pub(super) fn least(self, other: Self) -> Self {
        Self { bytes: self.bytes.min(other.bytes), files: self.files.min(other.files) }
    }

    pub(super) fn most(self, other: Self) -> Self {
        Self { bytes: self.bytes.max(other.bytes), files: self.files.max(other.files) }
    }
}

/// One folder on the way from the top to where the count is.
struct Level {
    name: CString,
    folder: Option<OwnedFd>,
    identity: Option<Identity>,
    below: Vec<CString>,
}

/// Device and number of a folder.
type Identity = (u64, u64);

impl Level {
    fn new(name: CString, folder: OwnedFd, below: Vec<CString>) -> Self {
        Self { name, identity: identity(&folder), folder: Some(folder), below }
    }
}

/// What is below a folder, and on which devices: a file system may have several. Past `files_max` the count ends: it is over every
/// limit by then.
pub(super) fn count(top: &OwnedFd, files_max: u64) -> (Used, HashSet<u64>) {
    let (mut used, mut linked, mut devices) = (Used::default(), HashSet::new(), HashSet::new());
    let mut way: Vec<Level> = Vec::new();
    let Ok(folder) = rustix::io::fcntl_dupfd_cloexec(top, 0) else { return (used, devices) };
    devices.extend(identity(&folder).map(|(device, _)| device));
    let below = look(&folder, files_max, &mut used, &mut linked);
    way.push(Level::new(CString::default(), folder, below));
    while let Some(level) = way.last_mut() {
        let Some(name) = level.below.pop() else {
            let left = way.pop().and_then(|level| level.folder);
            if let (Some(left), Some(level)) = (left, way.last_mut())
                && level.folder.is_none()
            {
                // One step, where from the top it would be as many as the folder is deep, again and again.
                level.folder = open_above(&left).filter(|above| identity(above) == level.identity);
            }
            continue;
        };
        if level.folder.is_none() {
            let again = reopen(top, &way);
            if let Some(level) = way.last_mut() {
                level.folder = again;
            }
        }
        let Some(folder) = way.last().and_then(|level| level.folder.as_ref()) else {
            // Moved or removed meanwhile, with all that is in it.
            way.pop();
            continue;
        };
        let Some(next) = open_below(folder, &name) else { continue };
        let below = look(&next, files_max, &mut used, &mut linked);
        let level = Level::new(name, next, below);
        if devices.len() < DEVICES_MAX {
            devices.extend(level.identity.map(|(device, _)| device));
        }
        way.push(level);
        if let Some(far) = way.len().checked_sub(OPEN_MAX) {
            way[far].folder = None;
        }
    }
    (used, devices)
}

/// Adds what stands in one folder and gives the folders in it.
fn look(folder: &OwnedFd, files_max: u64, used: &mut Used, linked: &mut HashSet<(u64, u64)>) -> Vec<CString> {
    let mut below = Vec::new();
    for entry in Dir::read_from(folder).into_iter().flatten() {
        let Ok(entry) = entry else { break };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if used.files >= files_max {
            return Vec::new();
        }
        let Ok(stat) = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !is_folder && stat.st_nlink > 1 && linked.len() < LINKED_MAX && !linked.insert((stat.st_dev, stat.st_ino)) {
            continue;
        }
        used.files += 1;
        used.bytes = used.bytes.saturating_add(u64::try_from(stat.st_blocks).unwrap_or(0) * 512);
        if is_folder {
            below.push(name.to_owned());
        }
    }
    below
}

fn open_below(folder: &OwnedFd, name: &CString) -> Option<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty()).ok()
}

/// The folder that this one is in now, wherever it was moved: nobody knows that it is the one it was in before.
fn open_above(folder: &OwnedFd) -> Option<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, "..", flags, Mode::empty()).ok()
}

fn identity(folder: &OwnedFd) -> Option<Identity> {
    rustix::fs::fstat(folder).ok().map(|about| (about.st_dev, about.st_ino))
}

/// Opens the last level of a way anew, from the top, in steps that are short enough for the kernel.
fn reopen(top: &OwnedFd, way: &[Level]) -> Option<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let open = |from: &OwnedFd, path: &[u8]| rustix::fs::openat2(from, path, flags, Mode::empty(), resolve).ok();
    let mut at = rustix::io::fcntl_dupfd_cloexec(top.as_fd(), 0).ok()?;
    let mut path: Vec<u8> = Vec::new();
    for level in way.iter().skip(1) {
        if path.len() + level.name.as_bytes().len() > PATH_BYTES_MAX {
            at = open(&at, &path)?;
            path.clear();
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(level.name.as_bytes());
    }
    if path.is_empty() { Some(at) } else { open(&at, &path) }
}

#[cfg(test)]
mod tests {
    //! Counts of folders as programs leave them.

    use std::fs::{self, File};

    use super::{Mode, OwnedFd, count, open_below};

    fn files(top: &std::path::Path, max: u64) -> u64 {
        count(&File::open(top).unwrap().into(), max).0.files
    }

    #[test]
    fn every_name_counts_once_at_any_depth_and_links_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("large"), vec![1; 1 << 20]).unwrap();
        let mut deep = folder.path().to_owned();
        for _ in 0..100 {
            deep.push("d".repeat(30));
            fs::create_dir(&deep).unwrap();
            fs::write(deep.join("f"), "x").unwrap();
        }
        fs::hard_link(deep.join("f"), deep.join("again")).unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("..", deep.join("round")).unwrap();
        let used = count(&File::open(folder.path()).unwrap().into(), u64::MAX).0;
        assert_eq!(used.files, 100 + 100 + 2);
        assert!(used.bytes < 1 << 20, "{used:?}");
        assert!(files(folder.path(), 50) <= 50);
    }

    #[test]
    fn siblings_of_a_deep_folder_are_met_on_the_way_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut deep = folder.path().to_owned();
        for _ in 0..80 {
            for name in ["a", "b", "c"] {
                fs::create_dir(deep.join(name)).unwrap();
                fs::write(deep.join(name).join("f"), "x").unwrap();
            }
            deep.push("b");
        }
        assert_eq!(files(folder.path(), u64::MAX), 80 * 6);
    }

    #[test]
    fn a_tree_deeper_than_any_path_is_counted_on_the_way_down_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut at: OwnedFd = File::open(&tree).unwrap().into();
        for _ in 0..5_000 {
            for name in ["a", "b"] {
                rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o755)).unwrap();
            }
            at = open_below(&at, &c"a".to_owned()).unwrap();
        }
        assert_eq!(files(&tree, u64::MAX), 2 * 5_000);
        crate::remove_tree(&tree).unwrap();
    }

    #[test]
    fn blocks_count_and_holes_do_not() {
        let folder = tempfile::tempdir().unwrap();
        File::create(folder.path().join("hole")).unwrap().set_len(1 << 40).unwrap();
        fs::write(folder.path().join("full"), vec![1; 3 << 20]).unwrap();
        File::open(folder.path().join("full")).unwrap().sync_all().unwrap();
        let used = count(&File::open(folder.path()).unwrap().into(), u64::MAX).0;
        assert!((3 << 20..4 << 20).contains(&used.bytes), "{used:?}");
    }
}
