//! Archives, opened by the system's own tar.

use std::fs;
use std::process::Command;

use sandbox::checkpoint::Compression;

use super::Shelf;
use super::tree::{self, Tree, assert_same};

/// What an archive cannot carry: whose it was, and what the top was like.
fn portable(tree: Tree) -> Tree {
    let below = tree.into_iter().filter(|(path, _)| !path.as_os_str().is_empty());
    below.map(|(path, facts)| (path, tree::Facts { owner: (0, 0), ..facts })).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the programs that people open archives with")]
fn ordinary_tar_unpacks_all_of_it() {
    let mut shelf = Shelf::new();
    tree::wild(&shelf.tree());
    let before = portable(tree::read(&shelf.tree()));
    let id = shelf.take().id;
    let archive = shelf.path().join("archive.tar");
    shelf.store.export(&id, Compression::None, &mut fs::File::create(&archive).unwrap()).unwrap();
    let unpacked = shelf.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--preserve-permissions", "--no-same-owner", "--xattrs", "--xattrs-include=user.*"]);
    let said = tar.arg("--file").arg(&archive).arg("--directory").arg(&unpacked).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert_same(&portable(tree::read(&unpacked)), &before, "unpacked");
    assert!(fs::metadata(&archive).unwrap().len() < 10_000_000, "holes take no room");
    // The compressed one is the same bytes.
    let mut packed = Vec::new();
    shelf.store.export(&id, Compression::Zstd, &mut packed).unwrap();
    assert!(zstd::decode_all(&packed[..]).unwrap() == fs::read(&archive).unwrap());
    assert!(packed.len() < 4_000_000, "{}", packed.len());
}
