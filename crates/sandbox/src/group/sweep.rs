//! Groups that a killed keeper left behind: found by their names, and removed. What still runs in them is ended, if its keeper is provably gone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{ABOVE, beside, place};

/// What the name of a browser's group ends with.
pub(super) const OF_BROWSER: &str = ".browser";

/// A group is named after the keeper that made it: its number, and when it began, which no later process of that number shares.
pub(super) fn own_name() -> io::Result<String> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let began = began(pid).ok_or(io::ErrorKind::NotFound)?;
    Ok(format!("{pid}-{began}"))
}

/// Clock ticks after the machine's start at which a process began.
fn began(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; the fields after the last one do not.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Removes the groups whose keepers are gone. How many.
pub(crate) fn sweep() -> usize {
    let mut removed = 0;
    for above in all_above() {
        // Its PID 1 died with the keeper, so that it is empty; were it not, the name may be of another set of processes,
        // and the kernel refuses to remove it.
        removed += left_below(&above).into_iter().filter(|group| fs::remove_dir(group).is_ok()).count();
        let _ = fs::remove_dir(above);
    }
    removed
}

/// How many groups there are whose keepers are gone.
pub(crate) fn left() -> usize {
    all_above().iter().map(|above| left_below(above).len()).sum()
}

fn all_above() -> Vec<PathBuf> {
    let own = place::find().into_iter().flat_map(|places| places.found).map(|place| place.folder);
    own.chain(beside::find().map(|beside| beside.folder)).map(|folder| folder.join(ABOVE)).collect()
}

fn left_below(above: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(above).into_iter().flatten().flatten();
    let dead = |entry: &fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let (pid, begin) = name.trim_end_matches(OF_BROWSER).split_once('-')?;
        let (pid, begin) = (pid.parse::<i32>().ok()?, begin.parse::<u64>().ok()?);
        Some(began(pid) != Some(begin))
    };
    entries.filter(|entry| dead(entry) == Some(true)).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    //! Which groups a sweep takes away, on a machine where groups can be made. Elsewhere there is nothing to sweep.

    use super::{ABOVE, fs, left, own_name, place, sweep};

    #[test]
    fn only_the_groups_of_dead_keepers_go() {
        let own = own_name().unwrap();
        for place in place::find().unwrap().found {
            let above = place.folder.join(ABOVE);
            // A number that is in use, begun at another time: the keeper of this name is gone.
            let dead = above.join("1-999999999999");
            let living = above.join(&own);
            if fs::create_dir_all(&dead).is_err() || fs::create_dir_all(&living).is_err() {
                continue;
            }
            // Others sweep, too: whoever made the count, it is gone.
            let known = left() > 0 || !dead.exists();
            sweep();
            assert!(known && !dead.exists() && living.exists(), "{}", above.display());
            fs::remove_dir(&living).unwrap();
        }
    }
}
