//! A folder as a value that can be compared, and folders that are hard to keep. It knows nothing of checkpoints.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, XattrFlags};

/// All that can be known of one thing in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) what: What,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) mtime: (i64, i64),
    pub(crate) attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Folder,
    /// The first path of this very file, its bytes, and whether it takes less room than it is long.
    File {
        first: PathBuf,
        content: Vec<u8>,
        sparse: bool,
    },
    Symlink(PathBuf),
    Special,
}

pub(crate) type Tree = BTreeMap<PathBuf, Facts>;

/// Everything below a folder and itself, whatever its names are.
pub(crate) fn read(top: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut firsts = BTreeMap::new();
    // Sorted as the paths are, so that "first" means the same for everybody.
    let mut open = vec![PathBuf::new()];
    let mut paths = Vec::new();
    while let Some(path) = open.pop() {
        let at = top.join(&path);
        if fs::symlink_metadata(&at).unwrap().is_dir() {
            open.extend(fs::read_dir(&at).unwrap().map(|entry| path.join(entry.unwrap().file_name())));
        }
        paths.push(path);
    }
    paths.sort();
    for path in paths {
        let at = if path.as_os_str().is_empty() { top.to_owned() } else { top.join(&path) };
        let about = fs::symlink_metadata(&at).unwrap();
        let kind = about.file_type();
        let what = if kind.is_dir() {
            What::Folder
        } else if kind.is_symlink() {
            What::Symlink(fs::read_link(&at).unwrap())
        } else if kind.is_file() {
            let first: &PathBuf = firsts.entry(about.ino()).or_insert_with(|| path.clone());
            let sparse = about.blocks() * 512 + 4096 < about.len();
            What::File { first: first.clone(), content: fs::read(&at).unwrap(), sparse }
        } else {
            assert!(kind.is_fifo() || kind.is_socket());
            What::Special
        };
        let facts = Facts {
            mode: if kind.is_symlink() { 0 } else { about.mode() & 0o7777 },
            owner: (about.uid(), about.gid()),
            mtime: (about.mtime(), about.mtime_nsec()),
            attributes: if kind.is_dir() || kind.is_file() { attributes(&at) } else { BTreeMap::new() },
            what,
        };
        tree.insert(path, facts);
    }
    tree
}

fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0_u8; 65_536];
    let length = rustix::fs::llistxattr(path, &mut names).unwrap_or(0);
    names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| name.starts_with(b"user."))
        .map(|name| {
            let mut value = vec![0; 65_536];
            let length = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
            (name.to_vec(), value[..length].to_vec())
        })
        .collect()
}

/// What is not the same in both, in words that a person can find the place with.
#[track_caller]
pub(crate) fn assert_same(now: &Tree, wanted: &Tree, told: &str) {
    let mut differences = Vec::new();
    for (path, facts) in wanted {
        match now.get(path) {
            None => differences.push(format!("{path:?} is missing")),
            Some(there) if there != facts => {
                differences.push(format!("{path:?} is {}, not {}", short(there), short(facts)))
            }
            Some(_) => {}
        }
    }
    differences
        .extend(now.keys().filter(|path| !wanted.contains_key(*path)).map(|path| format!("{path:?} is too much")));
    assert!(differences.is_empty(), "{told}: {differences:#?}");
}

fn short(facts: &Facts) -> String {
    let what = match &facts.what {
        What::File { first, content, sparse } => {
            let start = String::from_utf8_lossy(&content[..content.len().min(20)]).into_owned();
            format!("a file of {} bytes ({start:?}…), first {first:?}, sparse {sparse}", content.len())
        }
        other => format!("{other:?}"),
    };
    format!("{what}, mode {:o}, owner {:?}, mtime {:?}, {:?}", facts.mode, facts.owner, facts.mtime, facts.attributes)
}

/// Bytes without a pattern, the same every time for one seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn set_mtime(path: &Path, seconds: i64, nanos: i64) {
    let omit = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    let times = Timestamps { last_access: omit, last_modification: Timespec { tv_sec: seconds, tv_nsec: nanos } };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Says false where the file system has no such attributes.
pub(crate) fn set_attribute(path: &Path, name: &str, value: &[u8]) -> bool {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).is_ok()
}

/// A file of `length` bytes that holds data at a few places only.
pub(crate) fn sparse(path: &Path, length: u64, data: &[(u64, &[u8])]) {
    use std::os::unix::fs::FileExt;
    let file = fs::File::create(path).unwrap();
    file.set_len(length).unwrap();
    for (at, bytes) in data {
        file.write_all_at(bytes, *at).unwrap();
    }
}

pub(crate) fn fifo(path: &Path) {
    rustix::fs::mkfifoat(CWD, path, Mode::from_raw_mode(0o600)).unwrap();
}

/// One of everything that makes trees hard to keep.
pub(crate) fn wild(top: &Path) {
    let at = |name: &str| top.join(name);
    fs::write(at("plain.txt"), "one\ntwo\n").unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(at("noise.bin"), noise(1, 3_000_000)).unwrap();
    fs::write(at("zeros.bin"), vec![0; 2_500_000]).unwrap();
    fs::create_dir_all(at("empty folder/another/one")).unwrap();
    // Names that only bytes can say.
    let odd: [&[u8]; 8] = [
        b"new\nline",
        b"\xff\xfe not text",
        b"-rf",
        b" ",
        b"\x1b[31mred",
        b"a\\b",
        "\u{202e}gnp.exe".as_bytes(),
        b"....",
    ];
    fs::create_dir(at("odd")).unwrap();
    for name in odd {
        fs::write(at("odd").join(OsString::from_vec(name.to_vec())), name).unwrap();
    }
    let longest = at("odd").join(OsString::from_vec(vec![b'n'; 255]));
    fs::create_dir(&longest).unwrap();
    fs::write(longest.join(OsString::from_vec(vec![0xf0; 255])), "long").unwrap();
    // Folders whose order by path is not that of plain bytes.
    for name in ["sort/a/x", "sort/a!", "sort/a-b/x", "sort/a.b", "sort/ab"] {
        fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        fs::write(at(name), name).unwrap();
    }
    for (name, target) in [
        ("link to file", "plain.txt"),
        ("dangling", "nowhere/at all"),
        ("absolute", "/etc/passwd"),
        ("up and away", "../../../../../../etc"),
        ("loop", "loop"),
    ] {
        symlink(target, at(name)).unwrap();
    }
    symlink(OsString::from_vec(vec![0xfe; 200]), at("link to bytes")).unwrap();
    set_mtime(&at("dangling"), 1_000_000_000, 7);
    // One file under several names, in several folders.
    fs::create_dir(at("names")).unwrap();
    fs::write(at("names/b"), "under several names").unwrap();
    fs::hard_link(at("names/b"), at("a name of b")).unwrap();
    fs::hard_link(at("names/b"), at("names/z")).unwrap();
    sparse(&at("sparse"), 40 << 20, &[(0, b"begin"), (17 << 20, &noise(2, 200_000)), ((40 << 20) - 3, b"end")]);
    sparse(&at("only holes"), 1 << 20, &[]);
    sparse(&at("hole at the end"), 5 << 20, &[(0, b"x")]);
    fs::create_dir(at("modes")).unwrap();
    for mode in [0o400, 0o444, 0o600, 0o644, 0o755, 0o777, 0o1644] {
        let path = at(&format!("modes/{mode:o}"));
        fs::write(&path, "modes").unwrap();
        set_attribute(&path, "user.mode", format!("{mode:o}").as_bytes());
        set_mode(&path, mode);
    }
    set_attribute(&at("plain.txt"), "user.empty", b"");
    set_attribute(&at("names"), "user.on a folder", &noise(3, 500));
    fs::create_dir_all(at("closed/in it")).unwrap();
    fs::write(at("closed/in it/file"), "behind folders that cannot be written").unwrap();
    set_mtime(&at("plain.txt"), 4_000_000_000, 999_999_999);
    set_mtime(&at("empty"), -5, 1);
    set_mtime(&at("closed/in it"), 1_234_567_890, 123_456_789);
    for (path, mode) in [("closed/in it", 0o555), ("closed", 0o511), ("empty folder", 0o1777)] {
        set_mode(&at(path), mode);
    }
    deep(&at("deep"), 500);
}

/// Folders in folders, with a file in the last: made step by step, because no path reaches so far.
pub(crate) fn deep(top: &Path, depth: usize) {
    fs::create_dir(top).unwrap();
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let mut fd = rustix::fs::open(top, flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        rustix::fs::mkdirat(&fd, "down", Mode::from_raw_mode(0o755)).unwrap();
        fd = rustix::fs::openat(&fd, "down", flags, Mode::empty()).unwrap();
    }
    let file = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&fd, "file", file, Mode::from_raw_mode(0o644)).unwrap();
    rustix::io::write(&file, b"at the bottom").unwrap();
}

/// Opens all folders again that a test has closed, so that they can be removed.
pub(crate) fn unlock(top: &Path) {
    let mut open = vec![top.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        if about.is_dir() {
            let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o755));
            open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
}

/// Waits until a change from now on must bear another time than the last one.
pub(crate) fn settle(path: &Path) {
    let changed = fs::symlink_metadata(path).unwrap();
    crate::desk::until("its time is settled", || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        let passed = (now.tv_sec - changed.ctime()) * 1_000_000_000 + now.tv_nsec - changed.ctime_nsec();
        passed > 50_000_000
    });
}
