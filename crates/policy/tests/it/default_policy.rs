//! The default policy, row by row. Its own examples are held against it at load; these rows also give what an example
//! cannot: tiers, reasons, and that no rule is left unheld.

use event::{Effect, MicroUsd, Outcome, ShippedRule, Tier, Why};
use policy::{Engine, Error, Facts};
use serde_json::json;

use crate::support::{call, default_engine, inside, labelled, model_call, outside, secret, untrusted, with_yes};

#[track_caller]
fn check(effect: impl Into<Asked>, facts: &Facts, outcome: Outcome, tier: Tier, rules: &[&str]) {
    let decision = default_engine().decide(&effect.into().0, facts);
    assert_eq!((decision.outcome, decision.tier, decision.rules), (outcome, tier, owned(rules)), "{}", decision.reason);
    assert!(!decision.reason.is_empty());
}

struct Asked(Effect);

impl From<event::ToolCall> for Asked {
    fn from(call: event::ToolCall) -> Self {
        Self(Effect::Tool(call))
    }
}

impl From<event::ModelCall> for Asked {
    fn from(call: event::ModelCall) -> Self {
        Self(Effect::Model(call))
    }
}

fn owned(rules: &[&str]) -> Vec<String> {
    rules.iter().map(|rule| (*rule).to_owned()).collect()
}

/// The tools of the product that stay inside the computer.
const INSIDE: [&str; 10] = [
    "file_read",
    "file_write",
    "file_str_replace",
    "file_find_in_content",
    "file_find_by_name",
    "shell_exec",
    "shell_view",
    "shell_wait",
    "shell_write_to_process",
    "shell_kill_process",
];

/// And those of its browser.
const IN_THE_BROWSER: [&str; 12] = [
    "browser_view",
    "browser_navigate",
    "browser_restart",
    "browser_click",
    "browser_input",
    "browser_move_mouse",
    "browser_press_key",
    "browser_select_option",
    "browser_scroll_up",
    "browser_scroll_down",
    "browser_console_exec",
    "browser_console_view",
];

#[test]
fn inside_the_computer_all_is_free() {
    for tool in INSIDE {
        let call = labelled(call(tool, json!({"any": "thing"})), "any", untrusted());
        check(call, &inside(), Outcome::Allow, Tier::Autonomous, &["inside-computer"]);
    }
    for tool in IN_THE_BROWSER {
        let call = labelled(call(tool, json!({"url": "http://a.example/"})), "url", untrusted());
        check(call, &inside(), Outcome::Allow, Tier::Autonomous, &["inside-browser"]);
    }
    for tool in ["message_notify_user", "message_ask_user", "plan_update", "idle"] {
        check(call(tool, json!({})), &inside(), Outcome::Allow, Tier::Autonomous, &["with-the-person"]);
    }
}

#[test]
fn what_nobody_knows_is_denied() {
    let unknown = Facts { tool: None, ..inside() };
    check(call("shell_exec", json!({})), &unknown, Outcome::Deny, Tier::Autonomous, &["default.deny"]);
    check(call("no_such", json!({})), &unknown, Outcome::Deny, Tier::Autonomous, &["default.deny"]);
    check(call("no_such", json!({})), &inside(), Outcome::Deny, Tier::Autonomous, &["default.deny"]);
    check(call("model_call", json!({})), &inside(), Outcome::Deny, Tier::Autonomous, &["default.deny"]);
    check(call("", json!({})), &with_yes(inside()), Outcome::Deny, Tier::Autonomous, &["default.deny"]);
}

#[test]
fn delivery_is_free_and_a_waiver_asks() {
    use Outcome::{Allow, Ask};
    let plain = call("deliver", json!({"files": ["a.pdf"]}));
    check(labelled(plain, "files", untrusted()), &inside(), Allow, Tier::Autonomous, &["deliver-to-own-output"]);
    check(call("hand_over", json!({})), &inside(), Allow, Tier::Autonomous, &["deliver-to-own-output"]);
    let waiver = call("deliver", json!({"files": ["a.pdf"], "request_waiver": true}));
    check(waiver.clone(), &inside(), Ask, Tier::UserAuthorised, &["waive-failed-points"]);
    check(waiver, &with_yes(inside()), Allow, Tier::UserAuthorised, &["waive-failed-points", "yes"]);
}

#[test]
fn what_leaves_asks() {
    use Outcome::{Allow, Ask, Deny};
    let send = || call("mail_send", json!({"to": "ann@example.org", "text": "hello"}));
    check(send(), &outside(), Ask, Tier::UserAuthorised, &["outside-asks"]);
    check(send(), &with_yes(outside()), Allow, Tier::UserAuthorised, &["outside-asks", "yes"]);

    let text_read = || labelled(send(), "text", untrusted());
    check(text_read(), &with_yes(outside()), Allow, Tier::UserAuthorised, &["outside-asks", "yes"]);

    let sink_read = || labelled(send(), "to", untrusted());
    let both = ["outside-asks", "outside-untrusted-sink"];
    check(sink_read(), &outside(), Ask, Tier::UserAuthorised, &both);
    check(sink_read(), &with_yes(outside()), Ask, Tier::UserAuthorised, &both);

    let leak = || labelled(send(), "text", secret());
    check(leak(), &outside(), Deny, Tier::Autonomous, &["outside-no-secrets"]);
    check(leak(), &with_yes(outside()), Deny, Tier::Autonomous, &["outside-no-secrets"]);

    // An argument whose label was forgotten could be anything, so it is taken for the worst.
    let mut bare = send();
    bare.labels.clear();
    check(bare, &with_yes(outside()), Deny, Tier::Autonomous, &["outside-no-secrets"]);
}

#[test]
fn a_call_to_the_chosen_model_is_free_up_to_the_cap() {
    use Outcome::{Allow, Deny};
    let left = |amount| Facts { tool: None, budget_left: Some(MicroUsd(amount)), ..inside() };
    check(model_call(), &inside(), Allow, Tier::Autonomous, &["chosen-model"]);
    check(model_call(), &left(20_000), Allow, Tier::Autonomous, &["chosen-model"]);
    check(model_call(), &left(19_999), Deny, Tier::Autonomous, &["budget.cost"]);
    check(model_call(), &with_yes(left(0)), Deny, Tier::Autonomous, &["budget.cost"]);

    let unpriced = || event::ModelCall { reserved: None, ..model_call() };
    check(unpriced(), &inside(), Allow, Tier::Autonomous, &["chosen-model"]);
    check(unpriced(), &left(u64::MAX), Deny, Tier::Autonomous, &["budget.cost"]);

    let other = event::ModelCall { model: "openai:other".to_owned(), ..model_call() };
    check(other, &inside(), Deny, Tier::Autonomous, &["default.deny"]);
    let read = event::ModelCall { label: untrusted(), ..model_call() };
    check(read, &inside(), Allow, Tier::Autonomous, &["chosen-model"]);
    let leak = event::ModelCall { label: secret(), ..model_call() };
    check(leak, &inside(), Deny, Tier::Autonomous, &["no-secrets-to-models"]);
}

/// A rule that could be taken out and the policy still load would be held by no example.
#[test]
fn every_rule_is_held_by_an_example() {
    let text = Engine::default_policy();
    let rules: Vec<(usize, &str)> = text.match_indices("\n@id(").collect();
    assert!(rules.len() >= 9, "{}", rules.len());
    for (start, _) in rules {
        let end = start + text[start..].find(";\n").unwrap() + 1;
        let rule = &text[start..end];
        assert!(rule.contains("@reason("), "says no reason: {rule}");
        let without = format!("{}{}", &text[..start], &text[end..]);
        let loaded = Engine::load(&without);
        assert!(matches!(loaded, Err(Error::Contradicted { .. })), "no example needs {rule}");
    }
}

/// What Thenar comes with is said in other languages by the rule's name; what an operator wrote stays in their words, also
/// where they took a rule of ours and changed what it says.
#[test]
fn a_shipped_rule_is_named_and_an_own_one_speaks_for_itself() {
    let text = Engine::default_policy();
    let ids = text.lines().filter_map(|line| line.strip_prefix("@id(\"")?.strip_suffix("\")"));
    let unknown: Vec<&str> = ids.filter(|id| event::ShippedRule::named(id).is_none()).collect();
    assert_eq!(unknown, [] as [&str; 0], "add them to event::ShippedRule, and their words to web/src/i18n");

    let send = Effect::Tool(call("mail_send", json!({"to": "ann@example.org"})));
    let decision = |text: &str| Engine::load(text).unwrap().decide(&send, &outside());
    let asked = decision(text);
    assert_eq!(asked.why, [Why::Rule { rule: ShippedRule::OutsideAsks }]);
    let own = decision(&text.replace("it leaves this machine", "the office wants to see it"));
    let reason = Some("the office wants to see it".to_owned());
    assert_eq!(own.why, [Why::OwnRule { rule: "outside-asks".to_owned(), reason }]);
    assert_eq!(own.rules, asked.rules);
}
