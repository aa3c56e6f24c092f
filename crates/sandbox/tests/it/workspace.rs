//! Whose folder it is, before and after.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use sandbox::{Computer, Error, Exit, Workspace};

use crate::desk::{Desk, run};

fn owner(path: &Path) -> (u32, u32) {
    let about = std::fs::symlink_metadata(path).unwrap();
    (about.uid(), about.gid())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn our_own_workspace_belongs_to_a_user_that_the_host_does_not_know() {
    let desk = Desk::new();
    let folder = desk.path().join("workspace");
    std::fs::create_dir_all(folder.join("staged")).unwrap();
    std::fs::write(folder.join("staged/input.csv"), "a,b\n").unwrap();
    let computer = desk.open();
    assert_eq!(
        run(&computer, "echo c >> staged/input.csv; touch staged/new; stat -c %u . staged staged/input.csv").1,
        "1000\n1000\n1000\n"
    );
    let (uid, _) = owner(&folder.join("staged/new"));
    if is_root() {
        assert!(uid >= 2_000_000_000, "{uid}");
    } else {
        assert_eq!(uid, rustix::process::geteuid().as_raw());
    }
    assert_eq!(std::fs::read_to_string(folder.join("staged/input.csv")).unwrap(), "a,b\nc\n");
}

#[test]
fn a_folder_that_takes_no_files_is_told_as_that() {
    let mut desk = Desk::new();
    // Where nobody makes a folder, root included.
    desk.spec.workspace = Workspace::Own("/sys/kernel/thenar".into());
    let error = Computer::open(&desk.spec).err().unwrap();
    let hint = error.hint().unwrap_or_default();
    assert!(hint.contains("/sys/kernel/thenar cannot be written") && !hint.contains("namespaces"), "{error}: {hint}");
}

/// Has git look at a folder, as a person would.
#[expect(clippy::disallowed_methods, reason = "the program that must not be run otherwise")]
fn git(folder: &Path, words: &[&str]) {
    let mut git = std::process::Command::new("git");
    git.arg("-C").arg(folder).args(words).env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1");
    assert!(git.output().unwrap().status.success(), "{words:?}");
}

#[test]
fn what_a_repository_has_git_run_is_run_by_nobody() {
    let desk = Desk::new();
    let (folder, trap) = (desk.path().join("workspace"), desk.path().join("sprung"));
    std::fs::create_dir_all(&folder).unwrap();
    git(&folder, &["init", "-q"]);
    git(&folder, &["config", "core.fsmonitor", &format!("touch {} && false", trap.display())]);
    git(&folder, &["status"]);
    assert!(trap.exists(), "the trap works");
    std::fs::remove_file(&trap).unwrap();
    let computer = desk.open();
    assert_eq!(run(&computer, "git status > /dev/null; echo x > tracked").0, Exit::Code(0));
    computer.shutdown().unwrap();
    let store = sandbox::checkpoint::Store::at(desk.path().join("checkpoints"));
    let (bounds, stop) = (sandbox::checkpoint::Bounds::default(), AtomicBool::new(false));
    let take = sandbox::checkpoint::Take { tree: &folder, last: None, bounds, stop: &stop };
    let sandbox::checkpoint::Taken::New(taken) = store.take(&take, &mut |_| {}).unwrap() else { panic!() };
    let place = sandbox::checkpoint::Place::Same;
    let restore = sandbox::checkpoint::Restore { checkpoint: taken.id, tree: &folder, last: None, place, stop: &stop };
    let _ = store.restore(&restore).unwrap();
    sandbox::remove_tree(&folder).unwrap();
    assert!(!trap.exists(), "somebody has run git");
}

#[test]
fn a_persons_folder_stays_theirs() {
    let owners: &[(u32, u32)] = if is_root() { &[(0, 0), (1000, 1000), (54_321, 54_322)] } else { &[] };
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    for (uid, gid) in owners.iter().copied().chain([own]) {
        let mut desk = Desk::new();
        let folder = desk.path().join("project");
        std::fs::create_dir_all(folder.join("src")).unwrap();
        std::fs::write(folder.join("src/old"), "old\n").unwrap();
        for path in [&folder, &folder.join("src"), &folder.join("src/old")] {
            if is_root() {
                chown(path, Some(uid), Some(gid)).unwrap();
            }
        }
        // One level that other users cannot pass, as homes are.
        std::fs::set_permissions(desk.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        desk.spec.workspace = Workspace::Folder(folder.clone());
        let computer = desk.open();
        let (exit, seen) =
            run(&computer, "stat -c '%u %g' . src src/old; echo new >> src/old; mkdir made; echo x > made/file; id -u");
        assert_eq!((exit, seen.as_str()), (Exit::Code(0), "1000 1000\n1000 1000\n1000 1000\n1000\n"), "{uid}:{gid}");
        for path in ["", "src", "src/old", "made", "made/file"] {
            assert_eq!(owner(&folder.join(path)), (uid, gid), "{path}");
        }
        assert_eq!(std::fs::read_to_string(folder.join("src/old")).unwrap(), "old\nnew\n");
    }
}

#[test]
fn folders_that_are_no_projects_are_refused() {
    let desk = Desk::new();
    let home = desk.path().join("home");
    std::fs::create_dir_all(home.join("tasks/x")).unwrap();
    std::os::unix::fs::symlink("/", desk.path().join("link")).unwrap();
    let cases = [
        ("/".into(), "a folder of the system"),
        (desk.path().join("link"), "a folder of the system"),
        ("/etc/ssl".into(), "a folder of the system"),
        ("/root".into(), ""),
        (home.join("tasks/x"), "which holds thenar's own data"),
        (desk.path().to_owned(), "which holds thenar's own data"),
        (desk.path().join("nowhere"), "it cannot be opened"),
    ];
    for (path, reason) in cases {
        let mut spec = desk.spec.clone();
        spec.workspace = Workspace::Folder(path.clone());
        spec.forbidden = vec![home.clone()];
        for opened in [Computer::open(&spec).map(drop), sandbox::lendable(&path, &spec.forbidden).map(drop)] {
            match opened {
                Err(Error::Workspace { reason: seen, .. }) => {
                    assert!(seen.contains(reason), "{}: {seen}", path.display());
                }
                other => panic!("{}: {other:?}", path.display()),
            }
        }
    }
    let project = desk.path().join("project");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("file"), "").unwrap();
    assert_eq!(sandbox::lendable(&project, std::slice::from_ref(&home)).unwrap(), project.canonicalize().unwrap());
    assert!(sandbox::lendable(&project.join("file"), &[]).is_err(), "a file is no folder");
}

#[test]
fn a_workspace_with_more_folders_than_there_may_be_files_open_has_a_computer() {
    let mut desk = Desk::new();
    let workspace = desk.path().join("workspace");
    (0..600).for_each(|number| std::fs::create_dir_all(workspace.join(format!("modules/{number}"))).unwrap());
    // The keeper as a service with few descriptors has it.
    let (few, keeper) = (desk.path().join("few"), desk.spec.keeper.display());
    std::fs::write(&few, format!("#!/bin/sh\nulimit -n 256\nexec '{keeper}'\n")).unwrap();
    std::fs::set_permissions(&few, std::fs::Permissions::from_mode(0o755)).unwrap();
    desk.spec.keeper = few;
    assert_eq!(run(&desk.open(), "ls modules | wc -l; ulimit -n").1, "600\n256\n");
}
