//! Whoever writes may die at any moment, and files may be cut or damaged at any byte: what was good stays good, and damage is named.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sandbox::Error;
use sandbox::checkpoint::{Bounds, Id, Side, Step, Store, Take, Taken};

use super::tree::{self, assert_same};
use super::{GO_ON, Shelf};

const FOLDER: &str = "THENAR_TEST_STORE";
const STEP: &str = "THENAR_TEST_STEP";
const STEPS: [Step; 6] = [Step::Read, Step::Written, Step::Synced, Step::Packed, Step::Named, Step::Durable];

/// This program again, in a role: it dies with its handle.
struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the writer that dies must be a process of its own")]
fn writer(role: &str, shelf: &Shelf, step: &str) -> Writer {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", role, "--nocapture"])
        .env(FOLDER, shelf.path())
        .env(STEP, step)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Writer(child)
}

fn take(folder: &Path, last: Option<Id>, step: &mut dyn FnMut(Step)) -> Taken {
    let (store, tree) = (Store::at(folder.join("checkpoints")), folder.join("workspace"));
    store.take(&Take { tree: &tree, last, bounds: Bounds::default(), stop: &GO_ON }, step).unwrap()
}

#[test]
fn a_writer_that_dies_at_any_step_leaves_the_checkpoints_before_it_whole() {
    for step in STEPS {
        let mut shelf = Shelf::new();
        fs::create_dir(shelf.at("folder")).unwrap();
        for (name, seed) in [("large", 1), ("folder/large", 2)] {
            fs::write(shelf.at(name), tree::noise(seed, 400_000)).unwrap();
        }
        let first = shelf.take().id;
        let before = tree::read(&shelf.tree());
        fs::write(shelf.at("folder/large"), "changed").unwrap();
        fs::write(shelf.at("new"), tree::noise(9, 500_000)).unwrap();
        let after = tree::read(&shelf.tree());
        let mut dying = writer("crash::role_of_one_who_dies_at_a_step", &shelf, &format!("{step:?} {first}"));
        let ended = dying.0.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(9), "{step:?}");
        let second = match shelf.try_take() {
            Taken::New(checkpoint) => checkpoint.id,
            other => panic!("{step:?}: {other:?}"),
        };
        let left = fs::read_dir(shelf.store.folder()).unwrap().flatten();
        let drafts = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(".new-")).count();
        assert_eq!(drafts, 0, "{step:?}: what the dead one left is swept away");
        for (id, wanted) in [(first, &before), (second, &after)] {
            assert_eq!(shelf.restore(id).differing, 0, "{step:?}");
            assert_same(&tree::read(&shelf.tree()), wanted, &format!("died at {step:?}"));
        }
    }
}

/// Not a test of its own: does nothing unless the test above runs it.
#[test]
fn role_of_one_who_dies_at_a_step() {
    let (Some(folder), Ok(said)) = (std::env::var_os(FOLDER), std::env::var(STEP)) else { return };
    let Some((at, last)) = said.split_once(' ') else { return };
    let _ = take(folder.as_ref(), Id::parse(last), &mut |step| {
        if format!("{step:?}") == at {
            let pid = rustix::process::getpid();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
    });
}

#[test]
fn whatever_was_said_to_be_taken_is_there_after_a_kill_at_any_moment() {
    for round in 0..15_u32 {
        let shelf = Shelf::new();
        let mut dying = writer("crash::role_of_one_who_takes_again_and_again", &shelf, "");
        let lines = BufReader::new(dying.0.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        for line in lines.map_while(Result::ok) {
            let Some((_, told)) = line.split_once("taken: ") else { continue };
            let (number, id) = told.split_once(' ').unwrap();
            said.push((number.to_owned(), Id::parse(id).unwrap()));
            if said.len() == 3 + round as usize % 12 {
                // Some moment of the next one.
                std::thread::park_timeout(Duration::from_micros(u64::from(round * 7919 % 9000)));
                drop(dying);
                break;
            }
        }
        assert!(said.len() >= 3, "the writer ended by itself");
        for (number, id) in said {
            let piece = shelf.store.read_file(Side::At(id), Path::new("number"), 0, 100).unwrap().unwrap();
            assert_eq!(String::from_utf8(piece.bytes).unwrap(), number);
            let noise = shelf.store.read_file(Side::At(id), Path::new("noise"), 0, usize::MAX).unwrap().unwrap();
            assert!(noise.bytes == tree::noise(number.parse().unwrap(), 100_000));
        }
    }
}

/// Not a test of its own: does nothing unless the test above runs it.
#[test]
fn role_of_one_who_takes_again_and_again() {
    let (Some(folder), Ok("")) = (std::env::var_os(FOLDER).map(PathBuf::from), std::env::var(STEP).as_deref()) else {
        return;
    };
    let mut all = Vec::new();
    for number in 0..1000_u64 {
        fs::write(folder.join("workspace/number"), number.to_string()).unwrap();
        fs::write(folder.join("workspace/noise"), tree::noise(number, 100_000)).unwrap();
        let Taken::New(checkpoint) = take(&folder, all.last().copied(), &mut |_| {}) else { panic!("nothing new") };
        println!("taken: {number} {}", checkpoint.id);
        std::io::stdout().flush().unwrap();
        all.push(checkpoint.id);
        if number % 4 == 3 {
            // Nothing is let go, and everything is moved about.
            Store::at(folder.join("checkpoints")).sweep(&all).unwrap();
        }
    }
}

/// A store with two checkpoints of two files, and what they held.
fn small_store() -> (Shelf, Vec<(Id, &'static str)>) {
    let mut shelf = Shelf::new();
    fs::write(shelf.at("other"), "the other one").unwrap();
    let mut ids = Vec::new();
    for text in ["the first", "the second"] {
        fs::write(shelf.at("file"), text).unwrap();
        ids.push((shelf.take().id, text));
    }
    (shelf, ids)
}

/// What can be had of each checkpoint is what was put in, or damage is said; how many can be had.
#[track_caller]
fn check_all(store: &Store, ids: &[(Id, &str)], told: &str) -> usize {
    let mut whole = 0;
    for (id, text) in ids {
        let mut good = true;
        for (name, expected) in [("file", *text), ("other", "the other one")] {
            match store.read_file(Side::At(*id), Path::new(name), 0, 100) {
                Ok(Some(piece)) => assert_eq!(piece.bytes, expected.as_bytes(), "{told}"),
                Err(Error::Damaged { .. }) => good = false,
                other => panic!("{told}: {other:?}"),
            }
        }
        whole += usize::from(good);
    }
    whole
}

#[test]
fn a_store_cut_or_altered_at_any_byte_gives_the_truth_or_names_the_damage() {
    let (shelf, ids) = small_store();
    let mut least_whole = ids.len();
    for entry in fs::read_dir(shelf.store.folder()).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 1 << (at % 8);
            for (bytes, how) in [(&whole[..at], "cut"), (&altered[..], "altered")] {
                fs::write(&path, bytes).unwrap();
                least_whole = least_whole.min(check_all(&shelf.store, &ids, &format!("{name} {how} at {at}")));
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(check_all(&shelf.store, &ids, "as it was"), ids.len());
    assert!(least_whole < ids.len(), "some damage was seen");
}

/// The files of a store, with what is in them.
fn files_of(store: &Store) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(store.folder()).unwrap().flatten().map(|entry| entry.path());
    paths.filter(|path| path.is_file()).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn a_taking_that_is_cut_at_any_byte_leaves_the_checkpoint_before_it_whole() {
    let mut shelf = Shelf::new();
    fs::write(shelf.at("other"), "the other one").unwrap();
    fs::write(shelf.at("file"), "the first").unwrap();
    let first = (shelf.take().id, "the first");
    let before = files_of(&shelf.store);
    fs::write(shelf.at("file"), "the second").unwrap();
    shelf.take();
    let written: Vec<_> =
        files_of(&shelf.store).into_iter().filter(|(path, bytes)| before.get(path) != Some(bytes)).collect();
    assert!(written.len() >= 3, "chunks, the checkpoint, and what the next look is spared: {written:?}");
    let mut cuts = 0;
    for (path, bytes) in &written {
        let name = path.file_name().unwrap().to_str().unwrap();
        let draft = path.with_file_name(format!(".new-{name}"));
        for (cut_off, at) in [&draft, path].into_iter().flat_map(|file| (0..=bytes.len()).map(move |at| (file, at))) {
            files_of(&shelf.store).into_keys().for_each(|path| fs::remove_file(path).unwrap());
            before.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
            fs::write(cut_off, &bytes[..at]).unwrap();
            let told = format!("{} cut at {at}", cut_off.display());
            assert_eq!(check_all(&shelf.store, &[first], &told), 1, "{told}");
            cuts += 1;
            // The next taking makes up for it. What has its final name was whole on the disk before it got that.
            if *cut_off == draft && at % 16 == 0 {
                shelf.last = Some(first.0);
                let Taken::New(second) = shelf.try_take() else { panic!("{told}: nothing new") };
                assert_eq!(check_all(&shelf.store, &[first, (second.id, "the second")], &told), 2, "{told}");
                assert!(!draft.exists(), "{told}");
            }
        }
    }
    assert!(cuts > 500, "{cuts} cuts");
}

#[test]
fn a_damaged_store_is_made_whole_by_the_next_taking() {
    let (mut shelf, ids) = small_store();
    let names: Vec<_> = fs::read_dir(shelf.store.folder()).unwrap().flatten().map(|entry| entry.path()).collect();
    for path in names {
        let whole = fs::read(&path).unwrap();
        for cut in [0, whole.len() / 2, whole.len().saturating_sub(1)] {
            fs::write(&path, &whole[..cut]).unwrap();
            shelf.last = Some(ids[1].0);
            let _ = shelf.try_take();
            let last = shelf.last.unwrap();
            let told = format!("{} cut at {cut}", path.display());
            let piece = shelf.store.read_file(Side::At(last), Path::new("other"), 0, 100).unwrap_or_else(|error| {
                panic!("{told}: {error}");
            });
            assert_eq!(piece.unwrap().bytes, b"the other one", "{told}");
        }
        fs::write(&path, &whole).unwrap();
    }
}
