//! What an append and a replay cost: `cargo bench -p journal`. The disk is waited for nowhere, save in `sync`.

use std::path::Path;

use divan::{Bencher, black_box};
use journal::{Draft, Reader, Writer};

const PAYLOAD_BYTES: usize = 600;

fn main() {
    divan::main();
}

fn draft(i: u64) -> Draft {
    Draft::new(1_760_000_000_000 + i, "tool_finished", vec![b'a' + (i % 26) as u8; PAYLOAD_BYTES])
}

fn fill(folder: &Path, records: u64) -> Writer {
    let Ok(mut writer) = Writer::create(folder, "bench") else { panic!("create a journal") };
    for first in (0..records).step_by(100) {
        let drafts: Vec<Draft> = (first..records.min(first + 100)).map(draft).collect();
        assert!(writer.append(&drafts).is_ok());
    }
    writer
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"))
}

/// One event, survived by any kill when it returns. The mean bears the checkpoints too.
#[divan::bench(sample_count = 20, sample_size = 1000)]
fn append_one(bencher: Bencher<'_, '_>) {
    let home = home();
    let mut writer = fill(home.path(), 100);
    bencher.bench_local(|| black_box(writer.append(&[draft(7)]).is_ok()));
}

/// One event and the wait for the disk.
#[divan::bench(sample_count = 20, sample_size = 10)]
fn append_one_and_sync(bencher: Bencher<'_, '_>) {
    let home = home();
    let mut writer = fill(home.path(), 100);
    let handle = writer.sync_handle();
    bencher.bench_local(|| black_box(writer.append(&[draft(7)]).is_ok() && handle.sync().is_ok()));
}

/// Opening and reading all of a journal, each record checked.
#[divan::bench(args = [1_500, 100_000], sample_count = 10, sample_size = 1)]
fn replay(bencher: Bencher<'_, '_>, records: u64) {
    let home = home();
    drop(fill(home.path(), records));
    bencher.bench_local(|| {
        let Ok(mut reader) = Reader::open(home.path()) else { panic!("open the journal") };
        let head = reader.replay(|record| {
            black_box(record);
            Ok::<_, journal::Error>(())
        });
        assert_eq!(head.map(|head| head.seq).ok(), Some(records));
    });
}

/// Taking over the journal of a killed writer: one append per record, so that most of it is still in the log.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn recover_1500_after_a_kill(bencher: Bencher<'_, '_>) {
    let home = home();
    let killed = home.path().join("killed");
    let mut writer = fill(&home.path().join("live"), 0);
    (0..1500).for_each(|i| assert!(writer.append(&[draft(i)]).is_ok()));
    let mut copy = 0;
    bencher
        .with_inputs(|| {
            copy += 1;
            let folder = killed.join(copy.to_string());
            assert!(std::fs::create_dir_all(&folder).is_ok());
            for file in ["journal.db", "journal.db-wal"] {
                assert!(std::fs::copy(home.path().join("live").join(file), folder.join(file)).is_ok());
            }
            folder
        })
        .bench_local_values(|folder| {
            let mut seen = 0;
            let writer = Writer::open_replaying(&folder, |record| seen = record.seq);
            assert_eq!(seen, 1500);
            // Closing would fold the log into the database, which is not part of taking over.
            std::mem::forget(writer);
        });
}

/// A new journal: one wait for the disk.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn create(bencher: Bencher<'_, '_>) {
    let home = home();
    let mut count = 0;
    bencher
        .with_inputs(|| {
            count += 1;
            home.path().join(count.to_string())
        })
        .bench_local_values(|folder| std::mem::forget(Writer::create(&folder, "bench")));
}

/// Asking for news when there is none.
#[divan::bench]
fn follow_nothing(bencher: Bencher<'_, '_>) {
    let home = home();
    let writer = fill(home.path(), 1000);
    let Ok(mut reader) = writer.reader() else { panic!("open a reader") };
    assert!(reader.follow(usize::MAX).is_ok());
    bencher.bench_local(|| black_box(reader.follow(100).is_ok()));
}
