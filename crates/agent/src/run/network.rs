//! The loop's side of the network: policy is asked about each place once, the person where policy says so, and every connection is
//! put on the record. Bytes pass elsewhere.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use event::{Connection, Counted, Decision, Effect, EffectId, Event, Outcome, Reach};
use sandbox::egress::{Admitted, Attempt, Closed, Count, Grant, Host, Refusal, Secret, Tally, Way};
use tokio::sync::mpsc;

use super::{Run, Start};
use crate::Error;
use crate::egress::{Answer, Gate, Heard};
use crate::home::TaskFolder;
use crate::limits::{
    APPROVAL_VALID_MS, CONNECTIONS_NAMED_MAX, GRANT, NETWORK_QUEUED_MAX, NETWORK_REST_MS, NETWORK_REST_TURN_MS,
    PLACES_MAX, QUESTIONS_MAX, REFUSALS_NAMED_MAX, TASK_BYTES_UP_MAX,
};
use crate::network::{Network, Place, Stage};
use crate::secrets::Secrets;
use crate::watch::Patience;

/// What the loop holds of the network while it runs.
pub(crate) struct Traffic {
    sender: mpsc::Sender<Heard>,
    heard: mpsc::Receiver<Heard>,
    grants: BTreeMap<Place, Arc<Grant>>,
    /// Programs that wait for a word on a place.
    waiting: BTreeMap<EffectId, Vec<(Attempt, Answer)>>,
    /// How many connections and refusals of each place stand on the record one by one.
    named: BTreeMap<Place, (u64, u64)>,
    /// Those that do not, since they were last counted.
    counted: BTreeMap<Place, Counted>,
    /// Where those that are open go.
    unnamed: BTreeMap<u64, Place>,
    /// Numbers of connections that stand on no record; the others are counted from 1.
    next_unnamed: u64,
    /// How much passed, by place, also before this engine; and where that is written down for the next one.
    counts: BTreeMap<Place, Arc<Count>>,
    tally: Tally,
    secrets: Secrets,
    folder: TaskFolder,
}

impl Traffic {
    /// Goes on with what is on the record, and with what an engine that was killed had counted and not recorded.
    pub(crate) fn new(secrets: Secrets, folder: &TaskFolder, network: &Network) -> Result<Self, Error> {
        let path = folder.passed();
        let written = Tally::read(&path).map_err(failed(path.clone()))?;
        let mut passed = network.passed.clone();
        let known = |key: u64| network.place(EffectId(key));
        for (place, one) in written.iter().filter_map(|one| known(one.key).map(|place| (place, one))) {
            let (up, down) = passed.entry(place.clone()).or_default();
            (*up, *down) = ((*up).max(one.up), (*down).max(one.down));
        }
        let sent = passed.values().fold(0, |sum: u64, (up, _)| sum.saturating_add(*up));
        let (sender, heard) = mpsc::channel(NETWORK_QUEUED_MAX);
        let mut traffic = Self {
            sender,
            heard,
            grants: BTreeMap::new(),
            waiting: BTreeMap::new(),
            named: BTreeMap::new(),
            counted: BTreeMap::new(),
            unnamed: BTreeMap::new(),
            next_unnamed: u64::MAX,
            counts: BTreeMap::new(),
            tally: Tally::new(path, &written, sent, TASK_BYTES_UP_MAX),
            secrets,
            folder: folder.clone(),
        };
        for one in written {
            if let Some(place) = known(one.key) {
                traffic.count_of(place, one.key, passed.get(place).copied().unwrap_or_default())?;
            }
        }
        Ok(traffic)
    }

    /// The one count of a place, over all its grants; of which so much has passed, where there is none yet.
    fn count_of(&mut self, place: &Place, key: u64, (up, down): (u64, u64)) -> Result<Arc<Count>, Error> {
        if let Some(count) = self.counts.get(place) {
            return Ok(Arc::clone(count));
        }
        let count = self.tally.count(key, up, down).map_err(failed(self.folder.passed()))?;
        self.counts.insert(place.clone(), Arc::clone(&count));
        Ok(count)
    }

    /// The gate of this task's computer.
    pub(crate) fn gate(&self) -> Arc<Gate> {
        Arc::new(Gate::new(self.sender.clone()))
    }

    /// The next that a thread of the proxy says.
    pub(super) async fn next(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }

    fn count(&mut self, place: &Place) -> &mut Counted {
        self.counted.entry(place.clone()).or_insert_with(|| nothing(place))
    }

    /// What was counted of each place and is on no record.
    fn unrecorded(&self, network: &Network) -> Vec<Event> {
        let missing = |(place, count): (&Place, &Arc<Count>)| {
            let ((up, down), known) = (count.passed(), network.passed.get(place).copied().unwrap_or_default());
            let (bytes_up, bytes_down) = (up.saturating_sub(known.0), down.saturating_sub(known.1));
            let counted = Counted { bytes_up, bytes_down, at_most: true, ..nothing(place) };
            (bytes_up > 0 || bytes_down > 0).then_some(Event::ConnectionsCounted { counted })
        };
        self.counts.iter().filter_map(missing).collect()
    }
}

fn nothing((host, port): &Place) -> Counted {
    let (host, port) = (host.clone(), *port);
    Counted { host, port, opened: 0, refused: 0, bytes_up: 0, bytes_down: 0, at_most: false }
}

fn failed(path: PathBuf) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io { doing: "keep count of what passes in", path, source }
}

impl Run<'_> {
    /// Begins to serve the network of a computer that an engine before this one left at work.
    pub(super) fn take_up_network(&mut self, start: Start) -> Result<(), Error> {
        // Those of a copy are the other task's, and stay there.
        self.close_open("egress.engine_gone", "the engine that carried it ended")?;
        if start == Start::Fresh {
            return Ok(());
        }
        let place = Arc::clone(&self.place);
        // Whoever needs the computer meanwhile waits for this.
        drop(tokio::task::spawn_blocking(move || place.attach()));
        Ok(())
    }

    /// Takes what a thread of the proxy says.
    pub(super) fn heard_network(&mut self, heard: Heard) -> Result<(), Error> {
        match heard {
            Heard::Wanted(attempt, answer) => self.wanted(attempt, answer),
            Heard::Refused(attempt, refusal) => self.refuse(&attempt, &refusal, None),
            Heard::Closed(closed) => self.closed(closed),
        }
    }

    fn wanted(&mut self, attempt: Attempt, answer: Answer) -> Result<(), Error> {
        let place = place(&attempt);
        let Some(asked) = self.record.state.network.asked(&place).cloned() else {
            let reach = Reach { id: EffectId(self.record.state.next_effect), host: place.0, port: place.1 };
            let refusal = self.hopeless(&attempt).or_else(|| self.no_room(&attempt, &reach));
            if let Some(refusal) = refusal.or_else(|| self.too_many_questions(&attempt, &reach)) {
                return self.refuse_told(&attempt, refusal, None, answer);
            }
            self.append(vec![Event::EffectRequested { effect: Effect::Reach(reach.clone()) }])?;
            return self.decide_reach(reach, Some((attempt, answer)));
        };
        if asked.stage == Stage::Requested
            && let Some(refusal) = self.too_many_questions(&attempt, &asked.reach)
        {
            return self.refuse_told(&attempt, refusal, Some(asked.reach.id), answer);
        }
        let refusal = match asked.stage {
            Stage::Granted { .. } if self.traffic.grants.contains_key(&place) => return self.admit(attempt, answer),
            // Granted under an engine that is gone: asked again.
            Stage::Requested | Stage::Answered { .. } | Stage::Granted { .. } => {
                return self.decide_reach(asked.reach, Some((attempt, answer)));
            }
            Stage::Asking { .. } => {
                return self.ask_person(asked.reach.id, attempt, answer);
            }
            Stage::Denied(decision) => Refusal::new(&decision.rules.join(", "), decision.reason),
            Stage::Ended(refused) => Refusal { rule: refused.rule, reason: refused.reason },
        };
        self.refuse_told(&attempt, refusal, Some(asked.reach.id), answer)
    }

    /// Refuses a program that waits for the answer.
    fn refuse_told(
        &mut self,
        attempt: &Attempt,
        refusal: Refusal,
        id: Option<EffectId>,
        answer: Answer,
    ) -> Result<(), Error> {
        self.refuse(attempt, &refusal, id)?;
        answer.give(Err(refusal));
        Ok(())
    }

    /// The person would have to be asked, and is asked enough already.
    fn too_many_questions(&self, attempt: &Attempt, reach: &Reach) -> Option<Refusal> {
        let full = self.record.state.network.questions() >= QUESTIONS_MAX;
        (full && self.judged(attempt, reach).outcome == Outcome::Ask).then(|| {
            let why = format!("the person is asked about {QUESTIONS_MAX} other places: try again later");
            Refusal::new("egress.questions", why)
        })
    }

    /// What is refused without troubling policy or the person.
    fn hopeless(&self, attempt: &Attempt) -> Option<Refusal> {
        let is_led = self.named_at(&attempt.host, attempt.port).is_some_and(|at| at.is_some());
        if is_led { None } else { sandbox::egress::never_open(&attempt.host) }
    }

    /// The task has asked for as many places as are kept. One that it asked for before, or that the person named by itself, has its
    /// place all the same: what a program makes up below a permitted domain takes nothing from it.
    fn no_room(&self, attempt: &Attempt, reach: &Reach) -> Option<Refusal> {
        let (network, list) = (&self.record.state.network, &self.record.state.options.allow_net);
        let known = network.reaches.contains_key(&place(attempt));
        if !network.is_full() || known || crate::allow::is_named_alone(list, &attempt.host, attempt.port) {
            return None;
        }
        if network.forgettable().is_none() {
            return Some(Refusal::new("egress.places", format!("the task has asked for {PLACES_MAX} places already")));
        }
        // What may not be reached takes nobody's place, or a program could fill the record with names that it makes up.
        let judged = self.judged(attempt, reach);
        (judged.outcome == Outcome::Deny).then(|| Refusal::new(&judged.rules.join(", "), judged.reason))
    }

    /// What policy says of a place before it is on the record.
    fn judged(&self, attempt: &Attempt, reach: &Reach) -> Decision {
        let declared = self.named_at(&attempt.host, attempt.port).is_some();
        self.policy.decide(&Effect::Reach(reach.clone()), &policy::Facts { declared, ..self.facts(None) })
    }

    /// Whether the person named the place, and where it leads if they said so.
    fn named_at(&self, host: &Host, port: u16) -> Option<Option<SocketAddr>> {
        crate::allow::named(&self.record.state.options.allow_net, host, port)
    }

    /// Asks policy about a place that is on the record.
    fn decide_reach(&mut self, reach: Reach, wanted: Option<(Attempt, Answer)>) -> Result<(), Error> {
        let (id, place) = (reach.id, (reach.host.clone(), reach.port));
        let Ok(host) = Host::parse(&reach.host) else { return Ok(()) };
        let named = self.named_at(&host, reach.port);
        let facts = policy::Facts { declared: named.is_some(), ..self.facts(None) };
        let answer = self.record.state.network.reaches.get(&place).and_then(|asked| match asked.stage {
            Stage::Answered { digest, allowed: false, .. } => Some((digest, false)),
            _ => asked.answer().filter(|(_, at_ms)| self.holds(*at_ms)).map(|(digest, _)| (digest, true)),
        });
        let answer = answer.map(|(effect_digest, allowed)| policy::Answer { effect_digest, allowed });
        let verdict = self.policy.authorize_reach(reach, &facts, answer.as_ref());
        let decision = verdict.decision;
        let (outcome, digest, why) = (decision.outcome, decision.effect_digest, decision.reason.clone());
        let rules = decision.rules.join(", ");
        let mut events = vec![Event::EffectDecided { id, decision }];
        match (outcome, verdict.permit) {
            (Outcome::Allow, Some(permit)) => {
                let reach = permit.redeem();
                events.push(Event::EffectStarted { id, boot: self.boot.to_owned() });
                self.append(events)?;
                self.grant(reach.id, &host, place.1)?;
                let waiting = self.traffic.waiting.remove(&id).unwrap_or_default();
                for (attempt, answer) in waiting.into_iter().chain(wanted) {
                    self.admit(attempt, answer)?;
                }
                Ok(())
            }
            (Outcome::Ask, _) => {
                let question = format!("{why}\nconnect to {}", host.with_port(place.1));
                events.push(Event::ApprovalRequested { id, effect_digest: digest, question });
                self.append(events)?;
                match wanted {
                    Some((attempt, answer)) => self.ask_person(id, attempt, answer),
                    None => Ok(()),
                }
            }
            (Outcome::Allow | Outcome::Deny, _) => {
                self.append(events)?;
                let refusal = Refusal::new(&rules, why);
                let waiting = self.traffic.waiting.remove(&id).unwrap_or_default();
                for (attempt, answer) in waiting.into_iter().chain(wanted) {
                    self.refuse_told(&attempt, refusal.clone(), Some(id), answer)?;
                }
                Ok(())
            }
        }
    }

    fn holds(&self, at_ms: u64) -> bool {
        self.record.now().saturating_sub(at_ms) <= APPROVAL_VALID_MS
    }

    /// A program waits for the person's word, if there is somebody to give it now.
    fn ask_person(&mut self, id: EffectId, attempt: Attempt, answer: Answer) -> Result<(), Error> {
        if self.watcher.waiting(&self.record.state) == Patience::Stay {
            answer.wait_among(self.traffic.waiting.entry(id).or_default(), attempt);
            return Ok(());
        }
        let why = "the person has to allow it first, and is asked: the task waits for their word after this step";
        self.refuse_told(&attempt, Refusal::new("egress.asking", why), Some(id), answer)
    }

    /// Makes the grant of a place as the lists and the store are now, instead of one that it may have.
    fn grant(&mut self, id: EffectId, host: &Host, port: u16) -> Result<Arc<Grant>, Error> {
        let (at, secrets) = (self.named_at(host, port).flatten(), self.bound(host, port));
        let place = (host.to_string(), port);
        let passed = self.record.state.network.passed.get(&place).copied().unwrap_or_default();
        let count = self.traffic.count_of(&place, id.0, passed)?;
        let mut grant = Grant::new(id.0, at, GRANT).counting(count);
        if !secrets.is_empty() {
            let authority = crate::secrets::authority(self.traffic.folder.root());
            let none =
                |error: &std::io::Error| tracing::warn!(%error, "no secret goes over TLS: the task has no authority");
            grant = grant.with_secrets(secrets, authority.inspect_err(none).ok());
        }
        let grant = Arc::new(grant);
        self.traffic.grants.insert(place, Arc::clone(&grant));
        Ok(grant)
    }

    /// The task's secrets for a place, as the store has them now.
    fn bound(&self, host: &Host, port: u16) -> Vec<Secret> {
        self.traffic.secrets.bound(&self.record.state.options.secrets, host, port)
    }

    /// The grant in its place where the person has removed or replaced a secret meanwhile; connections with the former one end.
    fn with_secrets_of_now(&mut self, grant: Arc<Grant>, attempt: &Attempt) -> Result<Arc<Grant>, Error> {
        if grant.puts_in(&self.bound(&attempt.host, attempt.port)) {
            return Ok(grant);
        }
        grant.end(Refusal::new("egress.secret", "a secret for it was replaced or removed"));
        self.grant(EffectId(grant.id()), &attempt.host, attempt.port)
    }

    /// The person has said something about a place.
    pub(super) fn reach_answered(&mut self, id: EffectId) -> Result<(), Error> {
        let network = &self.record.state.network;
        let asked = network.place(id).and_then(|place| network.reaches.get(place)).cloned();
        match asked {
            Some(asked) if asked.reach.id == id && matches!(asked.stage, Stage::Answered { .. }) => {
                self.decide_reach(asked.reach, None)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The person gave the task other options or hosts, or took a yes back: what may not be reached any more is cut off.
    pub(super) fn review_grants(&mut self) -> Result<(), Error> {
        for (place, grant) in self.traffic.grants.clone() {
            let Some(asked) = self.record.state.network.reaches.get(&place).cloned() else { continue };
            let Ok(host) = Host::parse(&place.0) else { continue };
            let named = self.named_at(&host, place.1);
            let facts = policy::Facts { declared: named.is_some(), ..self.facts(None) };
            let answer = asked.answer().filter(|(_, at_ms)| self.holds(*at_ms));
            let answer = answer.map(|(effect_digest, _)| policy::Answer { effect_digest, allowed: true });
            let verdict = self.policy.authorize_reach(asked.reach.clone(), &facts, answer.as_ref());
            if verdict.decision.outcome != Outcome::Allow {
                self.end_grant(
                    asked.reach.id,
                    &grant,
                    Refusal::new("egress.revoked", "it may not be reached any more"),
                )?;
            } else if grant.at() != named.flatten() {
                grant.end(Refusal::new("egress.revoked", "the person has named another address for it"));
                self.grant(asked.reach.id, &host, place.1)?;
            }
        }
        Ok(())
    }

    fn end_grant(&mut self, id: EffectId, grant: &Grant, why: Refusal) -> Result<(), Error> {
        let refused = of(&why);
        grant.end(why);
        if let Some(place) = self.record.state.network.place(id).cloned()
            && self.traffic.grants.remove(&place).is_some()
        {
            self.append(vec![Event::GrantEnded { id, refused }])?;
        }
        Ok(())
    }

    /// Lets a connection pass under the grant of its place, once that it does is on the record.
    fn admit(&mut self, attempt: Attempt, answer: Answer) -> Result<(), Error> {
        let place = place(&attempt);
        let Some(grant) = self.traffic.grants.get(&place).cloned() else { return Ok(()) };
        let id = EffectId(grant.id());
        if let Some(why) = grant.ended().cloned() {
            self.end_grant(id, &grant, why.clone())?;
            return match self.record.state.network.asked(&place) {
                None => self.wanted(attempt, answer),
                Some(_) => self.refuse_told(&attempt, why, Some(id), answer),
            };
        }
        if !answer.is_awaited() {
            return Ok(());
        }
        let grant = self.with_secrets_of_now(grant, &attempt)?;
        let named = self.traffic.named.entry(place.clone()).or_default();
        named.0 += 1;
        let number = if named.0 <= CONNECTIONS_NAMED_MAX {
            let number = self.record.state.network.last_number + 1;
            self.append(vec![Event::ConnectionOpened { connection: connection(&attempt, number, Some(id)) }])?;
            number
        } else {
            let number = self.traffic.next_unnamed;
            self.traffic.next_unnamed -= 1;
            self.traffic.count(&place).opened += 1;
            self.traffic.unnamed.insert(number, place);
            number
        };
        let (sync, back) = (self.record.sync_handle(), self.traffic.sender.clone());
        // The first of a place waits for the disk, as all that leaves; the others find it done.
        tokio::task::spawn_blocking(move || {
            let admitted = match sync.sync() {
                Ok(()) => Ok(Admitted { number, grant }),
                Err(error) => Err(Refusal::new("egress.record", format!("the record could not be written: {error}"))),
            };
            let refused = admitted.as_ref().err().cloned();
            if !answer.give(admitted) || refused.is_some() {
                // Nobody will tell of its end.
                let (address, tls_name) = (None, None);
                let closed = Closed { number, address, tls_name, bytes_up: 0, bytes_down: 0, ms: 0, refused };
                let _ = back.blocking_send(Heard::Closed(closed));
            }
        });
        Ok(())
    }

    fn refuse(&mut self, attempt: &Attempt, refusal: &Refusal, id: Option<EffectId>) -> Result<(), Error> {
        let place = place(attempt);
        // Places without end must not fill the memory either, and of what names none only the number is told.
        let room = self.traffic.named.len() < PLACES_MAX || self.traffic.named.contains_key(&place);
        let known = room && attempt.is_placed();
        let place = if known { place } else { (String::new(), 0) };
        let named = self.traffic.named.entry(place.clone()).or_default();
        named.1 += 1;
        if !known || named.1 > REFUSALS_NAMED_MAX {
            self.traffic.count(&place).refused += 1;
            return Ok(());
        }
        let number = self.record.state.network.last_number + 1;
        let connection = connection(attempt, number, id);
        self.append(vec![Event::ConnectionRefused { connection, refused: of(refusal) }])
    }

    fn closed(&mut self, closed: Closed) -> Result<(), Error> {
        if let Some(place) = self.traffic.unnamed.remove(&closed.number) {
            let counted = self.traffic.count(&place);
            counted.bytes_up += closed.bytes_up;
            counted.bytes_down += closed.bytes_down;
        } else if self.record.state.network.open.contains(&closed.number) {
            self.append(vec![Event::ConnectionClosed { closed: told(closed) }])?;
        }
        let ended = self.traffic.grants.values().find(|grant| grant.ended().is_some()).cloned();
        match ended.as_ref().and_then(|grant| grant.ended().cloned().map(|why| (grant, why))) {
            Some((grant, why)) => self.end_grant(EffectId(grant.id()), grant, why),
            None => Ok(()),
        }
    }

    /// Puts on the record what was only counted.
    pub(super) fn count_network(&mut self) -> Result<(), Error> {
        let counted = std::mem::take(&mut self.traffic.counted);
        if counted.is_empty() {
            return Ok(());
        }
        self.append(counted.into_values().map(|counted| Event::ConnectionsCounted { counted }).collect())
    }

    /// Cuts every connection, and records how each ended: nothing happens after the end of a task.
    pub(super) async fn end_network(&mut self) -> Result<(), Error> {
        let mut egress = self.place.end_egress();
        if egress.is_none() && self.record.state.network.open.is_empty() && self.traffic.unnamed.is_empty() {
            return self.count_network();
        }
        if let Some(egress) = &mut egress {
            egress.end();
        }
        self.traffic.waiting.clear();
        let rest = tokio::time::Instant::now() + Duration::from_millis(NETWORK_REST_MS);
        let lives = || egress.as_ref().is_some_and(|egress| egress.open() > 0);
        while tokio::time::Instant::now() < rest {
            let next = tokio::time::timeout(Duration::from_millis(NETWORK_REST_TURN_MS), self.traffic.next());
            match next.await {
                Ok(Some(Heard::Closed(closed))) => self.closed(closed)?,
                Ok(Some(Heard::Wanted(..) | Heard::Refused(..))) => {}
                Ok(None) => break,
                Err(_) if lives() => {}
                Err(_) => break,
            }
        }
        self.close_open("egress.over", "the task is over")
    }

    /// Records the end of connections of which nobody will tell.
    pub(super) fn close_open(&mut self, rule: &str, why: &str) -> Result<(), Error> {
        self.count_network()?;
        let refused = Some(of(&Refusal::new(rule, why)));
        let end = |number: &u64| {
            let (address, tls_name, refused) = (None, None, refused.clone());
            let (number, bytes_up, bytes_down, ms) = (*number, None, None, None);
            let closed = event::Closed { number, address, tls_name, bytes_up, bytes_down, ms, refused };
            Event::ConnectionClosed { closed }
        };
        let mut ends: Vec<Event> = self.record.state.network.open.iter().map(end).collect();
        ends.extend(self.traffic.unrecorded(&self.record.state.network));
        if ends.is_empty() { Ok(()) } else { self.append(ends) }
    }
}

fn place(attempt: &Attempt) -> Place {
    (attempt.host.to_string(), attempt.port)
}

fn connection(attempt: &Attempt, number: u64, effect: Option<EffectId>) -> Connection {
    let way = match attempt.way {
        Way::Http => event::Way::Http,
        Way::Tls => event::Way::Tls,
        Way::Connect => event::Way::Connect,
        Way::Socks => event::Way::Socks,
    };
    Connection { number, effect, way, host: attempt.host.to_string(), port: attempt.port }
}

fn of(refusal: &Refusal) -> event::Refusal {
    event::Refusal { rule: refusal.rule.clone(), reason: refusal.reason.clone() }
}

fn told(closed: Closed) -> event::Closed {
    let Closed { number, address, tls_name, bytes_up, bytes_down, ms, refused } = closed;
    let (bytes_up, bytes_down, ms, refused) = (Some(bytes_up), Some(bytes_down), Some(ms), refused.as_ref().map(of));
    event::Closed { number, address, tls_name, bytes_up, bytes_down, ms, refused }
}
