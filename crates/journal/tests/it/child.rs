//! This test binary as another process: one that holds, appends or fills a disk. It decides nothing; its parent looks on.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use journal::{Draft, Error, Reader, Writer};

const ROLE: &str = "JOURNAL_TEST_ROLE";
const FOLDER: &str = "JOURNAL_TEST_FOLDER";
type Role = fn(&Path);
const ROLES: &[(&str, Role)] = &[("hold", hold), ("append", append), ("append_large", append_large), ("fill", fill)];
/// A child left alone ends by itself.
const APPENDS_MAX: u64 = 400_000;
const LARGE_APPENDS_MAX: u64 = 60;

/// Another process in a role; killed with this handle.
pub(crate) struct Other {
    pub(crate) child: Child,
    pub(crate) lines: BufReader<ChildStdout>,
}

impl Other {
    /// The next line the role printed, without its mark.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // The test harness prints lines of its own, and may leave its own before ours.
            if let Some((_, said)) = line.split_once("said: ") {
                return Some(said.trim_end().to_owned());
            }
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test needs a second process, and is it itself")]
pub(crate) fn start(before: &[&str], role: &str, folder: &Path) -> Other {
    let this = std::env::current_exe().unwrap();
    let mut command = match before.split_first() {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments).arg(this);
            command
        }
        None => Command::new(this),
    };
    let mut child = command
        .args(["--exact", "child::plays_its_role", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    Other { child, lines }
}

/// Whether this machine lets us lay a small disk over a folder; in a container, or for an ordinary user, it may not.
#[expect(clippy::disallowed_methods, reason = "the test asks whether it can mount a small disk")]
pub(crate) fn can_mount(before: &[&str], folder: &Path) -> bool {
    let mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs"];
    let tried = Command::new(before[0]).args(&before[1..]).args(mount).arg(folder).status();
    tried.is_ok_and(|status| status.success())
}

/// Does nothing unless this process was started as a child.
#[test]
fn plays_its_role() {
    let Ok(name) = std::env::var(ROLE) else { return };
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let (_, role) = ROLES.iter().find(|(known, _)| *known == name).unwrap();
    role(&folder);
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "said: {text}").unwrap();
    out.flush().unwrap();
}

fn hold(folder: &Path) {
    let writer = Writer::open(folder).unwrap();
    say("held");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(writer);
}

/// Says each group of records only once it was appended.
fn append(folder: &Path) {
    let mut writer = Writer::open(folder).unwrap();
    say(&format!("{}", writer.head().seq));
    while writer.head().seq < APPENDS_MAX {
        let next = writer.head().seq;
        let draft = |i: u64| Draft::new(next + i, "tick", crate::crash::payload(next + i));
        let group: Vec<Draft> = (1..=1 + next % 3).map(draft).collect();
        writer.append(&group).unwrap();
        say(&format!("{}", writer.head().seq));
    }
}

/// Groups far bigger than SQLite's page cache.
fn append_large(folder: &Path) {
    let mut writer = Writer::open(folder).unwrap();
    let begun = writer.head().seq;
    say(&format!("{begun}"));
    while writer.head().seq < begun + LARGE_APPENDS_MAX {
        let group: Vec<Draft> = (0..3).map(|i| Draft::new(1, "large", vec![i; 2 << 20])).collect();
        writer.append(&group).unwrap();
        say(&format!("{}", writer.head().seq));
    }
}

/// Runs in a mount namespace of its own, where a small disk is laid over the folder.
#[expect(clippy::disallowed_methods, reason = "the test mounts its own small disk")]
fn fill(folder: &Path) {
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder).status();
    assert!(mounted.unwrap().success(), "a disk of 1 MiB is mounted");
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![0; 400_000]).unwrap();
    let mut writer = Writer::create(folder, "task").unwrap();
    let mut kept = Vec::new();
    let refused = loop {
        match writer.append(&[Draft::new(1, "fill", vec![7; 3000])]) {
            Ok(records) => kept.extend(records),
            Err(error) => break error,
        }
        assert!(kept.len() < 1000, "a disk of 1 MiB is full some time");
    };
    assert!(matches!(refused, Error::NoSpace { .. }), "{refused}");
    assert!(refused.hint().unwrap().contains("free some space"));
    let blob = writer.blobs().put(&vec![1; 1 << 20]).unwrap_err();
    assert!(matches!(blob, Error::NoSpace { .. }), "{blob}");
    assert_eq!(writer.blobs().list().unwrap(), [] as [journal::Hash; 0]);
    assert_eq!(
        Reader::open(folder).unwrap().records(1, usize::MAX).unwrap(),
        kept,
        "nothing is lost, nothing half kept"
    );

    // A restart finds the disk still full: it may be told so, at once or with the first append.
    drop(writer);
    let refused = Writer::open(folder).and_then(|mut writer| writer.append(&[Draft::new(1, "fill", vec![7; 30_000])]));
    assert!(matches!(refused, Err(Error::NoSpace { .. })), "{refused:?}");
    std::fs::remove_file(&ballast).unwrap();
    let mut writer = Writer::open(folder).unwrap();
    kept.extend(writer.append(&[Draft::new(1, "fill", "after")]).unwrap());
    drop(writer);
    let mut seen = Vec::new();
    drop(Writer::open_replaying(folder, |record| seen.push(record)).unwrap());
    assert_eq!(seen, kept, "the journal goes on where it was");
    say("survived");
}
