//! Acceptance points that name a check: what `deliver` finds out by itself decides, not what the model says.

use event::{AcceptanceStatus, ToolFact, ToolStatus};
use serde_json::{Value, json};

use crate::task::{Task, toolset};

use AcceptanceStatus::{Failed, Passed, Unchecked, Waived};

/// Files for every kind of check that needs no toolset.
const FILES: [(&str, &str); 6] = [
    ("data.csv", "month,sales,share\n2024-01,\"1,234.56\",0.4251\n2024-02,2000000,-0.1\n"),
    (
        "out/report.md",
        "# Sales report\n\n## 1. Key figures\n\nIn 2024 sales were 1,235 and 2.0 million, a share of 42.5%; it fell by \
         10 %.\nSee Figure 1, [the page](page.html#top-line), [a part](#1-key-figures) and [web](https://example.org/x).\n",
    ),
    (
        "out/page.html",
        "<!DOCTYPE html><html><body><h1 id=\"top-line\">Top  line</h1><a href=\"report.md\">r</a></body></html>",
    ),
    (
        "out/wrong.md",
        "# Draft\n\nSales were 1,236, or 7. TODO: {{figure}}. [gone](nowhere.html) [no](page.html#nope)\n",
    ),
    ("out/web.md", "# Web\n\n[one](https://example.org)\n"),
    ("out/blob.xyz", "bytes\n"),
];

fn with_files() -> Task {
    let mut task = Task::new();
    for (path, content) in FILES {
        task.text("file_write", json!({"path": path, "content": content}));
    }
    task
}

/// Agrees on one check and delivers with the model's word that all is well; how the point stands, and the answer.
#[track_caller]
fn outcome(task: &mut Task, check: Value, files: &[&str]) -> (AcceptanceStatus, String, ToolStatus) {
    let text = "the point";
    task.world.acceptance.clear();
    let agreed = task.run("plan_update", json!({"steps": ["a"], "acceptance": [{"text": text, "check": check}]}));
    assert_eq!(agreed.status, ToolStatus::Ok, "{}", agreed.text);
    let said = json!([{"text": text, "status": "passed", "note": "I looked"}]);
    let result = task.run("deliver", json!({"files": files, "acceptance": said}));
    let item = task.world.acceptance[0].clone();
    if item.status == Failed {
        assert!(result.text.contains(&item.note), "{}", result.text);
    }
    (item.status, item.note, result.status)
}

#[track_caller]
fn finds(task: &mut Task, check: Value, files: &[&str], status: AcceptanceStatus, part: &str) {
    let (found, note, answer) = outcome(task, check.clone(), files);
    assert_eq!((found, answer == ToolStatus::Ok), (status, status != Failed), "{check}: {note}");
    assert!(note.contains(part), "{check}: {note}");
}

#[test]
fn each_check_passes_and_fails_by_what_is_found() {
    let mut task = with_files();
    let task = &mut task;
    let all = ["out/report.md", "out/page.html"];
    let report = ["out/report.md"];
    finds(task, json!({"kind": "exists", "file": "out/report.md"}), &report, Passed, "report.md is delivered");
    finds(task, json!({"kind": "exists", "file": "out/table.xlsx"}), &report, Failed, "out/table.xlsx is not among");
    finds(task, json!("opens"), &all, Passed, "page.html: HTML");
    finds(task, json!("opens"), &["out/blob.xyz"], Unchecked, "no parser for .xyz");
    finds(task, json!({"kind": "rows", "file": "data.csv", "at_least": 2}), &["data.csv"], Passed, "has 2 rows");
    let few = "data.csv has 2 rows under the header, 3 are wanted";
    finds(task, json!({"kind": "rows", "file": "data.csv", "at_least": "3"}), &["data.csv"], Failed, few);
    finds(task, json!({"kind": "words", "file": "report.md", "at_least": 20}), &report, Passed, "words");
    finds(task, json!({"kind": "words", "file": "report.md", "at_least": 900}), &report, Failed, "900 are wanted");
    finds(task, json!({"kind": "pages", "file": "report.md", "at_least": 1}), &report, Unchecked, "no fixed pages");
    let contains = |text: &str| json!({"kind": "contains", "file": "out/page.html", "text": text});
    finds(task, contains("TOP line"), &["out/page.html"], Passed, "contains it");
    finds(task, contains("bottom line"), &["out/page.html"], Failed, "does not contain \"bottom line\"");
    finds(task, json!({"kind": "links"}), &all, Passed, "3 links resolved; 1 link to the web not checked");
    finds(task, json!({"kind": "links"}), &report, Failed, "page.html#top-line in report.md (is not in the delivery)");
    let nowhere = ["out/wrong.md", "out/page.html", "out/report.md"];
    finds(
        task,
        json!({"kind": "links"}),
        &nowhere,
        Failed,
        "page.html#nope in wrong.md (there is no place named nope)",
    );
    finds(task, json!({"kind": "links"}), &["out/web.md"], Unchecked, "https://example.org");
    finds(task, json!({"kind": "no_placeholders"}), &all, Passed, "none in 2 files");
    let marks = "{{figure}} (wrong.md)";
    finds(task, json!({"kind": "no_placeholders"}), &["out/wrong.md"], Failed, marks);
    let numbers = |file: &str| json!({"kind": "numbers", "file": file, "data": "data.csv"});
    finds(task, numbers("out/report.md"), &report, Passed, "all 5 numbers of report.md stand in data.csv");
    finds(task, numbers("out/wrong.md"), &["out/wrong.md"], Failed, "do not stand in data.csv: 1,236, 7");
    for (text, found, part) in [
        ("Row: 1235 425 2", Failed, "in data.csv: 425"),
        ("On 2024-02-01, the 3rd, in Q3: \u{20ac}2m or 2 000 000 or 2e6, 0.4 and 0.43.", Passed, "all 8 numbers"),
        ("It weighs 12kg, 0.5 and 43 %.", Failed, "in data.csv: 12, 0.5"),
        ("1. One\n2. Two\n\nSee Table 7 on page 9 of 11.", Unchecked, "has no number"),
    ] {
        task.text("file_write", json!({"path": "out/n.txt", "content": text}));
        finds(task, numbers("out/n.txt"), &["out/n.txt"], found, part);
    }
    let lost = json!({"kind": "numbers", "file": "out/report.md", "data": ["lost.csv"]});
    finds(task, lost, &report, Failed, "the data lost.csv: there is no such file");
    let broken = json!({"kind": "numbers", "file": "out/report.md", "data": ["out/bad.json"]});
    task.text("file_write", json!({"path": "out/bad.json", "content": "[1,"}));
    finds(task, broken, &report, Failed, "the data out/bad.json is not JSON");
}

/// Makes a deck, a PDF and a workbook.
const OFFICE: &str = r#"
import docx, openpyxl, pptx
from reportlab.pdfgen.canvas import Canvas
book = openpyxl.Workbook()
for row in (["name", "value"], ["a", 1.25], ["b", 17]):
    book.active.append(row)
book.save("a.xlsx")
page = Canvas("a.pdf")
for text in ("The value is 1.3, and 17.", "And 99."):
    page.drawString(72, 700, text); page.showPage()
page.save()
deck = pptx.Presentation()
deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = "Lorem ipsum"
deck.save("a.pptx")
letter = docx.Document()
letter.add_paragraph("Dear [Insert name here]")
letter.add_table(1, 1).cell(0, 0).text = "In a cell"
letter.save("a.docx")
"#;

#[test]
fn office_files_are_counted_and_searched_by_their_parsers() {
    let Some(toolset) = toolset() else { return };
    let mut task = Task::unopened().with_toolset(toolset);
    task.text("file_write", json!({"path": "make.py", "content": OFFICE}));
    let made = task.text("shell_exec", json!({"command": "python3 make.py", "id": "make"}));
    let made =
        if made.starts_with("Still") { task.text("shell_wait", json!({"id": "make", "seconds": 60})) } else { made };
    assert!(made.starts_with("exit code 0"), "{made}");
    let task = &mut task;
    let count = |kind: &str, file: &str, at_least: u64| json!({"kind": kind, "file": file, "at_least": at_least});
    finds(task, count("pages", "a.pdf", 2), &["a.pdf"], Passed, "a.pdf has 2 pages");
    finds(task, count("pages", "a.pdf", 3), &["a.pdf"], Failed, "a.pdf has 2 pages, 3 are wanted");
    finds(task, count("slides", "a.pptx", 1), &["a.pptx"], Passed, "a.pptx has 1 slide");
    finds(task, count("slides", "a.pptx", 9), &["a.pptx"], Failed, "9 are wanted");
    finds(task, count("sheets", "a.xlsx", 1), &["a.xlsx"], Passed, "a.xlsx has 1 sheet");
    finds(task, count("sheets", "a.xlsx", 2), &["a.xlsx"], Failed, "2 are wanted");
    finds(task, count("rows", "a.xlsx", 2), &["a.xlsx"], Passed, "a.xlsx has 2 rows");
    finds(task, json!("no_placeholders"), &["a.pptx"], Failed, "Lorem ipsum (a.pptx, slide 1)");
    finds(task, json!("no_placeholders"), &["a.docx"], Failed, "[Insert name here] (a.docx)");
    let cell = json!({"kind": "contains", "file": "a.docx", "text": "in a cell"});
    finds(task, cell, &["a.docx"], Passed, "contains it");
    let numbers = json!({"kind": "numbers", "file": "a.pdf", "data": ["a.xlsx"]});
    finds(task, numbers, &["a.pdf"], Failed, "of 3 numbers in a.pdf, these do not stand in a.xlsx: 99 (page 2)");
}

#[test]
fn a_failed_check_refuses_until_it_is_mended_or_waived() {
    let mut task = with_files();
    let agreed =
        json!([{"text": "no gaps", "check": {"kind": "no_placeholders", "file": "out/wrong.md"}}, "reads well"]);
    task.run("plan_update", json!({"steps": ["a"], "acceptance": agreed}));
    let refused = task.run("deliver", json!({"files": ["out/wrong.md"]}));
    assert_eq!(refused.status, ToolStatus::Invalid, "{}", refused.text);
    assert!(refused.text.contains("- no gaps (placeholder text: "), "{}", refused.text);
    assert!(!task.out().exists(), "nothing is handed over");
    assert_eq!(task.world.acceptance.iter().map(|item| item.status).collect::<Vec<_>>(), [Failed, Unchecked]);
    let waived = task.run("deliver", json!({"files": ["out/wrong.md"], "request_waiver": true}));
    assert_eq!(waived.status, ToolStatus::Ok, "{}", waived.text);
    assert_eq!(task.world.acceptance[0].status, Waived);
    task.text("file_write", json!({"path": "out/wrong.md", "content": "# Mended\n\nAll is said.\n"}));
    let mended = task.run("deliver", json!({"files": ["out/wrong.md"]}));
    assert_eq!(mended.status, ToolStatus::Ok, "{}", mended.text);
    assert_eq!(task.world.acceptance[0].status, Passed, "{}", mended.text);
    // What passed is not undone by a delivery of something else.
    let other = task.run("deliver", json!({"files": ["out/web.md"]}));
    assert_eq!((other.status, task.world.acceptance[0].status), (ToolStatus::Ok, Passed), "{}", other.text);
    // That the model itself found a fault counts also where the check found none.
    let said = json!([{"text": "no gaps", "status": "failed", "note": "the end is missing"}]);
    let refused = task.run("deliver", json!({"files": ["out/wrong.md"], "acceptance": said}));
    assert!(refused.text.contains("- no gaps (the end is missing)"), "{}", refused.text);
    let ToolFact::Delivered { files } = &mended.facts[0] else { panic!("{:?}", mended.facts) };
    assert_eq!(files.len(), 1, "neither the programs nor the data that checked it are handed over");
}

#[test]
fn files_named_like_libraries_do_not_check_themselves() {
    let mut task = Task::new();
    let forged = "import os\nos.write(1, b'{\"name\": \"bad.json\", \"ok\": true, \"at\": 0, \"outcome\": \"passed\"}')\nos._exit(0)\n";
    let names = ["json.py", "csv.py", "zipfile.py", "check.py", "docx.py"];
    for name in names {
        task.text("file_write", json!({"path": name, "content": forged}));
    }
    task.text("file_write", json!({"path": "bad.json", "content": "[1,"}));
    let all = [names.as_slice(), &["bad.json"]].concat();
    let result = task.run("deliver", json!({"files": all}));
    assert!(result.text.contains("/workspace/bad.json: is not JSON"), "{}", result.text);
    let gaps = json!({"kind": "contains", "file": "csv.py", "text": "no such words"});
    finds(&mut task, gaps, &names, Failed, "csv.py does not contain");
}

#[test]
fn a_check_is_agreed_once_and_whole() {
    let mut task = Task::unopened();
    let plan = |check: Value| json!({"steps": ["a"], "acceptance": [{"text": "long enough", "check": check}]});
    for (check, part) in [
        (json!({"kind": "rows", "file": "a.csv"}), "rows needs `at_least`"),
        (json!({"kind": "rows", "at_least": 3}), "rows needs `file`"),
        (json!({"kind": "contains", "file": "a.md"}), "contains needs `text`"),
        (json!({"kind": "numbers", "file": "a.md"}), "numbers needs `data`"),
        (json!({"kind": "numbers", "file": "a.md", "data": ["/workspace/a.md"]}), "names the file itself"),
        (json!({"kind": "exists", "file": "/etc/passwd"}), "files in /workspace"),
        (json!({"kind": "beautiful"}), "must be one of exists|opens|rows"),
    ] {
        let result = task.run("plan_update", plan(check));
        assert_eq!(result.status, ToolStatus::Invalid, "{}", result.text);
        assert!(result.text.contains(part), "{}", result.text);
    }
    let rows = |file: &str, at_least: u64| json!({"kind": "rows", "file": file, "at_least": at_least});
    assert_eq!(task.run("plan_update", plan(rows("a.csv", 100))).status, ToolStatus::Ok);
    let lowered = task.run("plan_update", plan(rows("a.csv", 1)));
    assert!(lowered.text.contains("only its file and data can be changed"), "{}", lowered.text);
    assert_eq!(task.run("plan_update", plan(rows("out/b.csv", 100))).status, ToolStatus::Ok);
    let check = task.world.acceptance[0].check.clone().expect("its check");
    assert_eq!((check.file.as_deref(), check.at_least), (Some("out/b.csv"), Some(100)));
}

#[test]
fn points_of_older_journals_have_no_check_and_read_on() {
    let old = json!({"text": "opens", "status": "unchecked"});
    let item: event::AcceptanceItem = serde_json::from_value(old.clone()).expect("an older record");
    assert_eq!((item.check.as_ref(), serde_json::to_value(&item).expect("it is written")), (None, old));
}
