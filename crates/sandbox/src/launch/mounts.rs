//! The file tree of the box as a list of mounts: what of the host is seen, where, and how locked. Nothing of the host that is not named here exists inside.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use super::workspace::Opened;
use crate::browser::Folders;
use crate::record;
use crate::spec::ComputerSpec;
use crate::sys::{self, mount_attr};

const SYSTEM: u64 = mount_attr::READ_ONLY | mount_attr::NOSUID | mount_attr::NODEV;
const DATA: u64 = SYSTEM | mount_attr::NOEXEC;
const NODE: u64 = mount_attr::NOSUID | mount_attr::NOEXEC;

/// Folders at the top that are links into `/usr` on merged systems and folders of their own on others.
const TOP: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// What programs read of `/etc`. Nothing with a secret in it, nothing about this machine's people.
const ETC: &[&str] = &[
    "alternatives",
    "ca-certificates",
    "fonts",
    "ghostscript",
    "ImageMagick-6",
    "ImageMagick-7",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "magic",
    "mime.types",
    "papersize",
    // Where Fedora and its kin keep whom the machine believes; its keys lie beside, in `pki/tls/private`.
    "pki/ca-trust/extracted",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "ssl/certs",
    "ssl/openssl.cnf",
    "texmf",
];
/// What the system knows of its fonts by heart. Without it the first program that draws text reads every font there is.
const FONTS_KNOWN: &str = "/var/cache/fontconfig";
/// Device nodes; `ptmx`, `pts`, `shm` and the links to `/proc/self/fd` are made, not shown.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

/// One thing of the host and its place inside.
struct Bind {
    from: PathBuf,
    to: String,
    attributes: u64,
    detached: Option<OwnedFd>,
}

/// All mounts of one computer.
pub(super) struct Plan {
    binds: Vec<Bind>,
    links: Vec<(String, PathBuf)>,
    /// The workspace, once it is detached.
    pub(super) workspace: Option<OwnedFd>,
    /// Its path, and device and number of the folder that was checked; a browser's box has none.
    workspace_at: Option<(PathBuf, (u64, u64))>,
}

impl Plan {
    /// What a shell's box shows.
    pub(super) fn new(spec: &ComputerSpec, workspace: &Opened) -> Self {
        let mut plan = Self::system();
        plan.workspace_at = Some((workspace.path.clone(), workspace.identity));
        if let Some(toolset) = &spec.toolset {
            plan.bind(toolset, "opt/thenar/toolset", SYSTEM);
        }
        plan.bind(record::output_folder(&spec.dir), "run/thenar/output", DATA);
        plan
    }

    /// What a browser's box shows: no workspace, no toolset, three folders of its own.
    pub(super) fn browser(folders: &Folders) -> Self {
        let mut plan = Self::system();
        plan.bind(&folders.profile, "profile", DATA & !mount_attr::READ_ONLY);
        plan.bind(&folders.downloads, "downloads", DATA & !mount_attr::READ_ONLY);
        plan.bind(&folders.uploads, "uploads", DATA);
        plan
    }

    fn empty() -> Self {
        Self { binds: Vec::new(), links: Vec::new(), workspace: None, workspace_at: None }
    }

    /// What every box shows.
    fn system() -> Self {
        let mut plan = Self::empty();
        plan.bind("/usr", "usr", SYSTEM);
        for name in TOP {
            let path = Path::new("/").join(name);
            match std::fs::read_link(&path) {
                Ok(target) => plan.links.push(((*name).to_owned(), target)),
                Err(_) => plan.bind(path, *name, SYSTEM),
            }
        }
        plan.settings(Path::new("/etc"));
        plan.bind(FONTS_KNOWN, FONTS_KNOWN.trim_start_matches('/'), DATA);
        match std::fs::read_link("/etc/localtime") {
            Ok(target) => plan.links.push(("etc/localtime".to_owned(), target)),
            Err(_) => plan.bind("/etc/localtime", "etc/localtime", DATA),
        }
        for name in DEVICES {
            plan.bind(Path::new("/dev").join(name), format!("dev/{name}"), NODE);
        }
        plan
    }

    /// What is read of this `/etc`.
    fn settings(&mut self, etc: &Path) {
        for name in ETC {
            self.bind(etc.join(name), format!("etc/{name}"), DATA);
        }
    }

    /// Notes a bind if its source exists: hosts differ in what they have.
    fn bind(&mut self, from: impl Into<PathBuf>, to: impl Into<String>, attributes: u64) {
        let from = from.into();
        if from.exists() {
            self.binds.push(Bind { from, to: to.into(), attributes, detached: None });
        }
    }

    /// Copies every source as a locked mount of its own that is attached nowhere yet.
    pub(super) fn detach(&mut self) -> Result<(), (String, io::Error)> {
        for bind in &mut self.binds {
            let mount = detach(&bind.from, bind.attributes);
            bind.detached = Some(mount.map_err(|error| (bind.from.display().to_string(), error))?);
        }
        Ok(())
    }

    /// Copies what is not copied yet; for an ordinary user, inside.
    pub(super) fn detach_inside(&mut self) -> Result<(), (String, io::Error)> {
        self.detach()?;
        let Some((path, identity)) = &self.workspace_at else { return Ok(()) };
        let attributes = mount_attr::NOSUID | mount_attr::NODEV;
        let mount = detach(path, attributes).map_err(|error| ("the workspace".to_owned(), error))?;
        let about = rustix::fs::fstat(&mount).map_err(|error| ("the workspace".to_owned(), error.into()))?;
        if (about.st_dev, about.st_ino) != *identity {
            let swapped = io::Error::from_raw_os_error(libc::ESTALE);
            return Err(("the workspace, which was replaced meanwhile".to_owned(), swapped));
        }
        self.workspace = Some(mount);
        Ok(())
    }

    /// What of the host is seen, but for devices: its path, its place inside, and whether it can be written. The workspace is
    /// none of it.
    pub(super) fn seen(&self) -> impl Iterator<Item = (&Path, &str, bool)> {
        let all = self.binds.iter().filter(|bind| !bind.to.starts_with("dev/"));
        all.map(|bind| (bind.from.as_path(), bind.to.as_str(), bind.attributes & mount_attr::READ_ONLY == 0))
    }

    /// Links of the root: place, target.
    pub(super) fn links(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.links.iter().map(|(place, target)| (place.as_str(), target.as_path()))
    }

    /// Attaches everything below the new root.
    pub(super) fn attach(&self, root: BorrowedFd<'_>) -> Result<(), (String, io::Error)> {
        for bind in &self.binds {
            let Some(mount) = &bind.detached else { continue };
            let attached = is_folder(mount).and_then(|folder| {
                if folder {
                    make_folders(root, &bind.to)?
                } else {
                    make_file(root, &bind.to, b"")?
                }
                attach(mount.as_fd(), root, &bind.to)
            });
            attached.map_err(|error| (format!("/{}", bind.to), error))?;
        }
        for (name, target) in &self.links {
            rustix::fs::symlinkat(target, root, name).map_err(|error| (format!("/{name}"), error.into()))?;
        }
        if let Some(workspace) = &self.workspace {
            let attached = make_folders(root, "workspace").and_then(|()| attach(workspace.as_fd(), root, "workspace"));
            attached.map_err(|error| ("/workspace".to_owned(), error))?;
        }
        Ok(())
    }
}

fn detach(from: &Path, attributes: u64) -> io::Result<OwnedFd> {
    let alone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = match rustix::mount::open_tree(CWD, from, alone) {
        // What other mounts cover may not be uncovered by an ordinary user: then they come along.
        Err(rustix::io::Errno::INVAL) => rustix::mount::open_tree(CWD, from, alone | OpenTreeFlags::AT_RECURSIVE)?,
        other => other?,
    };
    sys::mount_attributes(mount.as_fd(), attributes, None)?;
    Ok(mount)
}

pub(super) fn attach(mount: BorrowedFd<'_>, root: BorrowedFd<'_>, to: &str) -> io::Result<()> {
    Ok(rustix::mount::move_mount(mount, "", root, to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// A new filesystem that lives in memory or in the kernel.
pub(super) fn make(kind: &str, options: &[(&str, &str)], flags: MountAttrFlags) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (name, value) in options {
        rustix::mount::fsconfig_set_string(context.as_fd(), *name, *value)?;
    }
    rustix::mount::fsconfig_create(context.as_fd())?;
    Ok(rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)?)
}

/// Copies a mount that exists inside already, with its locks, to lay it over something else.
pub(super) fn copy(root: BorrowedFd<'_>, from: &str) -> io::Result<OwnedFd> {
    Ok(rustix::mount::open_tree(root, from, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?)
}

/// The same, closed for writing as well.
pub(super) fn copy_read_only(root: BorrowedFd<'_>, from: &str) -> io::Result<OwnedFd> {
    let mount = copy(root, from)?;
    sys::mount_attributes(mount.as_fd(), mount_attr::READ_ONLY, None)?;
    Ok(mount)
}

pub(super) fn make_folders(root: BorrowedFd<'_>, path: &str) -> io::Result<()> {
    let make = |path: &str| match rustix::fs::mkdirat(root, path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error),
    };
    // Mostly only the last one is missing.
    match make(path) {
        Err(rustix::io::Errno::NOENT) => {}
        made => return Ok(made?),
    }
    Ok(path.match_indices('/').map(|(end, _)| &path[..end]).chain([path]).try_for_each(make)?)
}

pub(super) fn make_file(root: BorrowedFd<'_>, path: &str, content: &[u8]) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let open = || rustix::fs::openat(root, path, flags, Mode::from_raw_mode(0o644));
    let file = match (open(), path.rsplit_once('/')) {
        (Err(rustix::io::Errno::NOENT), Some((folder, _))) => {
            make_folders(root, folder)?;
            open()?
        }
        (opened, _) => opened?,
    };
    if content.is_empty() { Ok(()) } else { io::Write::write_all(&mut std::fs::File::from(file), content) }
}

fn is_folder(mount: &OwnedFd) -> io::Result<bool> {
    let stat = rustix::fs::fstat(mount)?;
    Ok(rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory)
}

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn whom_the_machine_believes_is_shown_wherever_a_system_keeps_it_and_no_keys_are() {
        let etc = tempfile::tempdir().unwrap();
        for folder in ["pki/ca-trust/extracted/pem", "pki/tls/certs", "pki/tls/private", "ssl/private"] {
            std::fs::create_dir_all(etc.path().join(folder)).unwrap();
        }
        std::fs::write(etc.path().join("pki/ca-trust/extracted/pem/tls-ca-bundle.pem"), "").unwrap();
        let bundle = "../../ca-trust/extracted/pem/tls-ca-bundle.pem";
        std::os::unix::fs::symlink(bundle, etc.path().join("pki/tls/certs/ca-bundle.crt")).unwrap();
        std::os::unix::fs::symlink("certs/ca-bundle.crt", etc.path().join("pki/tls/cert.pem")).unwrap();
        std::os::unix::fs::symlink("../pki/tls/certs", etc.path().join("ssl/certs")).unwrap();
        let mut plan = Plan::empty();
        plan.settings(etc.path());
        let seen: Vec<_> = plan.seen().map(|(_, place, writable)| (place, writable)).collect();
        let places = ["etc/pki/ca-trust/extracted", "etc/pki/tls/cert.pem", "etc/pki/tls/certs", "etc/ssl/certs"];
        assert_eq!(seen, places.map(|place| (place, false)));
    }
}
