//! Tools between the agent and the person: what they say and the facts they leave. None of them needs the computer.

use event::{AcceptanceStatus, Plan, PlanStep, StepStatus, ToolFact, ToolStatus};
use serde_json::{Value, json};

use crate::task::{Task, list};

#[track_caller]
fn check(tool: &str, arguments: Value, text: &str, facts: &[ToolFact]) {
    let mut task = Task::unopened();
    let result = task.run(tool, arguments);
    assert_eq!((result.status, result.text.as_str()), (ToolStatus::Ok, text));
    assert_eq!(result.facts, facts);
    assert_eq!(result.label, event::Label::system(), "our own words");
    assert!(task.world.place.opened().is_none(), "no computer is made for this");
}

#[track_caller]
fn refused(tool: &str, arguments: Value, text: &str) {
    let result = Task::unopened().run(tool, arguments);
    assert_eq!((result.status, result.text.as_str(), result.facts), (ToolStatus::Invalid, text, Vec::new()));
}

#[test]
fn words_and_questions_reach_the_person() {
    let text = || "Half done.".to_owned();
    check(
        "message_notify_user",
        json!({"text": " Half done.\n"}),
        "Shown to the person.",
        &[ToolFact::Notice { text: text() }],
    );
    check(
        "message_ask_user",
        json!({"text": "Half done."}),
        "Asked; the person's answer is their next message.",
        &[ToolFact::Question { text: text() }],
    );
    check("idle", json!({}), "The task ends here.", &[ToolFact::Idle { text: String::new() }]);
    refused("message_notify_user", json!({"text": "  "}), "`text` is empty");
    refused("message_ask_user", json!({"text": "x".repeat(20_001)}), "`text` has 20001 characters; 20000 is the most");
}

#[test]
fn a_plan_is_replaced_whole() {
    let step = |text: &str, status| PlanStep { text: text.to_owned(), status };
    let steps =
        vec![step("read", StepStatus::Done), step("write", StepStatus::InProgress), step("check", StepStatus::Pending)];
    check(
        "plan_update",
        json!({"steps": [{"text": "read", "status": "done"}, {"text": "write", "status": "in_progress"}, "check"]}),
        "Plan noted: 1 of 3 steps done.",
        &[ToolFact::Plan { plan: Plan { steps } }],
    );
    refused("plan_update", json!({"steps": []}), "a plan has 1 to 100 steps, not 0");
    refused("plan_update", json!({"steps": [{"text": " "}]}), "`text` is empty");
}

#[test]
fn the_acceptance_list_grows_and_never_shrinks() {
    let mut task = Task::unopened();
    task.world.acceptance = list(&["has a chart"]);
    task.world.acceptance[0].status = AcceptanceStatus::Failed;
    let result = task.run("plan_update", json!({"steps": ["go on"], "acceptance": ["Has a chart.", "opens"]}));
    assert_eq!(result.text, "Plan noted: 0 of 1 steps done. Acceptance list: 2 points.");
    let states: Vec<_> = task.world.acceptance.iter().map(|item| (item.text.as_str(), item.status)).collect();
    assert_eq!(states, [("has a chart", AcceptanceStatus::Failed), ("opens", AcceptanceStatus::Unchecked)]);
    let result = task.run("plan_update", json!({"steps": ["go on"], "acceptance": []}));
    assert_eq!(result.text, "Plan noted: 0 of 1 steps done.");
    assert_eq!(task.world.acceptance.len(), 2);
}
