//! Bundles cut at every byte and with every bit flipped: never whole, and always named where they were hurt, by this
//! crate and by the script in `docs/`. No database is damaged here.

use std::{fs, path::Path, process::Command};

use journal::{Draft, Place, Reader, Verdict, Writer, verify_bundle, verify_bundle_file};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

/// A bundle with text, binary and empty payloads, and two blobs.
fn bundle(folder: &Path) -> Vec<u8> {
    let mut writer = Writer::create(folder, "t-01").unwrap();
    writer.append(&[Draft::new(1_760_000_000_000, "created", "{\"brief\":\"sum \\u00fcp\"}")]).unwrap();
    writer
        .append(&[
            Draft::new(
                3,
                "note",
                "ünïcode 🧪 \u{2028}\u{feff}\u{ffff} \n\t\r\u{8}\u{c}\u{1}\u{1f}\u{7f}\u{85} \"quoted\" \\ /",
            ),
            Draft::new(4, "bytes", vec![0xff, 0, 7]),
        ])
        .unwrap();
    writer.append(&[Draft::new(1_760_000_000_999, "ended", "")]).unwrap();
    writer.blobs().put(b"a blob of text").unwrap();
    writer.blobs().put(&[0xfe, 0xed, 0xfa, 0xce]).unwrap();
    let mut out = Vec::new();
    journal::export(&mut Reader::open(folder).unwrap(), writer.blobs(), &mut out).unwrap();
    out
}

/// The part that each byte of the bundle belongs to.
fn owners(bundle: &[u8]) -> Vec<Place> {
    let lines: Vec<&[u8]> = bundle.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 8);
    let name = |line: &[u8]| String::from_utf8(line[9..73].to_vec()).unwrap();
    let place = |(i, line): (usize, &&[u8])| match i {
        0 => Place::Header,
        1..=4 => Place::Record(i as u64),
        5 | 6 => Place::Blob(name(line)),
        _ => Place::Head,
    };
    lines.iter().enumerate().flat_map(|line| vec![place(line); line.1.len()]).collect()
}

#[track_caller]
fn check_named(said: &Verdict, owner: &Place, at: usize) {
    let Verdict::Broken { place, .. } = said else { panic!("byte {at}: {said}") };
    match (place, owner) {
        // A flip in a blob's own name: it is called by what now stands there, or by its position.
        (Place::Blob(_), Place::Blob(_)) => {}
        _ => assert_eq!(place, owner, "byte {at}: {said}"),
    }
}

#[test]
fn every_flipped_bit_is_named() {
    let home = tempfile::tempdir().unwrap();
    let whole = bundle(home.path());
    let owners = owners(&whole);
    for (at, owner) in owners.iter().enumerate() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            check_named(&verify_bundle(&flipped), owner, at);
        }
    }
    // Outside its own name a damaged blob is called by it.
    let start = owners.iter().position(|owner| matches!(owner, Place::Blob(_))).unwrap();
    let mut flipped = whole;
    flipped[start + 100] ^= 1;
    assert!(matches!(verify_bundle(&flipped), Verdict::Broken { place, .. } if place == owners[start]));
}

#[test]
fn a_cut_bundle_is_never_whole() {
    let home = tempfile::tempdir().unwrap();
    let whole = bundle(home.path());
    for length in 0..whole.len() {
        assert!(matches!(verify_bundle(&whole[..length]), Verdict::Broken { .. }), "{length} bytes");
    }
    assert!(matches!(verify_bundle(&whole), Verdict::Whole(_)));
}

/// Damage that a flip does not reach, each with the words both verifiers have for it.
fn altered(whole: &[u8], of_another_past: &[u8]) -> Vec<(Vec<u8>, &'static str)> {
    let text = std::str::from_utf8(whole).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let other = std::str::from_utf8(of_another_past).unwrap().split_inclusive('\n').nth(2).unwrap();
    let spliced = text.replacen(lines[2], other, 1).into_bytes();
    let join = |picked: &[usize]| picked.iter().map(|i| lines[*i]).collect::<String>().into_bytes();
    let replace = |from: &str, to: &str| text.replacen(from, to, 1).into_bytes();
    vec![
        (spliced, "record 2: it does not follow the record before it"),
        (Vec::new(), "header: it is missing"),
        (join(&[0]), "head: it is missing"),
        (join(&[0, 1, 2, 3, 4, 5, 6]), "head: it is missing"),
        (join(&[1, 2, 3, 4, 5, 6, 7]), "header: the line is not canonical"),
        (join(&[0, 2, 3, 4, 5, 6, 7]), "record 1: another record stands in its place"),
        (join(&[0, 1, 2, 3, 5, 6, 7]), "head: it does not count the records that stand before it"),
        (join(&[0, 1, 2, 3, 4, 5, 7]), "head: it does not count the blobs that stand before it"),
        (join(&[0, 1, 3, 2, 4, 5, 6, 7]), "record 2: another record stands in its place"),
        (join(&[0, 1, 2, 3, 4, 5, 6, 7, 7]), "head: something stands after it"),
        (join(&[0, 1, 2, 3, 5, 4, 6, 7]), "record 4: it stands after the blobs"),
        ([whole, b" "].concat(), "head: something stands after it"),
        ([whole, b"\n"].concat(), "head: something stands after it"),
        (replace("\"v\":1}\n{\"env", "\"v\":1 }\n{\"env"), "header: the line is not canonical"),
        (
            replace("\"v\":1}\n{\"env", "\"v\":2}\n{\"env"),
            "header: it is of a later format than this program reads: update it",
        ),
        (replace("\"seq\":1,", "\"seq\":1.0,"), "record 1: the line is not canonical"),
        (replace("\"seq\":1,", "\"seq\":true,"), "record 1: the line is not canonical"),
        (replace("\"seq\":1,", "\"seq\":9007199254740993,"), "record 1: the line is not canonical"),
        (replace("\"seq\":1,", "\"seq\":1,\"seq\":1,"), "record 1: the line is not canonical"),
        (replace("{\"envelope\"", "{ \"envelope\""), "record 1: the line is not canonical"),
        (replace("\"kind\":\"note\"", "\"kind\":\"n\\u006fte\""), "record 2: the line is not canonical"),
        (replace("\"kind\":\"note\"", "\"kind\":\"no te\""), "record 2: the line is not canonical"),
        (replace("{\"text\":\"\"}", "{\"base64\":\"\"}"), "record 4: the line is not canonical"),
        (replace("{\"text\":\"\"}", "{\"text\":\"\\ud800\"}"), "record 4: the line is not canonical"),
        (
            replace("{\"text\":\"\"}", &format!("{{\"text\":{}", "[".repeat(100_000))),
            "record 4: the line is not canonical",
        ),
        (replace("/wAH", "/wAH===="), "record 3: the line is not canonical"),
        (replace("{\"text\":\"\"}", "{\"text\":\" \"}"), "record 4: the payload does not match its digest"),
        (replace("\"task\":\"t-01\"", "\"task\":\"t-02\""), "header: the task id does not match the genesis hash"),
    ]
}

#[expect(clippy::disallowed_methods, reason = "the other verifier is a script")]
fn run_script(files: &[String], folder: &Path) -> (Option<i32>, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify_journal.py");
    let ran = Command::new("python3").arg(script).args(files).current_dir(folder).output().unwrap();
    (ran.status.code(), String::from_utf8(ran.stdout).unwrap())
}

#[test]
fn altered_bundles_are_named_in_the_same_words_by_both() {
    let home = tempfile::tempdir().unwrap();
    let whole = bundle(&home.path().join("task"));
    let cases = altered(&whole, &bundle(&home.path().join("another past")));
    let mut files = Vec::new();
    for (i, (bytes, expected)) in cases.iter().enumerate() {
        assert_eq!(verify_bundle(bytes).to_string(), *expected, "case {i}");
        fs::write(home.path().join(i.to_string()), bytes).unwrap();
        files.push(i.to_string());
    }
    let (code, said) = run_script(&files, home.path());
    let expected: Vec<String> = cases.iter().enumerate().map(|(i, (_, words))| format!("{i}: {words}")).collect();
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    assert_eq!(code, Some(1));
}

#[test]
fn the_script_agrees_on_every_flipped_byte() {
    let home = tempfile::tempdir().unwrap();
    let whole = bundle(&home.path().join("task"));
    let mut files = vec!["whole".to_owned()];
    let mut expected = vec![format!("whole: {}", verify_bundle(&whole))];
    fs::write(home.path().join("whole"), &whole).unwrap();
    let (code, said) = run_script(&files, home.path());
    assert_eq!((code, said.trim_end()), (Some(0), expected[0].as_str()));
    for at in 0..whole.len() {
        // One bit in one file, all bits or a line feed in another: what a flip can do to the shape of a line.
        for (name, byte) in [("a", whole[at] ^ 1 << (at % 8)), ("b", !whole[at]), ("c", b'\n')] {
            if byte == whole[at] {
                continue;
            }
            let mut flipped = whole.clone();
            flipped[at] = byte;
            let file = format!("{name}{at}");
            fs::write(home.path().join(&file), &flipped).unwrap();
            expected.push(format!("{file}: {}", verify_bundle(&flipped)));
            files.push(file);
        }
    }
    let (code, said) = run_script(&files, home.path());
    let differing: Vec<_> = said.lines().zip(&expected).filter(|(said, expected)| said != expected).take(5).collect();
    assert_eq!(differing, []);
    assert_eq!((code, said.lines().count()), (Some(1), expected.len()));
    assert_eq!(run_script(&[], home.path()).0, Some(2), "no argument is wrong usage");
    assert_eq!(run_script(&["none".to_owned()], home.path()).0, Some(2), "a missing file cannot be read");
}

/// Lines and bytes moved, doubled, taken and changed by chance: whatever the verdict is, it is one.
#[test]
fn the_script_agrees_on_whatever_comes() {
    let home = tempfile::tempdir().unwrap();
    let whole = bundle(&home.path().join("task"));
    let lines: Vec<Vec<u8>> = whole.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let pieces: [&[u8]; 12] =
        [b"\\u00e9", b"\\/", b"\\ud83e", b"\"", b"{", b"1e2", b"-0", b"null", b"\xff", b"\xed\xa0\x80", b"\r\n", b" "];
    let config = ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    let edits = prop::collection::vec((0u8..4, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4);
    let (mut files, mut expected) = (Vec::new(), Vec::new());
    for i in 0..600 {
        let mut lines = lines.clone();
        for (kind, first, second) in edits.new_tree(&mut runner).unwrap().current() {
            let (from, to) = (first.index(lines.len()), second.index(lines.len()));
            match kind {
                0 => lines.swap(from, to),
                1 => drop(lines.remove(from)),
                2 => lines.insert(to, lines[from].clone()),
                _ => {
                    let at = second.index(lines[from].len());
                    lines[from].splice(at..at + second.index(2), pieces[first.index(pieces.len())].iter().copied());
                }
            }
        }
        let altered = lines.concat();
        fs::write(home.path().join(i.to_string()), &altered).unwrap();
        expected.push(format!("{i}: {}", verify_bundle(&altered)));
        files.push(i.to_string());
    }
    let (_, said) = run_script(&files, home.path());
    let differing: Vec<_> = said.lines().zip(&expected).filter(|(said, expected)| said != expected).take(5).collect();
    assert_eq!(differing, []);
    assert_eq!(said.lines().count(), expected.len());
}

#[test]
fn the_script_takes_every_text_and_checks_itself() {
    let home = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(&home.path().join("task"), "every-text").unwrap();
    // Every character that JSON or Python treats on its own, and samples of the planes above.
    let points = (0..0x3000u32).chain(0xd700..0x1_0100).chain((0x1_f000..=0x10_ffff).step_by(0xfff));
    let characters: Vec<char> = points.filter_map(char::from_u32).collect();
    for text in characters.chunks(64).map(|chunk| chunk.iter().collect::<String>()) {
        writer.append(&[Draft::new(1, "text", text.as_bytes())]).unwrap();
        writer.blobs().put(text.as_bytes()).unwrap();
        writer.append(&[Draft::new(1, "bytes", [text.as_bytes(), b"\xc0"].concat())]).unwrap();
    }
    let file = home.path().join("bundle");
    let report = journal::export_to_file(&mut writer.reader().unwrap(), writer.blobs(), &file).unwrap();
    let (code, said) = run_script(&["bundle".to_owned()], home.path());
    assert_eq!((code, said.trim_end()), (Some(0), format!("bundle: {}", Verdict::Whole(report)).as_str()));
    let (code, said) = run_script(&["--self-check".to_owned()], home.path());
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn an_export_is_the_same_every_time() {
    let home = tempfile::tempdir().unwrap();
    let first = bundle(&home.path().join("task"));
    let file = home.path().join("out.bundle");
    let folder = home.path().join("task");
    let blobs = journal::Blobs::open(&folder);
    let report = journal::export_to_file(&mut Reader::open(&folder).unwrap(), &blobs, &file).unwrap();
    assert_eq!(fs::read(&file).unwrap(), first);
    assert_eq!(verify_bundle_file(&file).unwrap(), Verdict::Whole(report));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "no half-written file is left");
}
