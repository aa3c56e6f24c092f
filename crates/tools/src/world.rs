//! What a tool call may touch: one task's place on this machine, and what the journal says of the task so far. It holds
//! no permit and decides nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event::{AcceptanceItem, Deliverable, EffectId};
use sandbox::egress::{Egress, EgressGate};
use sandbox::{Computer, ComputerSpec, Workspace};

use crate::browsing::Held;
use crate::picture::Album;
use crate::trust;

/// One tool call's surroundings. Cheap to make for each call: the lasting part is shared.
#[derive(Clone, Debug)]
pub struct World {
    pub place: Arc<Place>,
    /// Which call a process's name means: the newest that bears it. [`crate::process_name`] gives the name of a call.
    pub processes: BTreeMap<String, EffectId>,
    /// The acceptance list as the journal has it.
    pub acceptance: Vec<AcceptanceItem>,
    /// What the task has delivered so far.
    pub delivered: Vec<Deliverable>,
    /// Bytes of the pictures of pages that the task has so far.
    pub pages_bytes: u64,
    /// Set to end this very call, and never taken back: it holds for what of the call may outlive the wait for its end.
    pub cancel: Arc<AtomicBool>,
}

/// A task's folder, its computer and its way out, for as long as an engine holds the task.
#[derive(Debug)]
pub struct Place {
    /// `tasks/ID`.
    pub task_dir: PathBuf,
    /// How the task's computer is made, but for its deadline; it is opened when a tool first needs it.
    pub spec: ComputerSpec,
    /// Where deliverables go. None: the workspace is the person's own folder, and they stay where they are.
    pub out: Option<PathBuf>,
    /// Set while the running call is to end: its command is killed and the call ends as interrupted.
    pub cancel: Arc<AtomicBool>,
    /// When everything in the computer ends, as the task's limits are now.
    deadline_unix_ms: Mutex<Option<u64>>,
    open: Mutex<Option<Open>>,
    /// Where pictures for the model go; none for a model that does not see.
    pub(crate) album: Option<Album>,
    /// Where pictures for the person go.
    pub(crate) pages: Option<Album>,
    /// The line to the computer's browser, once a tool has needed it.
    browser: Mutex<Option<Arc<Held>>>,
    /// Who decides what the computer may reach; without, it reaches nothing.
    gate: Option<Arc<dyn EgressGate>>,
    /// A certificate that programs in the computer trust beside the machine's own.
    trusted: Option<String>,
}

#[derive(Debug)]
struct Open {
    computer: Computer,
    /// Its way out, while it is served.
    egress: Option<Egress>,
}

impl Place {
    /// A place whose computer is not opened yet.
    pub fn new(task_dir: PathBuf, spec: ComputerSpec, out: Option<PathBuf>, cancel: Arc<AtomicBool>) -> Self {
        Self {
            deadline_unix_ms: Mutex::new(spec.deadline_unix_ms),
            task_dir,
            spec,
            out,
            cancel,
            open: Mutex::new(None),
            album: None,
            pages: None,
            browser: Mutex::new(None),
            gate: None,
            trusted: None,
        }
    }

    /// The same, whose computer has a way out as far as the gate lets it.
    #[must_use]
    pub fn with_gate(mut self, gate: Arc<dyn EgressGate>) -> Self {
        self.gate = Some(gate);
        self
    }

    /// The same, keeping pictures for the model there.
    #[must_use]
    pub fn with_album(self, album: Option<Album>) -> Self {
        Self { album, ..self }
    }

    /// The same, keeping pictures of pages there for the person.
    #[must_use]
    pub fn with_pages(self, pages: Album) -> Self {
        Self { pages: Some(pages), ..self }
    }

    /// The same, whose programs trust this certificate as well.
    #[must_use]
    pub fn with_trusted(mut self, certificate: String) -> Self {
        self.trusted = Some(certificate);
        self
    }

    /// The task's computer, opened now if it was not.
    pub fn computer(&self) -> Result<Computer, sandbox::Error> {
        let mut open = self.open();
        if let Some(open) = &*open {
            return Ok(open.computer.clone());
        }
        let deadline_unix_ms = *self.deadline();
        let computer = Computer::open(&ComputerSpec { deadline_unix_ms, ..self.spec.clone() })?;
        *open = Some(self.take_hold(&computer));
        Ok(computer)
    }

    /// Takes hold of the task's computer if it lives, for what runs in it to reach what it may.
    pub fn attach(&self) {
        let mut open = self.open();
        if open.is_none()
            && let Ok(Some(computer)) = Computer::attach(&self.spec.dir)
        {
            move_deadline(&computer, *self.deadline());
            *open = Some(self.take_hold(&computer));
        }
    }

    /// The task's time is another one now; true if it was. A computer that is there has to be told of it.
    pub fn set_deadline(&self, unix_ms: Option<u64>) -> bool {
        std::mem::replace(&mut *self.deadline(), unix_ms) != unix_ms
    }

    /// Tells the computer the deadline of now. Blocks, also while it is being made.
    pub fn tell_deadline(&self) {
        if let Some(computer) = self.opened() {
            move_deadline(&computer, *self.deadline());
        }
    }

    fn deadline(&self) -> MutexGuard<'_, Option<u64>> {
        self.deadline_unix_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the computer's way out, to be ended.
    pub fn end_egress(&self) -> Option<Egress> {
        self.open().as_mut().and_then(|open| open.egress.take())
    }

    /// Tells programs in the computer whom to trust, and serves its way out. One that lives may be from before the task had a secret.
    fn take_hold(&self, computer: &Computer) -> Open {
        if let Some(certificate) = &self.trusted {
            trust::put(computer, certificate);
        }
        let egress = self.gate.as_ref().filter(|_| self.spec.egress).map(|gate| computer.egress(Arc::clone(gate)));
        let egress = egress.and_then(|served| {
            // A computer of an earlier version has none. What is not served is refused inside.
            served.inspect_err(|error| tracing::warn!(%error, "the computer has no way out")).ok()
        });
        Open { computer: computer.clone(), egress }
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task's computer if a tool has opened it.
    pub fn opened(&self) -> Option<Computer> {
        self.open().as_ref().map(|open| open.computer.clone())
    }

    /// The task's computer, if one lives. One that cannot be asked runs nothing for us either.
    pub(crate) fn living(&self) -> Option<Computer> {
        self.opened().or_else(|| Computer::attach(&self.spec.dir).unwrap_or_default())
    }

    /// Lets go of a computer that does not answer any more, and of its browser: the next call opens another.
    pub fn forget(&self) {
        self.let_go_of_browser();
        self.open().take();
    }

    /// The browser that this place has a line to.
    pub fn browser(&self) -> Option<Arc<Held>> {
        self.browser.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn hold(&self, browser: Arc<Held>) {
        *self.browser.lock().unwrap_or_else(PoisonError::into_inner) = Some(browser);
    }

    /// Ends the line to the browser, which itself goes on.
    pub(crate) fn let_go_of_browser(&self) {
        self.browser.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The workspace as the machine sees it.
    pub(crate) fn workspace(&self) -> &std::path::Path {
        match &self.spec.workspace {
            Workspace::Own(path) | Workspace::Folder(path) => path,
        }
    }
}

fn move_deadline(computer: &Computer, unix_ms: Option<u64>) {
    if let Err(error) = computer.set_deadline(unix_ms) {
        tracing::warn!(%error, "the computer keeps the deadline that it was made with");
    }
}

impl World {
    pub(crate) fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed) || self.place.cancel.load(Ordering::Relaxed)
    }

    /// The call that this process name means.
    pub(crate) fn process(&self, name: &str) -> Option<EffectId> {
        self.processes.get(name).copied().or_else(|| {
            // A process with a name of its own can still be called by its effect's number.
            let id = name.parse().ok()?;
            self.processes.values().any(|known| *known == id).then_some(id)
        })
    }
}
