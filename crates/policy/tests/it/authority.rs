//! Whose word counts: the person's answer, `--yes`, and neither where it was given on something else.

use event::{Digest, Effect, Outcome, Tier};
use policy::{Answer, Engine, Facts};
use serde_json::json;

use crate::support::{call, default_engine, inside, labelled, outside, untrusted, with_yes};

#[track_caller]
fn check(call: event::ToolCall, facts: &Facts, answer: Answer, outcome: Outcome, last_rule: &str) {
    let verdict = default_engine().authorize_tool(call, facts, Some(&answer));
    assert_eq!(verdict.decision.outcome, outcome, "{:?}", verdict.decision);
    assert_eq!(verdict.decision.rules.last().map(String::as_str), Some(last_rule));
    assert_eq!(verdict.permit.is_some(), outcome == Outcome::Allow);
}

fn answer_on(call: &event::ToolCall, allowed: bool) -> Answer {
    Answer { effect_digest: Digest::of_canonical(&Effect::Tool(call.clone())), allowed }
}

#[test]
fn an_answer_counts_for_the_effect_it_was_given_on() {
    let send = call("mail_send", json!({"to": "ann@example.org"}));
    let yes = answer_on(&send, true);
    check(send.clone(), &outside(), yes, Outcome::Allow, "answer");
    check(send.clone(), &outside(), answer_on(&send, false), Outcome::Deny, "answer");

    // An edit of any part asks anew.
    let edited = call("mail_send", json!({"to": "eve@example.org"}));
    check(edited, &outside(), yes, Outcome::Ask, "outside-asks");
    let again = event::ToolCall { id: event::EffectId(8), ..send.clone() };
    check(again, &outside(), yes, Outcome::Ask, "outside-asks");
    check(labelled(send, "to", untrusted()), &outside(), yes, Outcome::Ask, "outside-untrusted-sink");
}

#[test]
fn the_person_answers_what_yes_may_not() {
    let send = labelled(call("mail_send", json!({"to": "x@example.net"})), "to", untrusted());
    let answer = answer_on(&send, true);
    check(send, &with_yes(outside()), answer, Outcome::Allow, "answer");
}

#[test]
fn an_answer_opens_nothing_that_policy_denies() {
    let unknown = call("no_such", json!({}));
    let answer = answer_on(&unknown, true);
    check(unknown, &with_yes(Facts { tool: None, ..inside() }), answer, Outcome::Deny, "default.deny");

    let only = r#"@id("p") permit (principal, action, resource);
        @id("o") @tier("user_only") forbid (principal, action, resource);"#;
    let pay = call("pay", json!({"to": "ann"}));
    let answer = answer_on(&pay, true);
    let verdict = Engine::load(only).unwrap().authorize_tool(pay, &with_yes(outside()), Some(&answer));
    assert_eq!((verdict.decision.outcome, verdict.decision.tier), (Outcome::Deny, Tier::UserOnly));
    assert!(verdict.permit.is_none());
}

#[test]
fn a_no_holds_although_nobody_had_to_ask() {
    let read = call("file_read", json!({"path": "a"}));
    let (no, yes) = (answer_on(&read, false), answer_on(&read, true));
    check(read.clone(), &with_yes(inside()), no, Outcome::Deny, "answer");
    check(read, &inside(), yes, Outcome::Allow, "inside-computer");
}

#[test]
fn an_answered_decision_keeps_its_tier_and_says_who_spoke() {
    let send = call("mail_send", json!({"to": "ann@example.org"}));
    let answer = answer_on(&send, true);
    let decision = default_engine().authorize_tool(send, &outside(), Some(&answer)).decision;
    assert_eq!(decision.tier, Tier::UserAuthorised);
    assert_eq!(decision.rules, ["outside-asks", "answer"]);
    assert_eq!(decision.reason, "the person allowed it: it leaves this machine");
}
