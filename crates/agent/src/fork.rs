//! A new task that begins where another one stood at a checkpoint: with its history as its own record, and its files. The other task is
//! only read, and may be at work meanwhile; from here on neither knows of the other.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use event::{BlobRef, Digest, EffectId, Event, ForkOrigin, Label, TaskCreated, TaskId, TaskOptions, ToolFact};
use sandbox::checkpoint::{Id, Place, Restore, Store};

use crate::checkpoints::find;
use crate::home::TaskFolder;
use crate::instance::make_folder;
use crate::keeping::path_in_line;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::record::{decode, draft};
use crate::state::State;
use crate::{Error, Instance};

/// A fork that is wanted.
#[derive(Clone, Debug, Default)]
pub struct NewFork {
    /// The checkpoint of the other task at which it begins.
    pub at: u64,
    /// What the person says first.
    pub message: Option<String>,
    /// Its options; those of the other task where none are given. Its workspace is always its own.
    pub options: Option<TaskOptions>,
    /// Where its deliverables go. Absolute.
    pub out: Option<String>,
    /// A name for it; one is made where there is none.
    pub id: Option<TaskId>,
}

/// What the other task's record had until then.
struct Past {
    created: TaskCreated,
    /// As they are to stand in the new record, without the first.
    drafts: Vec<journal::Draft>,
    /// What its model was shown.
    pictures: Vec<BlobRef>,
    head: Digest,
    /// The number that the next effect would have had.
    next_effect: u64,
}

impl Instance {
    /// Puts a new task on record that begins as `from` was at one of its checkpoints. It does not run yet.
    pub fn fork(&self, from: &TaskId, fork: &NewFork) -> Result<TaskId, Error> {
        if fork.message.as_ref().is_some_and(|text| text.trim().is_empty() || text.len() > MESSAGE_BYTES_MAX) {
            return Err(Error::Invalid("the message is empty, or longer than 256 KiB".to_owned()));
        }
        let (folder, id) = (self.folder(from)?, fork.id.clone().map_or_else(|| self.new_id(), Ok)?);
        self.build(&id, |root| self.fill_fork(from, &folder, fork, &id, root))?;
        Ok(id)
    }

    fn fill_fork(
        &self,
        from: &TaskId,
        folder: &TaskFolder,
        fork: &NewFork,
        id: &TaskId,
        root: &Path,
    ) -> Result<(), Error> {
        let state = self.state(from, folder)?;
        let checkpoint = *find(&state.kept, from, fork.at)?;
        let past = past(from, folder, checkpoint.at_seq)?;
        make_folder(root)?;
        let workspace = root.join("workspace");
        make_folder(&workspace)?;
        let (theirs, ours) = (Store::at(folder.checkpoints()), Store::at(root.join("checkpoints")));
        theirs.give(&Id(checkpoint.digest.0), &ours).map_err(Error::Kept)?;
        let restore = Restore {
            checkpoint: Id(checkpoint.digest.0),
            tree: &workspace,
            last: None,
            place: Place::Other,
            stop: &AtomicBool::new(false),
        };
        let restored = ours.restore(&restore).map_err(Error::Kept)?;
        if let Some(path) = restored.first_differing.first() {
            let (count, path) = (restored.differing, path_in_line(path));
            return Err(Error::Invalid(format!("{count} of its files cannot be made here, {path} first")));
        }
        // The history names them.
        let known = |call: &str| call.parse().is_ok_and(|effect: EffectId| effect.0 < past.next_effect);
        sandbox::give_outputs(&folder.computer(), &root.join("computer"), known).map_err(Error::Kept)?;
        let mut writer = journal::Writer::create(root, id.as_str())?;
        let blobs = journal::Blobs::open(folder.root());
        let standing = [&past.created.system, &past.created.tools, &past.created.policy];
        for blob in standing.into_iter().chain(&past.pictures) {
            let BlobRef { digest, .. } = blob;
            writer.blobs().put(&blobs.get(&digest.0)?)?;
        }
        let options = fork.options.clone().unwrap_or_else(|| state.options.clone());
        let options = TaskOptions { workspace: None, out: fork.out.clone(), ..options };
        crate::instance::no_way_out(&options, self.setup.build.driver).map_err(Error::Invalid)?;
        let origin = ForkOrigin { task: from.clone(), at_seq: checkpoint.at_seq, head: past.head, checkpoint };
        let now = (self.setup.clock)();
        let created = TaskCreated {
            id: id.clone(),
            options: options.clone(),
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            boot: self.setup.boot.clone(),
            autorun: None,
            forked_from: Some(Box::new(origin)),
            ..past.created
        };
        let mut events = vec![Event::Forked { options }];
        events.extend(fork.message.clone().map(|text| Event::MessageReceived { text, label: Label::person() }));
        // Times of the copied events are theirs.
        let mut drafts = vec![draft(state.created_ms, &Event::TaskCreated(Box::new(created)))];
        drafts.extend(past.drafts);
        drafts.extend(events.iter().map(|event| draft(now, event)));
        writer.append(&drafts)?;
        Ok(())
    }
}

/// Reads a task's record up to an event, which must be the end of a turn.
fn past(id: &TaskId, folder: &TaskFolder, at_seq: u64) -> Result<Past, Error> {
    let mut state = State::default();
    let (mut created, mut head, mut drafts) = (None, None, Vec::new());
    let mut pictures = Vec::new();
    journal::Reader::open(folder.root())?.replay(|record| {
        if record.seq > at_seq {
            return Ok(());
        }
        let recorded = decode(id, &record)?;
        state.apply(&recorded.event, recorded.time_ms);
        head = Some(record.hash);
        if let Event::ToolFinished { result, .. } = &recorded.event {
            pictures.extend(result.facts.iter().filter_map(|fact| match fact {
                ToolFact::Picture { picture } => Some(picture.clone()),
                _ => None,
            }));
        }
        pictures.extend(recorded.event.page().and_then(|page| page.picture.clone()));
        match recorded.event {
            Event::TaskCreated(first) => created = Some(*first),
            _ => drafts.push(journal::Draft::new(record.time_ms, record.kind, record.payload)),
        }
        Ok::<(), Error>(())
    })?;
    let (Some(created), Some(head)) = (created, head) else {
        return Err(Error::Invalid(format!("the journal of task {id} does not begin with its creation")));
    };
    // What was asked for and not done would be done here, and what was being done has no computer here.
    if !state.turn_complete() {
        let text = "this checkpoint was taken in the middle of a turn, when the workspace was set back: choose another";
        return Err(Error::Invalid(text.to_owned()));
    }
    Ok(Past { created, drafts, pictures, head: Digest(head), next_effect: state.next_effect })
}
