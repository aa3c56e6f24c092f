//! What is let go, and what never is.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use sandbox::Error;
use sandbox::checkpoint::{Changes, Id, Side, Store, Taken};

use super::Shelf;
use super::tree::{self, assert_same};

#[test]
fn what_nobody_keeps_gives_its_room_back() {
    let mut shelf = Shelf::new();
    fs::write(shelf.at("large"), tree::noise(1, 3_000_000)).unwrap();
    fs::write(shelf.at("small"), "small").unwrap();
    let first = shelf.take().id;
    fs::remove_file(shelf.at("large")).unwrap();
    let second = shelf.take().id;
    let swept = shelf.store.sweep(&[first, second]).unwrap().unwrap();
    assert_eq!((swept.checkpoints, swept.bytes_before), (0, swept.bytes_after));
    let swept = shelf.store.sweep(&[second]).unwrap().unwrap();
    assert_eq!(swept.checkpoints, 1);
    assert!(swept.bytes_before > 3_000_000 && swept.bytes_after < 10_000, "{swept:?}");
    assert!(matches!(shelf.store.counts(&first), Err(Error::NoCheckpoint { .. })));
    let piece = shelf.store.read_file(Side::At(second), "small".as_ref(), 0, 100).unwrap().unwrap();
    assert_eq!(piece.bytes, b"small");
    // What is taken now does not lean on what is gone.
    fs::write(shelf.at("large"), tree::noise(1, 3_000_000)).unwrap();
    let third = shelf.take();
    assert!(third.stored_bytes > 3_000_000);
    assert_eq!(shelf.restore(third.id).changes, Changes::default());
}

/// Half a MiB of each of nine packs stays, four go; the disk has room for one of the halves.
#[test]
fn on_a_disk_that_is_nearly_full_room_is_won_all_the_same() {
    const ROLE: &str = "THENAR_TEST_NEARLY_FULL";
    if std::env::var_os(ROLE).is_none() {
        let here = std::env::current_exe().unwrap();
        let place = tempfile::tempdir().unwrap();
        let shell = format!("mount -t tmpfs -o size=44m none \"${ROLE}\" && exec \"$0\" \"$@\"");
        let name = "sweep::on_a_disk_that_is_nearly_full_room_is_won_all_the_same";
        #[expect(clippy::disallowed_methods, reason = "only a process of its own has a disk of its own")]
        let done = std::process::Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &shell])
            .arg(here)
            .args(["--exact", name, "--nocapture"])
            .env(ROLE, place.path())
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        return;
    }
    let disk = std::path::PathBuf::from(std::env::var_os(ROLE).unwrap());
    let mut shelf = Shelf::new();
    shelf.store = Store::at(disk.join("checkpoints"));
    for round in 0..9 {
        fs::write(shelf.at("large"), tree::noise(round, 4 << 20)).unwrap();
        fs::write(shelf.at(&format!("small {round}")), tree::noise(100 + round, 1 << 19)).unwrap();
        shelf.take();
    }
    fs::remove_file(shelf.at("large")).unwrap();
    let before = tree::read(&shelf.tree());
    let last = shelf.take().id;
    let free = 44_u64 << 20;
    let full = free - shelf.store.bytes().unwrap() - (1 << 20);
    // Written, not only said: what a hole promises takes no room.
    fs::write(disk.join("other"), vec![1; full as usize]).unwrap();
    let swept = shelf.store.sweep(&[last]).unwrap().unwrap();
    assert_eq!(swept.checkpoints, 9);
    assert!(swept.bytes_after < 5 << 20, "{swept:?}");
    tree::unlock(&shelf.tree());
    fs::write(shelf.at("small 3"), "changed").unwrap();
    assert_eq!(shelf.restore(last).differing, 0);
    assert_same(&tree::read(&shelf.tree()), &before, "after the sweep");
}

#[test]
fn many_small_packs_become_few() {
    let mut shelf = Shelf::new();
    let mut ids = Vec::new();
    for round in 0..40 {
        fs::write(shelf.at("file"), format!("round {round}")).unwrap();
        ids.push(shelf.take().id);
    }
    let packs = |store: &Store| {
        let entries = fs::read_dir(store.folder()).unwrap().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".pack")).count()
    };
    assert_eq!(packs(&shelf.store), 40);
    shelf.store.sweep(&ids).unwrap().unwrap();
    assert_eq!(packs(&shelf.store), 1);
    for (round, id) in ids.iter().enumerate() {
        let piece = shelf.store.read_file(Side::At(*id), "file".as_ref(), 0, 100).unwrap().unwrap();
        assert_eq!(piece.bytes, format!("round {round}").as_bytes());
    }
}

#[test]
fn a_checkpoint_that_is_kept_and_cannot_be_read_stops_the_sweep() {
    let mut shelf = Shelf::new();
    fs::write(shelf.at("file"), "one").unwrap();
    let first = shelf.take().id;
    fs::write(shelf.at("file"), "two").unwrap();
    let second = shelf.take().id;
    let path = shelf.store.folder().join(format!("{second}.checkpoint"));
    fs::write(&path, "damaged").unwrap();
    assert!(matches!(shelf.store.sweep(&[second]), Err(Error::Damaged { .. })));
    assert!(shelf.store.counts(&first).is_ok(), "nothing is let go where not all is understood");
}

#[test]
fn what_was_given_away_does_not_need_the_giver() {
    let mut shelf = Shelf::new();
    tree::wild(&shelf.tree());
    let before = tree::read(&shelf.tree());
    let id = shelf.take().id;
    let other = Store::at(shelf.path().join("other"));
    shelf.store.give(&id, &other).unwrap();
    fs::remove_dir_all(shelf.store.folder()).unwrap();
    shelf.store = other;
    tree::unlock(&shelf.tree());
    fs::remove_dir_all(shelf.tree()).unwrap();
    fs::create_dir(shelf.tree()).unwrap();
    assert_eq!(shelf.restore(id).differing, 0);
    assert_same(&tree::read(&shelf.tree()), &before, "from the other store");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Files come and go, some checkpoints are kept: whatever is kept is whole.
    #[test]
    fn what_is_kept_stays_whole_whatever_goes(
        rounds in prop::collection::vec((prop::collection::vec((0..6_usize, 0..5_u64), 1..5), any::<bool>(), any::<u8>()), 2..10),
    ) {
        let mut shelf = Shelf::new();
        let mut kept: BTreeMap<Id, tree::Tree> = BTreeMap::new();
        for (edits, sweeps, mask) in rounds {
            for (file, seed) in edits {
                let path = shelf.at(&format!("file {file}"));
                if seed == 0 {
                    let _ = fs::remove_file(path);
                } else {
                    fs::write(path, tree::noise(seed, 150_000)).unwrap();
                }
            }
            if let Taken::New(checkpoint) = shelf.try_take() {
                kept.insert(checkpoint.id, tree::read(&shelf.tree()));
            }
            if sweeps {
                let last = shelf.last;
                let mut at = 0;
                kept.retain(|id, _| {
                    at += 1;
                    Some(*id) == last || mask >> (at % 8) & 1 == 1
                });
                let ids: Vec<Id> = kept.keys().copied().collect();
                prop_assert!(shelf.store.sweep(&ids).unwrap().is_some());
            }
        }
        for (id, wanted) in &kept {
            prop_assert_eq!(shelf.restore(*id).differing, 0);
            assert_same(&tree::read(&shelf.tree()), wanted, "kept");
        }
    }
}
