//! Flipped bytes in the files of a journal: each is named, or it changed nothing that anyone reads; and a corrupt journal
//! is never opened for writing.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    path::Path,
};

use journal::{Blobs, Draft, Error, Place, Reader, Record, Verdict, Writer, verify_folder};

fn small(folder: &Path) -> Vec<Record> {
    let mut writer = Writer::create(folder, "task-of-the-damage").unwrap();
    let mut all = Vec::new();
    for i in 0..6u8 {
        let payload = format!("payload number {i} {}", "x".repeat(usize::from(i) * 90));
        all.extend(
            writer.append(&[Draft::new(1_700_000_000_000 + u64::from(i), format!("kind-{i}"), payload)]).unwrap(),
        );
    }
    all
}

/// Where these bytes stand in the file; they must stand there once.
fn find(file: &[u8], bytes: &[u8]) -> usize {
    let places: Vec<usize> = (0..=file.len() - bytes.len()).filter(|at| file[*at..].starts_with(bytes)).collect();
    assert_eq!(places.len(), 1);
    places[0]
}

#[test]
fn a_flip_in_a_column_names_its_record() {
    let home = tempfile::tempdir().unwrap();
    let all = small(home.path());
    let database = home.path().join("journal.db");
    let file = fs::read(&database).unwrap();
    for record in &all {
        // The next record holds this one's hash too, as its `prev`: the row at hand begins with its kind.
        let row = find(&file, record.kind.as_bytes());
        let length = record.kind.len() + record.payload.len() + 16 + 32 * 3;
        for at in row..row + length {
            let mut flipped = file.clone();
            flipped[at] ^= 0x10;
            fs::write(&database, &flipped).unwrap();
            let said = verify_folder(home.path()).unwrap();
            assert!(
                matches!(&said, Verdict::Broken { place: Place::Record(seq), .. } if *seq == record.seq),
                "byte {at} of record {}: {said}",
                record.seq
            );
        }
    }
    fs::write(&database, &file).unwrap();
    assert!(matches!(verify_folder(home.path()).unwrap(), Verdict::Whole(_)));
}

#[test]
fn a_flip_anywhere_in_the_file_changes_nothing_unnoticed() {
    let home = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
    let all = small(home.path());
    let database = home.path().join("journal.db");
    let file = fs::read(&database).unwrap();
    let (mut named, mut harmless) = (0, 0);
    for at in 0..file.len() {
        let mut flipped = file.clone();
        flipped[at] ^= 1 << (at % 8);
        for side in ["-wal", "-shm"] {
            let _ = fs::remove_file(home.path().join(format!("journal.db{side}")));
        }
        fs::write(&database, &flipped).unwrap();
        match verify_folder(home.path()) {
            Ok(Verdict::Whole(report)) => {
                // What SQLite keeps for itself and no one reads: counters, free space.
                let seen = Reader::open(home.path()).unwrap().records(1, usize::MAX).unwrap();
                assert_eq!((seen, report.task.as_str()), (all.clone(), "task-of-the-damage"), "byte {at}");
                harmless += 1;
            }
            Ok(Verdict::Broken { .. }) => {
                let refused = Writer::open(home.path()).map(drop);
                assert!(
                    matches!(refused, Ok(()) | Err(Error::Corrupt { .. } | Error::Database { .. })),
                    "byte {at}: {refused:?}"
                );
                named += 1;
            }
            Err(Error::Database { .. }) => named += 1,
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(named > 1000 && harmless > 0, "{named} named, {harmless} harmless");
}

#[test]
fn a_corrupt_journal_is_not_written_to() {
    let home = tempfile::tempdir().unwrap();
    let all = small(home.path());
    let database = home.path().join("journal.db");
    let mut file = fs::read(&database).unwrap();
    let at = find(&file, b"payload number 3");
    file[at] ^= 1;
    fs::write(&database, &file).unwrap();
    let mut seen = Vec::new();
    let refused = Writer::open_replaying(home.path(), |record| seen.push(record)).unwrap_err();
    assert_eq!(refused.to_string(), "record 4: the payload does not match its digest");
    assert!(refused.hint().unwrap().contains("left as it was"));
    assert_eq!(seen, all[..3], "what stands before it is still read");
    assert_eq!(fs::read(&database).unwrap(), file, "the file is untouched");
    assert_eq!(journal::holder(home.path()).unwrap(), None, "the lock is given back");
    let mut reader = Reader::open(home.path()).unwrap();
    assert_eq!(reader.records(1, 3).unwrap(), all[..3]);
    assert_eq!(reader.records(6, 1).unwrap(), all[5..], "and what stands after it, for whoever salvages");
    assert_eq!(reader.records(5, 1).unwrap_err().to_string(), "record 4: the payload does not match its digest");
}

#[test]
fn rows_taken_swapped_or_rewritten_are_named() {
    let cases = [
        ("DELETE FROM record WHERE seq = 3", "record 3: another record stands in its place"),
        (
            "INSERT INTO record SELECT 7, time, kind, payload, salt, digest, prev, hash FROM record WHERE seq = 6",
            "record 7: the envelope does not match its hash",
        ),
        ("UPDATE record SET payload = x'00' WHERE seq = 4", "record 4: the payload does not match its digest"),
        ("UPDATE record SET salt = randomblob(16) WHERE seq = 4", "record 4: the payload does not match its digest"),
        ("UPDATE record SET hash = randomblob(32) WHERE seq = 4", "record 4: the envelope does not match its hash"),
        ("UPDATE record SET seq = 7 WHERE seq = 6", "record 6: another record stands in its place"),
        ("UPDATE record SET time = 5 WHERE seq = 2", "record 2: the envelope does not match its hash"),
        ("UPDATE record SET kind = 'other' WHERE seq = 2", "record 2: the envelope does not match its hash"),
        ("UPDATE record SET kind = x'ff' WHERE seq = 2", "record 2: its row does not have the form of a record"),
        ("UPDATE record SET salt = x'00' WHERE seq = 2", "record 2: its row does not have the form of a record"),
        ("UPDATE meta SET task = 'another'", "header: the task id does not match the genesis hash"),
        ("UPDATE meta SET v = 0", "header: there is no format 0"),
        ("DELETE FROM meta", "header: nothing says which task this is the journal of"),
        ("DROP TABLE record", "file: its tables are not those of a journal"),
        (
            "ALTER TABLE record RENAME TO hidden; CREATE VIEW record AS SELECT * FROM hidden",
            "file: its tables are not those of a journal",
        ),
    ];
    for (statement, expected) in cases {
        let home = tempfile::tempdir().unwrap();
        small(home.path());
        let database = rusqlite::Connection::open(home.path().join("journal.db")).unwrap();
        let _ = database.execute_batch(statement).or_else(|_| {
            // What the strict table refuses is written as an attacker would: without it.
            database.execute_batch(&format!(
                "CREATE TABLE loose AS SELECT * FROM record; DROP TABLE record; ALTER TABLE loose RENAME TO record; {statement}"
            ))
        });
        drop(database);
        let before = fs::read(home.path().join("journal.db")).unwrap();
        assert_eq!(verify_folder(home.path()).unwrap().to_string(), expected, "{statement}");
        assert!(matches!(Writer::open(home.path()), Err(Error::Corrupt { .. })), "{statement}");
        assert_eq!(fs::read(home.path().join("journal.db")).unwrap(), before, "{statement}: the file is untouched");
    }
}

#[test]
fn a_trigger_hidden_in_the_file_does_not_run() {
    let home = tempfile::tempdir().unwrap();
    let mut all = small(home.path());
    let database = rusqlite::Connection::open(home.path().join("journal.db")).unwrap();
    database
        .execute_batch("CREATE TRIGGER hidden AFTER INSERT ON record BEGIN DELETE FROM record WHERE seq = new.seq; END")
        .unwrap();
    drop(database);
    let mut writer = Writer::open(home.path()).unwrap();
    all.extend(writer.append(&[Draft::new(u64::MAX, "after", "")]).unwrap());
    assert_eq!(writer.reader().unwrap().records(1, 9).unwrap(), all);
}

/// What many flips, a cut or a strange page do at once. Run again with the printed seed in `JOURNAL_TEST_SEED`.
#[test]
fn random_damage_is_never_taken_for_another_content() {
    let seed = std::env::var("JOURNAL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| RandomState::new().hash_one("seed"));
    eprintln!("seed: {seed}");
    let mut state = seed;
    let mut random = move |below: usize| {
        // The generator "splitmix64".
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % below as u64) as usize
    };
    let home = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
    let all = small(home.path());
    let database = home.path().join("journal.db");
    let file = fs::read(&database).unwrap();
    for round in 0..600 {
        let mut damaged = file.clone();
        match round % 3 {
            0 => (0..1 + random(40)).for_each(|_| damaged[random(file.len())] = random(256) as u8),
            1 => damaged.truncate(random(file.len())),
            _ => {
                let (from, to, length) = (random(file.len()), random(file.len()), 1 + random(200));
                let taken: Vec<u8> = file.iter().copied().cycle().skip(from).take(length).collect();
                damaged.splice(to..(to + length).min(file.len()), taken);
            }
        }
        for side in ["-wal", "-shm"] {
            let _ = fs::remove_file(home.path().join(format!("journal.db{side}")));
        }
        fs::write(&database, &damaged).unwrap();
        match verify_folder(home.path()) {
            Ok(Verdict::Whole(report)) => {
                let seen = Reader::open(home.path()).unwrap().records(1, usize::MAX).unwrap();
                assert_eq!((seen, report.task.as_str()), (all.clone(), "task-of-the-damage"), "round {round}");
            }
            Ok(Verdict::Broken { .. }) | Err(Error::Database { .. }) => {}
            Err(error) => panic!("round {round}: {error}"),
        }
    }
}

#[test]
fn a_damaged_blob_is_named() {
    let home = tempfile::tempdir().unwrap();
    small(home.path());
    let blob = Blobs::open(home.path()).put(b"some content").unwrap();
    let path = home.path().join("blobs").join(journal::hex(&blob.digest));
    for at in 0..12 {
        let mut bytes = b"some content".to_vec();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let said = verify_folder(home.path()).unwrap().to_string();
        assert_eq!(said, format!("blob {}: the content does not match its name", journal::hex(&blob.digest)));
    }
}

#[test]
fn one_corrupt_journal_harms_no_other() {
    let home = tempfile::tempdir().unwrap();
    let (bad, good) = (home.path().join("bad"), home.path().join("good"));
    small(&bad);
    small(&good);
    fs::write(
        bad.join("journal.db"),
        "not a database at all, whatever its name says, and long enough to look like one: ".repeat(9),
    )
    .unwrap();
    assert_eq!(verify_folder(&bad).unwrap().to_string(), "file: it is not a database");
    assert!(matches!(Writer::open(&bad), Err(Error::Corrupt { place: Place::File, .. })));
    assert!(matches!(verify_folder(&good).unwrap(), Verdict::Whole(_)));
}

#[test]
fn a_later_format_is_not_called_damage() {
    let home = tempfile::tempdir().unwrap();
    drop(journal::Writer::create(home.path(), "t-01").unwrap());
    rusqlite::Connection::open(home.path().join("journal.db")).unwrap().execute("UPDATE meta SET v = 2", []).unwrap();
    let error = journal::Reader::open(home.path()).unwrap_err();
    assert!(matches!(error, journal::Error::Newer { format: 2, known: 1, .. }), "{error}");
    assert!(error.hint().unwrap().contains("update thenar"));
    assert!(matches!(journal::Writer::open(home.path()), Err(journal::Error::Newer { .. })));
    assert!(matches!(journal::verify_folder(home.path()), Err(journal::Error::Newer { .. })));
}
