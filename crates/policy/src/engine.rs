//! The decision point. Four things are settled here and not by the rules, so that no policy text can undo them: the cap
//! on cost, the tier that a tool declares for itself, that a rule which fails allows nothing, and what an answer is
//! worth. Nobody is asked here: that somebody must be is one of the outcomes.

use std::sync::LazyLock;

use event::{Decision, Digest, Effect, ModelCall, Outcome, Reach, Tier, ToolCall, Why};

use crate::example;
use crate::request;
use crate::rules::{Finding, Kind, Rule, Rules, Yes};
use crate::{Answer, Error, Facts, Permit, Verdict};

/// The rule ids that speak for what is settled here; no policy can take them.
pub(crate) const NATIVE: [&str; 7] = [BUDGET, TOOL_TIER, NO_RULE, BROKEN_RULE, BAD_REQUEST, YES, ANSWER];
/// The reserve of a model call is more than what is left under the cap.
const BUDGET: &str = "budget.cost";
/// The tool declares for itself that the person decides.
const TOOL_TIER: &str = "tool.tier";
/// No rule permits it.
const NO_RULE: &str = "default.deny";
/// A rule failed, so it is not known what it would have forbidden.
const BROKEN_RULE: &str = "rule.failed";
/// The effect could not be shown to the rules.
const BAD_REQUEST: &str = "request.invalid";
/// `--yes` has answered.
const YES: &str = "yes";
/// The person has answered.
const ANSWER: &str = "answer";

/// The policy that Thenar comes with, to know its rules again.
static SHIPPED: LazyLock<Result<Rules, Error>> = LazyLock::new(|| Rules::parse(Engine::default_policy(), &NATIVE));

/// A policy, loaded and ready to be asked.
#[derive(Debug)]
pub struct Engine {
    text: String,
    rules: Rules,
}

impl Engine {
    /// Reads a policy: Cedar rules with ids, and examples which the rules must agree with. A text that is broken in any
    /// way is not used at all.
    pub fn load(text: &str) -> Result<Self, Error> {
        let mut rules = Rules::parse(text, &NATIVE)?;
        if let Ok(shipped) = &*SHIPPED {
            rules.mark_shipped(shipped);
        }
        let engine = Self { text: text.to_owned(), rules };
        example::check(&engine)?;
        Ok(engine)
    }

    /// The policy that is in force where nobody gave another.
    pub fn default_policy() -> &'static str {
        include_str!("../../../policies/default.cedar")
    }

    /// The text that was loaded, byte for byte.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What policy says of an effect before anybody has answered for it.
    pub fn decide(&self, effect: &Effect, facts: &Facts) -> Decision {
        let ruling = match over_budget(effect, facts) {
            Some(ruling) => ruling,
            None => match request::build(effect, facts) {
                Ok(request) => rule(self.rules.ask(&request), effect, facts),
                Err(problem) => {
                    let why = Why::Unjudged { problem: problem.to_string() };
                    Ruling::deny(vec![BAD_REQUEST.to_owned()], format!("no rule could judge it: {problem}"), vec![why])
                }
            },
        };
        ruling.on(effect)
    }

    /// Decides a model call, the person's answer included if there is one, and permits it if it is allowed.
    pub fn authorize_model(&self, call: ModelCall, facts: &Facts, answer: Option<&Answer>) -> Verdict<ModelCall> {
        let effect = Effect::Model(call);
        let decision = self.settle(&effect, facts, answer);
        let permit = match effect {
            Effect::Model(call) => Permit::issue(call, &decision),
            Effect::Tool(_) | Effect::Reach(_) => None,
        };
        Verdict { decision, permit }
    }

    /// Decides a tool call, the person's answer included if there is one, and permits it if it is allowed.
    pub fn authorize_tool(&self, call: ToolCall, facts: &Facts, answer: Option<&Answer>) -> Verdict<ToolCall> {
        let effect = Effect::Tool(call);
        let decision = self.settle(&effect, facts, answer);
        let permit = match effect {
            Effect::Tool(call) => Permit::issue(call, &decision),
            Effect::Model(_) | Effect::Reach(_) => None,
        };
        Verdict { decision, permit }
    }

    /// Decides whether a place may be reached, the person's answer included if there is one, and permits it if so.
    pub fn authorize_reach(&self, reach: Reach, facts: &Facts, answer: Option<&Answer>) -> Verdict<Reach> {
        let effect = Effect::Reach(reach);
        let decision = self.settle(&effect, facts, answer);
        let permit = match effect {
            Effect::Reach(reach) => Permit::issue(reach, &decision),
            Effect::Model(_) | Effect::Tool(_) => None,
        };
        Verdict { decision, permit }
    }

    /// An answer opens only what policy asks about, and only for the very effect it was given on; a no always holds.
    fn settle(&self, effect: &Effect, facts: &Facts, answer: Option<&Answer>) -> Decision {
        let mut decision = self.decide(effect, facts);
        let Some(answer) = answer.filter(|answer| answer.effect_digest == decision.effect_digest) else {
            return decision;
        };
        match (decision.outcome, answer.allowed) {
            (Outcome::Ask, true) => {
                decision.outcome = Outcome::Allow;
                decision.reason = format!("the person allowed it: {}", decision.reason);
                decision.why.insert(0, Why::PersonAllowed);
            }
            (Outcome::Ask | Outcome::Allow, false) => {
                decision.outcome = Outcome::Deny;
                decision.reason = "the person said no".to_owned();
                decision.why = vec![Why::PersonRefused];
            }
            (Outcome::Allow, true) | (Outcome::Deny, _) => return decision,
        }
        decision.rules.push(ANSWER.to_owned());
        decision
    }
}

/// A decision that is not yet bound to its effect.
struct Ruling {
    outcome: Outcome,
    tier: Tier,
    rules: Vec<String>,
    reason: String,
    why: Vec<Why>,
}

impl Ruling {
    fn deny(rules: Vec<String>, reason: String, why: Vec<Why>) -> Self {
        Self { outcome: Outcome::Deny, tier: Tier::Autonomous, rules, reason, why }
    }

    fn on(self, effect: &Effect) -> Decision {
        let Self { outcome, tier, rules, reason, why } = self;
        Decision { outcome, tier, rules, reason, why, effect_digest: Digest::of_canonical(effect) }
    }
}

/// A cap holds for certain: what cannot be shown to fit under it does not run.
fn over_budget(effect: &Effect, facts: &Facts) -> Option<Ruling> {
    let Effect::Model(call) = effect else { return None };
    let left = facts.budget_left?;
    let (reason, why) = match call.reserved {
        Some(reserved) if reserved <= left => return None,
        Some(reserved) => (
            format!("the call may cost {reserved}, and {left} is left under the cap"),
            Why::OverBudget { reserved, left },
        ),
        None => (
            format!("there is a cap on cost, and the price of {} is not known", call.model),
            Why::PriceUnknown { model: call.model.clone() },
        ),
    };
    Some(Ruling::deny(vec![BUDGET.to_owned()], reason, vec![why]))
}

fn rule(finding: Finding<'_>, effect: &Effect, facts: &Facts) -> Ruling {
    match finding {
        Finding::Broken(rules) => {
            let mut ids = ids(&rules);
            let reason = format!("{} could not be evaluated, and what fails allows nothing", listed(&ids));
            let why = Why::RuleFailed { rules: ids.clone() };
            ids.push(BROKEN_RULE.to_owned());
            Ruling::deny(ids, reason, vec![why])
        }
        Finding::Unknown => {
            let (wanted, why) = wanted(effect);
            Ruling::deny(vec![NO_RULE.to_owned()], format!("no rule permits {wanted}"), vec![why])
        }
        Finding::Forbidden(rules) => Ruling::deny(ids(&rules), reasons(&rules), whys(&rules)),
        Finding::Permitted { by, raised } => permitted(&by, &raised, facts),
    }
}

/// What is permitted runs, unless a rule or the tool itself wants the person's word for it.
fn permitted(by: &[&Rule], raised: &[&Rule], facts: &Facts) -> Ruling {
    let tool = facts.tool.as_ref().map_or(Tier::Autonomous, |tool| tool.tier);
    let tier = raised.iter().map(|rule| rule.kind.tier()).fold(tool, Tier::max);
    let mut rules = ids(raised);
    let mut reason = reasons(raised);
    let mut why = whys(raised);
    if tool > Tier::Autonomous {
        rules.push(TOOL_TIER.to_owned());
        let separator = if reason.is_empty() { "" } else { "; " };
        reason = format!("{reason}{separator}the tool is one that only the person decides on");
        why.push(Why::ToolAsks);
    }
    let outcome = match tier {
        Tier::Autonomous => {
            rules = ids(by);
            reason = reasons(by);
            why = whys(by);
            Outcome::Allow
        }
        Tier::UserOnly => {
            reason = format!("only the person may do this: {reason}");
            why.insert(0, Why::OnlyThePerson);
            Outcome::Deny
        }
        Tier::UserAuthorised if facts.yes && raised.iter().all(|rule| rule.kind.yes_may_answer()) => {
            rules.push(YES.to_owned());
            reason = format!("answered by --yes: {reason}");
            why.insert(0, Why::AnsweredByYes);
            Outcome::Allow
        }
        Tier::UserAuthorised => Outcome::Ask,
    };
    Ruling { outcome, tier, rules, reason, why }
}

impl Kind {
    fn tier(self) -> Tier {
        match self {
            Self::Permit | Self::Forbid => Tier::Autonomous,
            Self::Raise { tier, .. } => tier,
        }
    }

    fn yes_may_answer(self) -> bool {
        match self {
            Self::Permit | Self::Forbid => true,
            Self::Raise { yes, .. } => yes == Yes::May,
        }
    }
}

fn ids(rules: &[&Rule]) -> Vec<String> {
    rules.iter().map(|rule| rule.id.clone()).collect()
}

/// The rules' own words, each once; a rule without any is named.
fn reasons(rules: &[&Rule]) -> String {
    let mut reasons: Vec<String> = Vec::with_capacity(rules.len());
    for rule in rules {
        let reason = rule.reason.clone().unwrap_or_else(|| format!("rule {} says so", rule.id));
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons.join("; ")
}

/// The same in parts.
fn whys(rules: &[&Rule]) -> Vec<Why> {
    let why = |rule: &&Rule| match rule.shipped {
        Some(rule) => Why::Rule { rule },
        None => Why::OwnRule { rule: rule.id.clone(), reason: rule.reason.clone() },
    };
    rules.iter().map(why).collect()
}

fn listed(ids: &[String]) -> String {
    let noun = if ids.len() == 1 { "rule" } else { "rules" };
    format!("{noun} {}", ids.join(", "))
}

fn wanted(effect: &Effect) -> (String, Why) {
    match effect {
        Effect::Model(call) => {
            (format!("a call to the model {:?}", call.model), Why::NoRuleForModel { model: call.model.clone() })
        }
        Effect::Tool(call) => (format!("the tool {:?}", call.tool), Why::NoRuleForTool { tool: call.tool.clone() }),
        Effect::Reach(Reach { host, port, .. }) => {
            (format!("a connection to {host}, port {port}"), Why::NoRuleForHost { host: host.clone(), port: *port })
        }
    }
}
