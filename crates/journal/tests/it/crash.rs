//! Kills and torn tails: a writer killed while it appends, and the write-ahead log cut at every byte. What is recovered
//! is a prefix, holds all that was acknowledged, and can be appended to.

use std::{fs, path::Path};

use journal::{Draft, Place, Reader, Record, Verdict, Writer, verify_folder};

use crate::child;

/// The payload of a record of the child that appends.
pub(crate) fn payload(seq: u64) -> Vec<u8> {
    let length = (seq * 97 % 1700) as usize;
    seq.to_le_bytes().into_iter().cycle().take(length).collect()
}

#[test]
fn a_killed_writer_loses_nothing_it_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    drop(Writer::create(home.path(), "task").unwrap());
    let mut before = 0;
    for round in 1..=12u64 {
        let mut other = child::start(&[], "append", home.path());
        let mut acknowledged = 0;
        // Past the first checkpoints in the later rounds, so that a kill meets one now and then.
        while acknowledged < before + 150 * round {
            acknowledged = other.next_line().unwrap().parse().unwrap();
        }
        other.child.kill().unwrap();
        other.child.wait().unwrap();
        while let Some(line) = other.next_line() {
            acknowledged = line.parse().unwrap_or(acknowledged);
        }
        let mut reader = Reader::open(home.path()).unwrap();
        let head = reader.head().unwrap();
        assert!(head.seq >= acknowledged, "round {round}: {} of {acknowledged} acknowledged records", head.seq);
        assert!(head.seq <= acknowledged + 3, "round {round}: no more than the group that was under way");
        let replayed = reader.replay(|record| {
            assert_eq!(record.payload, payload(record.seq));
            Ok::<_, journal::Error>(())
        });
        assert_eq!(replayed.unwrap(), head);
        before = head.seq;
        let said = verify_folder(home.path()).unwrap();
        assert!(
            matches!(&said, Verdict::Whole(report) if report.records == before),
            "round {round}: a kill is no damage: {said}"
        );
    }
}

/// Appends that outgrow SQLite's page cache, each folded into the database.
#[test]
fn a_kill_in_a_large_append_is_no_damage() {
    let home = tempfile::tempdir().unwrap();
    drop(Writer::create(home.path(), "task").unwrap());
    let log = home.path().join("journal.db-wal");
    for round in 0..8u64 {
        let mut other = child::start(&[], "append_large", home.path());
        for _ in 0..2 + round % 2 {
            other.next_line().unwrap();
        }
        // So many looks later the child is somewhere in its next append.
        (0..round * 1500).for_each(|_| drop(fs::metadata(&log)));
        other.child.kill().unwrap();
        other.child.wait().unwrap();
        let mut acknowledged = 0;
        while let Some(line) = other.next_line() {
            acknowledged = line.parse().unwrap_or(acknowledged);
        }
        let said = verify_folder(home.path()).unwrap();
        assert!(
            matches!(&said, Verdict::Whole(report) if report.records >= acknowledged && report.records % 3 == 0),
            "round {round}: {acknowledged} acknowledged, {said}"
        );
        assert_eq!(Writer::open(home.path()).unwrap().torn(), None);
    }
}

/// A journal with small pages, so that its write-ahead log is short enough to be cut at every byte.
fn with_small_pages(folder: &Path) {
    drop(Writer::create(folder, "task").unwrap());
    let database = rusqlite::Connection::open(folder.join("journal.db")).unwrap();
    database
        .execute_batch("PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM; PRAGMA journal_mode = WAL;")
        .unwrap();
}

#[test]
fn a_log_cut_at_every_byte_leaves_a_prefix() {
    let home = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
    let whole = home.path().join("whole");
    with_small_pages(&whole);
    let mut writer = Writer::open(&whole).unwrap();
    let mut all: Vec<Record> = Vec::new();
    // How long the log is when each append has returned: whoever has that much has that many records.
    let mut reached = vec![(0, 0)];
    for group in [1, 2, 1, 3] {
        let draft = |i: usize| Draft::new(1, "tick", vec![b'a'; 150 * ((all.len() + i) % 3)]);
        let drafts: Vec<Draft> = (0..group).map(draft).collect();
        all.extend(writer.append(&drafts).unwrap());
        reached.push((fs::metadata(whole.join("journal.db-wal")).unwrap().len() as usize, all.len()));
    }
    let database = fs::read(whole.join("journal.db")).unwrap();
    let log = fs::read(whole.join("journal.db-wal")).unwrap();
    drop(writer);

    let cut = home.path().join("cut");
    for length in 0..=log.len() {
        let _ = fs::remove_dir_all(&cut);
        fs::create_dir(&cut).unwrap();
        fs::write(cut.join("journal.db"), &database).unwrap();
        fs::write(cut.join("journal.db-wal"), &log[..length]).unwrap();
        let (_, count) = *reached.iter().rev().find(|(bytes, _)| *bytes <= length).unwrap();
        let seen = Reader::open(&cut).unwrap().records(1, usize::MAX).unwrap();
        assert_eq!(seen, all[..count], "{length} of {} bytes of the log: whole groups, nothing invented", log.len());
        assert!(matches!(verify_folder(&cut).unwrap(), Verdict::Whole(report) if report.records == count as u64));
        let mut writer = Writer::open(&cut).unwrap();
        assert_eq!(writer.torn(), None, "a log that ends early is what a kill leaves");
        let added = writer.append(&[Draft::new(1, "after", length.to_string())]).unwrap();
        drop(writer);
        let seen = Reader::open(&cut).unwrap().records(1, usize::MAX).unwrap();
        assert_eq!(seen, [&all[..count], &added].concat(), "{length} bytes of the log: it goes on from there");
    }
}

/// SQLite takes the first bad frame for the end of the log, without a word. Nobody else may.
#[test]
fn a_flip_anywhere_in_the_log_is_said() {
    let home = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
    let whole = home.path().join("whole");
    with_small_pages(&whole);
    let mut writer = Writer::open(&whole).unwrap();
    let mut all = writer.append(&[Draft::new(1, "tick", "one"), Draft::new(1, "tick", vec![b'a'; 700])]).unwrap();
    all.extend(writer.append(&[Draft::new(2, "tick", "two")]).unwrap());
    all.extend(writer.append(&[Draft::new(3, "tick", "three")]).unwrap());
    let database = fs::read(whole.join("journal.db")).unwrap();
    let log = fs::read(whole.join("journal.db-wal")).unwrap();
    drop(writer);

    let hurt = home.path().join("hurt");
    for at in 0..log.len() {
        let _ = fs::remove_dir_all(&hurt);
        fs::create_dir(&hurt).unwrap();
        let mut flipped = log.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(hurt.join("journal.db"), &database).unwrap();
        fs::write(hurt.join("journal.db-wal"), &flipped).unwrap();
        let left = Reader::open(&hurt).unwrap().records(1, usize::MAX).unwrap();
        assert!(left.len() < all.len() && left == all[..left.len()], "byte {at}: a prefix is left");
        let said = verify_folder(&hurt).unwrap();
        let named = Place::Record(left.len() as u64 + 1);
        assert!(matches!(&said, Verdict::Broken { place, .. } if *place == named), "byte {at}: {said}");
        if at % 16 == 0 {
            let mut writer = Writer::open(&hurt).unwrap();
            assert_eq!(
                fs::read(writer.torn().unwrap()).unwrap(),
                flipped,
                "byte {at}: what is left of the log is kept"
            );
            writer.append(&[Draft::new(4, "after", "")]).unwrap();
            drop(writer);
            assert!(matches!(verify_folder(&hurt).unwrap(), Verdict::Whole(_)), "byte {at}: and the journal goes on");
        }
    }
}

#[test]
fn a_creation_cut_short_is_begun_anew() {
    let home = tempfile::tempdir().unwrap();
    for leftover in ["journal.db.new", "journal.db.new-wal", "journal.db.new-shm"] {
        fs::write(home.path().join(leftover), "half").unwrap();
    }
    assert!(matches!(Writer::open(home.path()), Err(journal::Error::NotFound { .. })));
    let mut writer = Writer::create(home.path(), "task").unwrap();
    writer.append(&[Draft::new(1, "a", "")]).unwrap();
    drop(writer);
    let mut names: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["journal.db", "lock"]);
}
