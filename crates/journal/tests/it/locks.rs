//! One writer: held in this process, in another, and freed by any death. Disk-full is here too, as it needs a process.

use journal::{Draft, Error, Reader, Writer, holder, last_sign_of_life_ms};

use crate::child;

#[test]
fn a_second_writer_is_refused_in_the_same_process() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(holder(home.path()).unwrap(), None);
    let writer = Writer::create(home.path(), "task").unwrap();
    let refused = Writer::open(home.path()).unwrap_err();
    assert!(matches!(refused, Error::Locked { pid: Some(pid), .. } if pid == std::process::id()), "{refused}");
    assert_eq!(holder(home.path()).unwrap().unwrap().pid, Some(std::process::id()));
    drop(writer);
    assert_eq!(holder(home.path()).unwrap(), None);
    drop(Writer::open(home.path()).unwrap());
}

#[test]
fn a_second_writer_is_refused_in_another_process() {
    let home = tempfile::tempdir().unwrap();
    drop(Writer::create(home.path(), "task").unwrap());
    let mut other = child::start(&[], "hold", home.path());
    assert_eq!(other.next_line().as_deref(), Some("held"));
    let pid = other.child.id();
    let refused = Writer::open(home.path()).unwrap_err();
    assert_eq!(refused.to_string(), format!("lock journal {}: held by process {pid}", home.path().display()));
    assert_eq!(refused.hint().unwrap(), format!("wait for process {pid} to end, or stop it"));
    assert_eq!(holder(home.path()).unwrap().unwrap().pid, Some(pid));
    assert_eq!(Reader::open(home.path()).unwrap().head().unwrap().seq, 0, "a reader needs no lock");
    other.child.kill().unwrap();
    other.child.wait().unwrap();
    assert_eq!(holder(home.path()).unwrap(), None, "the lock dies with its process");
    drop(Writer::open(home.path()).unwrap());
}

#[test]
fn the_holder_leaves_signs_of_life() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(last_sign_of_life_ms(home.path()).unwrap(), None);
    let writer = Writer::create(home.path(), "task").unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    std::fs::File::open(home.path().join("lock")).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(last_sign_of_life_ms(home.path()).unwrap(), Some(1_000_000_000));
    writer.touch().unwrap();
    assert!(last_sign_of_life_ms(home.path()).unwrap().unwrap() > 1_700_000_000_000);
}

#[test]
fn asking_who_holds_it_keeps_no_writer_out() {
    let home = tempfile::tempdir().unwrap();
    drop(Writer::create(home.path(), "task").unwrap());
    let asking = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while asking.load(std::sync::atomic::Ordering::Relaxed) {
                holder(home.path()).unwrap();
                std::thread::yield_now();
            }
        });
        let opened: Vec<_> = (0..50).map(|_| Writer::open(home.path()).map(drop)).collect();
        asking.store(false, std::sync::atomic::Ordering::Relaxed);
        opened.into_iter().for_each(|opened| opened.unwrap());
    });
}

#[test]
fn a_reader_follows_a_writer_in_another_process() {
    let home = tempfile::tempdir().unwrap();
    drop(Writer::create(home.path(), "task").unwrap());
    let mut other = child::start(&[], "append", home.path());
    let mut reader = Reader::open(home.path()).unwrap();
    let mut seen = Vec::new();
    let mut acknowledged = 0;
    while acknowledged < 3000 {
        acknowledged = other.next_line().unwrap().parse().unwrap();
        seen.extend(reader.follow(usize::MAX).unwrap());
        assert!(seen.len() as u64 >= acknowledged, "what was appended is seen at once");
    }
    assert!(seen.iter().zip(1..).all(|(record, seq)| record.seq == seq), "each record once, in order");
}

#[test]
fn a_full_disk_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let namespace: &[&str] = if rustix::process::geteuid().is_root() {
        &["unshare", "--mount", "--"]
    } else {
        &["unshare", "--user", "--map-root-user", "--mount", "--"]
    };
    if !child::can_mount(namespace, home.path()) {
        eprintln!("skipped: this machine lets {namespace:?} mount no small disk");
        return;
    }
    let mut other = child::start(namespace, "fill", home.path());
    assert_eq!(other.next_line().as_deref(), Some("survived"), "the child says on stderr what went wrong");
    assert!(other.child.wait().unwrap().success());
}

#[test]
fn opening_waits_for_nobody_who_reads() {
    let home = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(home.path(), "task").unwrap();
    writer.append(&[Draft::new(1, "a", "")]).unwrap();
    let mut reader = writer.reader().unwrap();
    drop(writer);
    drop(Writer::open(home.path()).unwrap());
    assert_eq!(reader.records(1, 9).unwrap().len(), 1, "a reader outlives its writer");
}
