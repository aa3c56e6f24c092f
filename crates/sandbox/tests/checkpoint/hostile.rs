//! Trees that somebody made as traps, and changes while we look.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use sandbox::Error;
use sandbox::checkpoint::{Bound, Bounds, Id, Place, Restore, Side, Store, Take, Taken};

use super::tree::{self, assert_same};
use super::{GO_ON, Shelf};

/// How often a folder and a link to the host are swapped, at the least.
const SWAPS: u32 = 20_000;
/// And how often is looked meanwhile, at the least.
const LOOKS: u32 = 300;

/// A shelf whose folder `d` is again and again a link to a folder of the host with bait in it, while `work` is done over and over.
fn while_swapped(mut work: impl FnMut(&mut Shelf, &Path, Id, Id)) {
    let mut shelf = Shelf::new();
    let host = shelf.path().join("host");
    for folder in [&host, &shelf.at("d"), &shelf.at("d/deeper"), &host.join("deeper")] {
        fs::create_dir(folder).unwrap();
    }
    for bait in ["file", "bait", "deeper/file"] {
        fs::write(host.join(bait), "bait").unwrap();
    }
    fs::write(shelf.at("d/deeper/file"), "inside").unwrap();
    symlink(&host, shelf.at("link")).unwrap();
    let mut kept = Vec::new();
    for text in ["inside", "INSIDE"] {
        fs::write(shelf.at("d/file"), text).unwrap();
        kept.push(shelf.take().id);
    }
    let before = tree::read(&host);
    let (over, swaps) = (AtomicBool::new(false), AtomicU32::new(0));
    let (real, link) = (shelf.at("d"), shelf.at("link"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                match renameat_with(CWD, &real, CWD, &link, RenameFlags::EXCHANGE) {
                    Ok(()) => drop(swaps.fetch_add(1, Ordering::Relaxed)),
                    // A restore has just taken one away.
                    Err(_) => drop(symlink(&host, &link).or_else(|_| symlink(&host, &real))),
                }
            }
        });
        let mut looks = 0;
        while looks < LOOKS || swaps.load(Ordering::Relaxed) < SWAPS {
            work(&mut shelf, &host, kept[0], kept[1]);
            looks += 1;
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_same(&tree::read(&host), &before, "the host's folder");
}

/// Nothing in a checkpoint or a comparison may come from the host: neither its names nor what its files hold.
#[track_caller]
fn assert_nothing_of_the_host(shelf: &Shelf, side: Side<'_>, like: Id) {
    let diff = shelf.store.diff(Side::At(like), side, 100).unwrap();
    for one in &diff.differences {
        let name = one.path.file_name().unwrap_or_default();
        assert_ne!(name, "bait", "a name of the host: {one:?}");
        let file = |seen: Option<sandbox::checkpoint::Seen>| seen.is_some_and(|seen| seen.bytes == 4);
        assert!(!file(one.after), "a file as large as the bait: {one:?}");
    }
}

#[test]
fn a_swapped_folder_never_brings_the_host_into_a_comparison() {
    while_swapped(|shelf, _, first, _| {
        let tree = shelf.tree();
        assert_nothing_of_the_host(shelf, Side::Now { tree: &tree, last: shelf.last }, first);
    });
}

#[test]
fn a_swapped_folder_never_brings_the_host_into_a_checkpoint() {
    while_swapped(|shelf, _, first, _| {
        if let Taken::New(checkpoint) = shelf.try_take() {
            assert_nothing_of_the_host(shelf, Side::At(checkpoint.id), first);
        }
    });
}

#[test]
fn a_swapped_folder_never_lets_a_restore_write_in_the_host() {
    let mut turn = false;
    while_swapped(|shelf, host, first, second| {
        turn = !turn;
        let _ = shelf.restore(if turn { first } else { second });
        assert_eq!(fs::read_to_string(host.join("file")).unwrap(), "bait");
        assert_eq!(fs::read_dir(host).unwrap().count(), 3);
    });
}

#[test]
fn what_cannot_be_kept_is_left_alone_and_said() {
    let mut shelf = Shelf::new();
    fs::write(shelf.at("file"), "x").unwrap();
    tree::fifo(&shelf.at("pipe"));
    let _socket = std::os::unix::net::UnixListener::bind(shelf.at("socket")).unwrap();
    let taken = shelf.take();
    assert_eq!((taken.counts.files, taken.counts.left_out), (1, 2));
    fs::write(shelf.at("file"), "y").unwrap();
    tree::fifo(&shelf.at("another pipe"));
    let restored = shelf.restore(taken.id);
    assert_eq!(restored.differing, 0, "{:?}", restored.first_differing);
    assert!(shelf.at("pipe").exists() && shelf.at("socket").exists() && !shelf.at("another pipe").exists());
    // And what has gone of them cannot be had again.
    fs::remove_file(shelf.at("pipe")).unwrap();
    assert_eq!(shelf.restore(taken.id).first_differing, [PathBuf::from("pipe")]);
}

#[test]
fn elsewhere_a_checkpoint_is_put_without_what_it_could_not_keep() {
    let mut shelf = Shelf::new();
    for name in ["a", "m", "z"] {
        fs::write(shelf.at(name), name).unwrap();
    }
    tree::fifo(&shelf.at("b"));
    let _socket = std::os::unix::net::UnixListener::bind(shelf.at("n")).unwrap();
    let checkpoint = shelf.take().id;
    let (other, elsewhere) = (Store::at(shelf.path().join("other")), shelf.path().join("elsewhere"));
    fs::create_dir(&elsewhere).unwrap();
    shelf.store.give(&checkpoint, &other).unwrap();
    let restore = Restore { checkpoint, tree: &elsewhere, last: None, place: Place::Other, stop: &GO_ON };
    let restored = other.restore(&restore).unwrap();
    assert_eq!((restored.differing, restored.first_differing), (0, vec![]));
    let mut names: Vec<_> = fs::read_dir(&elsewhere).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a", "m", "z"]);
    // What is taken there next leans on the first one and is whole.
    fs::write(elsewhere.join("z"), "Z").unwrap();
    let take = Take { tree: &elsewhere, last: Some(checkpoint), bounds: Bounds::default(), stop: &GO_ON };
    let Taken::New(next) = other.take(&take, &mut |_| {}).unwrap() else { panic!("nothing new was taken") };
    assert_eq!((next.changes.added, next.changes.changed, next.changes.removed), (0, 1, 2));
    assert_eq!(next.counts.left_out, 0);
}

#[test]
fn what_may_not_be_read_is_left_alone_and_said() {
    let mut shelf = Shelf::new();
    fs::create_dir(shelf.at("closed")).unwrap();
    fs::write(shelf.at("closed/file"), "x").unwrap();
    fs::write(shelf.at("secret"), "x").unwrap();
    tree::set_mode(&shelf.at("secret"), 0);
    tree::set_mode(&shelf.at("closed"), 0);
    let taken = shelf.take();
    let left_out = if rustix::process::geteuid().is_root() { 0 } else { 2 };
    assert_eq!(taken.counts.left_out, left_out);
    assert_eq!(shelf.restore(taken.id).differing, 0);
    // Opened later, it is there as it was.
    tree::unlock(&shelf.tree());
    tree::set_mode(&shelf.at("secret"), 0o600);
    assert_eq!(fs::read_to_string(shelf.at("secret")).unwrap(), "x");
    let opened = shelf.take();
    tree::set_mode(&shelf.at("secret"), 0);
    tree::set_mode(&shelf.at("closed"), 0);
    let restored = shelf.restore(opened.id);
    assert_eq!(restored.differing, 0, "{:?}", restored.first_differing);
    assert_eq!(fs::read_to_string(shelf.at("closed/file")).unwrap(), "x");
}

#[test]
fn folders_deeper_than_any_path_are_cut_off_and_taken_down() {
    let mut shelf = Shelf::new();
    fs::write(shelf.at("file"), "x").unwrap();
    let before = tree::read(&shelf.tree());
    let first = shelf.take().id;
    tree::deep(&shelf.at("deep"), 5_000);
    let second = shelf.take();
    assert_eq!(second.counts.left_out, 1);
    assert!(second.counts.folders > 500, "{second:?}");
    assert_eq!(shelf.restore(second.id).changes, sandbox::checkpoint::Changes::default());
    assert_eq!(shelf.restore(first).differing, 0);
    assert_same(&tree::read(&shelf.tree()), &before, "five thousand folders less");
}

#[test]
fn what_a_restore_works_in_is_its_own_whatever_was_put_there() {
    let traps: [fn(&Path, &Path); 4] = [
        |stage, host| symlink(host, stage).unwrap(),
        |stage, _| fs::write(stage, "a file").unwrap(),
        |stage, _| tree::deep(stage, 30),
        |stage, host| {
            fs::create_dir(stage).unwrap();
            symlink(host, stage.join("n1")).unwrap();
            symlink(host.join("file"), stage.join("n2")).unwrap();
        },
    ];
    for trap in traps {
        let mut shelf = Shelf::new();
        let host = shelf.path().join("host");
        fs::create_dir(&host).unwrap();
        fs::write(host.join("file"), "bait").unwrap();
        fs::create_dir(shelf.at("folder")).unwrap();
        fs::write(shelf.at("folder/file"), "x").unwrap();
        let (outside, before) = (tree::read(&host), tree::read(&shelf.tree()));
        let id = shelf.take().id;
        fs::remove_dir_all(shelf.at("folder")).unwrap();
        trap(&shelf.at(".thenar-restore"), &host);
        assert_eq!(shelf.restore(id).differing, 0);
        assert_same(&tree::read(&shelf.tree()), &before, "inside");
        assert_same(&tree::read(&host), &outside, "outside");
    }
}

#[test]
fn more_than_may_be_kept_is_a_value_and_changes_nothing() {
    let mut shelf = Shelf::new();
    for number in 0..20 {
        fs::write(shelf.at(&format!("file {number}")), tree::noise(number, 1000)).unwrap();
    }
    tree::sparse(&shelf.at("sparse"), 1 << 40, &[(1 << 39, b"here")]);
    let whole = shelf.take();
    assert_eq!(whole.counts.data_bytes, 20_000 + 4096);
    fs::write(shelf.at("one more"), "x").unwrap();
    let tree = shelf.tree();
    let try_with = |bounds| {
        let take = Take { tree: &tree, last: shelf.last, bounds, stop: &GO_ON };
        shelf.store.take(&take, &mut |_| {}).unwrap()
    };
    assert_eq!(try_with(Bounds { entries: 22, bytes: 1 << 30 }), Taken::Over(Bound::Entries));
    assert_eq!(try_with(Bounds { entries: 5, bytes: 1 << 30 }), Taken::Over(Bound::Entries));
    assert_eq!(try_with(Bounds { entries: 23, bytes: 20_000 }), Taken::Over(Bound::Bytes));
    assert!(matches!(try_with(Bounds { entries: 23, bytes: 30_000 }), Taken::New(_)));
    let stop = AtomicBool::new(true);
    let take = Take { tree: &tree, last: None, bounds: Bounds::default(), stop: &stop };
    assert_eq!(shelf.store.take(&take, &mut |_| {}).unwrap(), Taken::Stopped);
    let drafts = fs::read_dir(shelf.store.folder()).unwrap().flatten();
    assert_eq!(drafts.filter(|entry| entry.file_name().to_string_lossy().starts_with(".new-")).count(), 0);
}

#[test]
fn a_file_torn_into_too_many_stretches_is_left_out() {
    let mut shelf = Shelf::new();
    let stretches: Vec<(u64, &[u8])> = (0..5_000).map(|number| (number * 16_384, &b"x"[..])).collect();
    tree::sparse(&shelf.at("torn"), 5_000 * 16_384, &stretches);
    assert_eq!(shelf.take().counts.left_out, 1);
}

#[test]
fn long_names_of_linked_files_are_more_than_may_be_kept() {
    let mut shelf = Shelf::new();
    let deep: PathBuf = std::iter::repeat_n("n".repeat(250), 15).collect();
    let (deep, links) = (shelf.at("").join(deep), shelf.path().join("links"));
    fs::create_dir_all(&deep).unwrap();
    fs::create_dir(&links).unwrap();
    let mut make = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            let file = links.join(number.to_string());
            fs::File::create(&file).unwrap();
            fs::hard_link(&file, deep.join(number.to_string())).unwrap();
        }
        shelf.try_take()
    };
    assert!(matches!(make(0..1_000), Taken::New(_)));
    assert_eq!(make(1_000..18_000), Taken::Over(Bound::Entries));
}

#[test]
fn files_that_never_hold_still_end_the_look_all_the_same() {
    let mut shelf = Shelf::new();
    let over = AtomicBool::new(false);
    let (busy, renamed) = (shelf.at("busy"), shelf.at("renamed"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0_u64;
            while !over.load(Ordering::Relaxed) {
                round += 1;
                // It grows, shrinks, is another file, a folder, or not there at all.
                let _ = match round % 5 {
                    0 => fs::write(&busy, tree::noise(round, 70_000)),
                    1 => fs::write(&busy, "short"),
                    2 => fs::rename(&busy, &renamed),
                    3 => fs::create_dir(&busy),
                    _ => fs::remove_dir(&busy),
                };
            }
        });
        for _ in 0..100 {
            let _ = shelf.try_take();
        }
        over.store(true, Ordering::Relaxed);
    });
    let _ = fs::remove_dir(&busy);
    let _ = shelf.try_take();
    let before = tree::read(&shelf.tree());
    let last = shelf.last.unwrap();
    fs::write(&renamed, "something else").unwrap();
    assert_eq!(shelf.restore(last).differing, 0);
    assert_same(&tree::read(&shelf.tree()), &before, "held still");
}

#[test]
fn a_checkpoint_of_another_task_is_not_there_for_who_knows_its_name() {
    let (mut mine, mut other) = (Shelf::new(), Shelf::new());
    fs::write(mine.at("file"), "mine").unwrap();
    fs::write(other.at("file"), "of another task").unwrap();
    let (own, foreign) = (mine.take().id, other.take().id);
    let tree = mine.tree();
    let restore = |checkpoint| {
        let restore = Restore { checkpoint, tree: &tree, last: Some(own), place: Place::Same, stop: &GO_ON };
        mine.store.restore(&restore).map(drop)
    };
    assert!(matches!(restore(foreign), Err(Error::NoCheckpoint { .. })));
    assert!(mine.store.entries(foreign, Path::new(""), 10).is_err());
    assert!(mine.store.read_file(Side::At(foreign), Path::new("file"), 0, 10).is_err());
    assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "mine");
    // The same asked of its own store succeeds.
    restore(own).unwrap();
    assert!(other.store.read_file(Side::At(foreign), Path::new("file"), 0, 10).unwrap().is_some());
}
