//! What a person is told of the folder that they lent, before they use it again.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::desk::{Desk, exec, exec_until_go, say};

/// A repository of the person's, with a hook, a task of an editor's and a recipe.
fn lent(desk: &Desk) -> String {
    for (path, content) in [
        (".git/config", "[core]\n"),
        (".git/hooks/pre-commit", "#!/bin/sh\n"),
        (".vscode/tasks.json", "{}"),
        (".envrc", "export A=1\n"),
        ("Makefile", "all:\n"),
        ("notes.md", "old\n"),
    ] {
        desk.write(&format!("here/repo/{path}"), content);
    }
    let hook = desk.here.join("repo/.git/hooks/pre-commit");
    fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
    desk.here.join("repo").to_str().unwrap().to_owned()
}

#[test]
fn changed_hooks_and_editor_tasks_are_pointed_out_and_what_is_the_same_is_not() {
    let desk = Desk::new();
    let folder = lent(&desk);
    let script = desk.script(&[
        exec("echo new > notes.md; printf 'export A=1\\n' > .envrc; printf 'all:\\n\\ttrue\\n' > Makefile"),
        exec("printf '#!/bin/sh\\nid\\n' > .git/hooks/post-checkout; mkdir -p sub/.git; echo '[core] fsmonitor=id' > sub/.git/config"),
        exec("rm .vscode/tasks.json; ln -s ../notes.md .vscode/tasks.json; touch \"$(printf 'x\\033[2J.code-workspace')\""),
        say("Finished."),
    ]);
    let run = ["run", "--model", &script, "--id", "t-one", "--workspace", &folder, "Tidy up"];
    let ran = desk.run(&run).code(0).says("Look at these before you use the folder");
    let told: Vec<String> = desk.shown("t-one")["autorun"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap().to_owned())
        .collect();
    let expected =
        [".git/hooks/post-checkout", ".vscode/tasks.json", "sub/.git/config", "x\u{1b}[2J.code-workspace", "Makefile"];
    assert_eq!(told, expected, "by itself first, then what waits for a build");
    for line in [
        "  .git/hooks/post-checkout  git runs it, or commands in it\n",
        "  Makefile  the next build, install or test runs it\n",
    ] {
        assert!(ran.errors.contains(line), "{}", ran.errors);
    }
    let (_, account) = ran.errors.split_once("Look at these").unwrap();
    assert!(!account.contains(".envrc") && !account.contains("\u{1b}[2J"), "{account}");
    // It stands on the record, and a folder of the task's own is nobody's business.
    let kinds: Vec<_> = desk.events("t-one").iter().map(|event| event["event"].clone()).collect();
    assert_eq!(kinds[kinds.len() - 2..], [json!("autorun_changed"), json!("task_ended")]);
    let own = desk.script(&[exec("mkdir -p .git/hooks; touch .git/hooks/update"), say("Finished.")]);
    desk.run(&["run", "--model", &own, "--id", "t-two", "Make"]).code(0);
    assert_eq!(desk.shown("t-two")["autorun"], json!([]));
}

#[test]
fn it_is_told_whichever_way_the_task_ends_and_taken_back_when_it_is_mended() {
    let desk = Desk::new();
    let folder = lent(&desk);
    let script = desk.script(&[
        exec("echo evil > .git/hooks/pre-commit"),
        exec_until_go("true", "true"),
        exec("printf '#!/bin/sh\\n' > .git/hooks/pre-commit; chmod 755 .git/hooks/pre-commit"),
        say("Finished."),
    ]);
    let run = ["run", "--model", &script, "--id", "t-one", "--max-steps", "1", "--workspace", &folder, "Tidy"];
    desk.run(&run).code(3).says("  .git/hooks/pre-commit  git runs it");
    // Killed, then stopped by the person while nobody has it in hand.
    let running = desk.start(&["task", "resume", "t-one", "--max-steps", "9"]);
    desk.until_there(&desk.here.join("repo/begun"));
    running.signal(rustix::process::Signal::KILL);
    running.end();
    fs::write(desk.here.join("repo/Makefile"), "all: evil\n").unwrap();
    desk.run(&["task", "stop", "t-one"]).code(0);
    let paths = |desk: &Desk| desk.shown("t-one")["autorun"].as_array().unwrap().len();
    assert_eq!(paths(&desk), 2);
    fs::write(desk.here.join("repo/Makefile"), "all:\n").unwrap();
    fs::write(desk.here.join("repo/go"), "").unwrap();
    let ran = desk.run(&["task", "resume", "t-one"]).code(0);
    assert!(!ran.errors.contains("Look at these"), "{}", ran.errors);
    assert_eq!(paths(&desk), 0);
}
