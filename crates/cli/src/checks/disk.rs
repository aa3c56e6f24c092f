//! The disk under the data folder: room, file system, and whether what is synced stays. A journal is really written, synced
//! and read back there. Whether the disk itself lies about its cache cannot be seen from here.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use server::Seen;

use super::Finding;
use crate::words;

/// Free space under which a task may soon stop.
const FREE_BYTES_MIN: u64 = 1_000_000_000;

/// Files that can still be made, under which a task may soon stop: a workspace with a few libraries has so many.
const FREE_FILES_MIN: u64 = 20_000;

/// How often the disk is asked to keep something; the fastest answer counts.
const SYNCS: usize = 3;

/// No disk is so fast, not even one with a cache of its own: something in between does not pass the question on.
const SYNC_TOO_FAST: Duration = Duration::from_micros(5);

/// File systems of other machines, on which the record's locks and its shared memory do not hold for certain.
const REMOTE: &[&str] =
    &["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "ncpfs", "virtiofs"];

/// File systems that are gone when the machine stops.
const MEMORY: &[&str] = &["tmpfs", "ramfs"];

/// Options with which a file system keeps nothing for certain.
const CARELESS: &[&str] = &["nobarrier", "barrier=0", "volatile", "fsync=volatile", "nointegrity"];

const ELSEWHERE: &str = "export THENAR_HOME=/a/folder/on/a/local/disk";

pub(crate) fn findings(home: &Path, scratch: &Path) -> Vec<Finding> {
    let room = match rustix::fs::statvfs(home) {
        Err(error) => {
            let seen = Seen::DataFolderFailed { folder: home.display().to_string(), error: error.to_string() };
            Finding::fatal("data folder", seen, format!("{}: {error}", home.display()), ELSEWHERE)
        }
        Ok(seen) => {
            let bytes = seen.f_bavail.saturating_mul(seen.f_frsize);
            // Some file systems make them as they are needed and count none.
            let files = (seen.f_files > 0).then_some(seen.f_favail);
            room(home, bytes, files)
        }
    };
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let real = home.canonicalize().unwrap_or_else(|_| home.to_owned());
    vec![room, file_system(mount_of(&mounts, &real)), synced(scratch), recorded(&scratch.join("record"))]
}

fn room(home: &Path, bytes: u64, files: Option<u64>) -> Finding {
    let counted = files.map_or(String::new(), |files| format!(" and {files} files"));
    let what = format!("{}, room for {}{counted}", home.display(), words::size(bytes));
    let (folder, room) = (home.display().to_string(), words::size(bytes));
    let seen = match files {
        Some(files) => Seen::DataFolderFiles { folder, room, files },
        None => Seen::DataFolder { folder, room },
    };
    if bytes < FREE_BYTES_MIN {
        let fix = format!(
            "du -xh --max-depth=2 {} | sort -h | tail    # what takes the room; then {ELSEWHERE}",
            quoted(home)
        );
        return Finding::fatal("data folder", seen, what, fix);
    }
    if files.is_some_and(|files| files < FREE_FILES_MIN) {
        let fix = format!(
            "du -x --inodes --max-depth=2 {} | sort -n | tail    # what has the most files; then {ELSEWHERE}",
            quoted(home)
        );
        return Finding::fatal("data folder", seen, what, fix);
    }
    Finding::good("data folder", seen, what)
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Kind and options of the file system that a path is on, as `/proc/self/mountinfo` lists them: the last of those mounted
/// nearest above it.
fn mount_of(mounts: &str, path: &Path) -> Option<(String, Vec<String>)> {
    let mounted = mounts.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let at = left.get(4)?.replace("\\040", " ");
        let options = left.get(5)?.split(',').chain(right.get(2).copied().unwrap_or_default().split(','));
        let options = options.map(str::to_owned).collect();
        let kind = (*right.first()?).to_owned();
        path.starts_with(&at).then_some((at.len(), (kind, options)))
    });
    mounted.max_by_key(|(length, _)| *length).map(|(_, mount)| mount)
}

fn file_system(mount: Option<(String, Vec<String>)>) -> Finding {
    let Some((kind, options)) = mount else {
        return Finding::good("file system", Seen::FileSystemUnknown, "this machine does not say which");
    };
    if REMOTE.contains(&kind.as_str()) || kind.starts_with("fuse") {
        let what = format!("{kind}: on such a file system the record's locks do not hold for certain");
        return Finding::poor("file system", Seen::FileSystemRemote { kind }, what, ELSEWHERE);
    }
    if MEMORY.contains(&kind.as_str()) {
        let what = format!("{kind}: gone when the machine stops, tasks and all");
        return Finding::poor("file system", Seen::FileSystemMemory { kind }, what, ELSEWHERE);
    }
    if let Some(careless) = options.iter().find(|option| CARELESS.contains(&option.as_str())) {
        let what = format!("{kind}, mounted with {careless}: a loss of power may take what was said to be kept");
        let seen = Seen::FileSystemCareless { kind, option: careless.clone() };
        return Finding::poor("file system", seen, what, ELSEWHERE);
    }
    Finding::good("file system", Seen::FileSystem { kind: kind.clone() }, kind)
}

fn synced(scratch: &Path) -> Finding {
    let fastest = (0..SYNCS).map(|_| sync_once(scratch)).collect::<std::io::Result<Vec<_>>>();
    match fastest.map(|all| all.into_iter().min().unwrap_or_default()) {
        Err(error) => {
            let seen = Seen::SyncFailed { error: error.to_string() };
            Finding::fatal("disk sync", seen, format!("the disk did not keep a file: {error}"), ELSEWHERE)
        }
        Ok(fastest) if fastest < SYNC_TOO_FAST => {
            let text = "the disk was not really asked: something answers in its place (libeatmydata, or a file system in memory)";
            Finding::poor("disk sync", Seen::SyncFaked, text, "env -u LD_PRELOAD thenar doctor")
        }
        Ok(fastest) => {
            let ms = format!("{:.1}", fastest.as_secs_f64() * 1e3);
            let text = format!("a file and its folder were kept within {ms} ms");
            Finding::good("disk sync", Seen::Synced { ms }, text)
        }
    }
}

/// A new file, its content and its entry, as far as the disk.
fn sync_once(scratch: &Path) -> std::io::Result<Duration> {
    let path = scratch.join("sync");
    let mut file = File::create(&path)?;
    file.write_all(&[b'x'; 4_096])?;
    let begun = Instant::now();
    file.sync_all()?;
    let took = begun.elapsed();
    File::open(scratch)?.sync_all()?;
    std::fs::remove_file(&path)?;
    Ok(took)
}

/// A journal: made, locked, written, synced, read back.
fn recorded(folder: &Path) -> Finding {
    match record(folder) {
        Ok(()) => Finding::good("record", Seen::Recorded, "a journal was written, locked, synced and verified"),
        Err(what) => Finding::fatal("record", Seen::RecordFailed { error: what.clone() }, what, ELSEWHERE),
    }
}

fn record(folder: &Path) -> Result<(), String> {
    let text = |error: journal::Error| error.to_string();
    let mut writer = journal::Writer::create(folder, "doctor").map_err(text)?;
    let draft = journal::Draft { kind: "tried".to_owned(), time_ms: crate::env::now_ms(), payload: b"{}".to_vec() };
    writer.append(&[draft]).map_err(text)?;
    writer.sync_handle().sync().map_err(text)?;
    if journal::holder(folder).map_err(text)?.is_none() || journal::Writer::open(folder).is_ok() {
        return Err("locks do not hold here: two programs could write one journal".to_owned());
    }
    drop(writer);
    match journal::verify_folder(folder).map_err(text)? {
        journal::Verdict::Whole(_) => Ok(()),
        other => Err(format!("a journal was not read back as it was written: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
30 22 0:28 / /home rw,nosuid shared:2 - btrfs /dev/vdb rw,ssd\n\
31 30 0:29 / /home/me/net rw - nfs4 server:/x rw\n\
32 30 0:30 / /home/me/with\\040space rw,noatime - ext4 /dev/vdc rw,nobarrier\n\
33 22 0:31 / /mem rw - tmpfs tmpfs rw\n\
34 22 0:32 / /mem rw - fuse.sshfs host: rw\n";

    #[track_caller]
    fn check(path: &str, works: bool, says: &str) {
        let found = file_system(mount_of(MOUNTS, Path::new(path)));
        assert_eq!(found.works, works, "{found:?}");
        assert!(found.what.contains(says), "{found:?}");
        assert_eq!(found.fix.is_empty(), works, "{found:?}");
    }

    #[test]
    fn the_file_system_is_the_one_mounted_last_and_nearest() {
        check("/var/lib/thenar", true, "ext4");
        check("/home/me", true, "btrfs");
        check("/homework", true, "ext4");
        check("/home/me/net/x", false, "nfs4");
        check("/home/me/with space/x", false, "nobarrier");
        check("/mem/x", false, "fuse.sshfs");
        let found = file_system(mount_of(&MOUNTS[..MOUNTS.rfind("34 22").unwrap()], Path::new("/mem/x")));
        assert!(found.what.contains("gone when the machine stops"), "{found:?}");
    }

    #[test]
    fn room_is_bytes_and_files() {
        let home = Path::new("/home/it's");
        assert!(room(home, FREE_BYTES_MIN, Some(FREE_FILES_MIN)).works);
        assert!(room(home, FREE_BYTES_MIN, None).works);
        for (bytes, files, says) in
            [(FREE_BYTES_MIN - 1, None, "max-depth=2 '/home/it'\\''s'"), (FREE_BYTES_MIN, Some(5), "--inodes")]
        {
            let found = room(home, bytes, files);
            assert!(!found.works && found.needed && found.fix.contains(says), "{found:?}");
        }
    }

    #[test]
    fn a_record_is_really_kept_and_a_folder_that_cannot_be_written_is_fatal() {
        let folder = tempfile::tempdir().unwrap();
        let found = recorded(&folder.path().join("record"));
        assert!(found.works, "{found:?}");
        std::fs::write(folder.path().join("file"), "in the way").unwrap();
        let found = recorded(&folder.path().join("file/record"));
        assert!(!found.works && found.needed, "{found:?}");
        let found = synced(&folder.path().join("missing"));
        assert!(!found.works && found.needed, "{found:?}");
    }
}
