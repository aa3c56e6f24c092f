//! What the record says of the task's network: a pure fold, part of the state. It knows places and numbers, no sockets.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::PLACES_MAX;
use event::{Decision, Digest, Effect, EffectId, Event, Outcome, Reach, Refusal};

/// A host and a port.
pub(crate) type Place = (String, u16);

/// The network as the events left it.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Every place that was asked for and is not forgotten, by place.
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
                if self.is_full()
                    && !self.reaches.contains_key(&place)
                    && let Some(oldest) = self.forgettable().cloned()
                {
                    self.reaches.remove(&oldest);
                }
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

    /// Whether another place is more than are kept.
    pub(crate) fn is_full(&self) -> bool {
        self.reaches.len() >= PLACES_MAX
    }

    /// The oldest place that gives way to another: one that may not be reached, and to which nothing is open. What the person said no to
    /// or took back stays, or they would be asked again.
    pub(crate) fn forgettable(&self) -> Option<&Place> {
        let is_settled = |stage: &Stage| match stage {
            Stage::Denied(decision) => !decision.rules.iter().any(|rule| rule == "answer"),
            Stage::Ended(why) => why.rule != "egress.revoked",
            Stage::Requested | Stage::Asking { .. } | Stage::Answered { .. } | Stage::Granted { .. } => false,
        };
        let goes = |(place, asked): &(&Place, &Asked)| {
            is_settled(&asked.stage) && !self.of_number.values().any(|open| open == *place)
        };
        self.reaches.iter().filter(goes).min_by_key(|(_, asked)| asked.reach.id).map(|(place, _)| place)
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
    fn of_too_many_places_the_oldest_that_may_not_be_reached_is_forgotten() {
        let place = |number: u64| (format!("{number}.test"), 80);
        let requested = |number: u64| {
            let (host, port) = place(number);
            Event::EffectRequested { effect: Effect::Reach(Reach { id: EffectId(number), host, port }) }
        };
        let denied = |number: u64, rules: &[&str]| {
            let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
            let (effect_digest, reason) = (Digest([0; 32]), String::new());
            let (outcome, tier, why) = (Outcome::Deny, event::Tier::Autonomous, Vec::new());
            let decision = Decision { outcome, tier, rules, reason, why, effect_digest };
            Event::EffectDecided { id: EffectId(number), decision }
        };
        let ended = |number: u64, rule: &str| {
            let refused = Refusal { rule: rule.to_owned(), reason: String::new() };
            Event::GrantEnded { id: EffectId(number), refused }
        };
        let opened = |number: u64| {
            let ((host, port), effect) = (place(number), Some(EffectId(number)));
            Event::ConnectionOpened {
                connection: event::Connection { number, effect, way: event::Way::Http, host, port },
            }
        };
        let most = u64::try_from(PLACES_MAX).unwrap();
        let mut network = Network::default();
        let mut all: Vec<Event> = (0..most)
            .flat_map(|number| [requested(number), Event::EffectStarted { id: EffectId(number), boot: String::new() }])
            .collect();
        // Of these the person said no to one and took one back, one has a connection, and two give way.
        all.extend([denied(1, &["answer"]), ended(2, "egress.revoked"), opened(3), ended(3, "egress.bytes")]);
        all.extend([ended(4, "egress.expired"), denied(5, &["no-other"])]);
        all.iter().for_each(|event| network.apply(event, 0));
        for (number, forgotten) in [(most, Some(4)), (most + 1, Some(5)), (most + 2, None)] {
            assert_eq!(network.forgettable(), forgotten.map(place).as_ref(), "before {number}");
            network.apply(&requested(number), 0);
            assert!(network.reaches.contains_key(&place(number)), "whoever records it has seen that there is room");
        }
        assert!((1..4).all(|number| network.reaches.contains_key(&place(number))));
        assert_eq!(
            network.place(EffectId(4)),
            Some(&place(4)),
            "its number is still known: what passed is counted by it"
        );
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
