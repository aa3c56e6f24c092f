//! A policy text made ready to be asked: Cedar rules that permit, that forbid, and that raise the tier. It knows the
//! form of rules and nothing of effects; whether the rules do what their author means is for the examples to show.

use std::collections::BTreeSet;

use cedar_policy::{AuthorizationError, Authorizer, Entities, Policy, PolicyId, PolicySet, Request};
use event::{ShippedRule, Tier};
use miette::Diagnostic as _;

use crate::Error;

/// The longest policy text: a longer one nobody has read.
pub(crate) const POLICY_BYTES_MAX: usize = 256 * 1024;

/// The most rules: each is asked at each effect.
pub(crate) const RULES_MAX: usize = 500;

/// The longest id of a rule: it stands in the journal with every decision.
const RULE_ID_CHARS_MAX: usize = 64;

/// What a rule says when it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Permit,
    Forbid,
    /// Nobody but the person decides, or does, what the rule matches.
    Raise {
        tier: Tier,
        /// Whether `--yes` may answer for the person.
        yes: Yes,
    },
}

/// Whether `--yes` answers a rule's question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Yes {
    May,
    Never,
}

/// One rule, as decisions name it.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) reason: Option<String>,
    /// Which rule of the policy that Thenar comes with it is, by its id and in its words.
    pub(crate) shipped: Option<ShippedRule>,
}

/// All rules of a policy.
///
/// Cedar names only the forbidding rules when one of them matches, and the question is just what would have been said
/// without those that raise the tier. So the raising ones are a set of their own.
#[derive(Debug)]
pub(crate) struct Rules {
    list: Vec<Rule>,
    permissions: PolicySet,
    raises: PolicySet,
    authorizer: Authorizer,
    entities: Entities,
}

/// What the rules say of one request, before yes, answers and budgets.
#[derive(Debug)]
pub(crate) enum Finding<'a> {
    /// These rules could not be evaluated, so nothing they might have forbidden is allowed.
    Broken(Vec<&'a Rule>),
    /// No rule permits it.
    Unknown,
    Forbidden(Vec<&'a Rule>),
    Permitted {
        by: Vec<&'a Rule>,
        /// The rules that want the person's word for it.
        raised: Vec<&'a Rule>,
    },
}

impl Rules {
    pub(crate) fn parse(text: &str, reserved: &[&str]) -> Result<Self, Error> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(Error::TooLong { bytes: text.len() });
        }
        let parsed: PolicySet = text.parse().map_err(|error| syntax(text, &error))?;
        if let Some(template) = parsed.templates().next() {
            return Err(broken(
                template.id().as_ref(),
                "has a ?principal or ?resource to be filled in, and nobody will",
            ));
        }
        let mut policies: Vec<(usize, &Policy)> = parsed.policies().map(|policy| (place(policy), policy)).collect();
        if policies.len() > RULES_MAX {
            return Err(Error::TooMany { rules: policies.len() });
        }
        policies.sort_by_key(|(place, _)| *place);

        let mut rules = Self {
            list: Vec::with_capacity(policies.len()),
            permissions: PolicySet::new(),
            raises: PolicySet::new(),
            authorizer: Authorizer::new(),
            entities: Entities::empty(),
        };
        let mut seen: BTreeSet<&str> = reserved.iter().copied().collect();
        for (place, policy) in policies {
            let rule = read(policy, place)?;
            if !seen.insert(policy.annotation("id").unwrap_or_default()) {
                return Err(broken(&rule.id, "the id is taken"));
            }
            let named = policy.new_id(PolicyId::new(rules.list.len().to_string()));
            let set = match rule.kind {
                Kind::Permit | Kind::Forbid => &mut rules.permissions,
                Kind::Raise { .. } => &mut rules.raises,
            };
            set.add(named).map_err(|error| broken(&rule.id, error))?;
            rules.list.push(rule);
        }
        Ok(rules)
    }

    /// Marks those that say what the rule of their id says there.
    pub(crate) fn mark_shipped(&mut self, there: &Self) {
        for rule in &mut self.list {
            let same = |other: &&Rule| other.id == rule.id && other.reason == rule.reason;
            rule.shipped = there.list.iter().find(same).and_then(|_| ShippedRule::named(&rule.id));
        }
    }

    pub(crate) fn ask(&self, request: &Request) -> Finding<'_> {
        let permissions = self.authorizer.is_authorized(request, &self.permissions, &self.entities);
        let raises = self.authorizer.is_authorized(request, &self.raises, &self.entities);
        let errors = permissions.diagnostics().errors().chain(raises.diagnostics().errors());
        let broken = self.named(errors.map(|error| match error {
            AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
        }));
        if !broken.is_empty() {
            return Finding::Broken(broken);
        }
        let spoke = self.named(permissions.diagnostics().reason());
        match permissions.decision() {
            cedar_policy::Decision::Deny if spoke.is_empty() => Finding::Unknown,
            cedar_policy::Decision::Deny => Finding::Forbidden(spoke),
            cedar_policy::Decision::Allow => {
                Finding::Permitted { by: spoke, raised: self.named(raises.diagnostics().reason()) }
            }
        }
    }

    /// The rules of these ids in the order of the text, so that equal requests give equal decisions.
    fn named<'a>(&self, ids: impl Iterator<Item = &'a PolicyId>) -> Vec<&Rule> {
        let places: BTreeSet<usize> = ids.filter_map(|id| AsRef::<str>::as_ref(id).parse().ok()).collect();
        places.into_iter().filter_map(|place| self.list.get(place)).collect()
    }
}

/// Where the rule stands in the text: the parser names rules `policy0`, `policy1` and so on.
fn place(policy: &Policy) -> usize {
    AsRef::<str>::as_ref(policy.id()).trim_start_matches("policy").parse().unwrap_or(usize::MAX)
}

fn read(policy: &Policy, place: usize) -> Result<Rule, Error> {
    let Some(id) = policy.annotation("id") else {
        return Err(broken(&format!("number {}", place.saturating_add(1)), "has no @id to be named by"));
    };
    let form = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    if id.is_empty() || id.len() > RULE_ID_CHARS_MAX || !id.chars().all(form) {
        return Err(broken(id, "an @id is 1 to 64 lower-case letters, digits, points and hyphens"));
    }
    // A misspelt annotation would be a rule that says less than its author thinks.
    let known = ["id", "reason", "tier", "yes"];
    if let Some((name, _)) = policy.annotations().find(|(name, _)| !known.contains(name)) {
        return Err(broken(id, format!("@{name} is not known, only @id, @reason, @tier and @yes")));
    }
    let yes = match policy.annotation("yes") {
        None => None,
        Some("never") => Some(Yes::Never),
        Some(other) => return Err(broken(id, format!("@yes is \"never\" or absent, not {other:?}"))),
    };
    let tier = match policy.annotation("tier") {
        None => None,
        Some("user_authorised") => Some(Tier::UserAuthorised),
        Some("user_only") => Some(Tier::UserOnly),
        Some(other) => return Err(broken(id, format!("@tier is \"user_authorised\" or \"user_only\", not {other:?}"))),
    };
    let kind = match (policy.effect(), tier, yes) {
        (cedar_policy::Effect::Forbid, Some(tier), yes) => Kind::Raise { tier, yes: yes.unwrap_or(Yes::May) },
        (cedar_policy::Effect::Forbid, None, None) => Kind::Forbid,
        (cedar_policy::Effect::Permit, None, None) => Kind::Permit,
        (cedar_policy::Effect::Permit, Some(_), _) => {
            return Err(broken(
                id,
                "only a forbid rule raises the tier: a permit could not, where another permit matches",
            ));
        }
        (cedar_policy::Effect::Forbid | cedar_policy::Effect::Permit, None, Some(_)) => {
            return Err(broken(id, "@yes without @tier: the rule asks nothing"));
        }
    };
    let reason = policy.annotation("reason").map(str::trim).filter(|reason| !reason.is_empty()).map(str::to_owned);
    Ok(Rule { id: id.to_owned(), kind, reason, shipped: None })
}

fn broken(rule: &str, problem: impl ToString) -> Error {
    Error::Rule { rule: rule.to_owned(), problem: problem.to_string() }
}

fn syntax(text: &str, error: &cedar_policy::ParseErrors) -> Error {
    let offset = error.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    Error::Syntax { line, problem: error.to_string() }
}
