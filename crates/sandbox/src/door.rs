//! The door between a computer's workspace and its browser, which share no folder: what a page gave goes in under a plain
//! name, what a page is to be given comes out as a copy. By descriptors on both sides, and with no more rights than the
//! computer's own user has. It neither asks what is in a file nor whether it may pass: the caller has decided that.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use rustix::fs::{Gid, Mode, Stat, Uid};

use crate::browser::Folders;
use crate::{Folder, Over, unseen};

/// Bytes of one file in either direction.
pub const DOOR_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// The folder of the workspace that takes what pages gave.
pub const DOWNLOADS: &str = "downloads";
/// Bytes of a file's name.
const NAME_BYTES_MAX: usize = 120;
/// Numbers tried for a name that is taken.
const NUMBER_MAX: u32 = 1_000;
/// Where the browser sees what it may give to pages.
const UPLOADS_INSIDE: &str = "/uploads";

/// A file that went into the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroughtIn {
    /// From the workspace on.
    pub path: String,
    pub bytes: u64,
}

/// Puts a file from the folder of downloads into the workspace, under a name like the suggested one that is still free
/// there, and removes it from where it was.
///
/// # Errors
/// If it cannot be read or is none, or the workspace does not take it.
pub fn bring_in(workspace: &Path, folders: &Folders, file: &str, suggested: &str) -> io::Result<BroughtIn> {
    let from = Folder::open(&folders.downloads)?;
    let given = from.file(plain(file)?)?;
    let home = Folder::open(workspace)?;
    let owner = home.stat()?;
    let to = home.folder(Path::new(DOWNLOADS))?;
    hand_to(&to, &owner)?;
    if !may(&to.stat()?, &owner, 0o3) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the folder downloads is not the agent's"));
    }
    let unfinished = format!(".{}.part", plain_name(file));
    let bytes = fill(given, to.create(&unfinished)?, &owner);
    let placed = bytes.and_then(|bytes| Ok((place(&to, &unfinished, &plain_name(suggested))?, bytes)));
    match placed {
        Ok((name, bytes)) => {
            from.remove(file);
            Ok(BroughtIn { path: format!("{DOWNLOADS}/{name}"), bytes })
        }
        Err(error) => {
            to.remove(&unfinished);
            Err(error)
        }
    }
}

/// Puts a copy of a file of the workspace where the browser can give it to a page, in a folder of that name, and says how
/// the browser sees it.
///
/// # Errors
/// If there is no such file, or the computer's user could not read it.
pub fn hand_out(workspace: &Path, folders: &Folders, path: &Path, slot: &str) -> io::Result<String> {
    let home = Folder::open(workspace)?;
    let owner = home.stat()?;
    let mut way = std::path::PathBuf::new();
    for folder in path.parent().into_iter().flat_map(Path::components) {
        let Component::Normal(name) = folder else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leaves the workspace"));
        };
        way.push(name);
        if !may(&home.existing(&way)?.stat()?, &owner, 0o1) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
    }
    let file = home.file(path)?;
    if !may(&rustix::fs::fstat(&file)?, &owner, 0o4) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "its name is no text"))?;
    let uploads = Folder::open(&folders.uploads)?;
    let to = uploads.folder(plain(slot)?)?;
    to.readable_by_all()?;
    let copy = to.create(name)?;
    // The page's processes are another user's where we are root.
    rustix::fs::fchmod(&copy, Mode::from_raw_mode(0o644))?;
    if let Err(error) = pour(file, copy) {
        to.remove(name);
        return Err(error);
    }
    Ok(format!("{UPLOADS_INSIDE}/{slot}/{name}"))
}

impl Folder {
    fn stat(&self) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(self.fd())?)
    }
}

/// A single name, no path.
fn plain(name: &str) -> io::Result<&Path> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) if !name.contains('/') => Ok(Path::new(name)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain name")),
    }
}

/// Whether the workspace's owner has these rights (4 to read, 2 to change, 1 to pass), whatever ours are.
fn may(about: &Stat, owner: &Stat, rights: u32) -> bool {
    let shift = if about.st_uid == owner.st_uid {
        6
    } else if about.st_gid == owner.st_gid {
        3
    } else {
        0
    };
    about.st_mode >> shift & rights == rights
}

/// Gives what we have made to the workspace's owner.
fn hand_to(folder: &Folder, owner: &Stat) -> io::Result<()> {
    let about = folder.stat()?;
    if about.st_uid != owner.st_uid && about.st_uid == rustix::process::geteuid().as_raw() {
        rustix::fs::fchown(folder.fd(), Some(Uid::from_raw(owner.st_uid)), Some(Gid::from_raw(owner.st_gid)))?;
    }
    Ok(())
}

fn fill(from: File, to: File, owner: &Stat) -> io::Result<u64> {
    if rustix::process::geteuid().is_root() {
        rustix::fs::fchown(&to, Some(Uid::from_raw(owner.st_uid)), Some(Gid::from_raw(owner.st_gid)))?;
    }
    pour(from, to)
}

fn pour(from: File, mut to: File) -> io::Result<u64> {
    let bytes = io::copy(&mut from.take(DOOR_BYTES_MAX + 1), &mut to)?;
    if bytes > DOOR_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {DOOR_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// Gives the file its final name, or the first numbered one that is free.
fn place(folder: &Folder, unfinished: &str, name: &str) -> io::Result<String> {
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => (stem, format!(".{ending}")),
        _ => (name, String::new()),
    };
    for number in 1..=NUMBER_MAX {
        let name = if number == 1 { name.to_owned() } else { format!("{stem} ({number}){ending}") };
        match folder.rename(unfinished, &name, Over::Nothing) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{name} is there under {NUMBER_MAX} numbers")))
}

/// What a page calls a file, as a name that leads nowhere and hides nothing.
fn plain_name(suggested: &str) -> String {
    let last = suggested.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = last.chars().filter(|c| !unseen::in_name(*c) && !"<>:\"|?*".contains(*c)).collect();
    name = name.trim_start_matches(['.', ' ', '-', '~']).trim_end_matches(['.', ' ']).to_owned();
    let ending = name.rfind('.').filter(|at| name.len() - at <= 12).map_or(String::new(), |at| name.split_off(at));
    let room = NAME_BYTES_MAX - ending.len();
    let mut end = name.len().min(room);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    if name.is_empty() { format!("download{ending}") } else { name + &ending }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Desk {
        _folder: tempfile::TempDir,
        workspace: std::path::PathBuf,
        folders: Folders,
    }

    fn desk() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let (workspace, folders) = (folder.path().join("workspace"), Folders::of(folder.path()));
        for made in [&workspace, &folders.downloads, &folders.uploads] {
            std::fs::create_dir_all(made).unwrap();
        }
        Desk { _folder: folder, workspace, folders }
    }

    #[test]
    fn names_that_pages_give_lead_nowhere_and_hide_nothing() {
        for (suggested, name) in [
            ("report.csv", "report.csv"),
            ("../../.bashrc", "bashrc"),
            ("..", "download"),
            ("", "download"),
            ("a/b\\c.txt", "c.txt"),
            (".desktop", "desktop"),
            ("x\u{202e}fdp.exe", "xfdp.exe"),
            ("two\nlines.txt", "twolines.txt"),
            ("-rf", "rf"),
            ("...", "download"),
        ] {
            assert_eq!(plain_name(suggested), name, "{suggested:?}");
        }
        let long = plain_name(&format!("{}.pdf", "ü".repeat(300)));
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with("ü.pdf"), "{long}");
    }

    #[test]
    fn what_a_page_gave_goes_in_once_and_over_nothing() {
        let desk = desk();
        let give = |content: &str| {
            std::fs::write(desk.folders.downloads.join("guid"), content).unwrap();
            bring_in(&desk.workspace, &desk.folders, "guid", "../a.txt").unwrap().path
        };
        assert_eq!((give("one"), give("two")), ("downloads/a.txt".to_owned(), "downloads/a (2).txt".to_owned()));
        assert_eq!(std::fs::read_to_string(desk.workspace.join("downloads/a.txt")).unwrap(), "one");
        assert_eq!(std::fs::read_to_string(desk.workspace.join("downloads/a (2).txt")).unwrap(), "two");
        assert!(!desk.folders.downloads.join("guid").exists());
        assert_eq!(std::fs::read_dir(desk.workspace.join("downloads")).unwrap().count(), 2);
    }

    #[test]
    fn links_lead_through_the_door_in_neither_direction() {
        let desk = desk();
        let secret = desk.workspace.with_file_name("secret");
        std::fs::write(&secret, "secret").unwrap();
        std::os::unix::fs::symlink(&secret, desk.folders.downloads.join("guid")).unwrap();
        std::os::unix::fs::symlink(&secret, desk.workspace.join("link")).unwrap();
        std::os::unix::fs::symlink(desk.workspace.parent().unwrap(), desk.workspace.join("up")).unwrap();
        assert!(bring_in(&desk.workspace, &desk.folders, "guid", "x").is_err());
        for path in ["link", "up/secret", "../secret", "/etc/passwd", "nothing"] {
            assert!(hand_out(&desk.workspace, &desk.folders, Path::new(path), "e1").is_err(), "{path}");
        }
        for name in ["../guid", "/etc/passwd", "", "."] {
            assert!(bring_in(&desk.workspace, &desk.folders, name, "x").is_err(), "{name}");
        }
        // A link in place of the folder that takes downloads.
        let _ = std::fs::remove_dir_all(desk.workspace.join("downloads"));
        std::os::unix::fs::symlink(secret.parent().unwrap(), desk.workspace.join("downloads")).unwrap();
        std::fs::remove_file(desk.folders.downloads.join("guid")).unwrap();
        std::fs::write(desk.folders.downloads.join("guid"), "x").unwrap();
        assert!(bring_in(&desk.workspace, &desk.folders, "guid", "x").is_err());
        assert_eq!(std::fs::read_dir(&desk.folders.uploads).unwrap().count(), 0);
    }

    #[test]
    fn what_the_computers_user_may_not_read_is_not_handed_out() {
        let desk = desk();
        let file = desk.workspace.join("closed.txt");
        std::fs::write(&file, "closed").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
        assert!(hand_out(&desk.workspace, &desk.folders, Path::new("closed.txt"), "e1").is_err());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).unwrap();
        let inside = hand_out(&desk.workspace, &desk.folders, Path::new("closed.txt"), "e1").unwrap();
        assert_eq!(inside, "/uploads/e1/closed.txt");
        assert_eq!(std::fs::read_to_string(desk.folders.uploads.join("e1/closed.txt")).unwrap(), "closed");
    }
}
