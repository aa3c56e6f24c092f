//! Archives, opened by the system's own tar.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use sandbox::checkpoint::Compression;

use super::Shelf;
use super::tree::{self, Tree, assert_same};

/// Without what an archive cannot carry: whose it was, and what the top was like. An ordinary user's tar gives no attributes to a
/// file that it may not write, and none of that file either, so it is not asked to.
fn portable(tree: Tree, attributes: bool) -> Tree {
    let below = tree.into_iter().filter(|(path, _)| !path.as_os_str().is_empty());
    let kept = |facts: tree::Facts| {
        let attributes = if attributes { facts.attributes } else { BTreeMap::new() };
        tree::Facts { owner: (0, 0), attributes, ..facts }
    };
    below.map(|(path, facts)| (path, kept(facts))).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the programs that people open archives with")]
fn ordinary_tar_unpacks_all_of_it() {
    let mut shelf = Shelf::new();
    tree::wild(&shelf.tree());
    let attributes = rustix::process::geteuid().is_root();
    let before = portable(tree::read(&shelf.tree()), attributes);
    let id = shelf.take().id;
    let archive = shelf.path().join("archive.tar");
    shelf.store.export(&id, Compression::None, &mut fs::File::create(&archive).unwrap()).unwrap();
    let unpacked = shelf.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--preserve-permissions", "--no-same-owner"]);
    if attributes {
        tar.args(["--xattrs", "--xattrs-include=user.*"]);
    }
    let said = tar.arg("--file").arg(&archive).arg("--directory").arg(&unpacked).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert_same(&portable(tree::read(&unpacked), attributes), &before, "unpacked");
    assert!(fs::metadata(&archive).unwrap().len() < 10_000_000, "holes take no room");
    // The compressed one is the same bytes.
    let mut packed = Vec::new();
    shelf.store.export(&id, Compression::Zstd, &mut packed).unwrap();
    assert!(zstd::decode_all(&packed[..]).unwrap() == fs::read(&archive).unwrap());
    assert!(packed.len() < 4_000_000, "{}", packed.len());
}
