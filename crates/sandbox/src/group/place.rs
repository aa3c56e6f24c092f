//! Where on this machine the group of a computer can be made, and what it would limit there: the earlier kind of control groups (one tree per controller), the unified kind, or both side by side. It makes no group of a computer.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

/// Where the engine's own processes go where a group with limits may not hold processes and groups at the same time.
pub(super) const ENGINE: &str = "thenar-engine";
/// Rounds of moving processes out of the way; each meets those that were started during the one before.
const ROUNDS: usize = 10;
/// Its presence says that systemd keeps the tree of groups, and that others may only work where it says so.
const SYSTEMD: &str = "/run/systemd/system";

/// What a group can limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Pids,
    Cpu,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

/// A folder of the kernel's in which a group can be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) controllers: Vec<Controller>,
    /// Of the unified kind: also where it limits nothing, it can end all its processes at once.
    pub(super) unified: bool,
}

/// All places, and why there are not more.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) found: Vec<Place>,
    pub(super) reasons: Vec<String>,
}

/// This process's own group of the unified kind, where that kind limits anything.
pub(super) fn own_unified() -> Option<PathBuf> {
    let tree = own_trees().ok()?.into_iter().find(|tree| tree.unified)?;
    offered(&tree.top).is_ok_and(|controllers| !controllers.is_empty()).then_some(tree.own)
}

fn own_trees() -> io::Result<Vec<Tree>> {
    Ok(trees(&fs::read_to_string("/proc/self/mountinfo")?, &fs::read_to_string("/proc/self/cgroup")?))
}

/// Looks for them. Changes nothing.
pub(super) fn find() -> io::Result<Places> {
    let mut places = Places::default();
    for tree in own_trees()? {
        if !tree.unified {
            let Tree { own: folder, controllers, .. } = tree;
            places.found.push(Place { folder, controllers, unified: false });
            continue;
        }
        match unified(&tree) {
            Ok(place) => places.found.push(place),
            Err(reason) => places.reasons.push(reason),
        }
    }
    if places.found.is_empty() && places.reasons.is_empty() {
        places.reasons.push("no control groups are mounted".to_owned());
    }
    Ok(places)
}

impl Place {
    /// Lets the groups made here limit what they shall. In the unified kind the folder must hold no process then.
    pub(super) fn enable(&self) -> io::Result<()> {
        if !self.unified || self.controllers.is_empty() {
            return Ok(());
        }
        let file = self.folder.join("cgroup.subtree_control");
        let on = fs::read_to_string(&file)?;
        for controller in &self.controllers {
            if on.split_whitespace().any(|name| name == controller.name()) {
                continue;
            }
            let order = format!("+{}", controller.name());
            match fs::write(&file, &order) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                    self.make_way()?;
                    fs::write(&file, &order)?;
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Moves the processes of the folder into one below it.
    fn make_way(&self) -> io::Result<()> {
        let aside = self.folder.join(ENGINE);
        match fs::create_dir(&aside) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        for _ in 0..ROUNDS {
            let here = fs::read_to_string(self.folder.join("cgroup.procs"))?;
            if here.trim().is_empty() {
                break;
            }
            for process in here.split_whitespace() {
                match fs::write(aside.join("cgroup.procs"), process) {
                    // It ended meanwhile.
                    Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                    other => other?,
                }
            }
        }
        Ok(())
    }
}

/// One mounted tree of groups, and this process's place in it.
#[derive(Debug, PartialEq, Eq)]
struct Tree {
    top: PathBuf,
    own: PathBuf,
    controllers: Vec<Controller>,
    unified: bool,
}

/// The trees that are of use, from the kernel's two lists.
fn trees(mounts: &str, own: &str) -> Vec<Tree> {
    let mut trees: Vec<Tree> = Vec::new();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let (left, right): (Vec<_>, Vec<_>) = (left.split(' ').collect(), right.split(' ').collect());
        let ([_, _, _, root, top, ..], [kind, _, options, ..]) = (&left[..], &right[..]) else { continue };
        let unified = match *kind {
            "cgroup2" => true,
            "cgroup" => false,
            _ => continue,
        };
        let has = |controller: &Controller| options.split(',').any(|option| option == controller.name());
        let known = |controller: &Controller| trees.iter().any(|tree| tree.controllers.contains(controller));
        let controllers: Vec<_> = Controller::ALL.into_iter().filter(|c| !unified && has(c) && !known(c)).collect();
        if !unified && controllers.is_empty() || unified && trees.iter().any(|tree| tree.unified) {
            continue;
        }
        // `hierarchy:controllers:path`, with an empty middle for the unified kind.
        let path = own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let names = parts.next()?;
            let is_it = match controllers.first() {
                None => names.is_empty(),
                Some(first) => names.split(',').any(|name| name == first.name()),
            };
            parts.next().filter(|_| is_it)
        });
        // Where only a part of the tree is mounted, as in containers, the path counts from the whole one's root.
        let below = path.and_then(|path| Path::new(path).strip_prefix(root).ok());
        if let Some(below) = below {
            let top = PathBuf::from(top);
            // An empty rest would leave a slash at the end.
            let own = if below.as_os_str().is_empty() { top.clone() } else { top.join(below) };
            trees.push(Tree { top, own, controllers, unified });
        }
    }
    trees
}

/// The place in the unified tree, which belongs to whom it is delegated.
fn unified(tree: &Tree) -> Result<Place, String> {
    let own = &tree.own;
    let folder = if offered(&tree.top)?.is_empty() {
        // Its controllers are of the earlier kind: only what each group has by itself is of use.
        own.clone()
    } else if own.file_name().is_some_and(|name| name == ENGINE) {
        own.parent().unwrap_or(own).to_owned()
    } else if may_write(own) && is_delegated(own) {
        own.clone()
    } else if rustix::process::geteuid().is_root() {
        tree.top.clone()
    } else {
        return Err(format!("{} is not delegated to this user", own.display()));
    };
    if !may_write(&folder) {
        return Err(format!("{} cannot be written", folder.display()));
    }
    Ok(Place { controllers: offered(&folder)?, folder, unified: true })
}

/// What groups below a folder of the unified kind can limit.
fn offered(folder: &Path) -> Result<Vec<Controller>, String> {
    let file = folder.join("cgroup.controllers");
    let names = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let offers = |controller: &Controller| names.split_whitespace().any(|name| name == controller.name());
    Ok(Controller::ALL.into_iter().filter(offers).collect())
}

pub(super) fn may_write(folder: &Path) -> bool {
    let may = |path: &Path| rustix::fs::access(path, Access::WRITE_OK).is_ok();
    may(folder) && may(&folder.join("cgroup.procs"))
}

/// Whether whoever keeps the tree has left this part of it to us.
fn is_delegated(folder: &Path) -> bool {
    if Path::new(SYSTEMD).exists() {
        return super::manager::has_marked(folder) || super::manager::has_left(folder);
    }
    // Nobody keeps it. What is in it may be moved aside if it is ours or began us.
    let ancestors = ancestors();
    let here = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    here.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()).all(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.is_empty() || name.starts_with("thenar") || ancestors.contains(&pid)
    })
}

/// This process and all that it descends from.
fn ancestors() -> Vec<i32> {
    let mut line = vec![rustix::process::getpid().as_raw_nonzero().get()];
    while let Some(last) = line.last()
        && *last > 1
        && let Ok(stat) = fs::read_to_string(format!("/proc/{last}/stat"))
        && let Some(parent) = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok())
    {
        line.push(parent);
    }
    line
}

#[cfg(test)]
mod tests {
    //! What is made of the kernel's lists, on the kinds of machine there are.

    use super::trees;

    #[track_caller]
    fn check(mounts: &str, own: &str, expected: &[&str]) {
        let found = trees(mounts, own);
        let said: Vec<_> = found
            .iter()
            .map(|tree| {
                let names: Vec<_> = tree.controllers.iter().map(|controller| controller.name()).collect();
                let kind = if tree.unified { "v2" } else { "v1" };
                format!("{kind} {} {}", tree.own.display(), names.join(",")).trim_end().to_owned()
            })
            .collect();
        assert_eq!(said, expected);
    }

    #[test]
    fn the_unified_kind() {
        check(
            "24 23 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate",
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-7.scope\n",
            &["v2 /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-7.scope"],
        );
    }

    #[test]
    fn both_side_by_side() {
        check(
            "30 1 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
             31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             33 30 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
             34 30 0:30 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n\
             35 30 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            "9:freezer:/\n8:pids:/a\n4:memory:/a/b\n1:cpu,cpuacct:/\n0::/a\n",
            &[
                "v1 /sys/fs/cgroup/cpu,cpuacct cpu",
                "v1 /sys/fs/cgroup/memory/a/b memory",
                "v1 /sys/fs/cgroup/pids/a pids",
                "v2 /sys/fs/cgroup/unified/a",
            ],
        );
    }

    #[test]
    fn a_part_of_the_tree_as_in_a_container() {
        check(
            "31 30 0:27 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory",
            "4:memory:/docker/abc/x\n",
            &["v1 /sys/fs/cgroup/memory/x memory"],
        );
        // Mounted from elsewhere: our own place cannot be found in it.
        check("31 30 0:27 /docker/abc /m ro - cgroup cgroup rw,memory", "4:memory:/other\n", &[]);
    }

    #[test]
    fn none_at_all() {
        check("22 1 8:1 / / rw - ext4 /dev/vda rw", "", &[]);
    }
}
