//! Which model is taken, what the configuration may say, and how what is wrong with it is told.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;
use serde_json::json;
use testkit::{ModelServer, Turn};

use crate::desk::{Desk, say};

#[test]
fn without_a_model_five_lines_say_how_to_get_one() {
    let desk = Desk::new();
    let ran = desk.run(&["run", "Do something"]);
    assert_snapshot!(ran.seen(), @r#"
    exit 5
    --- out
    --- err
    error: there is no model yet. Ways to get one:
      export OPENAI_API_KEY=…                             OpenAI, or any service that speaks its API
      export OPENAI_BASE_URL=http://127.0.0.1:11434/v1    a model on this machine (Ollama, llama.cpp, vLLM, LM Studio)
      thenar run --model openai:NAME …                    or THENAR_MODEL, or model = "openai:NAME" in config.toml
      make demo (or: thenar demo)                         works without any: a script drives the real tools
    "#);
    assert!(!desk.path("home/tasks").exists(), "nothing was begun");
}

#[test]
fn what_is_configured_and_not_chosen_is_named() {
    let desk = Desk::new().with("GEMINI_API_KEY", "generated-for-this-test");
    desk.config("[models.\"openai:at home\"]\nbase_url = \"http://127.0.0.1:9/v1\"\n");
    assert_snapshot!(desk.run(&["run", "Do something"]).seen(), @r#"
    exit 5
    --- out
    --- err
    error: no model is chosen yet. To use one that is configured:
      export THENAR_MODEL='openai:at home'
      export THENAR_MODEL=gemini:NAME
    hint: or --model, or model = "…" in config.toml; `thenar models` lists what there is
    "#);
    assert!(!desk.path("home/tasks").exists(), "nothing was begun");
}

#[test]
fn the_nearest_word_names_the_model() {
    let desk = Desk::new();
    let script = |name: &str| {
        let path = desk.write(&format!("{name}.json"), &json!({ "turns": [say(name)] }).to_string());
        format!("script:{}", path.display())
    };
    let (flag, variable, config) = (script("flag"), script("variable"), script("config"));
    let server = ModelServer::playing(vec![Turn::say("server")]).unwrap();
    let desk = desk.with("OPENAI_BASE_URL", &server.base_url());
    desk.run(&["run", "x"]).code(0).puts_out("server\n");
    desk.config(&format!("model = {config:?}\n"));
    desk.run(&["run", "x"]).code(0).puts_out("config\n");
    let desk = desk.with("THENAR_MODEL", &variable);
    desk.run(&["run", "x"]).code(0).puts_out("variable\n");
    desk.run(&["run", "--model", &flag, "x"]).code(0).puts_out("flag\n");
}

#[test]
fn an_address_that_cannot_be_used_is_named() {
    let desk = Desk::new().with("OPENAI_BASE_URL", "localhost:1234");
    desk.run(&["run", "x"]).code(5).says("\"localhost:1234\" is no address of a server");
    // Nobody listens there.
    let desk = desk.with("OPENAI_BASE_URL", "http://127.0.0.1:1/v1");
    desk.run(&["run", "x"]).code(5).says("hint: start the server, or name the model");
    desk.run(&["run", "--model", "nonsense", "x"]).code(5).says("\"nonsense\" is no model's name");
    desk.run(&["run", "--model", "script:/nowhere.json", "x"]).code(5).says("script /nowhere.json: No such file");
}

#[track_caller]
fn refused(config: &str, parts: &[&str]) {
    let desk = Desk::new();
    desk.config(config);
    let mut ran = desk.run(&["task", "list"]).code(5).says("[FOLDER]/home/config.toml");
    for part in parts {
        ran = ran.says(part);
    }
}

#[test]
fn a_wrong_configuration_is_named_with_its_place() {
    refused("# a comment\nmodle = \"x\"\n", &["line 2", "modle", "expected one of"]);
    refused("[models.\"openai:x\"]\ninput_price = \"cheap\"\n", &["line 2", "input_price"]);
    refused("[models.\"openai:x\"]\noutput_price = -1.0\n", &["line 2", "output_price", "-1 is no price"]);
    refused("[models.\"x\"]\nwindow = 5\n", &["\"x\" is no model's name"]);
    refused("model_timeout = \"soon\"\n", &["model_timeout", "\"soon\" is no duration"]);
    refused("model = \n", &["line 1"]);
}

#[test]
fn rules_that_do_not_load_permit_nothing() {
    let desk = Desk::new();
    // Beside the configuration, wherever the person stands.
    desk.config("policy = \"rules.cedar\"\n");
    desk.run(&["task", "list"]).code(5).says("read the policy [FOLDER]/home/rules.cedar (`policy` in config.toml)");
    fs::write(desk.path("home/rules.cedar"), "permit (principal, action, resource);\n").unwrap();
    desk.run(&["task", "list"]).code(5).says("has no @id");
    fs::write(desk.path("home/rules.cedar"), "@id(\"x\") permit (principal action);\n").unwrap();
    desk.run(&["task", "list"]).code(5).says("line 1");
}

/// One answer to every request; what was asked comes back.
fn answering(body: &'static str) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut seen = [0; 64 * 1024];
            let read = std::io::Read::read(&mut stream, &mut seen).unwrap_or(0);
            let _ = tell.send(String::from_utf8_lossy(&seen[..read]).to_lowercase());
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = std::io::Write::write_all(&mut stream, format!("{head}{body}").as_bytes());
        }
    });
    (format!("http://{address}"), told)
}

#[test]
fn each_provider_is_asked_in_its_own_words() {
    let (address, told) = answering(
        r#"{"type":"message","model":"m","content":[{"type":"text","text":"ready"}],"stop_reason":"end_turn","usage":{"input_tokens":2,"output_tokens":5}}"#,
    );
    let desk = Desk::new().with("ANTHROPIC_BASE_URL", &address).with("ANTHROPIC_API_KEY", "not-a-real-key");
    desk.run(&["models", "test", "anthropic:m"]).code(5).says("this model does not call tools");
    let asked = told.recv().unwrap();
    for part in ["post /v1/messages ", "x-api-key: not-a-real-key", "anthropic-version: 2023-06-01"] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    assert!(!asked.contains("authorization"), "{asked}");
    let (address, told) = answering(r#"{"choices":[{"message":{"content":"ready"},"finish_reason":"stop"}]}"#);
    let desk = Desk::new().with("GEMINI_BASE_URL", &address).with("GEMINI_API_KEY", "not-a-real-key");
    desk.run(&["models", "test", "gemini:m"]).code(5).says("this model does not call tools");
    let asked = told.recv().unwrap();
    assert!(asked.contains("post /chat/completions ") && asked.contains("bearer not-a-real-key"), "{asked}");
    Desk::new().run(&["models", "test", "anthropic:m"]).code(5).says("export ANTHROPIC_API_KEY=");
}

#[test]
fn the_doctor_finds_this_machine_able() {
    let desk = Desk::new();
    let ran = desk.run(&["doctor", "--json"]).code(0);
    let report = ran.json();
    assert_eq!(report["able"], true, "{report}");
    desk.run(&["doctor"]).code(0).says("Tasks can be run here.");
}

#[test]
fn a_server_with_several_models_wants_a_name() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let body = r#"{"data":[{"id":"small"},{"id":"big"}]}"#;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = std::io::Write::write_all(&mut stream, format!("{head}{body}").as_bytes());
        }
    });
    let desk = Desk::new().with("OPENAI_BASE_URL", &format!("http://{address}/v1"));
    desk.run(&["run", "x"]).code(5).says("offers several models: name one").says("openai:small, openai:big");
    let ran = desk.run(&["models", "--json"]).code(0);
    assert_eq!(ran.json().as_array().unwrap().len(), 3);
    // With the name all is settled: this server then fails as one that speaks no chat completions.
    let desk = desk.with("OPENAI_MODEL", "big");
    desk.run(&["models"]).code(0).says("`thenar run` takes openai:big unless told otherwise.");
}

#[test]
fn only_a_folder_of_its_own_is_closed_to_others() {
    let desk = Desk::new();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let open = fs::Permissions::from_mode(0o755);
    let shared = desk.write("shared/letters.txt", "not Thenar's").parent().unwrap().to_owned();
    fs::set_permissions(&shared, open.clone()).unwrap();
    let desk = desk.with_home(shared.clone());
    desk.run(&["task", "list"])
        .code(5)
        .says("the data folder [FOLDER]/shared is open to others and holds other things");
    desk.run(&["computer", "exec", "--", "true"]).code(125);
    assert_eq!(mode(&shared), 0o755, "it is left as it is");
    let empty = desk.path("empty");
    fs::create_dir(&empty).unwrap();
    fs::set_permissions(&empty, open).unwrap();
    let desk = desk.with_home(empty.clone());
    desk.run(&["task", "list"]).code(0);
    assert_eq!(mode(&empty), 0o700);
}
