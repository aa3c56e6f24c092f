//! A program inside swaps a folder for a link while somebody outside looks below it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use sandbox::Folder;

/// Looks per way of looking.
const ROUNDS: usize = 20_000;

/// A workspace in which `d/file` is the computer's, and `d` is again and again a link to a folder of the host.
fn while_swapped(look: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (place, text) in [("workspace/d", "inside"), ("host", "bait")] {
        std::fs::create_dir_all(at(place)).unwrap();
        std::fs::write(at(place).join("file"), text).unwrap();
    }
    std::fs::write(at("host/bait"), "bait").unwrap();
    std::os::unix::fs::symlink(at("host"), at("workspace/link")).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (real, link) = (at("workspace/d"), at("workspace/link"));
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, &real, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        look(&at("workspace"));
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_swapped_folder_never_shows_the_hosts_file() {
    while_swapped(|workspace| {
        let folder = Folder::open(workspace).unwrap();
        let (mut inside, mut refused) = (0, 0);
        let mut rounds = 0;
        while rounds < ROUNDS || inside == 0 || refused == 0 {
            rounds += 1;
            match folder.file(Path::new("d/file")) {
                Ok(file) => {
                    assert_eq!(std::io::read_to_string(file).unwrap(), "inside");
                    inside += 1;
                }
                Err(_) => refused += 1,
            }
        }
    });
}

#[test]
fn a_swapped_folder_never_shows_the_hosts_names() {
    while_swapped(|workspace| {
        let folder = Folder::open(workspace).unwrap();
        let (mut rounds, mut inside, mut refused) = (0, 0, 0);
        while rounds < ROUNDS || inside == 0 || refused == 0 {
            rounds += 1;
            match folder.existing(Path::new("d")) {
                Ok(below) => {
                    assert_eq!(below.entries().unwrap().1, ["file"]);
                    inside += 1;
                }
                Err(_) => refused += 1,
            }
        }
    });
}

#[test]
fn a_swapped_folder_never_lets_anything_be_written_in_the_hosts() {
    while_swapped(|workspace| {
        let folder = Folder::open(workspace).unwrap();
        let host = workspace.parent().unwrap().join("host");
        let (mut rounds, mut written, mut refused) = (0, 0, 0);
        while rounds < ROUNDS || written == 0 || refused == 0 {
            rounds += 1;
            match folder.folder(Path::new("d")) {
                Ok(below) => {
                    drop(below.create("written").unwrap());
                    written += 1;
                }
                Err(_) => refused += 1,
            }
            assert!(!host.join("written").exists());
        }
    });
}

#[test]
fn looking_at_the_path_first_would_be_seen_to_leak() {
    while_swapped(|workspace| {
        let path = workspace.join("d/file");
        // A look that is fooled ends the search; that it comes at all shows that the tests above mean something.
        let fooled = (0..ROUNDS * 100).any(|_| {
            let real = path.canonicalize().is_ok_and(|real| real.starts_with(workspace.canonicalize().unwrap()));
            real && std::fs::read_to_string(&path).is_ok_and(|text| text == "bait")
        });
        assert!(fooled, "the swap never came between a look and an opening");
    });
}
