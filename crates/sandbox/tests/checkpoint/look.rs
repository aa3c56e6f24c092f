//! What a person is told of checkpoints without putting one back.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use sandbox::Error;
use sandbox::checkpoint::{Diff, EntryKind, Id, Side};

use super::{Shelf, tree};

fn told(diff: &Diff) -> Vec<String> {
    let size = |seen: Option<sandbox::checkpoint::Seen>| match seen {
        None => "-".to_owned(),
        Some(seen) if seen.kind == EntryKind::File => seen.bytes.to_string(),
        Some(seen) => format!("{:?}", seen.kind),
    };
    diff.differences
        .iter()
        .map(|one| format!("{} {} {}", one.path.display(), size(one.before), size(one.after)))
        .collect()
}

#[test]
fn two_states_differ_in_what_was_done_between_them() {
    let mut shelf = Shelf::new();
    fs::create_dir(shelf.at("folder")).unwrap();
    for (name, text) in [("folder/stays", "same"), ("folder/grows", "1"), ("goes", "12345")] {
        fs::write(shelf.at(name), text).unwrap();
    }
    symlink("goes", shelf.at("link")).unwrap();
    let first = shelf.take().id;
    fs::write(shelf.at("folder/grows"), "123").unwrap();
    fs::remove_file(shelf.at("goes")).unwrap();
    fs::create_dir(shelf.at("goes")).unwrap();
    fs::write(shelf.at("goes/new"), "").unwrap();
    let second = shelf.take().id;
    fs::remove_file(shelf.at("link")).unwrap();
    let tree = shelf.tree();
    let now = Side::Now { tree: &tree, last: shelf.last };
    let check = |from, to, expected: &[&str]| assert_eq!(told(&shelf.store.diff(from, to, 100).unwrap()), expected);
    check(Side::At(first), Side::At(second), &["folder/grows 1 3", "goes 5 Folder", "goes/new - 0"]);
    check(Side::At(second), Side::At(first), &["folder/grows 3 1", "goes Folder 5", "goes/new 0 -"]);
    check(Side::At(second), now, &["link Symlink -"]);
    check(now, Side::At(second), &["link - Symlink"]);
    check(Side::At(first), Side::At(first), &[]);
    check(
        Side::Nothing,
        Side::At(first),
        &["folder - Folder", "folder/grows - 1", "folder/stays - 4", "goes - 5", "link - Symlink"],
    );
    let capped = shelf.store.diff(Side::Nothing, Side::At(first), 2).unwrap();
    assert_eq!((capped.differences.len(), capped.changes.added), (2, 5));
}

#[test]
fn folders_are_listed_one_at_a_time() {
    let mut shelf = Shelf::new();
    tree::wild(&shelf.tree());
    let id = shelf.take().id;
    let names = |folder: &str| {
        let entries = shelf.store.entries(id, Path::new(folder), 1000).unwrap();
        entries.map(|entries| {
            entries.into_iter().map(|(name, seen)| (name.into_string().unwrap(), seen.kind)).collect::<Vec<_>>()
        })
    };
    let is = |name: &str, kind| (name.to_owned(), kind);
    assert_eq!(names("names"), Some(vec![is("b", EntryKind::File), is("z", EntryKind::File)]));
    assert_eq!(names("empty folder/another/one"), Some(vec![]));
    assert_eq!(names("closed"), Some(vec![is("in it", EntryKind::Folder)]));
    assert!(names("").unwrap().contains(&is("dangling", EntryKind::Symlink)));
    assert_eq!((names("plain.txt"), names("nowhere"), names("names/../names")), (None, None, None));
}

#[test]
fn a_file_is_read_from_any_place_to_any_other() {
    let mut shelf = Shelf::new();
    tree::wild(&shelf.tree());
    let id = shelf.take().id;
    let wild = tree::read(&shelf.tree());
    tree::unlock(&shelf.tree());
    fs::remove_dir_all(shelf.tree()).unwrap();
    fs::create_dir(shelf.tree()).unwrap();
    for name in ["noise.bin", "sparse", "hole at the end", "empty", "names/z", "a name of b"] {
        let tree::What::File { content, .. } = &wild[Path::new(name)].what else { panic!("{name}") };
        for (offset, max) in [(0, usize::MAX), (0, 1), (1, 1000), (999_999, 700_000), (u64::MAX, 5)] {
            let piece = shelf.store.read_file(Side::At(id), Path::new(name), offset, max).unwrap().unwrap();
            let from = usize::try_from(offset).unwrap().min(content.len());
            let to = from.saturating_add(max).min(content.len());
            assert!(piece.bytes == content[from..to], "{name} from {offset}");
            assert_eq!(piece.size, content.len() as u64);
        }
    }
    for name in ["names", "dangling", "absolute", "nowhere", "../checkpoints/writer", ""] {
        assert_eq!(shelf.store.read_file(Side::At(id), Path::new(name), 0, 10).unwrap(), None, "{name}");
    }
}

#[test]
fn a_checkpoint_that_is_not_there_is_said_to_be_missing() {
    let shelf = Shelf::new();
    let found = shelf.store.diff(Side::Nothing, Side::At(Id([7; 32])), 1);
    assert!(matches!(found, Err(Error::NoCheckpoint { .. })), "{found:?}");
}
