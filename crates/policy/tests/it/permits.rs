//! Permits: only with an allowed decision, and bound to the effect as it was decided. That they cannot be copied, kept
//! or made elsewhere is shown beside the type, by code that must not compile.

use event::{Digest, Effect, Outcome};
use serde_json::json;

use crate::support::{call, default_engine, inside, model_call, outside};

#[test]
fn a_permit_is_bound_to_the_effect_it_was_given_for() {
    let wanted = call("shell_exec", json!({"command": "ls", "cwd": "/workspace"}));
    let digest = Digest::of_canonical(&Effect::Tool(wanted.clone()));
    let verdict = default_engine().authorize_tool(wanted.clone(), &inside(), None);
    let permit = verdict.permit.unwrap();
    assert_eq!((permit.digest(), verdict.decision.effect_digest), (digest, digest));
    assert_eq!(permit.effect(), &wanted);
    assert_eq!(permit.redeem(), wanted);

    let verdict = default_engine().authorize_model(model_call(), &inside(), None);
    let permit = verdict.permit.unwrap();
    assert_eq!(permit.digest(), Digest::of_canonical(&Effect::Model(model_call())));
    assert_eq!(permit.redeem(), model_call());
}

/// The order in which a model happened to write the arguments is no part of the effect; everything else is.
#[test]
fn the_digest_is_of_the_canonical_form() {
    let digest = |call: event::ToolCall| default_engine().decide(&Effect::Tool(call), &inside()).effect_digest;
    let one = call("shell_exec", json!({"command": "ls", "cwd": "/workspace"}));
    let other_order = call("shell_exec", json!({"cwd": "/workspace", "command": "ls"}));
    assert_eq!(digest(one.clone()), digest(other_order));
    assert_ne!(digest(one.clone()), digest(call("shell_exec", json!({"command": "ls ", "cwd": "/workspace"}))));
    assert_ne!(digest(one.clone()), digest(event::ToolCall { turn: 4, ..one.clone() }));
    assert_ne!(digest(one.clone()), digest(event::ToolCall { tool: "shell_view".to_owned(), ..one }));
}

#[test]
fn no_permit_without_an_allowed_decision() {
    let asked = default_engine().authorize_tool(call("mail_send", json!({"to": "a@b"})), &outside(), None);
    assert_eq!((asked.decision.outcome, asked.permit.is_none()), (Outcome::Ask, true));
    let denied = default_engine().authorize_tool(call("no_such", json!({})), &inside(), None);
    assert_eq!((denied.decision.outcome, denied.permit.is_none()), (Outcome::Deny, true));
}
