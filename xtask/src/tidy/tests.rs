//! The rules against small made-up repositories: each rule is seen to fire once and to stay silent once.

use std::path::PathBuf;

use super::rust::{code_only, lines_before_tests};
use super::{Repository, Source, judge};

/// What every made-up repository has, so that a test sees only its own rule.
const TIDY: &[(&str, &str)] = &[
    ("README.md", "# Thing\n"),
    ("ARCHITECTURE.md", "# Thing\n"),
    ("CONTRIBUTING.md", "# Thing\n"),
    ("LICENSE", "words\n"),
    ("SPECIFICATION.md", "# Thing\n"),
    ("Cargo.toml", "[workspace]\n"),
    ("Makefile", "test: ## tests\n"),
];

/// Lines of the form `file:line: what` for a repository that is tidy but for `files`.
#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let source = |(path, text): &(&str, &str)| Source { path: (*path).to_owned(), text: (*text).to_owned() };
    let kept = TIDY.iter().filter(|(path, _)| files.iter().all(|(given, _)| given != path));
    let repository = Repository { root: PathBuf::from("/nonexistent"), files: kept.chain(files).map(source).collect() };
    let found: Vec<String> = judge(&repository)
        .expect("the rules read the repository")
        .iter()
        .map(|problem| problem.to_string().lines().next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(found, expected);
}

fn manifest(name: &str, rest: &str) -> String {
    format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n{rest}")
}

#[test]
fn an_edge_that_is_not_in_the_table_fails() {
    let good = manifest("policy", "[dependencies]\nevent.workspace = true\n");
    check(&[("crates/policy/Cargo.toml", &good)], &[]);
    let bad = manifest("policy", "[dependencies]\nagent.workspace = true # why not\n");
    check(&[("crates/policy/Cargo.toml", &bad)], &["crates/policy/Cargo.toml:6: `policy` depends on `agent`"]);
}

#[test]
fn a_fake_is_never_linked_into_what_ships() {
    let bad = manifest("cli", "[dependencies]\ntestkit.workspace = true # x\n");
    check(&[("crates/cli/Cargo.toml", &bad)], &["crates/cli/Cargo.toml:6: `testkit` under [dependencies]"]);
    let good = manifest("cli", "[dev-dependencies]\ntestkit.workspace = true\n");
    check(&[("crates/cli/Cargo.toml", &good)], &[]);
}

#[test]
fn parts_have_an_owner_and_the_sandbox_has_no_runtime() {
    let bad = manifest("sandbox", "[dependencies]\nreqwest.workspace = true # x\ntokio.workspace = true # x\n");
    check(
        &[("crates/sandbox/Cargo.toml", &bad)],
        &["crates/sandbox/Cargo.toml:6: `sandbox` uses `reqwest`", "crates/sandbox/Cargo.toml:7: `sandbox` uses tokio"],
    );
}

#[test]
fn a_crate_is_known_and_well_named() {
    let bad = manifest("util", "");
    check(
        &[("crates/util/Cargo.toml", &bad)],
        &[
            "crates/util/Cargo.toml:1: a crate named `util`",
            "crates/util/Cargo.toml:1: the crate `util` is not in the table of edges",
        ],
    );
}

#[test]
fn versions_live_in_the_workspace_and_parts_have_reasons() {
    let bad = manifest("event", "[dependencies]\nserde = \"1\" # stored\nsha2.workspace = true\n");
    check(
        &[("crates/event/Cargo.toml", &bad)],
        &[
            "crates/event/Cargo.toml:6: `serde` does not take its version from the workspace",
            "crates/event/Cargo.toml:7: `sha2` has no reason",
        ],
    );
    let said_once = manifest("event", "[dependencies]\nserde.workspace = true\n");
    check(&[("crates/event/Cargo.toml", &said_once), ("Cargo.toml", "serde = \"1\" # all that is stored\n")], &[]);
    check(
        &[("Cargo.toml", "x = { git = \"there\" }\n")],
        &["Cargo.toml:1: a part from outside the registry: x = { git = \"there\" }"],
    );
}

#[test]
fn a_file_says_what_it_is_and_stays_short() {
    check(&[("crates/event/src/a.rs", "fn a() {}\n")], &["crates/event/src/a.rs:1: the file does not open with `//!`"]);
    let long = format!("//! A long one.\n{}", "fn a() {}\n".repeat(600));
    check(
        &[("crates/event/src/a.rs", &long)],
        &["crates/event/src/a.rs:600: 601 lines that are not tests (at most 600)"],
    );
    let tested = format!("//! Short.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn a() {}\n".repeat(600));
    check(&[("crates/event/src/a.rs", &tested)], &[]);
}

#[test]
fn pure_files_touch_nothing_outside() {
    let text = "//! A fold: no tokio, no std::fs.\nuse std::fs;\nlet operand = \"rand\";\nlet t = Instant::now();\n";
    check(
        &[("crates/agent/src/state.rs", text)],
        &[
            "crates/agent/src/state.rs:2: `std::fs` in a pure file",
            "crates/agent/src/state.rs:4: `Instant` in a pure file",
        ],
    );
    check(&[("crates/journal/src/store.rs", text)], &[]);
}

#[test]
fn only_the_loop_waits() {
    let text = "//! Waits.\nasync fn wait() {\n    other().await\n}\n";
    check(&[("crates/agent/src/run.rs", text)], &[]);
    check(
        &[("crates/agent/src/home.rs", text)],
        &["crates/agent/src/home.rs:2: `async` here", "crates/agent/src/home.rs:3: `.await` here"],
    );
}

#[test]
fn processes_are_started_in_few_places() {
    let text = "//! Starts.\nfn f() { Command::new(\"x\"); }\n";
    check(&[("crates/tools/src/a.rs", text)], &["crates/tools/src/a.rs:2: `Command::new` here"]);
    check(&[("crates/sandbox/src/a.rs", text)], &[]);
}

#[test]
fn exceptions_say_why_and_tests_run() {
    let text = "//! Odd.\n#[expect(dead_code)]\nfn f() {}\n#[expect(dead_code, reason = \"x\")]\nfn g() {}\n#[ignore]\nfn t() {}\n";
    check(
        &[("crates/tools/src/a.rs", text)],
        &[
            "crates/tools/src/a.rs:2: a lint is switched off without a reason",
            "crates/tools/src/a.rs:6: a test that is ignored or should panic",
        ],
    );
    let manifest = ("crates/tools/Cargo.toml", &*manifest("tools", ""));
    check(
        &[manifest, ("crates/tools/tests/a.rs", "//! Alone.\n")],
        &["crates/tools/tests/a.rs:1: a test binary of its own"],
    );
    check(&[("crates/tools/tests/it/a.rs", "//! In company.\n")], &[]);
}

#[test]
fn unsafe_code_stays_in_the_sandbox() {
    let text = "//! Sharp, not unsafe.\nfn f() { unsafe { g() } }\n";
    check(&[("crates/tools/src/a.rs", text)], &["crates/tools/src/a.rs:2: `unsafe` outside sandbox"]);
    check(&[("crates/sandbox/src/a.rs", text)], &[]);
}

#[test]
fn text_has_no_stray_blanks() {
    check(
        &[("docs/a.md", "one \ntwo")],
        &["docs/a.md:1: space at the end of the line", "docs/a.md:2: no newline at the end of the file"],
    );
    check(&[("crates/model/tests/fixtures/a.json", "one \n")], &[]);
}

#[test]
fn links_lead_somewhere() {
    check(
        &[(
            "docs/a.md",
            "[out](https://example.org) [here](#top)\n```\n[code](nowhere)\n```\n[gone](nowhere.md#part)\n",
        )],
        &["docs/a.md:5: the link to `nowhere.md#part` leads nowhere"],
    );
}

#[test]
fn a_promise_names_what_holds_it() {
    let table = "| promise | held by |\n| --- | --- |\n| fast | `make test` |\n| safe | `a::it_is_safe` |\n| best | trust us |\n| kept | `a::gone` |\n";
    check(
        &[("SPECIFICATION.md", table), ("crates/tools/src/a.rs", "//! Tests.\nfn it_is_safe() {}\n")],
        &[
            "SPECIFICATION.md:5: a promise that no test or bench holds",
            "SPECIFICATION.md:6: a promise that no test or bench holds",
        ],
    );
}

#[test]
fn secrets_are_seen() {
    let key = format!("key = \"sk-{}\"\n", "a1B2".repeat(8));
    check(&[("docs/a.toml", &key)], &["docs/a.toml:1: text in the shape of an API key"]);
    check(&[("docs/a.toml", "key = \"sk-test\"\n")], &[]);
}

#[test]
fn literals_and_comments_are_not_code() {
    let text = "let a = \"// no\"; // yes\nlet b = r#\"x\"y\"#; let c = '\"'; let d: &'static str = b'\\'';\n/* x /* y */ z */ e\n";
    let expected =
        "let a =        ;       \nlet b =         ; let c =    ; let d: &'static str = b    ;\n                  e\n";
    assert_eq!(code_only(text), expected);
    assert_eq!(lines_before_tests("a\n#[cfg(test)]\nmod tests {\n}\n"), 1);
    assert_eq!(lines_before_tests("a\n#[cfg(test)]\nmod tests;\n"), 3);
}
