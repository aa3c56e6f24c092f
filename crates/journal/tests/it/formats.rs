//! Journals and bundles of each format that was ever written: they are read for ever. Never made anew: `format-1` was
//! written by the first version.

use std::{fs, path::Path};

use journal::{Reader, verify_bundle_file, verify_folder};

/// A copy to look at, since a reader of a database leaves its side files beside it.
fn copy(format: &str) -> tempfile::TempDir {
    fn all(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().flatten() {
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                all(&entry.path(), &to)
            } else {
                fs::copy(entry.path(), to).map(|_bytes| ()).unwrap()
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format), folder.path());
    folder
}

#[test]
fn the_first_format_is_read_for_ever() {
    let folder = copy("format-1");
    let whole = "whole: task t-golden, 3 records, 1 blobs, head 06c315ec728246df97a2569ffbfc976c693c074f961877d66822991eb0923096";
    assert_eq!(verify_folder(folder.path()).unwrap().to_string(), whole);
    assert_eq!(verify_bundle_file(&folder.path().join("bundle.jsonl")).unwrap().to_string(), whole);
    let mut reader = Reader::open(folder.path()).unwrap();
    let mut seen = Vec::new();
    reader
        .replay(|record| {
            seen.push((record.seq, record.time_ms, record.kind.clone(), record.payload.clone()));
            Ok::<(), journal::Error>(())
        })
        .unwrap();
    assert_eq!(
        seen,
        [
            (1, 1_760_000_000_000, "task_created".to_owned(), "{\"brief\":\"sum \\u00fcp\"}".into()),
            (2, 1_760_000_000_001, "bytes".to_owned(), vec![0xff, 0, 7]),
            (3, 1_760_000_000_002, "task_ended".to_owned(), Vec::new()),
        ]
    );
    // It can still be written to, and exports to the very bytes that it did then.
    let writer = journal::Writer::open(folder.path()).unwrap();
    let mut out = Vec::new();
    journal::export(&mut reader, writer.blobs(), &mut out).unwrap();
    assert_eq!(out, fs::read(folder.path().join("bundle.jsonl")).unwrap());
}
