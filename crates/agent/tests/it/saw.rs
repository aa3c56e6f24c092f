//! What the model saw, from the first word to the last.

use event::{ComputerLimit, TaskOptions, ToolFact};
use serde_json::{Value, json};
use testkit::{ModelServer, Turn};

use crate::rig::Rig;

/// A request's messages after the system prompt, one line each.
fn told(body: &[u8]) -> String {
    let request: Value = serde_json::from_slice(body).unwrap();
    let messages = request["messages"].as_array().unwrap().iter().skip(1);
    let line = |message: &Value| {
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        let calls = calls.map(|call| {
            format!(
                " {}{}",
                call["function"]["name"].as_str().unwrap(),
                call["function"]["arguments"].as_str().unwrap()
            )
        });
        let text = message["content"].as_str().unwrap_or_default().replace('\n', "\n    ");
        format!("{}: {text}{}", message["role"].as_str().unwrap(), calls.collect::<String>()).trim_end().to_owned()
    };
    messages.map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_task_as_the_model_saw_it() {
    let turns = vec![
        Turn { text: "I look first.".to_owned(), ..Turn::exec("echo 3 birds; exit 2") },
        Turn::exec("seq 2"),
        Turn { calls: vec![("file_write".to_owned(), "{\"path\": \"repo".to_owned())], ..Turn::default() },
        Turn::call("file_write", &json!({ "content": "# 3 birds\n", "path": "report.md" })),
        Turn::call("deliver", &json!({ "files": [{ "path": "report.md" }], "summary": "The count." })),
        Turn { text: "Three birds.".to_owned(), ..Turn::call("idle", &json!({})) },
    ];
    let rig = Rig::new(ModelServer::playing(turns).unwrap());
    let options = TaskOptions { max_steps: Some(2), ..TaskOptions::default() };
    let id = rig.create_for("Count the birds.", options);
    let stopped = rig.run(&id);
    rig.tell(&id, agent::Command::Message { text: "Write it down, too.".to_owned() });
    let options = TaskOptions { max_steps: None, ..stopped.options };
    rig.tell(&id, agent::Command::Options { options, was: None });
    let summary = rig.resume(&id);
    assert_eq!((summary.state, summary.text.as_str()), ("done", "Three birds."));
    insta::assert_snapshot!(told(&rig.server.seen().last().unwrap().body), @r##"
    user: Count the birds.
    assistant: I look first. shell_exec{"command":"echo 3 birds; exit 2"}
    tool: exit code 2
        3 birds
    assistant:  shell_exec{"command":"seq 2"}
    tool: exit code 0
        1
        2
    user: Write it down, too.
    user: [Thenar] The task was put down here and is now taken up again. Go on from where it stands.
    assistant:  file_write{"malformed":"{\"path\": \"repo"}
    tool: Not done: the arguments are cut off: EOF while parsing a string at line 1 column 14. Write the whole call again, in smaller pieces if it is long (rule: arguments.malformed).
    assistant:  file_write{"content":"# 3 birds\n","path":"report.md"}
    tool: Wrote 10 bytes to /workspace/report.md.
    assistant:  deliver{"files":[{"path":"report.md"}],"summary":"The count."}
    tool: Delivered:
        - report.md: Markdown, 1 line, 1 heading (10 bytes)
    "##);
    rig.check(&id);
}

#[test]
fn a_limit_of_the_computer_reaches_the_journal_and_the_model() {
    let open_files = "import os, time\ntry:\n while True: os.dup(0)\nexcept OSError: time.sleep(5)";
    let turns = vec![
        Turn::exec("head -c 50000000 /dev/zero > /tmp/x; true"),
        Turn::exec(&format!("python3 -c '{open_files}'")),
        Turn::say("both are met"),
    ];
    let mut rig = Rig::new(ModelServer::playing(turns).unwrap());
    rig.limited_to(sandbox::Limits { tmp_bytes: 4 << 20, open_files: 64, ..sandbox::Limits::default() });
    let id = rig.create(TaskOptions::default());
    rig.run(&id);
    let results = rig.results(&id);
    let met = results.iter().flat_map(|result| &result.facts).filter_map(|fact| match fact {
        ToolFact::Command { limits, .. } => Some(&limits[..]),
        _ => None,
    });
    let scratch = ComputerLimit::ScratchBytes { place: "/tmp".to_owned(), max_bytes: 4 << 20, times: 1 };
    assert_eq!(met.collect::<Vec<_>>(), [&[scratch][..], &[ComputerLimit::OpenFiles { max: 64, times: 1 }]]);
    let told = told(&rig.server.seen().last().unwrap().body);
    for words in [
        "exit code 0 (limit reached: scratch room: /tmp was full, it holds 4 MiB and no more: remove files there",
        "exit code 0 (limit reached: open files: a program had 64 open, and none may have more: close files",
    ] {
        assert!(told.contains(words), "{told}");
    }
    rig.check(&id);
}
