//! Copies of the files of one delivery, in a folder of the task's own. What is checked and what is handed over are these
//! copies, so a program that still runs in the workspace can change neither. It never writes to the workspace.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use event::Digest;
use sha2::Digest as _;

use crate::call::Call;
use crate::limits::{DELIVER_BYTES_MAX, DELIVER_FILE_BYTES_MAX, DELIVER_FILES_MAX};
use crate::outcome::Outcome;
use sandbox::{Folder, unseen};

/// The folder of one delivery: `tasks/ID/deliver/eN`.
#[derive(Clone, Debug)]
pub(super) struct Staging {
    root: PathBuf,
}

impl Staging {
    pub(super) fn of(call: &Call<'_>) -> Self {
        Self { root: call.world.place.task_dir.join("deliver").join(call.name()) }
    }

    /// The copies.
    pub(super) fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// The computer that checks them.
    pub(super) fn computer(&self) -> PathBuf {
        self.root.join("computer")
    }

    /// What is to be handed over and where, once that is settled.
    pub(super) fn plan(&self) -> PathBuf {
        self.root.join("plan.json")
    }

    /// Begins anew: nothing of an earlier try is left, nor its computer.
    pub(super) fn clear(&self) -> io::Result<()> {
        if let Ok(Some(computer)) = sandbox::Computer::attach(&self.computer()) {
            // A computer that will not go ends by itself; its folder is not used again before it is gone.
            let _ = computer.shutdown();
        }
        match fs::remove_dir_all(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::create_dir_all(self.files())
    }

    /// Removes what is of no more use after the hand-over.
    pub(super) fn tidy(&self) {
        for folder in [self.files(), self.computer()] {
            // Only space is at stake.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// One file's copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Staged {
    /// Its name below the folder of the copies and, if that is free, below the output folder.
    pub(super) name: String,
    /// Where it stands, relative to the workspace.
    pub(super) source: String,
    pub(super) bytes: u64,
    pub(super) digest: Digest,
    pub(super) description: String,
}

/// Copies the files out of the workspace.
pub(super) fn stage(files: &[super::File], staging: &Staging, call: &Call<'_>) -> Result<Vec<Staged>, Outcome> {
    if files.is_empty() || files.len() > DELIVER_FILES_MAX {
        return Err(Outcome::invalid(format!("a delivery has 1 to {DELIVER_FILES_MAX} files, not {}", files.len())));
    }
    let mut wanted: Vec<(Vec<String>, String)> = Vec::new();
    for file in files {
        let path = components(&file.path)?;
        if !wanted.iter().any(|(known, _)| *known == path) {
            wanted.push((path, file.description.clone().unwrap_or_default()));
        }
    }
    let shared = common_folders(wanted.iter().map(|(path, _)| path.as_slice()));
    let engine = |error: io::Error| Outcome::failed(format!("The delivery could not be prepared: {error}."));
    staging.clear().map_err(engine)?;
    let workspace = Folder::open(call.world.place.workspace()).map_err(engine)?;
    let copies = Folder::open(&staging.files()).map_err(engine)?;
    let mut staged: Vec<Staged> = Vec::new();
    let mut left = DELIVER_BYTES_MAX;
    for (path, description) in wanted {
        let name = safe_name(&path[shared..]);
        let source = path.join("/");
        if let Some(other) = staged.iter().find(|other| other.name.eq_ignore_ascii_case(&name)) {
            let text = format!("{source} and {} would both be named {name}: rename one of them", other.source);
            return Err(Outcome::invalid(format!("Not delivered: {text}.")));
        }
        let file = take(&workspace, &copies, &source, &name, left, call).map_err(|problem| {
            if call.world.cancelled() {
                return Outcome::interrupted("Interrupted while the files were copied: nothing was delivered.");
            }
            Outcome::invalid(format!("Not delivered: /workspace/{source}: {problem}."))
        })?;
        left -= file.bytes;
        staged.push(Staged { description, ..file });
    }
    Ok(staged)
}

/// Copies one file, or says in words for the model why not.
pub(super) fn take(
    workspace: &Folder,
    copies: &Folder,
    source: &str,
    name: &str,
    bytes_left: u64,
    call: &Call<'_>,
) -> Result<Staged, String> {
    let file = workspace.file(Path::new(source)).map_err(|error| plain(&error))?;
    let copied = copy_into(Wanted { from: file, call }, copies, name, bytes_left.min(DELIVER_FILE_BYTES_MAX));
    let (bytes, digest) = copied.map_err(|error| match error {
        Copy::TooBig(max) => format!("it is over the limit of {max} bytes for this delivery"),
        Copy::Io(error) => error.to_string(),
    })?;
    if bytes == 0 {
        return Err("it is empty".to_owned());
    }
    Ok(Staged { name: name.to_owned(), source: source.to_owned(), bytes, digest, description: String::new() })
}

/// The name under which a file goes out.
pub(super) fn safe_name<T: AsRef<str>>(path: &[T]) -> String {
    path.iter().map(|part| sanitised(part.as_ref())).collect::<Vec<_>>().join("/")
}

/// Why a copy was not made.
enum Copy {
    TooBig(u64),
    Io(io::Error),
}

impl From<io::Error> for Copy {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A file that is read as long as the call is wanted: a large one takes longer than the wait for the end of a call.
pub(super) struct Wanted<'a> {
    pub(super) from: File,
    pub(super) call: &'a Call<'a>,
}

impl Read for Wanted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.call.world.cancelled() {
            return Err(io::Error::other("the task is being stopped"));
        }
        self.from.read(buffer)
    }
}

fn copy_into(mut from: impl Read, copies: &Folder, name: &str, bytes_max: u64) -> Result<(u64, Digest), Copy> {
    let (parent, leaf) = name.rsplit_once('/').unwrap_or(("", name));
    let mut folder = copies.folder(Path::new(""))?;
    for part in parent.split('/').filter(|part| !part.is_empty()) {
        folder = folder.folder(Path::new(part))?;
        folder.readable_by_all()?;
    }
    let mut to = folder.create(leaf)?;
    // The checking computer's user is another one, whatever the umask says.
    to.set_permissions(fs::Permissions::from_mode(0o644))?;
    let (bytes, digest) = copy_hashed(&mut (&mut from).take(bytes_max + 1), &mut to)?;
    if bytes > bytes_max { Err(Copy::TooBig(bytes_max)) } else { Ok((bytes, digest)) }
}

/// Copies all there is, hashing what goes through.
pub(super) fn copy_hashed(from: &mut impl Read, to: &mut impl Write) -> io::Result<(u64, Digest)> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut bytes = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        bytes += read as u64;
    }
    Ok((bytes, Digest(hasher.finalize().into())))
}

/// The parts of a path below the workspace.
pub(super) fn components(path: &str) -> Result<Vec<String>, Outcome> {
    let given = path.trim();
    let below = match given.strip_prefix("/workspace") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        Some(_) | None if given.starts_with('/') || given.starts_with('~') => {
            return Err(Outcome::invalid(format!("Not delivered: {given} is not in /workspace: copy it there first.")));
        }
        Some(_) | None => given,
    };
    let parts: Vec<String> =
        below.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect();
    if parts.is_empty() || parts.iter().any(|part| part == ".." || part.contains('\0')) {
        return Err(Outcome::invalid(format!("Not delivered: {given:?} is not a file's path below /workspace.")));
    }
    Ok(parts)
}

/// How many leading folders all paths share.
fn common_folders<'a>(paths: impl Iterator<Item = &'a [String]>) -> usize {
    let folders: Vec<&[String]> = paths.map(|path| &path[..path.len() - 1]).collect();
    let Some(first) = folders.first() else { return 0 };
    (0..first.len()).take_while(|at| folders.iter().all(|other| other.get(*at) == first.get(*at))).count()
}

/// Bytes of a name that every common file system takes, with room for a number.
const NAME_BYTES_MAX: usize = 200;

/// A name that is safe on the person's machine: seen as it is, not hidden, not an option, no folder's.
fn sanitised(name: &str) -> String {
    let safe = |c: char| !unseen::in_name(c) && !matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    let mut name: String = name.trim().chars().map(|c| if safe(c) { c } else { '_' }).collect();
    if name.starts_with(['.', '-']) {
        name.replace_range(..1, "_");
    }
    if name.len() > NAME_BYTES_MAX {
        let extension = name.rsplit_once('.').map(|(_, last)| last.to_owned()).filter(|last| last.len() <= 10);
        let mut end = NAME_BYTES_MAX - 11;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
        name.extend(extension.iter().flat_map(|extension| [".", extension.as_str()]));
    }
    if name.is_empty() { "_".to_owned() } else { name }
}

/// An error of the system in words for the model.
fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::NotADirectory => "a part of its path is not a folder".to_owned(),
        io::ErrorKind::PermissionDenied => "it cannot be read; chmod it".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_names(paths: &[&str], expected: &[&str]) {
        let paths: Vec<Vec<String>> = paths.iter().map(|path| components(path).unwrap()).collect();
        let shared = common_folders(paths.iter().map(Vec::as_slice));
        assert_eq!(paths.iter().map(|path| safe_name(&path[shared..])).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn folders_that_all_share_are_dropped_and_the_rest_kept() {
        check_names(&["/workspace/out/report.html", "out/img/a.png"], &["report.html", "img/a.png"]);
        check_names(&["a/b/c.txt"], &["c.txt"]);
        check_names(&["report.pdf", "./data//clean.csv"], &["report.pdf", "data/clean.csv"]);
    }

    #[test]
    fn names_are_made_safe() {
        check_names(&[".bashrc"], &["_bashrc"]);
        check_names(&["-rf"], &["_rf"]);
        check_names(&["a\u{202e}fdp.exe"], &["a_fdp.exe"]);
        check_names(&["a\u{1b}[31m.txt"], &["a_[31m.txt"]);
        check_names(&["Übersicht 2024.pdf"], &["Übersicht 2024.pdf"]);
        let long = format!("{}.pdf", "é".repeat(200));
        assert!(sanitised(&long).len() <= NAME_BYTES_MAX && sanitised(&long).ends_with(".pdf"));
    }

    #[test]
    fn paths_that_leave_the_workspace_are_refused() {
        for path in
            ["/etc/passwd", "../x", "a/../../x", "/workspace", "/workspace/", "", "~/x", "/workspacex/y", "a\0b"]
        {
            assert!(components(path).is_err(), "{path:?}");
        }
    }
}
