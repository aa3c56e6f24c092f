//! Files of each type, made by the toolset in a real computer: what is said of the good ones, why the broken and the
//! hostile ones are refused. The checker's finer points are tried in `check_samples.py`.

use event::{ToolFact, ToolStatus};
use serde_json::json;

use crate::task::{Task, toolset};

/// Makes good files of every type beside `bad/`, broken and hostile ones of the same types.
const MAKE: &str = r##"
import io, json, os, struct, zipfile
import docx, pptx, openpyxl
from PIL import Image
os.mkdir("bad")
document = docx.Document()
document.add_paragraph("A letter with some words in it.")
document.save("a.docx")
slides = pptx.Presentation()
for text in ("One", "Two"):
    slides.slides.add_slide(slides.slide_layouts[5]).shapes.title.text = text
slides.save("a.pptx")
picture = Image.effect_noise((60, 40), 40).convert("RGB")
picture.save("a.jpg"); picture.save("a.webp")
with zipfile.ZipFile("a.zip", "w") as packed:
    packed.writestr("b/one.txt", "one"); packed.writestr("two.txt", "two")
cell = {"cell_type": "code", "source": ["print(1)"], "outputs": [], "metadata": {}, "execution_count": None}
book = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
json.dump(book, open("a.ipynb", "w"))
sources = {"py": ("print(1)\n", "def (:\n"), "sh": ("if true; then echo x; fi\n", "if true; then\n"), "json": ("[1]", "[1,"),
           "toml": ("a = 1\n", "a = \n"), "xml": ("<a/>", "<a>"), "html": ("<p>x</p>", "<p>x</p><script>let a = 1")}
for ending, (good, bad) in sources.items():
    open(f"a.{ending}", "w").write(good); open(f"bad/a.{ending}", "w").write(bad)
open("a.rs", "w").write("fn main() {}\n")

for name in ("a.docx", "a.pptx", "a.jpg", "a.webp", "a.zip"):
    open(f"bad/{name}", "wb").write(open(name, "rb").read()[:-40])
json.dump(book | {"cells": [cell | {"source": 1}]}, open("bad/a.ipynb", "w"))
with zipfile.ZipFile("bad/nothing.docx", "w"):
    pass
for name, entry, data in (("bomb.zip", "a", b"\0" * (64 << 20)), ("out.zip", "../../etc/cron.d/x", b"x"), ("posing.pptx", "a.txt", b"x")):
    with zipfile.ZipFile(f"bad/{name}", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(entry, data)
data = bytearray(open("a.zip", "rb").read())
data[6] |= 1; data[data.index(b"PK\x01\x02") + 8] |= 1
open("bad/locked.zip", "wb").write(data)
data = bytearray(open("a.jpg", "rb").read())
at = data.index(b"\xff\xc0") + 5
data[at:at + 4] = struct.pack(">HH", 65000, 65000)
open("bad/huge.jpg", "wb").write(data)
"##;

/// A task in whose workspace the files stand; none where the toolset was not set up.
fn made() -> Option<Task> {
    let mut task = Task::unopened().with_toolset(toolset()?);
    task.text("file_write", json!({"path": "make.py", "content": MAKE}));
    let made = task.text("shell_exec", json!({"command": "python3 make.py", "id": "make"}));
    let made =
        if made.starts_with("Still") { task.text("shell_wait", json!({"id": "make", "seconds": 60})) } else { made };
    assert!(made.starts_with("exit code 0"), "{made}");
    Some(task)
}

/// What is said of each good file.
const FINDINGS: [(&str, &str); 13] = [
    ("a.docx", "document, 1 paragraph, 7 words"),
    ("a.pptx", "presentation, 2 slides"),
    ("a.jpg", "JPEG, 60 x 40 pixels"),
    ("a.webp", "WEBP, 60 x 40 pixels"),
    ("a.zip", "ZIP, 2 files, 6 bytes unpacked"),
    ("a.ipynb", "Jupyter notebook, 1 cell, 1 of code"),
    ("a.py", "Python, 1 line"),
    ("a.sh", "shell, 1 line"),
    ("a.json", "JSON, a list of 1"),
    ("a.toml", "TOML, 1 line"),
    ("a.xml", "XML, root a"),
    ("a.html", "HTML, 1 word"),
    ("a.rs", "Rust, 1 line, read as text: its syntax was not checked"),
];

/// Why each bad file is refused.
const REFUSALS: [(&str, &str); 18] = [
    ("a.docx", "is no whole archive"),
    ("a.pptx", "is no whole archive"),
    ("a.jpg", "is no whole JPEG"),
    ("a.webp", "is no whole WEBP"),
    ("a.zip", "is no whole archive"),
    ("a.ipynb", "cell 1 has no source"),
    ("a.py", "is not Python"),
    ("a.sh", "is not shell: the file: line "),
    ("a.json", "ends too early"),
    ("a.toml", "is not TOML"),
    ("a.xml", "ends too early"),
    ("a.html", "cut off"),
    ("nothing.docx", "no document: word/document.xml is missing"),
    ("posing.pptx", "no presentation"),
    ("bomb.zip", "it would not end"),
    ("out.zip", "an entry that would leave its folder: '../../etc/cron.d/x'"),
    ("locked.zip", "locked with a password at 'b/one.txt'"),
    ("huge.jpg", "has more than the 200,000,000 pixels"),
];

#[test]
fn files_of_each_type_are_handed_over_with_what_their_parser_found() {
    let Some(mut task) = made() else { return };
    let names: Vec<&str> = FINDINGS.iter().map(|(name, _)| *name).collect();
    let result = task.run("deliver", json!({"files": names}));
    assert_eq!(result.status, ToolStatus::Ok, "{}", result.text);
    let ToolFact::Delivered { files } = &result.facts[0] else { panic!("{:?}", result.facts) };
    for (file, (name, finding)) in files.iter().zip(FINDINGS) {
        assert_eq!((file.name.as_str(), file.finding.as_str()), (name, finding));
    }
}

#[test]
fn broken_and_hostile_files_of_each_type_are_refused_with_the_reason() {
    let Some(mut task) = made() else { return };
    let names: Vec<String> = REFUSALS.iter().map(|(name, _)| format!("bad/{name}")).collect();
    let result = task.run("deliver", json!({"files": names}));
    assert_eq!(result.status, ToolStatus::Invalid, "{}", result.text);
    assert!(!task.out().exists(), "nothing is handed over");
    for (name, reason) in REFUSALS {
        let line = result.text.lines().find(|line| line.starts_with(&format!("- /workspace/bad/{name}: ")));
        let line = line.unwrap_or_else(|| panic!("{name} is refused: {}", result.text));
        assert!(line.contains(reason), "{line}");
    }
}
