//! Why policy decided as it did, for a program that says it in another language. The same stands in the decision's `reason`
//! in English. What an operator wrote in a policy of their own stays in their words.

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::MicroUsd;

/// One part of why policy decided as it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Why {
    /// The person allowed it; what follows is what was asked about.
    PersonAllowed,
    /// The person said no.
    PersonRefused,
    /// `--yes` answered; what follows is what was asked about.
    AnsweredByYes,
    /// Only the person may do it; what follows says why.
    OnlyThePerson,
    /// A rule of the policy that Thenar comes with.
    Rule { rule: ShippedRule },
    /// A rule of the operator's, in their words if it has any.
    OwnRule {
        rule: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The tool declares that the person decides on it.
    ToolAsks,
    /// The call may cost more than is left under the cap.
    OverBudget { reserved: MicroUsd, left: MicroUsd },
    /// There is a cap on cost, and nobody knows what the model costs.
    PriceUnknown { model: String },
    /// These rules could not be evaluated, and what fails allows nothing.
    RuleFailed { rules: Vec<String> },
    /// No rule could judge it.
    Unjudged { problem: String },
    /// No rule permits calls of this model.
    NoRuleForModel { model: String },
    /// No rule permits the tool.
    NoRuleForTool { tool: String },
    /// No rule permits a connection there.
    NoRuleForHost { host: String, port: u16 },
    /// A reply holds more tool calls than it may.
    TooManyCalls { max: u64 },
    /// The tool's arguments cannot be read.
    ArgumentsMalformed { problem: String },
    /// There is no such tool.
    NoSuchTool { tool: String },
    /// The request rebuilt from the record is not the one recorded.
    BodyChanged,
}

/// The rules of the policy that Thenar comes with, by their ids in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ShippedRule {
    InsideComputer,
    InsideBrowser,
    WithThePerson,
    DeliverToOwnOutput,
    WaiveFailedPoints,
    DeclaredHost,
    OtherHost,
    OtherHostAsks,
    ChosenModel,
    NoSecretsToModels,
    Outside,
    OutsideAsks,
    OutsideUntrustedSink,
    OutsideNoSecrets,
}

impl ShippedRule {
    /// The rule of this id.
    pub fn named(id: &str) -> Option<Self> {
        let id = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(id);
        Self::deserialize(id).ok()
    }
}

/// The network's own rules, as [`Refusal::rule`](crate::Refusal) names them beside the ids of policy's.
pub const NETWORK_RULES: [&str; 22] = [
    "egress.address",
    "egress.asking",
    "egress.bytes",
    "egress.certificate",
    "egress.connections",
    "egress.engine_gone",
    "egress.expired",
    "egress.gone",
    "egress.host",
    "egress.key",
    "egress.over",
    "egress.places",
    "egress.questions",
    "egress.record",
    "egress.request",
    "egress.revoked",
    "egress.secret",
    "egress.tls",
    "egress.tls_name",
    "egress.unanswered",
    "egress.unreachable",
    "egress.unresolved",
];

/// How [`Refusal::rule`](crate::Refusal) looks in the API document: one of ours, or an id of a policy's.
#[derive(Debug)]
pub(crate) struct NetworkRule;

impl PartialSchema for NetworkRule {
    fn schema() -> RefOr<Schema> {
        let ours = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(NETWORK_RULES));
        let of_policy = ObjectBuilder::new().schema_type(Type::String);
        let text = "The rule that spoke: one of the network's own, or ids of a policy's rules.";
        AnyOfBuilder::new().item(ours).item(of_policy).description(Some(text)).into()
    }
}

impl ToSchema for NetworkRule {}

#[cfg(test)]
mod tests {
    use crate::{Decision, Digest, MicroUsd, Outcome, ShippedRule, Tier, Why};

    #[test]
    fn a_decision_of_an_earlier_journal_is_read_and_written_as_it_was() {
        let digest = Digest::of(b"effect");
        let text = format!(
            r#"{{"outcome":"ask","tier":"user_authorised","rules":["outside-asks"],"reason":"it leaves this machine","effect_digest":"{digest}"}}"#
        );
        let old: Decision = serde_json::from_str(&text).unwrap();
        assert!(old.why.is_empty());
        assert_eq!(serde_json::to_string(&old).unwrap(), text);
    }

    #[test]
    fn the_parts_have_stable_codes() {
        let why = vec![
            Why::AnsweredByYes,
            Why::Rule { rule: ShippedRule::OutsideUntrustedSink },
            Why::OverBudget { reserved: MicroUsd(2), left: MicroUsd(1) },
        ];
        let decision = Decision {
            outcome: Outcome::Deny,
            tier: Tier::Autonomous,
            rules: Vec::new(),
            reason: String::new(),
            why,
            effect_digest: Digest::of(b""),
        };
        let value = serde_json::to_value(&decision).unwrap();
        let codes = serde_json::json!([
            {"code": "answered_by_yes"},
            {"code": "rule", "rule": "outside-untrusted-sink"},
            {"code": "over_budget", "left": 1, "reserved": 2}
        ]);
        assert_eq!(value["why"], codes);
        assert_eq!(serde_json::from_value::<Decision>(value).unwrap(), decision);
    }
}
