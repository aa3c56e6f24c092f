//! The one loop, and the only async file of the agent: decide, ask policy, record, perform, record the result.
//!
//! Nothing is decided here. At most one effect is in flight at a time; while it flies, the loop hears the person, the
//! clock and the model's stream. Every effect is on the record before it starts.

mod flight;
mod keep;
mod network;
mod sleep;
pub(crate) mod waits;

use std::sync::Arc;
use std::time::Duration;

use event::{
    Decision, Digest, Effect, EffectId, Event, FailureKind, Label, ModelCall, Outcome, TaskId, Tier, ToolCall, Why,
};
use policy::{Engine, Facts};
use tokio::sync::mpsc;
use tracing::Instrument as _;

use self::flight::{Flight, land};
use self::keep::Keeping;
use self::network::Traffic;
use crate::Error;
use crate::control::{Answer, Command, Door, Incoming, heard};
use crate::decide::{Action, Limits, decide};
use crate::faults::{Crash, Faults, NoFaults, Place};
use crate::instance::Instance;
use crate::keeping::Keeper;
use crate::limits::{
    COMMANDS_QUEUED_MAX, HEARTBEAT_MS, MODEL_ATTEMPTS_CHARGED_MAX, MODEL_ATTEMPTS_MAX, MODEL_SILENCES_MAX,
};
use crate::record::Record;
use crate::summary::Summary;
use crate::trace;
use crate::watch::{Patience, Watcher};

/// Why a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The task is new.
    Fresh,
    /// An engine had it before.
    Resume,
}

impl Instance {
    /// Runs a task in this process until it ends or only the person can move it on.
    pub async fn run(
        &self,
        id: &TaskId,
        start: Start,
        client: Arc<model::Client>,
        commands: mpsc::Receiver<Command>,
        watcher: &mut dyn Watcher,
    ) -> Result<Summary, Error> {
        self.run_with_faults(id, start, client, commands, watcher, &mut NoFaults).await
    }

    /// As [`Instance::run`], with planned crashes.
    pub async fn run_with_faults(
        &self,
        id: &TaskId,
        start: Start,
        client: Arc<model::Client>,
        commands: mpsc::Receiver<Command>,
        watcher: &mut dyn Watcher,
        faults: &mut dyn Faults,
    ) -> Result<Summary, Error> {
        let span = trace::task_span(id);
        let run = self.run_traced(id, start, client, commands, watcher, faults).instrument(span.clone());
        let outcome = Box::pin(run).await;
        if outcome.is_err() {
            // The error itself may name a file of the person's: whoever called says it.
            span.record("error.type", "engine");
        }
        outcome
    }

    async fn run_traced(
        &self,
        id: &TaskId,
        start: Start,
        client: Arc<model::Client>,
        commands: mpsc::Receiver<Command>,
        watcher: &mut dyn Watcher,
        faults: &mut dyn Faults,
    ) -> Result<Summary, Error> {
        let folder = self.folder(id)?;
        let last_sign_of_life = journal::last_sign_of_life_ms(folder.root())?;
        let mut record = Record::open(id, &folder, self.setup.clock)?;
        trace::task_has(record.model());
        // What the machine may refuse for a while comes before the resume is on record: a refusal is no engine that died.
        let (sender, door_commands) = mpsc::channel(COMMANDS_QUEUED_MAX);
        let door = Door::open(&folder.control(), sender)?;
        let traffic = Traffic::new(self.secrets(), &folder, &record.state.network)?;
        if start == Start::Resume {
            let previous_lived_ms = last_sign_of_life.map(|at| at.saturating_sub(record.state.taken_up_ms));
            let engine = env!("CARGO_PKG_VERSION").to_owned();
            let resumed = Event::Resumed { engine, boot: self.setup.boot.clone(), previous_lived_ms };
            record.append(vec![resumed], watcher)?;
        }
        if let Err(reason) = crate::instance::no_way_out(&record.state.options, self.driver(&folder)) {
            // Asked for when another driver was in use. It ends as a stop does: with that one back, a resume goes on.
            let (state, cause) = (event::EndState::Stopped, event::StopCause::Engine);
            record.append(vec![Event::TaskEnded { state, cause, reason, text: String::new() }], watcher)?;
            return Ok(Summary::new(id, &folder, &record.state, false));
        }
        let keeping = Keeping::new(Keeper::of(&folder, &record.state), record.state.kept.last);
        let place = self.place(&folder, &record.state).with_gate(traffic.gate());
        let place = Arc::new(place.with_album(record.album()).with_pages(record.pages()));
        self.shows(id, &place);
        let mut run = Run {
            _door: door,
            record,
            keeping,
            policy: &self.policy,
            client,
            place,
            traffic,
            boot: &self.setup.boot,
            watcher,
            faults,
        };
        run.keep_from_before().await?;
        run.take_up_network(start)?;
        run.drive(commands, door_commands).await?;
        if run.record.state.ended.is_some() {
            run.end_computer();
        }
        trace::task_used(&run.record.state.usage);
        let _ = run.record.sync_handle().sync();
        Ok(Summary::new(id, &folder, &run.record.state, false))
    }
}

impl Instance {
    /// Who makes the task's computer, or made the one that lives.
    pub(crate) fn driver(&self, folder: &crate::home::TaskFolder) -> sandbox::Driver {
        let dir = folder.computer();
        let living = matches!(sandbox::Computer::attach(&dir), Ok(Some(_)));
        let made = living.then(|| sandbox::Confinement::of(&dir).ok()).flatten();
        made.map_or(self.setup.build.driver, |made| made.driver)
    }
}

/// A task in hand.
pub(crate) struct Run<'a> {
    /// Closed before the record, which is the lock, is let go of: whoever has the task next opens their own in its place.
    _door: Door,
    pub(crate) record: Record,
    keeping: Keeping,
    pub(crate) policy: &'a Engine,
    pub(crate) client: Arc<model::Client>,
    pub(crate) place: Arc<tools::Place>,
    pub(crate) traffic: Traffic,
    pub(crate) boot: &'a str,
    pub(crate) watcher: &'a mut dyn Watcher,
    pub(crate) faults: &'a mut dyn Faults,
}

/// What became of performing an action.
enum Performed {
    Recorded,
    Flying(Flight),
    Wake(u64),
    Waiting,
}

impl Run<'_> {
    /// Runs the task until it ends or only the person can move it on.
    pub(crate) async fn drive(
        &mut self,
        mut commands: mpsc::Receiver<Command>,
        mut door: mpsc::Receiver<Incoming>,
    ) -> Result<(), Error> {
        let mut flight = None;
        let mut alarms = waits::Alarms::default();
        let mut heartbeat = tokio::time::interval(Duration::from_millis(HEARTBEAT_MS));
        loop {
            let state = &self.record.state;
            let mut wakes: Vec<_> = state.deadline_ms().filter(|at| state.now_ms < *at).into_iter().collect();
            if flight.is_none() {
                match self.next(&mut wakes).await? {
                    Next::Again => continue,
                    Next::Fly(started) => flight = Some(started),
                    Next::Wait => {}
                    Next::Leave => return Ok(()),
                }
            }
            let alarm = alarms.set(&wakes, self.record.now());
            tokio::select! {
                biased;
                Some(incoming) = door.recv() => {
                    if incoming.held.is_some() {
                        waits::stand_still(incoming, || !commands.is_empty() || !door.is_empty()).await;
                        continue;
                    }
                    let put_down = matches!(incoming.command, Command::PutDown { .. });
                    let answer = self.command(incoming.command)?;
                    let _ = incoming.answer.try_send(answer);
                    if put_down {
                        return Ok(());
                    }
                }
                Some(command) = commands.recv() => {
                    let put_down = matches!(command, Command::PutDown { .. });
                    self.command(command)?;
                    if put_down {
                        return Ok(());
                    }
                }
                Some(heard) = self.traffic.next() => self.heard_network(heard)?,
                landed = land(&mut flight), if flight.is_some() => flight = self.landed(landed, flight.take())?,
                (at_seq, look) = keep::kept(&mut self.keeping) => self.kept(at_seq, look)?,
                at_ms = waits::rings(alarm) => {
                    // So long has been waited, whatever the clock says.
                    let at_ms = self.record.now().max(at_ms);
                    self.record.append_at(at_ms, vec![Event::TimeReached { at_ms }], self.watcher)?;
                }
                _ = heartbeat.tick() => {
                    self.record.beat();
                    self.count_network()?;
                }
            }
            if self.must_land() {
                self.ground(flight.take()).await?;
            }
        }
    }

    /// Performs what is decided. Times to ask again are added to `wakes`.
    async fn next(&mut self, wakes: &mut Vec<u64>) -> Result<Next, Error> {
        self.keep_turn();
        let actions = decide(&self.record.state, &self.limits());
        if actions.is_empty() {
            return Ok(Next::Leave);
        }
        self.crash_at(Place::Decided)?;
        let mut waiting = false;
        for action in actions {
            match self.perform(action).await? {
                Performed::Recorded => return Ok(Next::Again),
                Performed::Flying(flight) => {
                    self.crash_at(Place::Flying)?;
                    return Ok(Next::Fly(flight));
                }
                Performed::Wake(at) => wakes.push(at),
                Performed::Waiting => waiting = true,
            }
        }
        if waiting && self.watcher.waiting(&self.record.state) == Patience::Leave {
            self.keep_all().await?;
            return Ok(Next::Leave);
        }
        Ok(Next::Wait)
    }

    async fn perform(&mut self, action: Action) -> Result<Performed, Error> {
        match action {
            Action::CallModel => {
                let effect = Effect::Model(self.record.model_call(&self.limits()));
                self.append(vec![Event::EffectRequested { effect }])?;
                Ok(Performed::Recorded)
            }
            Action::ContinueModel(call) => self.call_model(call),
            Action::RequestTool { mut call, .. } => {
                call.labels = self.record.labels(&call.arguments);
                self.request_tool(*call)
            }
            Action::AuthorizeTool { call, answer } => self.authorize_tool(*call, answer, Vec::new()),
            Action::AttachTool { call, boot, answer } => Ok(Performed::Flying(self.attach_tool(call, &boot, answer))),
            Action::FinishTool { id, result } => {
                self.append(vec![Event::ToolFinished { id, result: *result }])?;
                Ok(Performed::Recorded)
            }
            Action::DenyTool { call, decision, .. } => {
                let id = call.id;
                let effect = Effect::Tool(*call);
                self.append(vec![Event::EffectRequested { effect }, Event::EffectDecided { id, decision: *decision }])?;
                Ok(Performed::Recorded)
            }
            Action::HandOver => {
                let call = self.hand_over();
                self.request_tool(call)
            }
            Action::AwaitPerson => Ok(Performed::Waiting),
            Action::PutToSleep => self.put_to_sleep().await.map(|()| Performed::Recorded),
            Action::WakeAt(at) => Ok(Performed::Wake(at)),
            Action::Append(event) => {
                if matches!(*event, Event::TaskEnded { .. }) {
                    self.keep_at_end().await?;
                    self.end_network().await?;
                }
                let events = self.with_autorun(*event).await;
                self.append(events)?;
                Ok(Performed::Recorded)
            }
        }
    }

    /// Asks policy about a model call that is on the record, and makes it.
    fn call_model(&mut self, call: ModelCall) -> Result<Performed, Error> {
        let id = call.id;
        let body = self.record.body();
        if body.digest() != call.body {
            let decision = Decision {
                outcome: Outcome::Deny,
                tier: Tier::Autonomous,
                rules: vec!["model.body_changed".to_owned()],
                reason: "the request rebuilt from the journal is not the one recorded".to_owned(),
                why: vec![Why::BodyChanged],
                effect_digest: Digest::of_canonical(&Effect::Model(call)),
            };
            self.append(vec![Event::EffectDecided { id, decision }])?;
            return Ok(Performed::Recorded);
        }
        let facts = self.facts(None);
        let verdict = self.policy.authorize_model(call, &facts, None);
        let mut events = vec![Event::EffectDecided { id, decision: verdict.decision }];
        if verdict.permit.is_some() {
            events.push(Event::EffectStarted { id, boot: self.boot.to_owned() });
        }
        self.append(events)?;
        let Some(permit) = verdict.permit else { return Ok(Performed::Recorded) };
        self.crash_at(Place::Started)?;
        let attempt = self.record.state.model_call.as_ref().map_or(0, |open| open.attempts_failed) + 1;
        let span = trace::model_span(&self.record.id, permit.effect(), attempt, &self.client);
        trace::asked(&span, &body);
        let (sender, deltas) = mpsc::unbounded_channel();
        let client = Arc::clone(&self.client);
        let on_delta = trace::noting_first(span.clone(), move |delta| drop(sender.send(delta)));
        let reply = Box::pin(async move { client.call(permit, body, on_delta).await });
        Ok(Performed::Flying(Flight::Model { id, attempt, reply, deltas, span }))
    }

    /// The engine's own call that gives the person what there is; what they brought themselves stays out of it.
    fn hand_over(&self) -> ToolCall {
        let state = &self.record.state;
        let inputs = state.created.as_deref().map(|created| created.inputs.clone()).unwrap_or_default();
        let arguments = serde_json::Map::from_iter([("leave".to_owned(), inputs.into())]);
        ToolCall {
            id: EffectId(state.next_effect),
            turn: state.steps,
            call_id: String::new(),
            tool: tools::HAND_OVER.to_owned(),
            labels: arguments.keys().map(|name| (name.clone(), Label::system())).collect(),
            arguments,
        }
    }

    fn request_tool(&mut self, call: ToolCall) -> Result<Performed, Error> {
        let requested = Event::EffectRequested { effect: Effect::Tool(call.clone()) };
        self.authorize_tool(call, None, vec![requested])
    }

    /// Asks policy about a tool call and starts it if it may; `events` go on the record before the decision.
    fn authorize_tool(
        &mut self,
        call: ToolCall,
        answer: Option<Digest>,
        mut events: Vec<Event>,
    ) -> Result<Performed, Error> {
        let id = call.id;
        let own = (call.tool == tools::HAND_OVER).then(tools::hand_over_facts);
        let facts = self.facts(own.or_else(|| tools::facts(&call.tool)));
        let answer = answer.map(|effect_digest| policy::Answer { effect_digest, allowed: true });
        let verdict = self.policy.authorize_tool(call.clone(), &facts, answer.as_ref());
        let decision = verdict.decision;
        let (outcome, effect_digest) = (decision.outcome, decision.effect_digest);
        let question = decision.reason.clone();
        events.push(Event::EffectDecided { id, decision });
        match (outcome, verdict.permit) {
            (Outcome::Allow, Some(permit)) => {
                events.push(Event::EffectStarted { id, boot: self.boot.to_owned() });
                self.append(events)?;
                self.crash_at(Place::Started)?;
                Ok(Performed::Flying(self.run_tool(Box::new(call), permit)))
            }
            (Outcome::Ask, _) => {
                let question = format!("{question}\n{}", crate::summary::in_words(&call));
                events.push(Event::ApprovalRequested { id, effect_digest, question });
                self.append(events)?;
                Ok(Performed::Recorded)
            }
            (Outcome::Allow | Outcome::Deny, _) => {
                self.append(events)?;
                Ok(Performed::Recorded)
            }
        }
    }

    /// A failed try becomes another one later, or the end of the call.
    fn failed(&mut self, id: EffectId, attempt: u32, failure: model::Failure) -> Event {
        let charged = self.record.state.model_call.as_ref().map_or(0, |open| open.attempts_charged) + 1;
        let again = failure.kind == FailureKind::Transient
            && attempt < MODEL_ATTEMPTS_MAX
            && (!failure.charged || charged < charged_max(&failure));
        if !again {
            let reason = match failure.kind {
                FailureKind::Transient if attempt > 1 => format!("{} (after {attempt} tries)", failure.reason),
                FailureKind::Transient | FailureKind::WindowExceeded | FailureKind::Rejected => failure.reason,
            };
            return Event::ModelFailed { id, kind: failure.kind, reason, charged: failure.charged };
        }
        self.watcher.withdrawn(id);
        let retry_in = model::retry_delay(attempt, failure.retry_after, crate::record::jitter());
        let retry_in_ms = u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX);
        Event::ModelAttemptFailed { id, attempt, reason: failure.reason, retry_in_ms, charged: failure.charged }
    }

    /// Whether what is under way has to end now.
    fn must_land(&self) -> bool {
        let state = &self.record.state;
        let late = state.deadline_ms().is_some_and(|deadline| state.now_ms >= deadline);
        state.stop.is_some() || late && state.limits_reached.is_empty()
    }

    /// Ends the task's computer with all that runs in it.
    pub(crate) fn end_computer(&self) {
        sleep::end_computer(&self.place);
    }

    fn command(&mut self, command: Command) -> Result<Answer, Error> {
        let (answer, events) = heard(&self.record.state, command);
        // On record together: what the person said in one breath is not cut in half by the end of a process.
        if !events.is_empty() {
            self.append(events.clone())?;
        }
        for event in events {
            match event {
                Event::ApprovalAnswered { id, allowed, .. } => {
                    if !allowed {
                        self.review_grants()?;
                    }
                    self.reach_answered(id)?;
                }
                Event::OptionsChanged { .. } | Event::HostsChanged { .. } => {
                    if self.place.set_deadline(self.record.state.deadline_ms()) {
                        let place = Arc::clone(&self.place);
                        drop(tokio::task::spawn_blocking(move || place.tell_deadline()));
                    }
                    self.review_grants()?;
                }
                _ => {}
            }
        }
        Ok(answer)
    }

    fn world(&self) -> tools::World {
        let state = &self.record.state;
        tools::World {
            place: Arc::clone(&self.place),
            processes: state.processes.clone(),
            acceptance: state.acceptance.clone(),
            delivered: state.deliverables.clone(),
            pages_bytes: state.pages.bytes,
            cancel: Arc::default(),
        }
    }

    fn facts(&self, tool: Option<policy::ToolFacts>) -> Facts {
        let state = &self.record.state;
        let committed = state.committed().0;
        let budget_left = state.options.max_cost.map(|max| event::MicroUsd(max.0.saturating_sub(committed)));
        let (task, model) = (self.record.id.clone(), self.record.model().to_owned());
        Facts { task, model, tool, yes: state.options.yes, declared: false, budget_left }
    }

    fn limits(&self) -> Limits {
        self.record.limits(&self.client)
    }

    fn append(&mut self, events: Vec<Event>) -> Result<(), Error> {
        self.record.append(events, self.watcher)
    }

    fn crash_at(&mut self, place: Place) -> Result<(), Error> {
        self.faults.at(place).map_err(|Crash| Error::Crashed(place))
    }
}

/// What the loop does after deciding.
enum Next {
    Again,
    Fly(Flight),
    Wait,
    Leave,
}

fn charged_max(failure: &model::Failure) -> u32 {
    if failure.silent { MODEL_SILENCES_MAX } else { MODEL_ATTEMPTS_CHARGED_MAX }
}
