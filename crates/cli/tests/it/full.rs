//! A disk that fills up under a task: a clear word, nothing lost, and the task goes on when there is room.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::desk::{Desk, call, say};

/// A data folder of 3 MB, in a mount namespace of its own: run, make room, resume.
const STORY: &str = r#"
mount -t tmpfs -o size=3m,mode=700 tmpfs "$THENAR_HOME" || exit 77
"$THENAR" run --model "$SCRIPT" --id t-full --out "$OUT" "Fill"; echo "first $?"
rm -f "$THENAR_HOME/tasks/t-full/workspace/big"
"$THENAR" task resume t-full; echo "second $?"
"$THENAR" journal verify t-full
"#;

#[test]
#[expect(clippy::disallowed_methods, reason = "the program under test, where its disk is small")]
fn a_full_disk_is_told_plainly_and_the_task_goes_on_with_room() {
    let desk = Desk::new();
    let script = desk.script(&[
        call("shell_exec", json!({ "command": "echo before >> log.txt; head -c 20000000 /dev/zero > big" })),
        call("shell_exec", json!({ "command": "echo after >> log.txt" })),
        call("deliver", json!({ "files": ["log.txt"] })),
        say("Finished."),
    ]);
    let (home, out) = (desk.path("small"), desk.path("out"));
    std::fs::create_dir(&home).unwrap();
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", STORY])
        .env("THENAR", env!("CARGO_BIN_EXE_thenar"))
        .envs([("THENAR_HOME", &home), ("OUT", &out)])
        .env("SCRIPT", &script)
        .current_dir(&desk.here)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !said.contains("first ") {
        eprintln!("not tried: mounting a small disk is not permitted here: {told}");
        return;
    }
    assert!(said.contains("first 1\n"), "{said}\n{told}");
    assert!(told.contains("no space left on the disk") && told.contains("nothing is lost"), "{told}");
    assert!(said.contains("second 0\n") && said.contains("ok: task t-full"), "{said}\n{told}");
    assert_eq!(std::fs::read_to_string(out.join("log.txt")).unwrap(), "before\nafter\n");
}
