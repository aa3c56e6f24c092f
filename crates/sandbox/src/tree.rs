//! A copy of a folder that programs inside may be changing meanwhile, by descriptors: no link is followed, and nothing outside of
//! the folder is ever read. Folders, files and links are copied with mode, time and, by root, owner; extended attributes are
//! not, and neither is what can only be talked to: sockets, pipes, devices.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

/// Folders in folders. Each takes two descriptors while it is open.
const DEPTH_MAX: usize = 200;

/// What is left out and named; more is only counted.
const NAMED_MAX: usize = 20;

/// The bits of a mode that a copy has: no set-id bits, whoever made them.
const MODE_BITS: u32 = 0o1777;

/// What a copy came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub files: u64,
    pub bytes: u64,
    /// How much could not be copied, and the names of the first.
    pub left_out: u64,
    pub left_out_names: Vec<PathBuf>,
}

impl Copied {
    /// Adds another copy's sums.
    pub fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.left_out += other.left_out;
        let room = NAMED_MAX.saturating_sub(self.left_out_names.len());
        self.left_out_names.extend(other.left_out_names.into_iter().take(room));
    }

    fn leave_out(&mut self, path: PathBuf) {
        self.left_out += 1;
        if self.left_out_names.len() < NAMED_MAX {
            self.left_out_names.push(path);
        }
    }
}

/// Copies the folder `from` to `to`, which is made and must not be there yet.
///
/// # Errors
/// If the copy cannot be written. What cannot be read in the original is left out, and told.
pub fn copy_tree(from: &Path, to: &Path) -> io::Result<Copied> {
    let original = open_folder(rustix::fs::CWD, from)?;
    std::fs::create_dir(to)?;
    let mut copied = Copied::default();
    copy_folder(&original, &open_folder(rustix::fs::CWD, to)?, Path::new(""), &mut copied)?;
    Ok(copied)
}

/// Copies one regular file to a new one.
///
/// # Errors
/// If it cannot be read, or the copy cannot be written or is there already.
pub fn copy_file(from: &Path, to: &Path) -> io::Result<Copied> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(from, flags, Mode::empty())?);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let bytes = copy_content(file, File::from(rustix::fs::open(to, flags, Mode::from_raw_mode(0o600))?))?;
    Ok(Copied { files: 1, bytes, ..Copied::default() })
}

fn open_folder(at: BorrowedFd<'_>, path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

fn copy_folder(from: &OwnedFd, to: &OwnedFd, path: &Path, copied: &mut Copied) -> io::Result<()> {
    for entry in rustix::fs::Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let below = path.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name.to_bytes()));
        match copy_entry(from, to, name, &below, copied) {
            Ok(()) => {}
            Err(Failure::Original) => copied.leave_out(below),
            Err(Failure::Copy(error)) => return Err(error),
        }
    }
    let about = rustix::fs::fstat(from)?;
    own(to.as_fd(), &about);
    rustix::fs::fchmod(to, Mode::from_raw_mode(about.st_mode & MODE_BITS))?;
    Ok(rustix::fs::futimens(to, &times(&about))?)
}

/// On which side something failed.
enum Failure {
    /// Gone, swapped for something else, or closed to us: that is the original's business.
    Original,
    Copy(io::Error),
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &CStr, path: &Path, copied: &mut Copied) -> Result<(), Failure> {
    let copy = |error: Errno| Failure::Copy(error.into());
    let about = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|_| Failure::Original)?;
    match FileType::from_raw_mode(about.st_mode) {
        FileType::Directory if path.components().count() >= DEPTH_MAX => Err(Failure::Original),
        FileType::Directory => {
            let original = open_folder(from.as_fd(), name).map_err(|_| Failure::Original)?;
            rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o700)).map_err(copy)?;
            let made = open_folder(to.as_fd(), name).map_err(copy)?;
            copy_folder(&original, &made, path, copied).map_err(Failure::Copy)
        }
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = rustix::fs::openat(from, name, flags, Mode::empty()).map_err(|_| Failure::Original)?;
            let about = rustix::fs::fstat(&file).map_err(|_| Failure::Original)?;
            if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
                return Err(Failure::Original);
            }
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = rustix::fs::openat(to, name, flags, Mode::from_raw_mode(0o600)).map_err(copy)?;
            copied.bytes += copy_content(File::from(file), File::from(made)).map_err(Failure::Copy)?;
            copied.files += 1;
            Ok(())
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new()).map_err(|_| Failure::Original)?;
            rustix::fs::symlinkat(target, to, name).map_err(copy)?;
            let (user, group) = owner(&about);
            // Only root may, and only root's copy needs it.
            let _ = rustix::fs::chownat(to, name, user, group, AtFlags::SYMLINK_NOFOLLOW);
            let _ = rustix::fs::utimensat(to, name, &times(&about), AtFlags::SYMLINK_NOFOLLOW);
            copied.files += 1;
            Ok(())
        }
        FileType::Socket | FileType::Fifo | FileType::BlockDevice | FileType::CharacterDevice | FileType::Unknown => {
            Err(Failure::Original)
        }
    }
}

/// The bytes of a file, then its mode, owner and time.
fn copy_content(from: File, to: File) -> io::Result<u64> {
    let bytes = copy_data(&from, &to)?;
    let about = rustix::fs::fstat(&from)?;
    own(to.as_fd(), &about);
    rustix::fs::fchmod(&to, Mode::from_raw_mode(about.st_mode & MODE_BITS))?;
    rustix::fs::futimens(&to, &times(&about))?;
    Ok(bytes)
}

/// What was there at first, and no more: a program may write without end. What was never written takes no room in the copy
/// either: a file may say that it is larger than any disk.
fn copy_data(mut from: &File, mut to: &File) -> io::Result<u64> {
    let size = from.metadata()?.len();
    let mut at = 0;
    while at < size {
        let begin = match rustix::fs::seek(from, rustix::fs::SeekFrom::Data(at)) {
            Ok(begin) => begin,
            // Nothing but a hole follows, or it is shorter by now.
            Err(Errno::NXIO) => break,
            // A file system without holes.
            Err(Errno::INVAL | Errno::NOTSUP) => at,
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(from, rustix::fs::SeekFrom::Hole(begin)).unwrap_or(size).min(size);
        let Some(bytes) = end.checked_sub(begin).filter(|bytes| *bytes > 0) else { break };
        from.seek(io::SeekFrom::Start(begin))?;
        to.seek(io::SeekFrom::Start(begin))?;
        if io::copy(&mut from.take(bytes), &mut to)? < bytes {
            break;
        }
        at = end;
    }
    let bytes = size.min(from.metadata()?.len());
    to.set_len(bytes)?;
    Ok(bytes)
}

/// Only root may give a file away, and only root's copy needs it.
fn own(to: BorrowedFd<'_>, about: &Stat) {
    let (user, group) = owner(about);
    let _ = rustix::fs::fchown(to, user, group);
}

fn owner(about: &Stat) -> (Option<rustix::process::Uid>, Option<rustix::process::Gid>) {
    (Some(rustix::process::Uid::from_raw(about.st_uid)), Some(rustix::process::Gid::from_raw(about.st_gid)))
}

fn times(about: &Stat) -> Timestamps {
    let at = |seconds: i64, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanoseconds).unwrap_or(0) };
    Timestamps {
        last_access: at(about.st_atime, about.st_atime_nsec),
        last_modification: at(about.st_mtime, about.st_mtime_nsec),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_copy_has_files_links_modes_and_times_and_nothing_from_outside() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("deep/er")).unwrap();
        fs::write(folder.path().join("secret"), "outside").unwrap();
        fs::write(from.join("deep/er/file"), "content").unwrap();
        fs::set_permissions(from.join("deep/er/file"), fs::Permissions::from_mode(0o4751)).unwrap();
        fs::set_permissions(from.join("deep"), fs::Permissions::from_mode(0o500)).unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_234_567_890_123);
        File::open(from.join("deep/er/file")).unwrap().set_modified(long_ago).unwrap();
        symlink("../secret", from.join("link")).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap();
        let copied = copy_tree(&from, &to).unwrap();
        assert_eq!((copied.files, copied.bytes, copied.left_out), (2, 7, 1));
        assert_eq!(copied.left_out_names, [Path::new("socket")]);
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("../secret"));
        let about = fs::metadata(to.join("deep/er/file")).unwrap();
        assert_eq!((about.mode() & 0o7777, about.modified().unwrap()), (0o751, long_ago));
        assert_eq!(fs::metadata(to.join("deep")).unwrap().mode() & 0o777, 0o500);
        assert!(copy_tree(&from, &to).is_err(), "nothing is copied over");
        fs::set_permissions(from.join("deep"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(to.join("deep"), fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn what_was_never_written_takes_no_room_in_the_copy() {
        use std::os::unix::fs::FileExt;
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir(&from).unwrap();
        let huge = File::create(from.join("huge")).unwrap();
        // Far more than there is room for on the disk.
        huge.set_len(1 << 43).unwrap();
        for (at, word) in [(0, "begin"), (1 << 42, "middle")] {
            huge.write_all_at(word.as_bytes(), at).unwrap();
        }
        fs::write(from.join("plain"), vec![7; 300_000]).unwrap();
        File::create(from.join("empty")).unwrap().set_len(5_000_000).unwrap();
        let copied = copy_tree(&from, &to).unwrap();
        assert_eq!((copied.files, copied.bytes, copied.left_out), (3, (1 << 43) + 5_300_000, 0));
        let copy = File::open(to.join("huge")).unwrap();
        let about = copy.metadata().unwrap();
        assert!(about.len() == 1 << 43 && about.blocks() < 1_000, "{} blocks", about.blocks());
        for (at, word) in [(0, "begin\0"), (1 << 42, "middle\0")] {
            let mut read = vec![1; word.len()];
            copy.read_exact_at(&mut read, at).unwrap();
            assert_eq!(String::from_utf8(read).unwrap(), word);
        }
        assert!(fs::read(to.join("plain")).unwrap() == vec![7; 300_000]);
        assert_eq!(fs::metadata(to.join("empty")).unwrap().len(), 5_000_000);
    }

    #[test]
    fn a_tree_without_a_bottom_is_cut_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        let mut at = from.clone();
        for _ in 0..DEPTH_MAX + 3 {
            at.push("d");
        }
        fs::create_dir_all(&at).unwrap();
        let copied = copy_tree(&from, &folder.path().join("to")).unwrap();
        assert_eq!((copied.files, copied.left_out), (0, 1));
    }
}
