//! From a sentence to files: what `run` prints where, what scripts read, what files and folders it takes.

use std::fs;
use std::os::unix::fs::MetadataExt;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::desk::{Desk, call, exec, say};

/// A task that plans, writes two files and hands them over.
fn two_files() -> Vec<Value> {
    let plan = json!({ "steps": [{ "text": "Write both files", "status": "in_progress" }, { "text": "Hand them over" }],
        "acceptance": ["Both files are there"] });
    let accepted = json!([{ "text": "Both files are there", "status": "passed", "note": "looked" }]);
    vec![
        call("plan_update", plan),
        exec(
            "mkdir -p out/data && printf 'All is well.\\n' > out/note.md && printf 'a,b\\n1,2\\n' > out/data/rows.csv",
        ),
        call("deliver", json!({ "files": ["out/note.md", "out/data/rows.csv"], "acceptance": accepted })),
        say("Two files are ready."),
    ]
}

#[test]
fn a_person_sees_the_work_and_a_script_gets_text_and_paths() {
    let desk = Desk::new();
    let ran = desk.run(&["run", "--model", &desk.script(&two_files()), "--id", "t-one", "Write two files"]);
    assert_snapshot!(ran.seen(), @r#"
    exit 0
    --- out
    Two files are ready.
    [FOLDER]/here/thenar-out/t-one/note.md
    [FOLDER]/here/thenar-out/t-one/data/rows.csv
    --- err
    Task t-one (script:[FOLDER]/script.json: A SCRIPT, NOT A MODEL)
      Plan
        ▸ Write both files
        · Hand them over
      ✓ run         mkdir -p out/data && printf 'All is well.\n' > out/note.md && printf 'a,b\n1,2\n' > out/data/rows.csv
      ✓ deliver     out/note.md, out/data/rows.csv
    Two files are ready.

    Done
      ✓ Both files are there (looked)
    Files
      [FOLDER]/here/thenar-out/t-one/note.md  Markdown, 1 line, 13 B
      [FOLDER]/here/thenar-out/t-one/data/rows.csv  CSV, 1 row of 2 columns under the header, 8 B
    4 steps of a script, no model: no cost
    next: to check its record: thenar journal verify t-one
    "#);
    assert_eq!(fs::read_to_string(desk.here.join("thenar-out/t-one/note.md")).unwrap(), "All is well.\n");
    assert_eq!(fs::read_to_string(desk.here.join("thenar-out/t-one/data/rows.csv")).unwrap(), "a,b\n1,2\n");
    assert_snapshot!(desk.run(&["task", "show", "t-one"]).seen(), @r#"
    exit 0
    --- out
    Two files are ready.
    [FOLDER]/here/thenar-out/t-one/note.md
    [FOLDER]/here/thenar-out/t-one/data/rows.csv
    --- err
    Task t-one: Write two files
      begun [TIME], model script:[FOLDER]/script.json
      ▸ Write both files
      · Hand them over

    Done
      ✓ Both files are there (looked)
    Files
      [FOLDER]/here/thenar-out/t-one/note.md  Markdown, 1 line, 13 B
      [FOLDER]/here/thenar-out/t-one/data/rows.csv  CSV, 1 row of 2 columns under the header, 8 B
    4 steps of a script, no model: no cost
    next: to check its record: thenar journal verify t-one
    "#);
}

#[test]
fn json_is_one_object_with_all_that_a_script_needs() {
    let desk = Desk::new();
    let script = desk.script(&two_files());
    let ran = desk.run(&["run", "--json", "--model", &script, "--out", "results", "Write two files"]).code(0);
    let result = ran.json();
    assert_eq!((&result["state"], &result["cost_usd"]), (&json!("done"), &json!(0.0)), "{result}");
    assert_eq!(result["text"], "Two files are ready.");
    let id = result["id"].as_str().unwrap();
    assert_eq!(result["folder"], json!(desk.task(id)));
    let files: Vec<_> = result["files"].as_array().unwrap().iter().map(|file| file["path"].clone()).collect();
    assert_eq!(files, [json!(desk.here.join("results/note.md")), json!(desk.here.join("results/data/rows.csv"))]);
    assert_eq!(desk.shown(id), result);
}

#[test]
fn the_list_is_newest_first_and_names_are_found_by_their_beginning() {
    let desk = Desk::new();
    desk.run(&["task", "list"]).code(0).puts_out("").says("There are no tasks yet.");
    desk.run(&["task", "list", "--json"]).code(0).puts_out("[]\n");
    let script = desk.script(&[say("Yes.")]);
    for id in ["t-one", "t-two", "other"] {
        desk.run(&["run", "--model", &script, "--id", id, "Say yes"]).code(0).puts_out("Yes.\n");
    }
    let list = desk.run(&["task", "list", "--json"]).code(0).json();
    let seen: Vec<_> =
        list.as_array().unwrap().iter().map(|task| (task["id"].as_str(), task["state"].as_str())).collect();
    assert_eq!(seen, [(Some("other"), Some("done")), (Some("t-two"), Some("done")), (Some("t-one"), Some("done"))]);
    assert_snapshot!(desk.run(&["task", "list"]).seen(), @r#"
    exit 0
    --- out
    other            done     [TIME]  Say yes
    t-two            done     [TIME]  Say yes
    t-one            done     [TIME]  Say yes
    --- err
    "#);
    let folder = format!("{}\n", desk.task("other").display());
    assert_eq!(desk.run(&["task", "path", "oth"]).code(0).out, folder);
    assert_snapshot!(desk.run(&["task", "show", "t-"]).seen(), @r#"
    exit 2
    --- out
    --- err
    error: several tasks begin with t-: give more of the name
    "#);
    assert_snapshot!(desk.run(&["task", "show", "t-three"]).seen(), @r#"
    exit 2
    --- out
    --- err
    error: there is no task t-three
    hint: `thenar task list` shows the tasks there are
    "#);
    desk.run(&["task", "path", ""]).code(2);
    desk.run(&["task", "path", "../t-one"]).code(2);
    desk.run(&["run", "--model", &script, "--id", "other", "Again"]).code(2).says("there is a task other already");
}

#[test]
fn a_wrong_command_line_is_told_apart_from_a_failed_task() {
    let desk = Desk::new();
    let script = desk.script(&[say("Yes.")]);
    for wrong in [
        &["run"][..],
        &["run", "--max-cost", "1e3", "x"],
        &["run", "--max-time", "soon", "x"],
        &["run", "--max-steps", "-1", "x"],
        &["run", "--nonsense", "x"],
        &["run", "--model", &script, "--workspace", "nowhere", "x"],
        &["run", "--model", &script, "--id", "Über", "x"],
        &["run", "--model", &script, ""],
        &["task"],
        &["task", "resume"],
        &["task", "resume", "--last", "t-one"],
        &["task", "resume", "--last"],
        &["task", "confirm", "t-one", "--effect", "nine"],
        &["computer", "exec"],
        &["nonsense"],
    ] {
        let ran = desk.run(wrong).code(2);
        assert_eq!(ran.out, "", "{wrong:?}");
        assert!(!ran.errors.is_empty(), "{wrong:?}");
    }
    desk.run(&["--version"]).code(0);
    desk.run(&["run", "--help"]).code(0);
    desk.run(&["task", "list", "--json"]).code(0).puts_out("[]\n");
}

#[test]
fn inputs_are_copied_and_replace_nothing() {
    let desk = Desk::new();
    let input = desk.write("here/in put.csv", "a,b\n1,2\n");
    let script = desk.script(&[exec("cat 'in put.csv'; echo changed > 'in put.csv'"), say("Read.")]);
    desk.run(&["run", "--model", &script, "--id", "t-one", "--input", "in put.csv", "Read it"]).code(0);
    assert!(desk.results("t-one")[0].contains("1,2"), "{:?}", desk.results("t-one"));
    assert_eq!(fs::read_to_string(&input).unwrap(), "a,b\n1,2\n");

    let run = |more: &[&str]| desk.run(&[&["run", "--model", &script], more, &["Read it"]].concat());
    let twin = desk.write("twin/in put.csv", "x");
    run(&["--input", "in put.csv", "--input", twin.to_str().unwrap()]).code(2).says("two inputs are named in put.csv");
    run(&["--input", "."]).code(2).says("is not a file");
    run(&["--input", "nowhere.csv"]).says("nowhere.csv").says("No such file").code(2);
    desk.write("mine/in put.csv", "mine");
    let mine = desk.path("mine");
    run(&["--workspace", mine.to_str().unwrap(), "--input", "in put.csv"]).code(2).says("is there already");
    assert_eq!(fs::read_to_string(mine.join("in put.csv")).unwrap(), "mine");
    let listed = desk.run(&["task", "list", "--json"]).code(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "what could not begin is no task");
}

#[test]
fn work_in_a_persons_folder_stays_there_as_theirs() {
    let desk = Desk::new();
    let (mine, script) = (desk.write("mine/old.txt", "old\n"), desk.script(&two_files()));
    let folder = mine.parent().unwrap();
    let run = |id: &str, more: &[&str]| {
        let first = ["run", "--model", &script, "--id", id, "--workspace", folder.to_str().unwrap()];
        desk.run(&[&first, more, &["Write two files"]].concat()).code(0)
    };
    run("t-one", &[]).puts_out("Two files are ready.\n[FOLDER]/mine/out/note.md\n[FOLDER]/mine/out/data/rows.csv\n");
    assert!(!desk.here.join("thenar-out").exists());
    let (new, own) = (fs::metadata(folder.join("out/note.md")).unwrap(), fs::metadata(folder).unwrap());
    assert_eq!((new.uid(), new.gid()), (own.uid(), own.gid()));
    run("t-two", &["--out", "else"])
        .puts_out("Two files are ready.\n[FOLDER]/here/else/note.md\n[FOLDER]/here/else/data/rows.csv\n");
    assert_eq!(fs::read_to_string(mine).unwrap(), "old\n");
}

#[test]
fn a_data_folder_far_down_works() {
    let desk = Desk::new();
    let home = desk.path(&["a-folder-with-a-long-name"; 8].join("/"));
    assert!(home.as_os_str().len() > 200);
    let desk = desk.with_home(home);
    desk.run(&["run", "--model", &desk.script(&two_files()), "--id", "t-one", "Write two files"]).code(0);
    desk.run(&["task", "send", "t-one", "Thanks"]).code(0);
    desk.run(&["computer", "exec", "--", "true"]).code(0);
}

#[test]
fn an_ordinary_user_needs_no_privilege() {
    if !rustix::process::geteuid().is_root() {
        // Then every other test has shown it.
        return;
    }
    let desk = Desk::new().owned_by_user(64_321);
    let script = desk.script(&two_files());
    desk.run(&["run", "--model", &script, "--id", "t-one", "Write two files"]).code(0);
    let note = desk.here.join("thenar-out/t-one/note.md");
    assert_eq!(fs::metadata(note).unwrap().uid(), 64_321);
    desk.run(&["computer", "exec", "--", "sh", "-c", "exit 7"]).code(7);
    desk.run(&["doctor"]).code(0);
}

#[test]
fn nobody_reading_is_no_failure() {
    let desk = Desk::new();
    let script = desk.script(&[say(&"many words ".repeat(20_000))]);
    let ran = desk.run_unread(&["run", "--model", &script, "--id", "t-one", "Talk"]);
    assert!(!ran.errors.contains("panic"), "{}", ran.errors);
    let ran = desk.run_unread(&["journal", "show", "t-one"]);
    assert!(!ran.errors.contains("panic"), "{}", ran.errors);
    assert_eq!(desk.shown("t-one")["state"], "done");
}
