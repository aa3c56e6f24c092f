//! What comes back is what was there.

use std::fs;
use std::os::unix::fs::symlink;

use proptest::prelude::*;
use sandbox::checkpoint::{Changes, Taken};

use super::Shelf;
use super::tree::{self, assert_same};

#[test]
fn a_wild_tree_comes_back_as_it_was() {
    let mut shelf = Shelf::new();
    tree::wild(&shelf.tree());
    let before = tree::read(&shelf.tree());
    let taken = shelf.take();
    assert_eq!((taken.counts.left_out, taken.counts.disturbed), (0, 0));
    assert_same(&tree::read(&shelf.tree()), &before, "taking changes nothing");
    // All of it gone.
    tree::unlock(&shelf.tree());
    fs::remove_dir_all(shelf.tree()).unwrap();
    fs::create_dir(shelf.tree()).unwrap();
    let restored = shelf.restore(taken.id);
    assert_eq!(restored.differing, 0, "{:?}", restored.first_differing);
    assert_same(&tree::read(&shelf.tree()), &before, "after all was gone");
    assert_eq!(shelf.try_take(), Taken::Same);
}

#[test]
fn only_what_differs_is_touched() {
    let mut shelf = Shelf::new();
    tree::wild(&shelf.tree());
    let before = tree::read(&shelf.tree());
    let taken = shelf.take();
    let untouched = fs::File::open(shelf.at("noise.bin")).unwrap();
    let top = shelf.tree();
    let number = |name: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(top.join(name)).unwrap());
    let (kept, dressed) = (number("noise.bin"), number("zeros.bin"));
    // Something of every kind: more, less, other content, other mode, another kind of thing, names moved about.
    fs::write(shelf.at("plain.txt"), "one\nTWO\n").unwrap();
    fs::write(shelf.at("new"), "new").unwrap();
    fs::create_dir_all(shelf.at("new folder/with/more")).unwrap();
    fs::write(shelf.at("new folder/with/more/in it"), "x").unwrap();
    fs::remove_file(shelf.at("empty")).unwrap();
    fs::create_dir(shelf.at("empty")).unwrap();
    fs::write(shelf.at("empty/no more"), "x").unwrap();
    tree::unlock(&shelf.at("empty folder"));
    fs::remove_dir_all(shelf.at("empty folder")).unwrap();
    symlink("sort", shelf.at("empty folder")).unwrap();
    fs::remove_file(shelf.at("dangling")).unwrap();
    symlink("elsewhere", shelf.at("dangling")).unwrap();
    fs::remove_file(shelf.at("loop")).unwrap();
    fs::write(shelf.at("loop"), "a file now").unwrap();
    fs::remove_file(shelf.at("names/z")).unwrap();
    fs::write(shelf.at("names/z"), "under several names").unwrap();
    fs::hard_link(shelf.at("plain.txt"), shelf.at("names/plain")).unwrap();
    fs::remove_file(shelf.at("sort/a!")).unwrap();
    fs::rename(shelf.at("sort/a-b"), shelf.at("sort/a!")).unwrap();
    tree::set_mode(&shelf.at("zeros.bin"), 0o600);
    tree::set_attribute(&shelf.at("zeros.bin"), "user.new", b"x");
    tree::set_mtime(&shelf.at("modes/644"), 5, 5);
    tree::sparse(&shelf.at("only holes"), 1 << 20, &[(4096, b"not any more")]);
    tree::unlock(&shelf.at("closed"));
    fs::write(shelf.at("closed/in it/file"), "changed").unwrap();
    fs::remove_dir_all(shelf.at("deep")).unwrap();
    tree::fifo(&shelf.at("pipe"));
    let restored = shelf.restore(taken.id);
    assert_eq!(restored.differing, 0, "{:?}", restored.first_differing);
    assert_same(&tree::read(&shelf.tree()), &before, "put back");
    assert_eq!(
        (kept, dressed),
        (number("noise.bin"), number("zeros.bin")),
        "what has the same content stays the same file"
    );
    assert!(restored.written_bytes < 1_000_000, "{restored:?}");
    drop(untouched);
    assert_eq!(shelf.try_take(), Taken::Same);
    let again = shelf.restore(taken.id);
    assert_eq!((again.changes, again.written_bytes), (Changes::default(), 0));
}

#[test]
fn what_is_added_is_counted_and_only_that_is_stored() {
    let mut shelf = Shelf::new();
    fs::write(shelf.at("large"), tree::noise(1, 8_000_000)).unwrap();
    let first = shelf.take();
    assert_eq!(first.changes, Changes { added: 2, changed: 0, removed: 0 });
    assert_eq!((first.counts.files, first.counts.bytes, first.counts.folders), (1, 8_000_000, 0));
    assert!(first.stored_bytes > 8_000_000);
    assert_eq!(shelf.try_take(), Taken::Same);
    // A hundred bytes in the middle: one or two chunks are new, the others are known.
    let mut bytes = fs::read(shelf.at("large")).unwrap();
    bytes.splice(4_000_000..4_000_000, tree::noise(2, 100));
    fs::write(shelf.at("large"), &bytes).unwrap();
    fs::write(shelf.at("copy"), &bytes).unwrap();
    let second = shelf.take();
    assert_eq!(second.changes, Changes { added: 1, changed: 1, removed: 0 });
    assert!(second.stored_bytes < 2_200_000, "{second:?}");
    fs::remove_file(shelf.at("large")).unwrap();
    let third = shelf.take();
    assert_eq!(third.changes, Changes { added: 0, changed: 0, removed: 1 });
    assert!(third.stored_bytes < 10_000, "{third:?}");
}

#[test]
fn a_change_in_the_same_tick_and_of_the_same_size_is_seen() {
    let mut shelf = Shelf::new();
    for round in 0..60 {
        // Written, taken, and written again at once: the same size, and perhaps the same time.
        fs::write(shelf.at("file"), format!("{round:04}a")).unwrap();
        shelf.take();
        fs::write(shelf.at("file"), format!("{round:04}b")).unwrap();
        let seen = shelf.take();
        assert_eq!(seen.changes.changed, 1, "round {round}");
    }
}

#[test]
#[expect(unsafe_code, reason = "a mapping has no safe interface")]
fn a_change_through_a_mapping_is_seen_though_it_leaves_no_time() {
    use std::os::fd::AsRawFd;
    let mut shelf = Shelf::new();
    let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(shelf.at("mapped")).unwrap();
    file.set_len(4096).unwrap();
    let (number, shared) = (file.as_raw_fd(), libc::MAP_SHARED);
    // SAFETY: a new mapping of a file of our own, at a place of the kernel's choice.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, shared, number, 0) };
    assert_ne!(page, libc::MAP_FAILED);
    // The mapping outlives the descriptor.
    drop(file);
    // SAFETY: within the mapping, which nobody else writes to.
    let put = |byte: u8| unsafe { page.cast::<u8>().write_volatile(byte) };
    for byte in 1..=20 {
        put(byte);
        let taken = shelf.take();
        let kept = shelf.store.read_file(sandbox::checkpoint::Side::At(taken.id), "mapped".as_ref(), 0, 1).unwrap();
        assert_eq!(kept.unwrap().bytes, [byte]);
    }
    let first = shelf.last.unwrap();
    put(99);
    assert_eq!(shelf.restore(first).differing, 0);
    assert_eq!(fs::read(shelf.at("mapped")).unwrap()[0], 20, "and it is put back");
    // SAFETY: the mapping of above, used no more.
    assert_eq!(unsafe { libc::munmap(page, 4096) }, 0);
}

#[test]
fn a_time_that_is_set_back_hides_nothing() {
    let mut shelf = Shelf::new();
    fs::write(shelf.at("file"), "before").unwrap();
    tree::set_mtime(&shelf.at("file"), 1_000, 0);
    shelf.take();
    tree::settle(&shelf.at("file"));
    assert_eq!(shelf.try_take(), Taken::Same, "and from here on it is known by its times");
    fs::write(shelf.at("file"), "hidden").unwrap();
    tree::set_mtime(&shelf.at("file"), 1_000, 0);
    let first = shelf.last.unwrap();
    let seen = shelf.take();
    assert_eq!(seen.changes.changed, 1);
    assert_eq!(shelf.restore(first).differing, 0);
    assert_eq!(fs::read_to_string(shelf.at("file")).unwrap(), "before");
}

/// What somebody may do in a workspace.
#[derive(Debug, Clone)]
enum Edit {
    Write(usize, Vec<u8>),
    Append(usize, Vec<u8>),
    Large(usize, u64),
    Truncate(usize, u64),
    Remove(usize),
    Folder(usize),
    Rename(usize, usize),
    Symlink(usize, usize),
    Link(usize, usize),
    Mode(usize, u32),
    Time(usize, i64),
    Attribute(usize, Vec<u8>),
}

const PLACES: [&str; 14] =
    ["a", "b", "c", "a/a", "a/b", "a/c", "b/a", "b/b", "c/a", "a/a/a", "a/a/b", "a/b/a", "b/a/a", "b/a/b"];

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let place = || 0..PLACES.len();
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    let edit = prop_oneof![
        4 => (place(), bytes()).prop_map(|(at, bytes)| Edit::Write(at, bytes)),
        2 => (place(), bytes()).prop_map(|(at, bytes)| Edit::Append(at, bytes)),
        1 => (place(), any::<u64>()).prop_map(|(at, seed)| Edit::Large(at, seed)),
        1 => (place(), 0..300_000_u64).prop_map(|(at, length)| Edit::Truncate(at, length)),
        3 => place().prop_map(Edit::Remove),
        4 => place().prop_map(Edit::Folder),
        3 => (place(), place()).prop_map(|(from, to)| Edit::Rename(from, to)),
        2 => (place(), place()).prop_map(|(at, to)| Edit::Symlink(at, to)),
        3 => (place(), place()).prop_map(|(from, to)| Edit::Link(from, to)),
        2 => (place(), prop::sample::select(vec![0o700, 0o755, 0o500, 0o1777])).prop_map(|(at, mode)| Edit::Mode(at, mode)),
        1 => (place(), -10_i64..10).prop_map(|(at, time)| Edit::Time(at, time)),
        1 => (place(), bytes()).prop_map(|(at, value)| Edit::Attribute(at, value)),
    ];
    prop::collection::vec(edit, 1..12)
}

/// Does it if it can be done.
fn edit(shelf: &Shelf, edit: &Edit) {
    use std::io::Write;
    let at = |place: &usize| shelf.at(PLACES[*place]);
    let real = |place: &usize| fs::symlink_metadata(at(place)).is_ok_and(|about| !about.is_symlink());
    let _ = match edit {
        Edit::Write(place, bytes) if real(place) || !at(place).exists() => fs::write(at(place), bytes),
        Edit::Append(place, bytes) if real(place) => {
            fs::OpenOptions::new().append(true).open(at(place)).and_then(|mut file| file.write_all(bytes))
        }
        Edit::Large(place, seed) if real(place) || !at(place).exists() => {
            fs::write(at(place), tree::noise(*seed % 4, 400_000))
        }
        Edit::Truncate(place, length) if real(place) => {
            fs::OpenOptions::new().write(true).open(at(place)).and_then(|file| file.set_len(*length))
        }
        Edit::Remove(place) => {
            if real(place) {
                tree::unlock(&at(place));
            }
            fs::remove_file(at(place)).or_else(|_| fs::remove_dir_all(at(place)))
        }
        Edit::Folder(place) => fs::create_dir(at(place)),
        Edit::Rename(from, to) => fs::rename(at(from), at(to)),
        Edit::Symlink(place, to) => symlink(at(to), at(place)),
        Edit::Link(from, to) => fs::hard_link(at(from), at(to)),
        Edit::Mode(place, mode) if real(place) => {
            tree::set_mode(&at(place), *mode);
            Ok(())
        }
        Edit::Time(place, time) if fs::symlink_metadata(at(place)).is_ok() => {
            tree::set_mtime(&at(place), *time, 1);
            Ok(())
        }
        Edit::Attribute(place, value) if real(place) => {
            tree::set_attribute(&at(place), "user.edit", value);
            Ok(())
        }
        _ => Ok(()),
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_can_be_gone_back_and_forth_in(
        history in prop::collection::vec(edits(), 1..6),
        visits in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let mut shelf = Shelf::new();
        assert_eq!(shelf.try_take(), Taken::Same, "nothing is there");
        fs::write(shelf.at("always here"), "").unwrap();
        let mut kept = vec![(shelf.take().id, tree::read(&shelf.tree()))];
        for edits in &history {
            edits.iter().for_each(|one| edit(&shelf, one));
            let taken = shelf.try_take();
            let tree = tree::read(&shelf.tree());
            match taken {
                Taken::New(checkpoint) => kept.push((checkpoint.id, tree)),
                Taken::Same => {}
                other => panic!("{other:?}"),
            }
        }
        for visit in visits {
            let (id, wanted) = visit.get(&kept);
            let restored = shelf.restore(*id);
            assert_eq!(restored.differing, 0, "{:?}", restored.first_differing);
            assert_same(&tree::read(&shelf.tree()), wanted, "a visit");
            assert_eq!(shelf.try_take(), Taken::Same);
        }
    }
}
