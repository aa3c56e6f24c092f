//! Hand-overs: what passes, what is refused and why, what is never replaced, and that a second try does nothing twice.

use std::fs;
use std::os::unix::fs::symlink;

use event::{AcceptanceStatus, Digest, ToolFact, ToolResult, ToolStatus};
use serde_json::{Value, json};

use crate::task::{Task, list, toolset};

#[track_caller]
fn refused(task: &mut Task, arguments: Value, part: &str) -> ToolResult {
    let result = task.run("deliver", arguments);
    assert_eq!(result.status, ToolStatus::Invalid, "{}", result.text);
    assert!(result.text.contains(part), "{}", result.text);
    assert!(!task.out().exists(), "nothing is handed over");
    result
}

#[test]
fn good_files_are_handed_over_with_what_was_found_in_them() {
    let mut task = Task::new();
    task.text("file_write", json!({"path": "out/report.md", "content": "# Report\n\nAll is well.\n"}));
    task.text("file_write", json!({"path": "out/data/rows.csv", "content": "a,b\n1,2\n3,4\n"}));
    let files = json!([{"path": "out/report.md", "description": "The report"}, "/workspace/out/data/rows.csv"]);
    let result = task.run("deliver", json!({"files": files, "summary": "Two files."}));
    assert_eq!(result.status, ToolStatus::Ok, "{}", result.text);
    assert!(result.text.starts_with("Delivered:\n- report.md: "), "{}", result.text);
    let ToolFact::Delivered { files } = &result.facts[0] else { panic!("{:?}", result.facts) };
    assert_eq!(files[0].name, "report.md");
    assert_eq!(files[0].description, "The report");
    assert_eq!(files[0].path, task.out().join("report.md").to_string_lossy());
    assert_eq!(files[1].name, "data/rows.csv");
    for file in files {
        let bytes = fs::read(&file.path).expect("the file is there");
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (file.digest, file.bytes));
        assert!(!file.finding.is_empty());
    }
    assert_eq!(result.facts[1], ToolFact::Notice { text: "Two files.".to_owned() });
    let left: Vec<_> =
        fs::read_dir(task.out()).expect("the output folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "nothing half-made stays: {left:?}");
}

#[test]
fn broken_and_empty_files_are_refused_by_name() {
    let mut task = Task::new();
    task.text("shell_exec", json!({"command": "echo '{\"a\": 1,' > bad.json; touch empty.txt; echo fine > good.txt; mkdir folder; mkfifo pipe; ln -s good.txt link.txt; ln -s . here"}));
    let result = refused(&mut task, json!({"files": ["good.txt", "bad.json"]}), "/workspace/bad.json: ");
    assert!(!result.text.contains("good.txt"), "{}", result.text);
    refused(&mut task, json!({"files": ["good.txt", "empty.txt"]}), "/workspace/empty.txt: it is empty");
    refused(&mut task, json!({"files": ["nowhere.txt"]}), "/workspace/nowhere.txt: there is no such file");
    refused(&mut task, json!({"files": ["folder"]}), "/workspace/folder: it is a folder");
    refused(&mut task, json!({"files": ["pipe"]}), "/workspace/pipe: it is not a regular file");
    refused(&mut task, json!({"files": ["link.txt"]}), "/workspace/link.txt: it is a symbolic link");
    refused(
        &mut task,
        json!({"files": ["here/good.txt"]}),
        "/workspace/here/good.txt: it is a symbolic link, or behind one",
    );
    refused(&mut task, json!({"files": ["/etc/hostname"]}), "is not in /workspace");
    refused(&mut task, json!({"files": ["../computer/x"]}), "not a file's path below /workspace");
    refused(&mut task, json!({"files": []}), "1 to 100 files");
}

#[test]
fn two_files_of_one_name_are_refused() {
    let mut task = Task::new();
    task.text("shell_exec", json!({"command": "echo a > 'a:b.txt'; echo b > 'a?b.txt'"}));
    refused(&mut task, json!({"files": ["a:b.txt", "a?b.txt"]}), "would both be named a_b.txt");
}

#[test]
fn a_failed_point_refuses_until_it_is_mended_or_waived() {
    let mut task = Task::new();
    task.world.acceptance = list(&["has a chart", "names its source"]);
    task.text("file_write", json!({"path": "a.txt", "content": "text\n"}));
    let said = json!([{"text": "Has a chart", "status": "failed", "note": "no data"}]);
    let result = refused(&mut task, json!({"files": ["a.txt"], "acceptance": said}), "- has a chart (no data)");
    let ToolFact::Acceptance { items } = &result.facts[0] else { panic!("{:?}", result.facts) };
    assert_eq!(
        items.iter().map(|item| item.status).collect::<Vec<_>>(),
        [AcceptanceStatus::Failed, AcceptanceStatus::Unchecked]
    );
    // What failed is not forgotten by not being mentioned.
    refused(&mut task, json!({"files": ["a.txt"]}), "- has a chart (no data)");
    let waived = task.run("deliver", json!({"files": ["a.txt"], "request_waiver": true}));
    assert_eq!(waived.status, ToolStatus::Ok, "{}", waived.text);
    assert!(
        waived.text.contains("Acceptance: 0 of 2 passed, 1 waived, 1 unchecked: names its source"),
        "{}",
        waived.text
    );
}

#[test]
fn a_passed_list_is_recorded() {
    let mut task = Task::new();
    task.world.acceptance = list(&["opens", "is short"]);
    task.text("file_write", json!({"path": "a.txt", "content": "text\n"}));
    let said =
        json!([{"text": "opens", "status": "passed", "note": "read it"}, {"text": "is short", "status": "passed"}]);
    let result = task.run("deliver", json!({"files": ["a.txt"], "acceptance": said}));
    assert!(result.text.ends_with("Acceptance: 2 of 2 passed"), "{}", result.text);
    assert!(task.world.acceptance.iter().all(|item| item.status == AcceptanceStatus::Passed));
}

#[test]
fn only_what_the_task_delivered_itself_is_replaced() {
    let mut task = Task::new();
    fs::create_dir(task.out()).expect("the output folder");
    fs::write(task.out().join("a.txt"), "the person's own\n").expect("the person's file");
    task.text("file_write", json!({"path": "a.txt", "content": "first\n"}));
    let first = task.text("deliver", json!({"files": ["a.txt"]}));
    assert!(first.contains("- a (2).txt: "), "{first}");
    task.text("file_write", json!({"path": "b.txt", "content": "first\n"}));
    task.text("deliver", json!({"files": ["b.txt"]}));
    task.text("file_write", json!({"path": "b.txt", "content": "second\n"}));
    let second = task.text("deliver", json!({"files": ["b.txt"]}));
    assert!(second.contains("- b.txt: "), "{second}");
    let read = |name: &str| fs::read_to_string(task.out().join(name)).expect("a file");
    assert_eq!(read("a.txt"), "the person's own\n");
    assert_eq!(read("a (2).txt"), "first\n");
    assert_eq!(read("b.txt"), "second\n");
}

#[test]
fn a_link_in_the_output_folder_is_neither_followed_nor_replaced() {
    let mut task = Task::new();
    let precious = task.folder.path().join("precious.txt");
    fs::write(&precious, "precious\n").expect("a file elsewhere");
    fs::create_dir(task.out()).expect("the output folder");
    symlink(&precious, task.out().join("a.txt")).expect("a link");
    task.text("file_write", json!({"path": "a.txt", "content": "new\n"}));
    let result = task.run("deliver", json!({"files": ["a.txt"]}));
    assert!(result.text.contains("a (2).txt"), "{}", result.text);
    assert_eq!(fs::read_to_string(&precious).expect("it is there"), "precious\n");
}

#[test]
fn a_repeated_delivery_of_one_effect_does_nothing_twice() {
    let mut task = Task::new();
    task.text("file_write", json!({"path": "a.txt", "content": "first\n"}));
    let call = task.call("deliver", json!({"files": ["a.txt"], "summary": "Done."}));
    assert_eq!(tools::attach(&call, &task.world), None, "nothing has begun");
    let permit = task.permit(&call);
    let first = tools::run(permit, &task.world);
    assert_eq!(first.status, ToolStatus::Ok, "{}", first.text);
    task.text("file_write", json!({"path": "a.txt", "content": "changed later\n"}));
    task.restarted();
    assert_eq!(tools::attach(&call, &task.world), Some(first.clone()));
    let permit = task.permit(&call);
    assert_eq!(tools::run(permit, &task.world), first);
    assert_eq!(fs::read_to_string(task.out().join("a.txt")).expect("a file"), "first\n");
    assert_eq!(fs::read_dir(task.out()).expect("the folder").count(), 1);
}

/// The copies of the delivery with the number 2, as they lay before they were handed over.
fn copy_again(task: &Task, text: &str) {
    let copies = task.folder.path().join("task/deliver/e2/files");
    fs::create_dir_all(&copies).expect("the folder of the copies");
    fs::write(copies.join("a.txt"), text).expect("the copy");
}

#[test]
fn a_hand_over_cut_short_is_finished_by_what_was_checked() {
    let mut task = Task::new();
    task.text("file_write", json!({"path": "a.txt", "content": "first\n"}));
    let call = task.call("deliver", json!({"files": ["a.txt"]}));
    let first = task.run_call(&call);
    // As if the engine had died once it knew what goes where, before anything went there.
    fs::remove_file(task.out().join("a.txt")).expect("it was handed over");
    copy_again(&task, "first\n");
    task.text("file_write", json!({"path": "a.txt", "content": "changed later\n"}));
    task.restarted();
    assert_eq!(tools::attach(&call, &task.world), Some(first));
    assert_eq!(fs::read_to_string(task.out().join("a.txt")).expect("a file"), "first\n");
}

#[test]
fn a_call_that_is_stopped_puts_nothing_into_the_output_folder_any_more() {
    let mut task = Task::new();
    task.text("file_write", json!({"path": "a.txt", "content": "first\n"}));
    let files = json!({"files": ["a.txt"]});
    let stop = |task: &Task| task.world.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    // Once it is known what goes where, and before.
    let call = task.call("deliver", files.clone());
    task.run_call(&call);
    fs::remove_file(task.out().join("a.txt")).expect("it was handed over");
    copy_again(&task, "first\n");
    stop(&task);
    let halfway = tools::attach(&call, &task.world).expect("it had begun");
    assert_eq!(halfway.status, ToolStatus::Interrupted, "{}", halfway.text);
    assert!(halfway.text.contains("0 of 1 files"), "{}", halfway.text);
    let result = task.run("deliver", files);
    assert_eq!(result.status, ToolStatus::Interrupted, "{}", result.text);
    assert_eq!(fs::read_dir(task.out()).expect("the folder").count(), 0);
}

#[test]
fn a_copy_that_changed_after_its_check_is_not_handed_over() {
    let mut task = Task::new();
    task.text("file_write", json!({"path": "a.txt", "content": "first\n"}));
    let call = task.call("deliver", json!({"files": ["a.txt"]}));
    task.run_call(&call);
    fs::remove_file(task.out().join("a.txt")).expect("it was handed over");
    copy_again(&task, "forged\n");
    let result = tools::attach(&call, &task.world).expect("it had begun");
    assert_eq!(result.status, ToolStatus::Failed);
    assert!(result.text.contains("the copy changed after it was checked"), "{}", result.text);
    assert_eq!(fs::read_dir(task.out()).expect("the folder").count(), 0);
}

#[test]
fn in_the_persons_own_folder_the_files_stay_where_they_are() {
    let mut task = Task::new();
    task.hand_over_to(None);
    task.text("file_write", json!({"path": "sub/a.txt", "content": "text\n"}));
    let result = task.run("deliver", json!({"files": ["sub/a.txt"]}));
    let ToolFact::Delivered { files } = &result.facts[0] else { panic!("{}", result.text) };
    assert_eq!(files[0].name, "sub/a.txt");
    assert_eq!(files[0].path, task.workspace().join("sub/a.txt").to_string_lossy());
    assert!(!task.out().exists());
}

#[test]
fn a_link_on_the_way_to_an_output_folder_below_the_workspace_is_not_followed() {
    let mut task = Task::new();
    task.hand_over_to(Some(task.workspace().join("results/today")));
    let elsewhere = task.folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder elsewhere");
    task.text("shell_exec", json!({"command": format!("echo text > a.txt; ln -s {} results", elsewhere.display())}));
    let result = task.run("deliver", json!({"files": ["a.txt"]}));
    assert_eq!(result.status, ToolStatus::Failed, "{}", result.text);
    assert_eq!(fs::read_dir(&elsewhere).expect("the folder").count(), 0);
    task.text("shell_exec", json!({"command": "rm results"}));
    let result = task.run("deliver", json!({"files": ["a.txt"]}));
    assert_eq!(result.status, ToolStatus::Ok, "{}", result.text);
    assert!(task.workspace().join("results/today/a.txt").is_file());
}

#[test]
fn unfinished_work_is_handed_over_as_it_is_without_what_the_person_brought() {
    let mut task = Task::new();
    task.text("shell_exec", json!({"command": "echo given > given.csv; echo '{\"a\": 1,' > half.json; mkdir -p parts .cache __pycache__ && echo text | tee parts/a.txt .cache/x __pycache__/y .hidden; touch empty; ln -s /etc/hostname link"}));
    let call = task.call(tools::HAND_OVER, json!({"leave": ["given.csv"]}));
    let permit = task.permit_for(&call, tools::hand_over_facts());
    let result = tools::hand_over(permit, &task.world);
    assert_eq!(result.status, ToolStatus::Ok, "{}", result.text);
    let ToolFact::Delivered { files } = &result.facts[0] else { panic!("{:?}", result.facts) };
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["half.json", "parts/a.txt"]);
    assert_eq!(files[0].finding, "unfinished, not checked");
    assert_eq!(fs::read_to_string(task.out().join("unfinished/parts/a.txt")).expect("a file"), "text\n");
    let permit = task.permit_for(&call, tools::hand_over_facts());
    assert_eq!(tools::hand_over(permit, &task.world), result, "once is enough");
    let permit = task.permit_for(&call, tools::hand_over_facts());
    assert_eq!(tools::run(permit, &task.world).status, ToolStatus::Invalid, "no model can call it");
}

/// Makes a spreadsheet, a document with pages and a chart as the agent would.
const OFFICE: &str = r#"
from openpyxl import Workbook
from reportlab.pdfgen.canvas import Canvas
import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot
book = Workbook()
book.active.append(["name", "value"])
book.active.append(["a", 1])
book.save("table.xlsx")
page = Canvas("report.pdf")
page.drawString(72, 700, "One page.")
page.save()
pyplot.plot([1, 2, 3])
pyplot.savefig("chart.png")
pyplot.savefig("chart.svg")
"#;

#[test]
fn office_files_are_opened_by_the_toolset_and_not_taken_on_trust_without_it() {
    let Some(toolset) = toolset() else {
        let mut task = Task::new();
        task.text("shell_exec", json!({"command": "printf '%%PDF-1.4\\nx\\n%%%%EOF\\n' > report.pdf"}));
        refused(&mut task, json!({"files": ["report.pdf"]}), "run thenar setup");
        return;
    };
    let mut task = Task::unopened().with_toolset(toolset);
    task.text("file_write", json!({"path": "make.py", "content": OFFICE}));
    let made = task.text("shell_exec", json!({"command": "python3 make.py", "id": "make"}));
    let made =
        if made.starts_with("Still") { task.text("shell_wait", json!({"id": "make", "seconds": 60})) } else { made };
    assert!(made.starts_with("exit code 0"), "{made}");
    let result = task.run("deliver", json!({"files": ["table.xlsx", "report.pdf", "chart.png", "chart.svg"]}));
    assert_eq!(result.status, ToolStatus::Ok, "{}", result.text);
    for finding in ["table.xlsx: ", "report.pdf: PDF, 1 page", "chart.png: PNG, 640 x 480", "chart.svg: SVG"] {
        assert!(result.text.contains(finding), "{}", result.text);
    }
    task.text("shell_exec", json!({"command": "head -c 300 report.pdf > cut.pdf"}));
    let cut = task.run("deliver", json!({"files": ["cut.pdf"]}));
    assert_eq!(cut.status, ToolStatus::Invalid, "{}", cut.text);
}
