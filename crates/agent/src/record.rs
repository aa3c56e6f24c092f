//! A task's journal with its folds: what is appended is folded into the state, the context and the request at once.
//!
//! There is one way in, [`Record::append`], for a new event and for one read back. Nothing is decided here.

use event::{BlobRef, Digest, Event, Label, ModelCall, TaskId, ToolFact, ToolResult};
use serde_json::{Map, Value};

use crate::Error;
use crate::context::{Context, Entry};
use crate::decide::Limits;
use crate::home::TaskFolder;
use crate::instance::Recorded;
use crate::state::State;
use crate::watch::Watcher;

/// How long appends are gathered for one push to the disk. What leaves the machine does not wait for it: it syncs itself.
const GATHER: std::time::Duration = std::time::Duration::from_millis(100);

/// Stack of the thread that waits for the disk.
const SYNC_STACK_BYTES: usize = 128 * 1024;

/// A task's journal, held for writing, and what it amounts to.
pub(crate) struct Record {
    pub(crate) id: TaskId,
    writer: journal::Writer,
    clock: fn() -> u64,
    pub(crate) state: State,
    folds: Folds,
    /// Wakes the thread that pushes what is written to the disk, beside the work.
    nudge: std::sync::mpsc::SyncSender<()>,
}

/// What the events amount to beside the state.
struct Folds {
    context: Context,
    conversation: model::Conversation,
    blobs: journal::Blobs,
    /// The model is shown pictures.
    sees: bool,
}

impl Record {
    /// Takes the journal and reads it back, checking it on the way.
    pub(crate) fn open(id: &TaskId, folder: &TaskFolder, clock: fn() -> u64) -> Result<Self, Error> {
        let blobs = journal::Blobs::open(folder.root());
        let mut state = State::default();
        let mut folds: Option<Folds> = None;
        let mut replay = |record: &journal::Record| -> Result<(), Error> {
            let Recorded { seq, time_ms, event } = decode(id, record)?;
            let folds = match &mut folds {
                Some(folds) => folds,
                None => folds.insert(Folds::begin(id, &event, &blobs)?),
            };
            folds.fold(&mut state, seq, time_ms, &event);
            Ok(())
        };
        let mut failed = None;
        let taken = journal::Writer::open_replaying(folder.root(), |record| {
            if failed.is_none() {
                failed = replay(&record).err();
            }
        });
        let writer = taken.map_err(|error| held(id, error))?;
        if let Some(error) = failed {
            return Err(error);
        }
        let folds = folds.ok_or_else(|| no_beginning(id))?;
        let (nudge, nudges) = std::sync::mpsc::sync_channel(1);
        let sync = writer.sync_handle();
        let beside = move || {
            while nudges.recv().is_ok() {
                // What a step writes comes in a handful of appends: they reach the disk together.
                std::thread::park_timeout(GATHER);
                let _ = nudges.try_recv();
                // Whoever has to know whether the disk took it asks for a sync of their own.
                let _ = sync.sync();
            }
        };
        let named = std::thread::Builder::new().name("journal-sync".into()).stack_size(SYNC_STACK_BYTES);
        named.spawn(beside).map_err(|source| Error::Io {
            doing: "start the sync thread for",
            path: folder.root().to_owned(),
            source,
        })?;
        Ok(Self { id: id.clone(), writer, clock, state, folds, nudge })
    }

    /// Puts events on the record, all or none, and folds them in.
    pub(crate) fn append(&mut self, events: Vec<Event>, watcher: &mut dyn Watcher) -> Result<(), Error> {
        self.append_at(self.now(), events, watcher)
    }

    /// The same, at a time that is not before the record's own.
    pub(crate) fn append_at(
        &mut self,
        time_ms: u64,
        events: Vec<Event>,
        watcher: &mut dyn Watcher,
    ) -> Result<(), Error> {
        let drafts: Vec<_> = events.iter().map(|event| draft(time_ms, event)).collect();
        let written = self.writer.append(&drafts)?;
        let _ = self.nudge.try_send(());
        for (event, at) in events.iter().zip(written) {
            self.folds.fold(&mut self.state, at.seq, at.time_ms, event);
            crate::trace::event(event);
            watcher.event(at.seq, at.time_ms, event, &self.state);
        }
        Ok(())
    }

    /// The clock, never behind the record.
    pub(crate) fn now(&self) -> u64 {
        (self.clock)().max(self.state.now_ms)
    }

    /// A sign of life.
    pub(crate) fn beat(&mut self) {
        // Without it the only harm is that a resume counts this engine as short-lived.
        let _ = self.writer.touch();
    }

    /// Where tools keep pictures for a model that sees; the blobs reach the disk with the record.
    pub(crate) fn album(&self) -> Option<tools::Album> {
        self.folds.sees.then(|| self.pages())
    }

    /// Where pictures of pages are kept for the person.
    pub(crate) fn pages(&self) -> tools::Album {
        album(self.writer.blobs().clone())
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
        self.folds.conversation.body()
    }

    /// The next model call: what the request will be once the person's latest words have joined it.
    pub(crate) fn model_call(&self, limits: &Limits) -> ModelCall {
        let preview = self.preview();
        let body = preview.as_ref().unwrap_or(&self.folds.conversation).body();
        ModelCall {
            id: event::EffectId(self.state.next_effect),
            turn: self.state.steps + 1,
            model: self.model().to_owned(),
            body: body.digest(),
            body_bytes: body.len() as u64,
            input_tokens_max: limits.input_tokens_max,
            output_tokens_max: limits.output_tokens_max,
            reserved: limits.reserve,
            label: self.folds.context.label(),
        }
    }

    /// What the next model call would weigh and cost.
    pub(crate) fn limits(&self, client: &model::Client) -> Limits {
        let pending: u64 = self.folds.context.pending().map(model::tokens_max).sum();
        let input_tokens_max = self.folds.conversation.input_tokens_max() + pending;
        // What every request of this task says, whatever is configured by now.
        let sent = self.folds.conversation.output_tokens_max();
        let output_tokens_max = sent.unwrap_or_else(|| client.output_tokens_max());
        // Where nothing bounds a reply, only the window does; where that is not known either, no cap can be kept.
        let unbounded = sent.is_none() && self.state.options.max_cost.is_some();
        let priced_max = if unbounded { client.window_tokens().unwrap_or(u64::MAX) } else { output_tokens_max };
        let reserve = client.reserve(input_tokens_max, priced_max);
        Limits { input_tokens_max, output_tokens_max, window_tokens: client.window_tokens(), reserve }
    }

    /// What is known of each argument of a call that the model has just composed.
    pub(crate) fn labels(&self, arguments: &Map<String, Value>) -> std::collections::BTreeMap<String, Label> {
        let person: Vec<&str> = self.folds.context.person().iter().map(String::as_str).collect();
        policy::label_arguments(arguments, &person, &self.folds.context.label())
    }

    fn preview(&self) -> Option<model::Conversation> {
        self.folds.context.pending().next()?;
        let mut preview = self.folds.conversation.clone();
        for item in self.folds.context.pending() {
            preview.push(item);
        }
        Some(preview)
    }
}

impl Folds {
    /// What the first event brings: prompt and tools serve for the task's whole life, whatever this version has.
    fn begin(id: &TaskId, first: &Event, blobs: &journal::Blobs) -> Result<Self, Error> {
        let Event::TaskCreated(created) = first else { return Err(no_beginning(id)) };
        let system = String::from_utf8_lossy(&blobs.get(&created.system.digest.0)?).into_owned();
        let tools = blobs.get(&created.tools.digest.0)?;
        let conversation = model::Conversation::new(&created.model, &tools, created.output_tokens_max)
            .map_err(|error| Error::Model { name: created.model.clone(), reason: error.to_string() })?;
        Ok(Self { context: Context::new(system), conversation, blobs: blobs.clone(), sees: created.sees })
    }

    fn fold(&mut self, state: &mut State, seq: u64, time_ms: u64, event: &Event) {
        let entries: Vec<Entry> = match event {
            Event::ToolFinished { id, result } => match state.request_of(*id).cloned() {
                Some(request) => {
                    let entries = self.context.tool_result(&request, result, seq);
                    self.show_pictures(result, seq);
                    entries
                }
                None => Vec::new(),
            },
            other => self.context.apply(other, seq),
        };
        if let Event::ModelReplied { reply, .. } = event
            && let Some(usage) = &reply.usage
        {
            self.conversation.counted(usage);
        }
        for entry in entries {
            self.conversation.push(&entry.item);
        }
        state.apply(event, time_ms);
    }
}

impl Folds {
    /// What a tool took pictures of, for the next request.
    fn show_pictures(&mut self, result: &ToolResult, seq: u64) {
        let pictures = result.facts.iter().filter_map(|fact| match fact {
            ToolFact::Picture { picture } if self.sees => Some(picture),
            _ => None,
        });
        for picture in pictures {
            // One that was erased is told as such.
            let jpeg = self.blobs.get(&picture.digest.0).ok().map(|bytes| model::base64(&bytes));
            self.context.picture(jpeg, &result.label, seq);
        }
    }
}

/// A place for pictures among a task's blobs.
pub(crate) fn album(blobs: journal::Blobs) -> tools::Album {
    tools::Album::new(move |bytes| {
        let blob = blobs.put(bytes).map_err(std::io::Error::other)?;
        Ok(BlobRef { digest: Digest(blob.digest), bytes: blob.bytes })
    })
}

/// An event as the journal takes it.
pub(crate) fn draft(time_ms: u64, event: &Event) -> journal::Draft {
    journal::Draft::new(time_ms, event.kind(), event::canonical(event))
}

/// Reads every event in order; the chain is checked on the way.
pub(crate) fn each_event(id: &TaskId, folder: &TaskFolder, mut each: impl FnMut(Recorded)) -> Result<(), Error> {
    journal::Reader::open(folder.root())?.replay(|record| {
        each(decode(id, &record)?);
        Ok::<(), Error>(())
    })?;
    Ok(())
}

/// Says who holds the task, where that is what the journal's error means.
pub(crate) fn held(id: &TaskId, error: journal::Error) -> Error {
    match error {
        journal::Error::Locked { pid, .. } => Error::Held { id: id.to_string(), pid },
        other => Error::Journal(other),
    }
}

fn no_beginning(id: &TaskId) -> Error {
    Error::Invalid(format!("the journal of task {id} does not begin with its creation"))
}

pub(crate) fn decode(id: &TaskId, record: &journal::Record) -> Result<Recorded, Error> {
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
