//! The links that were given out: which task each opens, how much of it, and until when. Of a link's key only the digest is
//! kept, so that whoever reads the file can open nothing with it. What a link shows is the HTTP door's business.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use event::{Digest, TaskId};
use serde::{Deserialize, Serialize};

/// Below the data folder.
const FOLDER: &str = "server";
const FILE: &str = "shares.json";

const KEY_BYTES: usize = 20;
const ID_BYTES: usize = 8;

/// Links that hold at one time, for one task and for all of them.
pub(crate) const OF_TASK_MAX: usize = 100;
const ALL_MAX: usize = 10_000;

/// How much of a task a link shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ShareScope)]
pub(crate) enum What {
    /// The plan, what was said, and the files that were handed over.
    Outputs,
    /// Each step as well, as far as it is nobody's secret.
    Everything,
}

/// A link that was given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    pub(crate) id: String,
    pub(crate) task: TaskId,
    /// A task of the same name that is made later is another one.
    pub(crate) task_created_ms: u64,
    pub(crate) what: What,
    key: Digest,
    pub(crate) created_ms: u64,
    pub(crate) expires_ms: u64,
}

/// What a new link is for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) task: TaskId,
    pub(crate) task_created_ms: u64,
    pub(crate) what: What,
    pub(crate) expires_ms: u64,
}

/// Why there is no new link.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("there are {0} links already")]
    Full(usize),
    #[error("keep the links: {0}")]
    Io(#[from] io::Error),
}

/// All links of a data folder. Calls that change them block.
#[derive(Debug)]
pub(crate) struct Shares {
    folder: PathBuf,
    known: Mutex<Vec<Share>>,
    /// Links were taken back that still stand in the file.
    unkept: AtomicBool,
}

impl Shares {
    /// The links of this data folder. A file that cannot be read opens nothing, and is not written over.
    pub(crate) fn open(home: &Path) -> io::Result<Self> {
        let folder = home.join(FOLDER);
        let known = match std::fs::read(folder.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => serde_json::from_slice(&read?)?,
        };
        Ok(Self { folder, known: Mutex::new(known), unkept: AtomicBool::new(false) })
    }

    fn known(&self) -> MutexGuard<'_, Vec<Share>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link with this key, if it still holds. Takes the same time whichever it is, and whether there is one.
    pub(crate) fn find(&self, key: &str, now_ms: u64) -> Option<Share> {
        let shown = Digest::of(key.as_bytes());
        let mut found = None;
        for share in self.known().iter() {
            if is_same(&share.key, &shown) {
                found = Some(share.clone());
            }
        }
        found.filter(|share| now_ms < share.expires_ms)
    }

    /// The links of a task that hold, oldest first.
    pub(crate) fn of(&self, task: &TaskId, now_ms: u64) -> Vec<Share> {
        self.known().iter().filter(|share| share.task == *task && now_ms < share.expires_ms).cloned().collect()
    }

    /// Makes a link, and gives its key: nobody can ask for that again.
    pub(crate) fn add(&self, wish: Wish, now_ms: u64) -> Result<(Share, String), Refused> {
        let (id, key) = (chance::<ID_BYTES>()?, chance::<KEY_BYTES>()?);
        let Wish { task, task_created_ms, what, expires_ms } = wish;
        let digest = Digest::of(key.as_bytes());
        let share = Share { id, task, task_created_ms, what, key: digest, created_ms: now_ms, expires_ms };
        let mut known = self.known();
        let mut next: Vec<_> = known.iter().filter(|share| now_ms < share.expires_ms).cloned().collect();
        let of_task = next.iter().filter(|other| other.task == share.task).count();
        if of_task >= OF_TASK_MAX || next.len() >= ALL_MAX {
            return Err(Refused::Full(if of_task >= OF_TASK_MAX { of_task } else { next.len() }));
        }
        next.push(share.clone());
        self.keep(&next)?;
        *known = next;
        Ok((share, key))
    }

    /// Takes a link back; `false` where there is none. It opens nothing from this moment on.
    pub(crate) fn revoke(&self, task: &TaskId, id: &str) -> io::Result<bool> {
        self.drop_those(|share| share.task == *task && share.id == id)
    }

    /// Takes back all links of a task that is gone.
    pub(crate) fn forget(&self, task: &TaskId) -> io::Result<bool> {
        self.drop_those(|share| share.task == *task)
    }

    fn drop_those(&self, gone: impl Fn(&Share) -> bool) -> io::Result<bool> {
        let mut known = self.known();
        let next: Vec<_> = known.iter().filter(|share| !gone(share)).cloned().collect();
        // Whoever was told that the disk did not take it tries again.
        let some = next.len() < known.len() || self.unkept.load(Ordering::Relaxed);
        if some {
            // What was taken back is taken back, whatever the disk says.
            *known = next;
            self.unkept.store(true, Ordering::Relaxed);
            self.keep(&known)?;
        }
        Ok(some)
    }

    /// Written aside and put into place whole, for nobody else to read.
    fn keep(&self, shares: &[Share]) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let aside = self.folder.join(format!(".{FILE}-{}", chance::<ID_BYTES>()?));
        let kept = (|| {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
            file.write_all(&serde_json::to_vec_pretty(shares)?)?;
            file.sync_all()?;
            std::fs::rename(&aside, self.folder.join(FILE))
        })();
        match &kept {
            Ok(()) => self.unkept.store(false, Ordering::Relaxed),
            Err(_) => drop(std::fs::remove_file(&aside)),
        }
        kept
    }
}

fn is_same(a: &Digest, b: &Digest) -> bool {
    let differs = a.0.iter().zip(b.0).fold(0, |differs, (a, b)| differs | (a ^ b));
    std::hint::black_box(differs) == 0
}

/// So many bytes of chance, as hex digits.
fn chance<const BYTES: usize>() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn wish(task: &str) -> Wish {
        let task = TaskId::new(task).unwrap();
        Wish { task, task_created_ms: 1, what: What::Outputs, expires_ms: 100 }
    }

    #[test]
    fn a_link_that_the_disk_did_not_take_back_is_taken_back_by_the_next_try() {
        let home = tempfile::tempdir().unwrap();
        let shares = Shares::open(home.path()).unwrap();
        let (share, key) = shares.add(wish("a"), 5).unwrap();
        let (file, aside) = (home.path().join("server/shares.json"), home.path().join("aside"));
        std::fs::rename(&file, &aside).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert!(shares.revoke(&share.task, &share.id).is_err());
        assert_eq!(shares.find(&key, 6), None);
        std::fs::remove_dir(&file).unwrap();
        std::fs::rename(&aside, &file).unwrap();
        assert!(shares.revoke(&share.task, &share.id).unwrap());
        assert_eq!(Shares::open(home.path()).unwrap().find(&key, 6), None);
        assert!(!shares.revoke(&share.task, &share.id).unwrap());
    }

    #[test]
    fn a_link_outlives_the_server_and_its_key_is_not_kept() {
        let home = tempfile::tempdir().unwrap();
        let (share, key) = Shares::open(home.path()).unwrap().add(wish("a"), 5).unwrap();
        let file = home.path().join("server/shares.json");
        assert!(!std::fs::read_to_string(&file).unwrap().contains(&key));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Shares::open(home.path()).unwrap();
        assert_eq!(again.find(&key, 99), Some(share.clone()));
        assert_eq!((again.find(&key, 100), again.find(&share.id, 6), again.find("", 6)), (None, None, None));
        assert!(!again.revoke(&TaskId::new("b").unwrap(), &share.id).unwrap());
        assert!(again.revoke(&share.task, &share.id).unwrap());
        assert_eq!((again.find(&key, 6), Shares::open(home.path()).unwrap().find(&key, 6)), (None, None));
    }

    #[test]
    fn there_are_so_many_links_and_no_more() {
        let home = tempfile::tempdir().unwrap();
        let shares = Shares::open(home.path()).unwrap();
        for _ in 0..OF_TASK_MAX {
            shares.add(wish("a"), 5).unwrap();
        }
        assert!(matches!(shares.add(wish("a"), 5), Err(Refused::Full(OF_TASK_MAX))));
        assert!(shares.add(wish("b"), 5).is_ok());
        // Those that ran out make room.
        assert!(shares.add(Wish { expires_ms: 300, ..wish("a") }, 200).is_ok());
        assert_eq!(shares.of(&TaskId::new("a").unwrap(), 200).len(), 1);
    }

    #[test]
    fn a_file_that_is_none_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("server")).unwrap();
        std::fs::write(home.path().join("server/shares.json"), "[{").unwrap();
        assert!(Shares::open(home.path()).is_err());
    }
}
