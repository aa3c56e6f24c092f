//! Deny by default, whatever is asked: an empty policy allows nothing, to nobody, by no flag and no answer.

use event::{Digest, Effect, EffectId, MicroUsd, Outcome, Tier, ToolCall};
use policy::{Answer, Engine, Facts, ToolFacts};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{inside, model_call, secret, untrusted};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn tool_call() -> impl Strategy<Value = ToolCall> {
    let tool = prop_oneof![Just("shell_exec".to_owned()), Just("deliver".to_owned()), any::<String>()];
    let argument = (any::<String>(), value(), 0..4u8);
    (tool, any::<u64>(), prop::collection::vec(argument, 0..5)).prop_map(|(tool, id, list)| {
        let label = |kind: &u8| match kind {
            0 => Some(event::Label::person()),
            1 => Some(untrusted()),
            2 => Some(secret()),
            _ => None,
        };
        let labels = list.iter().filter_map(|(name, _, kind)| Some((name.clone(), label(kind)?))).collect();
        let arguments: Map<String, Value> = list.into_iter().map(|(name, value, _)| (name, value)).collect();
        ToolCall { id: EffectId(id), turn: 1, call_id: "c".to_owned(), tool, arguments, labels }
    })
}

fn facts() -> impl Strategy<Value = Facts> {
    let tier = prop_oneof![Just(Tier::Autonomous), Just(Tier::UserAuthorised), Just(Tier::UserOnly)];
    let tool = (tier, any::<bool>(), any::<bool>(), prop::collection::vec(any::<String>(), 0..3))
        .prop_map(|(tier, reversible, leaves, sinks)| ToolFacts { tier, reversible, leaves, sinks });
    (prop::option::of(tool), any::<bool>(), prop::option::of(any::<u64>())).prop_map(|(tool, yes, left)| Facts {
        tool,
        yes,
        declared: false,
        budget_left: left.map(MicroUsd),
        ..inside()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_empty_policy_allows_nothing(call in tool_call(), facts in facts(), model in any::<String>()) {
        let engine = Engine::load("// nothing here\n").unwrap();
        let effect = Effect::Tool(call.clone());
        let answer = Answer { effect_digest: Digest::of_canonical(&effect), allowed: true };
        let verdict = engine.authorize_tool(call, &facts, Some(&answer));
        prop_assert_eq!(verdict.decision.outcome, Outcome::Deny);
        prop_assert_eq!(verdict.decision.effect_digest, answer.effect_digest);
        prop_assert!(verdict.permit.is_none() && !verdict.decision.reason.is_empty());

        let call = event::ModelCall { model, ..model_call() };
        let answer = Answer { effect_digest: Digest::of_canonical(&Effect::Model(call.clone())), allowed: true };
        let verdict = engine.authorize_model(call, &facts, Some(&answer));
        prop_assert!(verdict.decision.outcome == Outcome::Deny && verdict.permit.is_none());
    }

    /// Whatever the default policy says of a call, it says it twice, and a permit goes with an allowed decision only.
    #[test]
    fn a_decision_is_a_function_of_what_it_is_shown(call in tool_call(), facts in facts()) {
        let engine = crate::support::default_engine();
        let (one, two) = (engine.authorize_tool(call.clone(), &facts, None), engine.authorize_tool(call, &facts, None));
        prop_assert_eq!(&one.decision, &two.decision);
        prop_assert_eq!(one.permit.is_some(), one.decision.outcome == Outcome::Allow);
        prop_assert!(!one.decision.rules.contains(&"rule.failed".to_owned()), "{:?}", one.decision);
    }
}
