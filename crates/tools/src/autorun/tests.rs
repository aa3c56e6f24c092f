//! A folder before and after.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn write(folder: &Path, path: &str, content: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn told(before: &Seen, folder: &Path) -> Vec<String> {
    let (files, cut) = before.changed(&look(folder).unwrap());
    assert!(!cut);
    files.into_iter().map(|file| file.path).collect()
}

#[test]
fn what_runs_is_told_when_it_is_new_or_another_and_not_when_it_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for path in [
        ".git/hooks/pre-commit",
        ".git/hooks/pre-push.sample",
        ".vscode/tasks.json",
        ".envrc",
        "a/Makefile",
        "notes.md",
    ] {
        write(folder, path, "old");
    }
    let before = look(folder).unwrap();
    assert_eq!(Seen::from_bytes(&before.to_bytes()), Some(before.clone()));
    assert_eq!(told(&before, folder), [""; 0]);
    // Written anew with the same content.
    write(folder, ".envrc", "old");
    fs::remove_file(folder.join("a/Makefile")).unwrap();
    for path in ["notes.md", ".git/hooks/pre-push.sample", ".git/HEAD", ".git/logs/HEAD"] {
        write(folder, path, "new");
    }
    assert_eq!(told(&before, folder), [""; 0], "nobody runs these");
    for path in ["Makefile", ".vscode/tasks.json", "deep/er/.git/config", "bare/HEAD", "sub/package.json"] {
        write(folder, path, "new");
    }
    symlink("/somewhere/else", folder.join(".git/hooks/post-checkout")).unwrap();
    symlink("elsewhere", folder.join("deep/.git")).unwrap();
    let runs = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.join(".git/hooks/pre-commit"), runs).unwrap();
    assert_eq!(
        told(&before, folder),
        [
            ".git/hooks/post-checkout",
            ".git/hooks/pre-commit",
            ".vscode/tasks.json",
            "bare/HEAD",
            "deep/.git",
            "deep/er/.git/config",
            "Makefile",
            "sub/package.json",
        ]
    );
}

#[test]
fn a_name_is_told_by_its_end_and_nothing_else() {
    for (path, expected) in [
        ("x/y/.git/hooks/update", Some(GIT)),
        (".git/modules/lib/hooks/update", None),
        (".github/workflows/ci.yml", Some(CI)),
        ("workflows/ci.yml", None),
        (".dir-locals-2.el", Some(EDITOR)),
        ("lib.pth", Some(BUILD)),
        (".zshenv", Some(SHELL)),
        ("docs/makefile.md", None),
        (".cargo/config.toml", Some(BUILD)),
        (".claude/settings.local.json", Some(AGENT)),
    ] {
        assert_eq!(when(path), expected, "{path}");
    }
}

#[test]
fn links_lead_nowhere_and_what_cannot_be_read_still_counts() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(outside.path(), ".git/hooks/pre-commit", "outside");
    symlink(outside.path(), folder.path().join("link")).unwrap();
    let before = look(folder.path()).unwrap();
    assert_eq!(before, Seen::default());
    let _listener = std::os::unix::net::UnixListener::bind(folder.path().join(".envrc")).unwrap();
    assert_eq!(told(&before, folder.path()), [".envrc"]);
}
