//! The store of secrets: a file outside every computer that only its owner can read. A task that was given one has a placeholder;
//! the value goes from here to the proxy, for the hosts that it is bound to, and nowhere else.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sandbox::egress::{Authority, Host, Secret};
use serde_json::{Value, json};

use crate::allow::{named, named_in_clear};
use crate::{Because, Error};

/// How long the one who changes it is waited for: he writes one small file.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(2);
/// Secrets in it.
const SECRETS_MAX: usize = 200;
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 100;
/// Bytes of a value: it has to fit into a header.
const VALUE_BYTES_MAX: usize = 16 * 1024;
/// The key of a task's own authority, in its folder.
const KEY: &str = "egress.key";

/// The store of a data folder.
#[derive(Debug, Clone)]
pub struct Secrets {
    file: PathBuf,
}

/// One of them, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSecret {
    /// The variable that holds its placeholder.
    pub name: String,
    /// Where it may go, as in `allow-net`.
    pub hosts: Vec<String>,
    /// What programs have instead of it.
    pub placeholder: String,
}

impl Secrets {
    /// The name of its file in the data folder.
    pub const FILE: &'static str = "secrets.json";
    /// The name of the file that is held by the one who changes it, here or in another process.
    pub const LOCK: &'static str = "secrets.lock";

    /// The store of this data folder; there need not be one yet.
    pub fn of(home: &Path) -> Self {
        Self { file: home.join(Self::FILE) }
    }

    /// All of them, by name.
    pub fn list(&self) -> Result<Vec<KeptSecret>, Error> {
        Ok(self.read()?.iter().filter_map(|(name, entry)| kept(name, entry)).collect())
    }

    /// Those of these names.
    pub fn named(&self, names: &[String]) -> Result<Vec<KeptSecret>, Error> {
        let all = self.list()?;
        let find = |name: &String| {
            let none = || {
                let text = format!("there is no secret {name}: `thenar secret set {name} --host HOST`");
                Error::refused(Because::SecretUnknown { name: name.clone() }, text)
            };
            all.iter().find(|kept| kept.name == *name).cloned().ok_or_else(none)
        };
        names.iter().map(find).collect()
    }

    /// Those of these names that are there: one that was removed takes no other along.
    pub(crate) fn still(&self, names: &[String]) -> Result<Vec<KeptSecret>, Error> {
        Ok(self.list()?.into_iter().filter(|kept| names.contains(&kept.name)).collect())
    }

    /// Keeps a value for these hosts, in place of the one before. Whoever has the placeholder can go on using it.
    pub fn set(&self, name: &str, value: &str, hosts: &[String]) -> Result<(), Error> {
        check_name(name)?;
        let hosts = crate::allow_list(hosts)?;
        if hosts.is_empty() {
            return Err(Error::refused(Because::SecretNoHosts, "a secret is for certain hosts: name them with --host"));
        }
        if hosts.iter().any(|host| host.starts_with('*') && !host[1..].starts_with('.')) {
            return Err(Error::refused(
                Because::SecretEveryHost,
                "a secret for every host would be none: name the hosts",
            ));
        }
        if value.len() > VALUE_BYTES_MAX || Secret::new("holder", value).is_none() {
            let text = "the value must be one line of at most 16 KiB, and not empty";
            return Err(Error::refused(Because::SecretValue, text));
        }
        let _mine = self.lock()?;
        let mut all = self.read()?;
        if all.len() >= SECRETS_MAX && !all.contains_key(name) {
            let because = Because::SecretsTooMany { max: SECRETS_MAX as u64 };
            return Err(Error::refused(because, format!("there are {SECRETS_MAX} secrets already: remove some")));
        }
        let known = all.get(name).and_then(|entry| kept(name, entry)).map(|kept| kept.placeholder);
        let placeholder = match known {
            Some(placeholder) => placeholder,
            None => format!("thenar-secret-{}-{:016x}", name.to_ascii_lowercase(), chance()?),
        };
        all.insert(name.to_owned(), json!({ "hosts": hosts, "placeholder": placeholder, "value": value }));
        self.write(&all)
    }

    /// Forgets one; false if there was none.
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        check_name(name)?;
        let _mine = self.lock()?;
        let mut all = self.read()?;
        let was = all.remove(name).is_some();
        if was {
            self.write(&all)?;
        }
        Ok(was)
    }

    /// Those of these names that may go to this place.
    pub(crate) fn bound(&self, names: &[String], host: &Host, port: u16) -> Vec<Secret> {
        // Asked for each connection: most tasks have none.
        if names.is_empty() {
            return Vec::new();
        }
        let Ok(all) = self.read() else { return Vec::new() };
        let one = |name: &String| {
            let entry = all.get(name)?;
            let kept = kept(name, entry)?;
            named(&kept.hosts, host, port)?;
            let secret = Secret::new(&kept.placeholder, entry.get("value")?.as_str()?)?;
            Some(if named_in_clear(&kept.hosts, host, port) { secret.in_clear_too() } else { secret })
        };
        names.iter().filter_map(one).collect()
    }

    /// So that of two who change it at once, each in a process of his own, none loses what the other kept. The file that bears it
    /// stays: to remove it would let two hold a lock of the same name.
    fn lock(&self) -> Result<File, Error> {
        let path = self.file.with_file_name(Self::LOCK);
        let failed = |source| Error::Io { doing: "lock the secrets with", path: path.clone(), source };
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
        let until = Instant::now() + LOCK_WAIT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < until => pause(),
                Err(TryLockError::WouldBlock) => {
                    let text = format!("another process keeps {} locked: try again, or end it", path.display());
                    return Err(Error::Invalid(text));
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    fn read(&self) -> Result<BTreeMap<String, Value>, Error> {
        match std::fs::read(&self.file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                // What is wrong with it is not said: it would be said with a piece of it.
                .map_err(|_| {
                    Error::Invalid(format!("{} is not the store of secrets that it was", self.file.display()))
                }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(source) => Err(Error::Io { doing: "read the secrets in", path: self.file.clone(), source }),
        }
    }

    fn write(&self, all: &BTreeMap<String, Value>) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(all).unwrap_or_default();
        only_ours(&self.file, &text).map_err(|source| Error::Io {
            doing: "write the secrets to",
            path: self.file.clone(),
            source,
        })
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let wrong = || {
        let because = Because::SecretName { name: name.to_owned() };
        Error::refused(because, format!("{name:?} is no name of a variable: letters, digits and _"))
    };
    is_name.then_some(()).ok_or_else(wrong)
}

/// The authority of a task, whose key is kept in its folder.
pub(crate) fn authority(task: &Path) -> std::io::Result<Arc<Authority>> {
    let file = task.join(KEY);
    let key = match std::fs::read(&file) {
        Ok(key) => key,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = Authority::new_key()?;
            only_ours(&file, &key)?;
            key
        }
        Err(error) => return Err(error),
    };
    Ok(Arc::new(Authority::of_key(&key, Authority::machine_roots())?))
}

/// Writes a file whole that nobody else can read.
fn only_ours(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let aside = file.with_extension("new");
    let _ = std::fs::remove_file(&aside);
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    made.write_all(bytes)?;
    made.sync_all()?;
    std::fs::rename(&aside, file)
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process holds the lock; a wait for it with an end is not offered"
)]
fn pause() {
    std::thread::sleep(LOCK_PAUSE);
}

fn kept(name: &str, entry: &Value) -> Option<KeptSecret> {
    let hosts = entry.get("hosts")?.as_array()?.iter().filter_map(|host| host.as_str().map(str::to_owned)).collect();
    Some(KeptSecret { name: name.to_owned(), hosts, placeholder: entry.get("placeholder")?.as_str()?.to_owned() })
}

fn chance() -> Result<u64, Error> {
    getrandom::u64().map_err(|error| Error::Invalid(format!("read the system's random numbers: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_who_change_the_store_at_once_none_loses_what_another_kept() {
        let home = tempfile::tempdir().unwrap();
        // As a server and commands beside it: each has a store of its own over the same file.
        std::thread::scope(|scope| {
            for one in 0..8 {
                let store = Secrets::of(home.path());
                scope.spawn(move || {
                    for number in 0..10 {
                        store.set(&format!("KEY_{one}_{number}"), "value", &["api.test".to_owned()]).unwrap();
                        assert!(number == 0 || store.remove(&format!("KEY_{one}_{}", number - 1)).unwrap());
                    }
                });
            }
        });
        let kept = Secrets::of(home.path()).list().unwrap();
        let names: Vec<_> = kept.iter().map(|kept| kept.name.as_str()).collect();
        assert_eq!(names, (0..8).map(|one| format!("KEY_{one}_9")).collect::<Vec<_>>());
    }
}
