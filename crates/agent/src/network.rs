//! What the record says of the task's network: a pure fold, part of the state. It knows places and numbers, no sockets.

use std::collections::{BTreeMap, BTreeSet};

use event::{Decision, Digest, Effect, EffectId, Event, Outcome, Reach, Refusal};

/// A host and a port.
pub(crate) type Place = (String, u16);

/// The network as the events left it.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Every place that was asked for, by place.
    pub(crate) reaches: BTreeMap<Place, Asked>,
    /// The same by number.
    places: BTreeMap<EffectId, Place>,
    /// Connections that have no end yet.
    pub(crate) open: BTreeSet<u64>,
    /// The number of the last connection.
    pub(crate) last_number: u64,
    /// Where each open connection goes, for counting.
    of_number: BTreeMap<u64, Place>,
    /// Bytes up and down, by place.
    pub(crate) passed: BTreeMap<Place, (u64, u64)>,
}

/// A place, and how far the question about it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) reach: Reach,
    pub(crate) stage: Stage,
}

/// How far the question about a place is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not decided.
    Requested,
    /// Waits for the person's word on this digest.
    Asking { digest: Digest, question: String },
    /// The person has said.
    Answered { digest: Digest, allowed: bool, at_ms: u64 },
    /// May be reached; with what the person said yes to and when, if they were asked.
    Granted { answer: Option<(Digest, u64)> },
    /// May not.
    Denied(Box<Decision>),
    /// Might be reached, and may not any more.
    Ended(Refusal),
}

impl Network {
    /// Folds one event in.
    pub(crate) fn apply(&mut self, event: &Event, time_ms: u64) {
        match event {
            Event::EffectRequested { effect: Effect::Reach(reach) } => {
                let place = (reach.host.clone(), reach.port);
                self.places.insert(reach.id, place.clone());
                self.reaches.insert(place, Asked { reach: reach.clone(), stage: Stage::Requested });
            }
            Event::EffectDecided { id, decision } => {
                if let Some(asked) = self.asked_mut(*id)
                    && decision.outcome == Outcome::Deny
                {
                    asked.stage = Stage::Denied(Box::new(decision.clone()));
                }
            }
            Event::ApprovalRequested { id, effect_digest, question } => {
                if let Some(asked) = self.asked_mut(*id) {
                    asked.stage = Stage::Asking { digest: *effect_digest, question: question.clone() };
                }
            }
            Event::ApprovalAnswered { id, effect_digest, allowed, .. } => {
                if let Some(asked) = self.asked_mut(*id) {
                    asked.stage = Stage::Answered { digest: *effect_digest, allowed: *allowed, at_ms: time_ms };
                }
            }
            Event::EffectStarted { id, .. } => {
                if let Some(asked) = self.asked_mut(*id) {
                    let answer = asked.answer();
                    asked.stage = Stage::Granted { answer };
                }
            }
            Event::GrantEnded { id, refused } => {
                if let Some(asked) = self.asked_mut(*id) {
                    asked.stage = Stage::Ended(refused.clone());
                }
            }
            // Other rules may hold now: what was settled is asked anew, under a number of its own. The person's yes stands.
            Event::OptionsChanged { .. } | Event::HostsChanged { .. } | Event::Forked { .. } => {
                self.reaches.retain(|_, asked| match asked.stage {
                    Stage::Asking { .. } | Stage::Granted { .. } | Stage::Answered { allowed: true, .. } => true,
                    Stage::Requested | Stage::Answered { .. } | Stage::Denied(_) | Stage::Ended(_) => false,
                });
                if matches!(event, Event::Forked { .. }) {
                    // What passed before is the other task's.
                    self.passed.clear();
                }
            }
            Event::ConnectionOpened { connection } => {
                self.last_number = connection.number;
                self.open.insert(connection.number);
                self.of_number.insert(connection.number, (connection.host.clone(), connection.port));
            }
            Event::ConnectionRefused { connection, .. } => self.last_number = connection.number,
            Event::ConnectionClosed { closed } => {
                self.open.remove(&closed.number);
                if let Some(place) = self.of_number.remove(&closed.number) {
                    self.count(place, closed.bytes_up.unwrap_or(0), closed.bytes_down.unwrap_or(0));
                }
            }
            Event::ConnectionsCounted { counted } => {
                self.count((counted.host.clone(), counted.port), counted.bytes_up, counted.bytes_down);
            }
            _ => {}
        }
    }

    /// The place that the person is asked about: the first of them.
    pub fn asking(&self) -> Option<(EffectId, Digest, &str)> {
        let asked = self.reaches.values().filter_map(|asked| match &asked.stage {
            Stage::Asking { digest, question } => Some((asked.reach.id, *digest, question.as_str())),
            _ => None,
        });
        asked.min_by_key(|(id, ..)| *id)
    }

    /// The places that the person said yes to when they were asked and that no list names, as `HOST:PORT`.
    pub(crate) fn answered(&self, list: &[String]) -> Vec<String> {
        let yes = self.reaches.iter().filter(|(_, asked)| asked.answer().is_some());
        let unnamed = yes.filter_map(|((host, port), _)| {
            let host = sandbox::egress::Host::parse(host).ok()?;
            crate::allow::named(list, &host, *port).is_none().then(|| host.with_port(*port))
        });
        unnamed.collect()
    }

    /// How many places the person is asked about.
    pub(crate) fn questions(&self) -> usize {
        self.reaches.values().filter(|asked| matches!(asked.stage, Stage::Asking { .. })).count()
    }

    /// How far the question about a place is. One whose time ran out is a new question, with a number of its own.
    pub(crate) fn asked(&self, place: &Place) -> Option<&Asked> {
        let ran_out = |stage: &Stage| matches!(stage, Stage::Ended(why) if why.rule == "egress.expired");
        self.reaches.get(place).filter(|asked| !ran_out(&asked.stage))
    }

    /// The place of this number.
    pub(crate) fn place(&self, id: EffectId) -> Option<&Place> {
        self.places.get(&id)
    }

    fn asked_mut(&mut self, id: EffectId) -> Option<&mut Asked> {
        let asked = self.reaches.get_mut(self.places.get(&id)?)?;
        (asked.reach.id == id).then_some(asked)
    }

    fn count(&mut self, place: Place, up: u64, down: u64) {
        let passed = self.passed.entry(place).or_default();
        *passed = (passed.0.saturating_add(up), passed.1.saturating_add(down));
    }
}

impl Asked {
    /// The person's yes and when they said it.
    pub(crate) fn answer(&self) -> Option<(Digest, u64)> {
        match &self.stage {
            Stage::Answered { digest, allowed: true, at_ms } => Some((*digest, *at_ms)),
            Stage::Granted { answer } => *answer,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use event::{Counted, TaskOptions};

    use super::*;

    #[test]
    fn a_place_whose_time_ran_out_is_asked_about_anew_and_one_that_was_taken_back_is_not() {
        let place = ("shop.test".to_owned(), 80);
        let reach = Reach { id: EffectId(3), host: place.0.clone(), port: place.1 };
        for (rule, is_known) in [("egress.expired", false), ("egress.revoked", true), ("egress.bytes", true)] {
            let mut network = Network::default();
            let refused = Refusal { rule: rule.to_owned(), reason: String::new() };
            for event in [
                Event::EffectRequested { effect: Effect::Reach(reach.clone()) },
                Event::EffectStarted { id: reach.id, boot: String::new() },
                Event::GrantEnded { id: reach.id, refused },
            ] {
                network.apply(&event, 0);
            }
            assert_eq!(network.asked(&place).is_some(), is_known, "{rule}");
            // A fork sends what it sends by itself, and may have other hosts.
            network.apply(&Event::Forked { options: TaskOptions::default() }, 0);
            assert_eq!(network.asked(&place), None, "{rule}");
        }
    }

    #[test]
    fn what_passed_at_the_most_counts_and_a_fork_begins_at_nothing() {
        let mut network = Network::default();
        let counted = |bytes_up, at_most| Event::ConnectionsCounted {
            counted: Counted {
                host: "shop.test".to_owned(),
                port: 80,
                opened: 0,
                refused: 0,
                bytes_up,
                bytes_down: 1,
                at_most,
            },
        };
        network.apply(&counted(5, false), 0);
        network.apply(&counted(7, true), 0);
        assert_eq!(network.passed, BTreeMap::from([(("shop.test".to_owned(), 80), (12, 2))]));
        network.apply(&Event::Forked { options: TaskOptions::default() }, 0);
        assert_eq!(network.passed, BTreeMap::new());
    }
}
