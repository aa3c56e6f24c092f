//! What programs of the person's run by themselves, or at the next build, in a folder that was lent to a task: git's hooks and
//! settings, editors' tasks, a shell's and other agents' files. A task may well have to change such a file; the person is
//! told at hand-over, before git or the editor runs it. It forbids nothing, and it does not know every program there is.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use event::{AutorunFile, Digest};
use sandbox::{Folder, Kind};
use sha2::{Digest as _, Sha256};

/// Names that are looked at, the nearest first; the rest of a larger folder is not.
const NAMES_MAX: usize = 200_000;

/// Bytes of one file that count; of a larger one its length does too.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Files that are told at the most.
const TOLD_MAX: usize = 200;

const GIT: &str = "git runs it, or commands in it";
const EDITOR: &str = "an editor runs it, or commands in it, when the folder is opened";
const SHELL: &str = "a shell or a desktop runs it by itself";
const AGENT: &str = "other agents follow it, or start programs from it";
const BUILD: &str = "the next build, install or test runs it";
const CI: &str = "it runs elsewhere after the next push";

/// The ends of paths that count. `*` is any name, or any part of one at its beginning or end.
const RULES: &[(&[&str], &str)] = &[
    (&[".git", "hooks", "*"], GIT),
    (&[".git", "config"], GIT),
    (&[".git", "config.worktree"], GIT),
    (&[".git", "info", "attributes"], GIT),
    (&[".gitattributes"], GIT),
    (&[".gitmodules"], GIT),
    (&[".gitconfig"], GIT),
    (&[".githooks", "*"], GIT),
    (&[".husky", "*"], GIT),
    (&[".pre-commit-config.yaml"], GIT),
    (&["lefthook.y*"], GIT),
    (&[".lefthook.y*"], GIT),
    (&[".vscode", "*"], EDITOR),
    (&["*.code-workspace"], EDITOR),
    (&[".idea", "*"], EDITOR),
    (&[".idea", "runConfigurations", "*"], EDITOR),
    (&[".run", "*"], EDITOR),
    (&[".devcontainer", "*"], EDITOR),
    (&[".devcontainer.json"], EDITOR),
    (&[".zed", "*"], EDITOR),
    (&[".helix", "*"], EDITOR),
    (&[".fleet", "*"], EDITOR),
    (&[".exrc"], EDITOR),
    (&[".vimrc"], EDITOR),
    (&[".nvimrc"], EDITOR),
    (&[".nvim.lua"], EDITOR),
    (&[".dir-locals*.el"], EDITOR),
    (&["*.sublime-project"], EDITOR),
    (&[".envrc"], SHELL),
    (&[".autoenv*"], SHELL),
    (&["mise.toml"], SHELL),
    (&[".mise.toml"], SHELL),
    (&[".bash*"], SHELL),
    (&[".profile"], SHELL),
    (&[".zsh*"], SHELL),
    (&["*.desktop"], SHELL),
    (&["autorun.inf"], SHELL),
    (&["CLAUDE.md"], AGENT),
    (&["AGENTS.md"], AGENT),
    (&["GEMINI.md"], AGENT),
    (&[".mcp.json"], AGENT),
    (&[".claude", "*"], AGENT),
    (&[".cursor", "*"], AGENT),
    (&[".cursor", "rules", "*"], AGENT),
    (&[".cursorrules"], AGENT),
    (&[".windsurfrules"], AGENT),
    (&[".github", "copilot-instructions.md"], AGENT),
    (&["Makefile"], BUILD),
    (&["makefile"], BUILD),
    (&["GNUmakefile"], BUILD),
    (&["justfile"], BUILD),
    (&["Justfile"], BUILD),
    (&["Taskfile.y*"], BUILD),
    (&["CMakeLists.txt"], BUILD),
    (&["configure"], BUILD),
    (&["package.json"], BUILD),
    (&[".npmrc"], BUILD),
    (&[".yarnrc*"], BUILD),
    (&[".pnpmfile.cjs"], BUILD),
    (&["composer.json"], BUILD),
    (&["build.rs"], BUILD),
    (&[".cargo", "config*"], BUILD),
    (&["rust-toolchain*"], BUILD),
    (&["setup.py"], BUILD),
    (&["pyproject.toml"], BUILD),
    (&["conftest.py"], BUILD),
    (&["sitecustomize.py"], BUILD),
    (&["usercustomize.py"], BUILD),
    (&["*.pth"], BUILD),
    (&["tox.ini"], BUILD),
    (&["noxfile.py"], BUILD),
    (&["Rakefile"], BUILD),
    (&["Gemfile"], BUILD),
    (&["gradlew"], BUILD),
    (&["*.gradle"], BUILD),
    (&["*.gradle.kts"], BUILD),
    (&["mvnw"], BUILD),
    (&[".mvn", "*"], BUILD),
    (&["Dockerfile"], BUILD),
    (&["compose.y*"], BUILD),
    (&["docker-compose.y*"], BUILD),
    (&[".github", "workflows", "*"], CI),
    (&[".gitlab-ci.yml"], CI),
    (&[".circleci", "*"], CI),
    (&["Jenkinsfile"], CI),
    (&["azure-pipelines.yml"], CI),
];

/// Git's samples are run by nobody.
const NEVER_RUN: &str = ".sample";

/// The files of a folder that count, each by what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    files: BTreeMap<String, Digest>,
    /// The folder had more names than are looked at.
    cut: bool,
}

impl Seen {
    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        event::canonical(&(&self.files, self.cut))
    }

    /// As it was kept.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (files, cut) = serde_json::from_slice(bytes).ok()?;
        Some(Self { files, cut })
    }

    /// What is another now, or new, and whether there may be more than that. What is gone runs no more.
    pub fn changed(&self, now: &Self) -> (Vec<AutorunFile>, bool) {
        let changed = now.files.iter().filter(|(path, digest)| self.files.get(*path) != Some(digest));
        let told =
            changed.map(|(path, _)| AutorunFile { path: path.clone(), when: when(path).unwrap_or(BUILD).to_owned() });
        let mut told: Vec<_> = told.collect();
        // What runs by itself comes before what waits for a build.
        told.sort_by_key(|file| [BUILD, CI].contains(&file.when.as_str()));
        let cut = self.cut || now.cut || told.len() > TOLD_MAX;
        told.truncate(TOLD_MAX);
        (told, cut)
    }
}

/// Looks through a folder, which programs inside may be changing, without following a link.
///
/// # Errors
/// If the folder itself cannot be opened. What cannot be read below counts as what it is: there.
pub fn look(folder: &Path) -> io::Result<Seen> {
    let root = Folder::open(folder)?;
    let mut seen = Seen::default();
    let (mut names, mut waiting) = (0_usize, VecDeque::from([PathBuf::new()]));
    while let Some(path) = waiting.pop_front() {
        let at = if path.as_os_str().is_empty() { Folder::open(folder) } else { root.existing(&path) };
        // Gone, or closed to us: then it is closed to most programs of the person's.
        let Ok(at) = at else { continue };
        for (name, kind) in at.names().unwrap_or_default() {
            names += 1;
            if names > NAMES_MAX {
                seen.cut = true;
                return Ok(seen);
            }
            let below = path.join(&name);
            let told = below.to_string_lossy().into_owned();
            if kind == Kind::Folder {
                waiting.push_back(below);
            } else if when(&told).is_some() {
                seen.files.insert(told, digest(&at, &name, kind));
            }
        }
    }
    Ok(seen)
}

/// When a program of the person's runs this file, if one does.
fn when(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.split('/').collect();
    let name = parts.last().copied().unwrap_or_default();
    if name.ends_with(NEVER_RUN) {
        return None;
    }
    // A file or link of this name says where git's settings are; `HEAD` elsewhere makes a folder a repository of its own.
    if name == ".git" || name == "HEAD" && !parts.contains(&".git") {
        return Some(GIT);
    }
    let fits = |rule: &&[&str]| {
        let from = parts.len().checked_sub(rule.len());
        from.is_some_and(|from| rule.iter().zip(&parts[from..]).all(|(rule, part)| fits(rule, part)))
    };
    RULES.iter().find(|(rule, _)| fits(rule)).map(|(_, when)| *when)
}

fn fits(rule: &str, part: &str) -> bool {
    match rule.split_once('*') {
        None => rule == part,
        Some((start, end)) => part.len() >= start.len() + end.len() && part.starts_with(start) && part.ends_with(end),
    }
}

/// Of what is in a file, whether it may be run, and its length; of a link, where it points.
fn digest(at: &Folder, name: &OsStr, kind: Kind) -> Digest {
    let mut hasher = Sha256::new();
    if kind == Kind::Link {
        hasher.update(b"link");
        hasher.update(at.target(name).unwrap_or_default());
        return Digest(hasher.finalize().into());
    }
    let read = || -> io::Result<(u64, bool, Vec<u8>)> {
        let file = at.file(Path::new(name))?;
        let about = file.metadata()?;
        let mut content = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut content)?;
        Ok((about.len(), about.permissions().mode() & 0o111 != 0, content))
    };
    match read() {
        Ok((length, runs, content)) => {
            hasher.update(b"file");
            hasher.update(length.to_be_bytes());
            hasher.update([u8::from(runs)]);
            hasher.update(content);
        }
        Err(_) => hasher.update(b"closed"),
    }
    Digest(hasher.finalize().into())
}

#[cfg(test)]
mod tests;
