//! Both stores behind the same laws, and payloads of every kind. No file is damaged here.

use journal::{Blobs, Draft, Error, MemoryStore, Reader, SqliteStore, Verdict, Writer, conformance};
use proptest::prelude::*;

#[test]
fn memory_conforms() {
    conformance::check(&mut |task| Ok(Box::new(MemoryStore::new(task)))).unwrap();
}

#[test]
fn sqlite_conforms() {
    let home = tempfile::tempdir().unwrap();
    let mut count = 0;
    conformance::check(&mut |task| {
        count += 1;
        let folder = home.path().join(count.to_string());
        std::fs::create_dir(&folder).unwrap();
        Ok(Box::new(SqliteStore::create(&folder, task)?))
    })
    .unwrap();
}

#[test]
fn a_journal_outlives_its_writer() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("tasks/one");
    let mut writer = Writer::create(&folder, "one").unwrap();
    let mut all = writer.append(&[Draft::new(5, "a", "x"), Draft::new(6, "b", "y")]).unwrap();
    let head = writer.head();
    drop(writer);
    assert!(matches!(Writer::create(&folder, "one"), Err(Error::Exists { .. })));
    let mut seen = Vec::new();
    let mut writer = Writer::open_replaying(&folder, |record| seen.push(record)).unwrap();
    assert_eq!((seen.as_slice(), writer.head(), writer.task()), (all.as_slice(), head, "one"));
    all.extend(writer.append(&[Draft::new(1, "c", "z")]).unwrap());
    assert_eq!(all[2].time_ms, 6, "time does not go back over a restart");
    assert_eq!(Reader::open(&folder).unwrap().records(1, 10).unwrap(), all);
    assert!(matches!(Reader::open(home.path()), Err(Error::NotFound { .. })));
    assert!(matches!(Writer::open(&home.path().join("none")), Err(Error::NotFound { .. })));
}

#[test]
fn names_and_sizes_have_limits() {
    let mut writer = Writer::in_memory("task").unwrap();
    for kind in ["", "two words", "quote\"", "ümlaut", &"k".repeat(journal::KIND_BYTES_MAX + 1)] {
        assert!(matches!(writer.append(&[Draft::new(1, kind, "")]), Err(Error::BadName { .. })), "{kind:?}");
    }
    let big = writer.append(&[Draft::new(1, "big", vec![0; journal::PAYLOAD_BYTES_MAX + 1])]).unwrap_err();
    assert_eq!(big.to_string(), "payload of 4194305 bytes is over the limit of 4194304");
    assert_eq!(big.hint().unwrap(), "keep it as a blob and name its digest");
    assert!(matches!(Writer::in_memory("no\nname"), Err(Error::BadName { .. })));
    assert_eq!(writer.head().seq, 0);
}

#[test]
fn blobs_are_kept_by_content() {
    let home = tempfile::tempdir().unwrap();
    for blobs in [Blobs::open(home.path()), Blobs::in_memory()] {
        let one = blobs.put(b"one").unwrap();
        assert_eq!(blobs.put(b"one").unwrap(), one);
        let empty = blobs.put(b"").unwrap();
        assert_eq!((one.bytes, empty.bytes), (3, 0));
        assert_eq!(blobs.get(&one.digest).unwrap(), b"one");
        assert_eq!(blobs.list().unwrap().len(), 2);
        assert!(matches!(blobs.get(&[0; 32]), Err(Error::BlobMissing { .. })));
        blobs.sync().unwrap();
    }
    let name = journal::hex(&Blobs::open(home.path()).put(b"one").unwrap().digest);
    let path = home.path().join("blobs").join(&name);
    std::fs::write(&path, "two").unwrap();
    let blobs = Blobs::open(home.path());
    let damaged = blobs.get(&journal::parse_hash(&name).unwrap()).unwrap_err();
    assert_eq!(damaged.to_string(), format!("blob {name}: the content does not match its name"));
    blobs.put(b"one").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"one", "the right bytes mend a damaged blob");
}

#[test]
fn many_threads_share_a_sync() {
    let home = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(home.path(), "task").unwrap();
    writer.append(&[Draft::new(1, "a", "")]).unwrap();
    writer.blobs().put(b"blob").unwrap();
    let handle = writer.sync_handle();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| (0..5).try_for_each(|_| handle.sync()))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is appended comes back as it was, from the journal and through a bundle that verifies.
    #[test]
    fn any_payload_comes_back(
        groups in prop::collection::vec(
            prop::collection::vec((0u64..1 << 53, "[a-zA-Z0-9_.:/-]{1,64}", prop::collection::vec(any::<u8>(), 0..600)), 1..4),
            0..6,
        ),
        texts in prop::collection::vec(any::<String>(), 0..4),
    ) {
        let home = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(home.path(), "task").unwrap();
        let mut all = Vec::new();
        for group in &groups {
            let drafts: Vec<Draft> =
                group.iter().map(|(time, kind, payload)| Draft::new(*time, kind, payload.clone())).collect();
            all.extend(writer.append(&drafts).unwrap());
        }
        for text in &texts {
            all.extend(writer.append(&[Draft::new(0, "text", text.as_bytes())]).unwrap());
            writer.blobs().put(text.as_bytes()).unwrap();
        }
        let wanted = groups.iter().flatten().map(|(_, kind, payload)| (kind.as_str(), payload.as_slice()));
        let wanted: Vec<_> = wanted.chain(texts.iter().map(|text| ("text", text.as_bytes()))).collect();
        let got: Vec<_> = all.iter().map(|record| (record.kind.as_str(), record.payload.as_slice())).collect();
        prop_assert_eq!(got, wanted);
        let mut reader = Reader::open(home.path()).unwrap();
        prop_assert_eq!(reader.records(1, usize::MAX).unwrap(), all);
        let mut bundle = Vec::new();
        let report = journal::export(&mut reader, writer.blobs(), &mut bundle).unwrap();
        prop_assert_eq!(journal::verify_bundle(&bundle), Verdict::Whole(report.clone()));
        prop_assert_eq!(journal::verify_folder(home.path()).unwrap(), Verdict::Whole(report));
    }
}
