//! Budgets: what there is when one is reached is handed over, and a higher one goes on.

use std::fs;

use serde_json::json;
use testkit::{ModelServer, Turn};

use crate::desk::{Desk, exec, say};

const PRICED: &str = "[models.\"openai:scripted\"]\ninput_price = 1.0\noutput_price = 10.0\nmax_output = 100\n";

#[test]
fn steps_end_with_what_there_is_and_go_on_with_more() {
    let desk = Desk::new();
    let script = desk.script(&[exec("echo half > half.txt"), exec("echo whole > whole.txt"), say("Finished.")]);
    let ran = desk.run(&["run", "--model", &script, "--id", "t-one", "--max-steps", "1", "Write"]).code(3);
    let half = desk.here.join("thenar-out/t-one/unfinished/half.txt");
    assert_eq!(fs::read_to_string(half).unwrap(), "half\n");
    ran.says("Stopped: the limit of 1 step is reached").says("thenar task resume t-one --max-steps N");
    assert_eq!(desk.shown("t-one")["cause"], json!({ "limit": "steps" }));
    desk.run(&["task", "resume", "t-one", "--max-steps", "2"]).code(3);
    desk.run(&["task", "resume", "t-one", "--max-steps", "9"])
        .code(0)
        .puts_out("Finished.\n[FOLDER]/here/thenar-out/t-one/unfinished/half.txt\n[FOLDER]/here/thenar-out/t-one/unfinished/whole.txt\n");
}

#[test]
fn a_cap_on_cost_needs_a_price() {
    let desk = Desk::new();
    let server = ModelServer::playing(vec![Turn::say("Yes.")]).unwrap();
    let desk = desk.with("OPENAI_BASE_URL", &server.base_url());
    let run = ["run", "--max-cost", "0.50", "--model", "openai:scripted", "Say yes"];
    desk.run(&run).code(5).says("the price of openai:scripted is not known").says("input_price");
    desk.config("[models.\"openai:scripted\"]\ninput_price = 1.0\n");
    desk.run(&run).code(5).says("output_price");
    assert_eq!(server.seen().len(), 0, "nothing was asked");
    desk.config(PRICED);
    desk.run(&run).code(0).puts_out("Yes.\n");
}

#[test]
fn cost_is_reserved_before_it_is_spent() {
    let desk = Desk::new();
    let step = |command: &str| Turn { usage: Some((1_000, 0, 100)), ..Turn::exec(command) };
    let server =
        ModelServer::playing(vec![step("echo 1 > one.txt"), step("true"), step("true"), step("true")]).unwrap();
    let desk = desk.with("OPENAI_BASE_URL", &server.base_url());
    desk.config(PRICED);
    // Each step is reported to cost 0.002; what one can cost at the most is told by the size of the request.
    let ran = desk.run(&["run", "--json", "--max-cost", "0.0001", "Work"]).code(3);
    assert_eq!(server.seen().len(), 0, "not even the first request fits");
    assert_eq!(ran.json()["cost_usd"], 0.0);
    let ran = desk.run(&["run", "--json", "--max-cost", "0.016", "Work"]).code(3);
    let result = ran.json();
    let spent = result["cost_usd"].as_f64().unwrap();
    assert!(spent > 0.0 && spent <= 0.016, "{result}");
    assert_eq!(result["cause"], json!({ "limit": "cost" }));
    assert!(!server.seen().is_empty());
    let id = result["id"].as_str().unwrap();
    assert!(desk.here.join("thenar-out").join(id).join("unfinished/one.txt").is_file());
    desk.run(&["task", "resume", id, "--max-cost", "1"]).code(0);
    assert_eq!(server.violations(), Vec::<String>::new());
}

#[test]
fn time_ends_what_is_under_way() {
    let desk = Desk::new();
    let script = desk.script(&[exec("echo early > early.txt; sleep 600"), say("Never said.")]);
    let ran = desk.run(&["run", "--json", "--model", &script, "--id", "t-one", "--max-time", "2s", "Wait"]).code(3);
    assert_eq!(ran.json()["cause"], json!({ "limit": "time" }));
    assert!(desk.here.join("thenar-out/t-one/unfinished/early.txt").is_file());
    assert!(!desk.has_computer("t-one"));
    ran.says("thenar task resume t-one --max-time DUR");
}

#[test]
fn an_unknown_price_is_said_and_never_guessed() {
    let desk = Desk::new();
    let server = ModelServer::playing(vec![Turn { usage: Some((10, 4, 2)), ..Turn::say("Yes.") }]).unwrap();
    let desk = desk.with("OPENAI_BASE_URL", &server.base_url());
    let ran = desk.run(&["run", "--json", "Say yes"]).code(0);
    assert_eq!(ran.json()["cost_usd"], json!(null));
    ran.says("10 tokens in (4 cached), 2 out, cost not known: no price for openai:scripted (set it in config.toml)");
}
