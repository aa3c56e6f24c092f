//! File operations: data in, data out, as the computer's user.

use sandbox::{FileAnswer, FileOp};

use crate::desk::{Desk, file, run};

fn words(answer: &FileAnswer) -> String {
    match answer {
        FileAnswer::Content { content, size_bytes, offset, lines, more, binary } => format!(
            "{:?} of {size_bytes} at {offset}{}{}{}",
            String::from_utf8_lossy(content),
            lines.map(|lines| format!(" {lines} lines")).unwrap_or_default(),
            if *more { " more" } else { "" },
            if *binary { " binary" } else { "" },
        ),
        FileAnswer::Written { size_bytes, created } => {
            format!("{} {size_bytes}", if *created { "created" } else { "replaced" })
        }
        FileAnswer::Lines { found, more } => {
            let lines: Vec<_> = found.iter().map(|hit| format!("{}:{}:{}", hit.path, hit.line, hit.text)).collect();
            format!("{}{}", lines.join(" | "), if *more { " more" } else { "" })
        }
        FileAnswer::Paths { found, more } => format!("{}{}", found.join(" "), if *more { " more" } else { "" }),
        FileAnswer::Failed { reason, occurrences } => {
            format!("failed{}: {reason}", occurrences.map(|count| format!(" ({count})")).unwrap_or_default())
        }
    }
}

#[test]
fn files_are_written_read_changed_and_found() {
    let desk = Desk::new();
    let computer = desk.open();
    run(
        &computer,
        "mkfifo pipe; printf 'a\\0b' > bin; seq 1 5 > five; printf 'no end' > tail; ln -s five link; ln -s /etc/shadow evil; mkdir -p .git && echo three > .git/x; chmod 750 five",
    );
    let path = |path: &str| path.to_owned();
    let write = |to: &str, content: &[u8], append| FileOp::Write { path: path(to), content: content.to_vec(), append };
    let read = |from: &str, offset, max| FileOp::Read { path: path(from), offset, max };
    let lines = |from: &str, first, count| FileOp::ReadLines { path: path(from), first, count, max_bytes: 100 };
    let replace = |at: &str, old: &str, new: &str| FileOp::Replace { path: path(at), old: path(old), new: path(new) };
    let grep = |at: &str, pattern: &str, max| FileOp::FindInContent { path: path(at), pattern: path(pattern), max };
    let find = |at: &str, glob: &str, max| FileOp::FindByName { path: path(at), glob: path(glob), max };
    let cases = [
        (write("new/deep/file", "höhe\n".as_bytes(), false), "created 6"),
        (write("new/deep/file", b"more\n", true), "replaced 11"),
        (read("new/deep/file", 0, 100), "\"höhe\\nmore\\n\" of 11 at 0"),
        (read("/workspace/new/deep/file", 6, 2), "\"mo\" of 11 at 6 more"),
        (write("raw", &[0xff, 0, 7], false), "created 3"),
        (read("bin", 0, 100), "\"a\\0b\" of 3 at 0 binary"),
        (lines("five", 1, 2), "\"2\\n3\\n\" of 10 at 2 5 lines more"),
        (lines("five", 3, 10), "\"4\\n5\\n\" of 10 at 6 5 lines"),
        (lines("tail", 0, 10), "\"no end\" of 6 at 0 1 lines"),
        (lines("five", 9, 10), "\"\" of 10 at 10 5 lines"),
        (replace("five", "3\n", "three\n"), "replaced 14"),
        (
            replace("five", "\n", "x"),
            "failed (5): the text occurs 5 times in /workspace/five: give more of what is around it",
        ),
        (replace("five", "9", "x"), "failed (0): the text does not occur in /workspace/five"),
        (write("link", b"through\nthree\n", false), "replaced 14"),
        (grep(".", "^thr[eo]", 10), "/workspace/./five:1:through | /workspace/./five:2:three"),
        (grep("five", "thr", 1), "/workspace/five:1:through more"),
        (
            grep(".", "(", 1),
            "failed: the expression is not valid: regex parse error:\n    (\n    ^\nerror: unclosed group",
        ),
        (find("/workspace", "f*", 10), "/workspace/five /workspace/new/deep/file"),
        (find("/workspace", "new/**", 1), "/workspace/new/deep/ more"),
        (read("pipe", 0, 1), "failed: /workspace/pipe is a pipe, not a file"),
        (write("pipe", b"x", false), "failed: /workspace/pipe is a pipe, not a file"),
        (read("/dev/zero", 0, 1), "failed: /dev/zero is a device, not a file"),
        (read(".", 0, 1), "failed: /workspace/. is a folder, not a file"),
        (read("evil", 0, 1), "failed: open /workspace/evil: there is no such file or folder"),
        (
            write("/usr/bin/x", b"x", false),
            "failed: write /usr/bin/x: it is read-only; only /workspace, /tmp and /home/agent can be written",
        ),
        (write("five/below", b"x", false), "failed: write /workspace/five/below: Not a directory (os error 20)"),
    ];
    for (index, (op, expected)) in cases.into_iter().enumerate() {
        let shown = format!("{op:?}");
        assert_eq!(words(&file(&computer, &format!("file-{index}"), op)), expected, "{shown}");
    }
    let (_, listed) = run(&computer, "ls -A; stat -c '%a %F' five link");
    assert_eq!(listed, ".git\nbin\nevil\nfive\nlink\nnew\npipe\nraw\ntail\n750 regular file\n777 symbolic link\n");
}

#[test]
fn large_files_are_read_in_pieces_and_written_whole() {
    let desk = Desk::new();
    let computer = desk.open();
    let content: Vec<u8> = (0..9_000_000_u32).map(|index| (index % 251) as u8).collect();
    let op = FileOp::Write { path: "large".to_owned(), content: content.clone(), append: false };
    assert_eq!(words(&file(&computer, "w", op)), "created 9000000");
    assert!(std::fs::read(desk.path().join("workspace/large")).unwrap() == content);
    let op = FileOp::Read { path: "large".to_owned(), offset: 8_999_000, max: u64::MAX };
    let FileAnswer::Content { content: end, more, .. } = file(&computer, "r", op) else { panic!() };
    assert!(end == content[8_999_000..] && !more);
}
