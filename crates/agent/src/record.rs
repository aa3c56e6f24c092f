//! A task's journal with its folds: what is appended is folded into the state, the context and the request at once.
//!
//! There is one way in, [`Record::append`], for a new event and for one read back. Nothing is decided here.

use event::{Event, Label, ModelCall, TaskCreated, TaskId};
use serde_json::{Map, Value};

use crate::Error;
use crate::context::{Context, Entry};
use crate::decide::Limits;
use crate::instance::Recorded;
use crate::state::State;
use crate::watch::{Nobody, Watcher};

/// How many events are read back at once.
const REPLAY_BATCH: usize = 4_096;

/// A task's journal, held for writing, and what it amounts to.
pub(crate) struct Record {
    pub(crate) id: TaskId,
    writer: journal::Writer,
    clock: fn() -> u64,
    pub(crate) state: State,
    context: Context,
    conversation: model::Conversation,
}

impl Record {
    /// Takes the journal and reads it back.
    pub(crate) fn open(id: &TaskId, writer: journal::Writer, clock: fn() -> u64) -> Result<Self, Error> {
        let created = created(id, &writer.reader())?;
        let blob = |name: &event::BlobRef| writer.reader().blob(&name.digest.0);
        let system = String::from_utf8_lossy(&blob(&created.system)?).into_owned();
        let tools = blob(&created.tools)?;
        let conversation = model::Conversation::new(&created.model, &tools)
            .map_err(|error| Error::Model { name: created.model.clone(), reason: error.to_string() })?;
        let context = Context::new(system);
        let reader = writer.reader();
        let mut record = Self { id: id.clone(), writer, clock, state: State::default(), context, conversation };
        each_event(id, &reader, |recorded| {
            record.fold(recorded.seq, recorded.time_ms, &recorded.event, &mut Nobody);
        })?;
        Ok(record)
    }

    /// Puts events on the record, all or none, and folds them in.
    pub(crate) fn append(&mut self, events: Vec<Event>, watcher: &mut dyn Watcher) -> Result<(), Error> {
        let payloads: Vec<Vec<u8>> = events.iter().map(event::canonical).collect();
        let drafts: Vec<journal::Draft<'_>> = events
            .iter()
            .zip(&payloads)
            .map(|(event, payload)| journal::Draft { kind: event.kind(), payload })
            .collect();
        let written = self.writer.append(self.now(), &drafts)?;
        for (event, at) in events.iter().zip(written) {
            self.fold(at.seq, at.time_ms, event, watcher);
        }
        Ok(())
    }

    fn fold(&mut self, seq: u64, time_ms: u64, event: &Event, watcher: &mut dyn Watcher) {
        let entries: Vec<Entry> = match event {
            Event::ToolFinished { id, result } => match self.state.request_of(*id).cloned() {
                Some(request) => self.context.tool_result(&request, result, seq),
                None => Vec::new(),
            },
            _ => self.context.apply(event, seq),
        };
        for entry in entries {
            self.conversation.push(&entry.item);
        }
        self.state.apply(event, time_ms);
        watcher.event(seq, time_ms, event, &self.state);
    }

    /// The clock, never behind the record.
    pub(crate) fn now(&self) -> u64 {
        (self.clock)().max(self.state.now_ms)
    }

    /// A sign of life, and a push of what is written towards the disk.
    pub(crate) fn beat(&mut self) {
        self.writer.touch();
    }

    pub(crate) fn sync_handle(&self) -> journal::SyncHandle {
        self.writer.sync_handle()
    }

    /// The model chosen for the task, `provider:model`.
    pub(crate) fn model(&self) -> &str {
        self.state.created.as_deref().map_or("", |created| &created.model)
    }

    /// The request as it stands.
    pub(crate) fn body(&self) -> model::Body {
        self.conversation.body()
    }

    /// The next model call: what the request will be once the person's latest words have joined it.
    pub(crate) fn model_call(&self, limits: &Limits) -> ModelCall {
        let preview = self.preview();
        let body = preview.as_ref().unwrap_or(&self.conversation).body();
        ModelCall {
            id: event::EffectId(self.state.next_effect),
            turn: self.state.steps + 1,
            model: self.model().to_owned(),
            body: body.digest(),
            body_bytes: body.len() as u64,
            input_tokens_max: limits.input_tokens_max,
            output_tokens_max: limits.output_tokens_max,
            reserved: limits.reserve,
            label: self.context.label(),
        }
    }

    /// What the next model call would weigh and cost.
    pub(crate) fn limits(&self, client: &model::Client) -> Limits {
        let pending: u64 = self.context.pending().map(model::tokens_max).sum();
        let input_tokens_max = self.conversation.input_tokens_max() + pending;
        let output_tokens_max = client.output_tokens_max();
        let reserve = client.reserve(input_tokens_max, output_tokens_max);
        Limits { input_tokens_max, output_tokens_max, window_tokens: client.window_tokens(), reserve }
    }

    /// What is known of each argument of a call that the model has just composed.
    pub(crate) fn labels(&self, arguments: &Map<String, Value>) -> std::collections::BTreeMap<String, Label> {
        let person: Vec<&str> = self.context.person().iter().map(String::as_str).collect();
        policy::label_arguments(arguments, &person, &self.context.label())
    }

    fn preview(&self) -> Option<model::Conversation> {
        self.context.pending().next()?;
        let mut preview = self.conversation.clone();
        for item in self.context.pending() {
            preview.push(item);
        }
        Some(preview)
    }
}

/// The first event.
pub(crate) fn created(id: &TaskId, reader: &journal::Reader) -> Result<Box<TaskCreated>, Error> {
    let first = reader.records(1, 1)?.into_iter().next();
    match first.map(|record| decode(id, &record)).transpose()? {
        Some(Recorded { event: Event::TaskCreated(created), .. }) => Ok(created),
        Some(_) | None => Err(Error::Invalid(format!("the journal of task {id} does not begin with its creation"))),
    }
}

/// Reads every event in order; the chain is checked on the way.
pub(crate) fn each_event(
    id: &TaskId,
    reader: &journal::Reader,
    mut each: impl FnMut(Recorded),
) -> Result<(), Error> {
    let mut next = 1;
    loop {
        let records = reader.records(next, REPLAY_BATCH)?;
        let Some(last) = records.last() else { return Ok(()) };
        next = last.seq + 1;
        for record in &records {
            each(decode(id, record)?);
        }
    }
}

fn decode(id: &TaskId, record: &journal::Record) -> Result<Recorded, Error> {
    let event = serde_json::from_slice(&record.payload).map_err(|source| Error::Event {
        id: id.to_string(),
        seq: record.seq,
        source,
    })?;
    Ok(Recorded { seq: record.seq, time_ms: record.time_ms, event })
}

/// A little chance for back-off, so that many tasks do not come back at once.
pub(crate) fn jitter() -> u64 {
    getrandom::u64().unwrap_or(0)
}
