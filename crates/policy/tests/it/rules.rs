//! How rules work together: forbid over permit, tiers raised and never lowered, and what a rule that fails does.

use event::{Effect, EffectId, Label, Outcome, Tier};
use policy::{Engine, Facts, ToolFacts};
use serde_json::{Value, json};

use crate::support::{call, inside, labelled, outside, untrusted, with_yes};

const PERMIT: &str = r#"@id("p") @reason("it is fine") permit (principal, action, resource);"#;
const FORBID: &str = r#"@id("f") forbid (principal, action, resource);"#;
const ASK: &str = r#"@id("a") @tier("user_authorised") @reason("it is dear") forbid (principal, action, resource);"#;
const ASK_NEVER: &str = r#"@id("n") @tier("user_authorised") @yes("never") forbid (principal, action, resource);"#;
const ONLY: &str = r#"@id("o") @tier("user_only") forbid (principal, action, resource);"#;

#[track_caller]
fn check(rules: &[&str], facts: &Facts, outcome: Outcome, tier: Tier, spoke: &[&str]) {
    let engine = Engine::load(&rules.join("\n")).unwrap();
    let decision = engine.decide(&Effect::Tool(call("tool", json!({"size": 3}))), facts);
    let found: Vec<&str> = decision.rules.iter().map(String::as_str).collect();
    assert_eq!((decision.outcome, decision.tier, found.as_slice()), (outcome, tier, spoke), "{}", decision.reason);
}

#[test]
fn the_strictest_rule_that_matches_decides() {
    use Outcome::{Allow, Ask, Deny};
    use Tier::{Autonomous, UserAuthorised, UserOnly};
    let yes = with_yes(inside());
    check(&[], &inside(), Deny, Autonomous, &["default.deny"]);
    check(&[PERMIT], &inside(), Allow, Autonomous, &["p"]);
    check(&[FORBID], &inside(), Deny, Autonomous, &["f"]);
    check(&[PERMIT, FORBID], &yes, Deny, Autonomous, &["f"]);
    check(&[PERMIT, ASK], &inside(), Ask, UserAuthorised, &["a"]);
    check(&[PERMIT, ASK], &yes, Allow, UserAuthorised, &["a", "yes"]);
    check(&[PERMIT, ASK, ASK_NEVER], &yes, Ask, UserAuthorised, &["a", "n"]);
    check(&[PERMIT, ASK, ONLY], &yes, Deny, UserOnly, &["a", "o"]);
    check(&[PERMIT, FORBID, ASK], &yes, Deny, Autonomous, &["f"]);
    // A rule that raises the tier permits nothing.
    check(&[ASK], &yes, Deny, Autonomous, &["default.deny"]);
}

#[test]
fn no_rule_lowers_the_tier_that_a_tool_declares() {
    let of = |tier| Facts { tool: Some(ToolFacts { tier, ..inside().tool.unwrap() }), ..inside() };
    let (authorised, only) = (of(Tier::UserAuthorised), of(Tier::UserOnly));
    check(&[PERMIT], &authorised, Outcome::Ask, Tier::UserAuthorised, &["tool.tier"]);
    check(&[PERMIT], &with_yes(authorised.clone()), Outcome::Allow, Tier::UserAuthorised, &["tool.tier", "yes"]);
    check(&[PERMIT, ASK_NEVER], &with_yes(authorised), Outcome::Ask, Tier::UserAuthorised, &["n", "tool.tier"]);
    check(&[PERMIT, ASK], &with_yes(only), Outcome::Deny, Tier::UserOnly, &["a", "tool.tier"]);
}

/// Cedar passes over a rule that fails; if that rule was there to forbid, the door would stand open.
#[test]
fn a_rule_that_fails_allows_nothing() {
    let failing = r#"@id("x") forbid (principal, action, resource) when { context.arguments.missing == 1 };"#;
    let raising = r#"@id("y") @tier("user_only") forbid (principal, action, resource) when { context.typo };"#;
    let overflow =
        r#"@id("z") forbid (principal, action, resource) when { context.arguments.size + 9223372036854775807 > 0 };"#;
    check(&[PERMIT, failing], &inside(), Outcome::Deny, Tier::Autonomous, &["x", "rule.failed"]);
    check(&[PERMIT, raising], &inside(), Outcome::Deny, Tier::Autonomous, &["y", "rule.failed"]);
    check(&[PERMIT, overflow], &inside(), Outcome::Deny, Tier::Autonomous, &["z", "rule.failed"]);
    check(
        &[PERMIT, failing, ASK, raising],
        &with_yes(inside()),
        Outcome::Deny,
        Tier::Autonomous,
        &["x", "y", "rule.failed"],
    );
}

#[test]
fn reasons_are_the_rules_own_words() {
    let reason = |rules: &[&str], facts: &Facts| {
        Engine::load(&rules.join("\n")).unwrap().decide(&Effect::Tool(call("tool", json!({}))), facts).reason
    };
    let only = Facts { tool: Some(ToolFacts { tier: Tier::UserOnly, ..inside().tool.unwrap() }), ..inside() };
    assert_eq!(reason(&[], &inside()), "no rule permits the tool \"tool\"");
    assert_eq!(reason(&[PERMIT], &inside()), "it is fine");
    assert_eq!(reason(&[FORBID], &inside()), "rule f says so");
    assert_eq!(reason(&[PERMIT, ASK, ASK_NEVER], &inside()), "it is dear; rule n says so");
    assert_eq!(reason(&[PERMIT, ASK], &with_yes(inside())), "answered by --yes: it is dear");
    assert_eq!(
        reason(&[PERMIT, ASK], &only),
        "only the person may do this: it is dear; the tool is one that only the person decides on"
    );
}

/// What the rules see of a call: the condition must hold, and a rule with it must speak.
#[track_caller]
fn sees(arguments: Value, facts: &Facts, condition: &str) {
    let text = format!("@id(\"seen\") permit (principal, action, resource) when {{ {condition} }};");
    let call = labelled(call("send", arguments), "to", untrusted());
    let decision = Engine::load(&text).unwrap().decide(&Effect::Tool(call), facts);
    assert_eq!(decision.rules, ["seen"], "{condition}: {}", decision.reason);
}

#[test]
fn rules_see_arguments_labels_and_facts() {
    let arguments = || {
        json!({"to": "x@y", "n": -3, "big": u64::MAX, "half": 0.5, "none": null, "on": true,
        "list": ["a", null, "b"], "deep": {"er": {"text": "here"}}, "odd key": 1})
    };
    for condition in [
        "context.arguments.to == \"x@y\" && context.arguments.n == -3 && context.arguments.on",
        "context.arguments.big == \"18446744073709551615\" && context.arguments.half == \"0.5\"",
        "!(context.arguments has none)",
        "context.arguments.list == [\"b\", \"a\"] && context.arguments.deep.er.text like \"h*\"",
        "context.arguments[\"odd key\"] == 1",
        "context.labels.to.integrity == \"untrusted\" && context.labels.n.integrity == \"trusted\"",
        "context.label.integrity == \"untrusted\" && context.label.confidentiality == \"private\"",
        "principal == Task::\"t-1\" && action == Action::\"send\"",
        "!context.yes && !context.budget.capped && context.budget.left == 0",
        "context.model.name == \"\" && !context.model.chosen && context.model.body_bytes == 0",
    ] {
        sees(arguments(), &inside(), condition);
    }
    sees(arguments(), &outside(), "resource == Outside::\"world\" && context.tool.leaves && !context.tool.reversible");
    sees(arguments(), &outside(), "context.tool.sinks == [\"to\"] && context.sink.integrity == \"untrusted\"");
    sees(arguments(), &inside(), "resource == Computer::\"t-1\" && context.sink.confidentiality == \"public\"");
    sees(arguments(), &with_yes(inside()), "context.yes && context.tool.tier == \"autonomous\"");
    sees(arguments(), &Facts { tool: None, ..inside() }, "resource == Unknown::\"send\"");
}

#[test]
fn arguments_that_cannot_be_shown_to_the_rules_are_denied() {
    let engine = Engine::load(PERMIT).unwrap();
    let nested = |depth: usize| (0..depth).fold(json!("core"), |inner, _| json!({ "in": inner }));
    let outcome = |arguments| engine.decide(&Effect::Tool(call("tool", arguments)), &inside());
    assert_eq!(outcome(nested(16)).outcome, Outcome::Allow);
    let refused = outcome(nested(17));
    assert_eq!((refused.outcome, refused.rules.as_slice()), (Outcome::Deny, ["request.invalid".to_owned()].as_slice()));
    // As deep as a JSON parser lets anything through.
    assert_eq!(outcome(nested(120)).outcome, Outcome::Deny);
}

#[test]
fn a_model_call_shows_what_would_be_read_and_spent() {
    let text = r#"@id("seen") permit (principal, action == Action::"model_call", resource == Model::"script:demo") when {
        context.model.chosen && context.model.priced && context.model.reserved == 20000 && context.budget.left == 30000
        && context.model.output_tokens_max == 500 && context.label.integrity == "untrusted" && !context.tool.leaves };"#;
    let label = Label::person().join(&Label::output_of(EffectId(1)));
    let call = event::ModelCall { label, ..crate::support::model_call() };
    let facts = Facts { tool: None, budget_left: Some(event::MicroUsd(30_000)), ..inside() };
    let decision = Engine::load(text).unwrap().decide(&Effect::Model(call), &facts);
    assert_eq!(decision.rules, ["seen"], "{}", decision.reason);
}
