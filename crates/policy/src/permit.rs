//! The proof that one effect may happen. It is never written down: after a restart, policy is asked again.

use event::{Decision, Digest, Outcome};

/// The proof, made only by [`Engine`](crate::Engine), that one effect may happen. Using it up is the only way to get
/// the effect out of it.
///
/// ```
/// # use policy::Permit;
/// fn perform(permit: Permit<event::ToolCall>) -> event::ToolCall {
///     permit.redeem()
/// }
/// ```
///
/// It cannot be used twice:
///
/// ```compile_fail,E0382
/// # use policy::Permit;
/// fn perform(permit: Permit<event::ToolCall>) -> event::ToolCall {
///     permit.redeem();
///     permit.redeem()
/// }
/// ```
///
/// nor copied:
///
/// ```compile_fail,E0599
/// # use policy::Permit;
/// fn perform(permit: Permit<event::ToolCall>) -> event::ToolCall {
///     permit.clone().redeem()
/// }
/// ```
///
/// nor written down, to be read again later:
///
/// ```compile_fail,E0277
/// # use policy::Permit;
/// fn perform(permit: Permit<event::ToolCall>) -> Vec<u8> {
///     event::canonical(&permit)
/// }
/// ```
///
/// nor made by anybody else:
///
/// ```compile_fail,E0451
/// # use policy::Permit;
/// fn perform(effect: event::ToolCall, digest: event::Digest) -> Permit<event::ToolCall> {
///     Permit { effect, digest }
/// }
/// ```
///
/// ```compile_fail,E0624
/// # use policy::Permit;
/// fn perform(effect: event::ToolCall, decision: &event::Decision) -> Option<Permit<event::ToolCall>> {
///     Permit::issue(effect, decision)
/// }
/// ```
#[derive(Debug)]
#[must_use = "a permit that is not redeemed was asked for in vain"]
pub struct Permit<E> {
    effect: E,
    digest: Digest,
}

impl<E> Permit<E> {
    /// A permit where the decision allows; the decision must be the one on this very effect.
    pub(crate) fn issue(effect: E, decision: &Decision) -> Option<Self> {
        match decision.outcome {
            Outcome::Allow => Some(Self { effect, digest: decision.effect_digest }),
            Outcome::Deny | Outcome::Ask => None,
        }
    }

    /// Digest of the effect's canonical form, the same that the decision and the person's answer carry.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What is permitted.
    pub fn effect(&self) -> &E {
        &self.effect
    }

    /// Uses the permit up.
    pub fn redeem(self) -> E {
        self.effect
    }
}
