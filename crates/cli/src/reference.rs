//! `docs/cli.md`, made from what the program itself says, and held against it. To write it anew: `UPDATE_DOCS=1 cargo test -p
//! cli --bin thenar`.

use clap::CommandFactory;

use crate::args::Cli;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");

/// Characters of a line of help.
const WIDTH: usize = 100;

const HEAD: &str = "\
# Command line

This page is generated from the program's own help and source; the [user guide](guide.md) says what to use when.

Data goes to standard output, everything else to standard error. Where a command takes a task, the beginning of its name is enough if
it fits no other. Nothing on this page needs a terminal; without one, a task that has to ask ends with exit code 4 and says how to answer.
";

#[test]
fn the_page_is_what_the_program_says() {
    let mut command = Cli::command().term_width(WIDTH);
    command.build();
    let mut page = HEAD.to_owned();
    describe(&command, "thenar", &mut page);
    page.push_str(&exit_codes());
    page.push_str(&environment());
    page.push_str(&configuration());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let written = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(written == page, "docs/cli.md is not up to date: UPDATE_DOCS=1 cargo test -p cli --bin thenar");
}

/// A command with its help, then those below it.
fn describe(command: &clap::Command, name: &str, page: &mut String) {
    let help = command.clone().term_width(WIDTH).render_help().to_string();
    let help = help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    page.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", help.trim()));
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        describe(below, &format!("{name} {}", below.get_name()), page);
    }
}

fn exit_codes() -> String {
    let mut page = "\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n".to_owned();
    for (about, line) in documented(include_str!("exit.rs")) {
        if let Some((_, code)) = line.trim_end_matches(',').split_once(" = ")
            && code.parse::<u8>().is_ok()
        {
            page.push_str(&format!("| {code} | {about} |\n"));
        }
    }
    page.push_str("\n`thenar computer exec` ends with the command's own code, with 128 + N where signal N ended it, or with 125.\n");
    page
}

fn environment() -> String {
    let mut page = "\n## Environment\n\n| variable | meaning |\n| --- | --- |\n".to_owned();
    for (about, line) in documented(include_str!("env.rs")) {
        if let Some((_, name)) = line.strip_prefix("pub(crate) const ").and_then(|line| line.split_once("&str = \"")) {
            page.push_str(&format!("| `{}` | {about} |\n", name.trim_end_matches("\";")));
        }
    }
    page.push_str("| `THENAR_KEEPER` | The program `thenar-keeper`. Default: the one beside `thenar`. |\n");
    page
}

fn configuration() -> String {
    let mut page = "\n## config.toml\n\nThe first of `$THENAR_HOME/config.toml` and `$XDG_CONFIG_HOME/thenar/config.toml` (by default \
        `~/.config/thenar/config.toml`) that is there. A key that is not known is an error that names its line.\n\n\
        | key | meaning |\n| --- | --- |\n"
        .to_owned();
    let source = include_str!("config.rs");
    let tables = [("", "Config"), ("limits.", "Limits"), ("computer.", "Computer"), ("models.\"NAME\".", "Known")];
    for (table, name) in tables {
        let (_, fields) = source.split_once(&format!("pub(crate) struct {name} {{")).unwrap();
        let (fields, _) = fields.split_once("\n}").unwrap();
        for (about, line) in documented(fields) {
            let (field, kind) = line.strip_prefix("pub(crate) ").and_then(|line| line.split_once(": ")).unwrap();
            // The tables themselves have lines of their own.
            let is_table = tables.iter().any(|(_, name)| kind.trim_end_matches(['>', ',']).ends_with(name));
            if !is_table {
                page.push_str(&format!("| `{table}{field}` | {about} |\n"));
            }
        }
    }
    page
}

/// Lines of code that have a doc comment, each with it on one line.
fn documented(source: &str) -> Vec<(String, &str)> {
    let (mut found, mut about) = (Vec::new(), Vec::new());
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            about.push(text);
        } else if !line.starts_with("#[") {
            if !about.is_empty() {
                found.push((about.join(" "), line));
            }
            about.clear();
        }
    }
    found
}
