//! What checkpoints promise: what was taken comes back, all of it and nothing else, whatever happens meanwhile.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../desk.rs"]
mod desk;

mod archive;
mod conform;
mod crash;
mod hostile;
mod look;
mod sweep;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use sandbox::checkpoint::{Bounds, Checkpoint, Id, Place, Restore, Restored, Store, Take, Taken};

/// Nobody asks for an end.
pub(crate) static GO_ON: AtomicBool = AtomicBool::new(false);

/// A workspace with a store beside it.
pub(crate) struct Shelf {
    folder: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) last: Option<Id>,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("thenar-").tempdir().unwrap();
        std::fs::create_dir(folder.path().join("workspace")).unwrap();
        let store = Store::at(folder.path().join("checkpoints"));
        Self { folder, store, last: None }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.tree().join(name)
    }

    pub(crate) fn try_take(&mut self) -> Taken {
        let tree = self.tree();
        let take = Take { tree: &tree, last: self.last, bounds: Bounds::default(), stop: &GO_ON };
        let taken = self.store.take(&take, &mut |_| {}).unwrap();
        if let Taken::New(checkpoint) = taken {
            self.last = Some(checkpoint.id);
        }
        taken
    }

    #[track_caller]
    pub(crate) fn take(&mut self) -> Checkpoint {
        match self.try_take() {
            Taken::New(checkpoint) => checkpoint,
            other => panic!("nothing new was taken: {other:?}"),
        }
    }

    pub(crate) fn restore(&mut self, checkpoint: Id) -> Restored {
        let tree = self.tree();
        let restore = Restore { checkpoint, tree: &tree, last: self.last, place: Place::Same, stop: &GO_ON };
        let restored = self.store.restore(&restore).unwrap();
        self.last = Some(checkpoint);
        restored
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        tree::unlock(self.folder.path());
    }
}

/// Whoever is not root meets modes as obstacles, and gives no file away.
#[test]
fn trees_come_back_and_traps_hold_for_an_ordinary_user_too() {
    desk::again_as_an_ordinary_user(&[
        "archive::",
        "conform::a_wild",
        "conform::only",
        "conform::any",
        "hostile::what_",
        "hostile::folders",
    ]);
}
