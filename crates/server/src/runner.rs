//! Runs tasks side by side: a bounded queue in order of arrival, a bounded number in hand, on a few threads.
//!
//! It holds no truth. Which tasks there are and how they stand is in their journals; what is here can be lost at any
//! instruction, and is built anew from them by [`Runner::take_up`].

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent::{Command, Instance, Models, Start, Summary};
use event::TaskId;
use tokio::sync::{Notify, Semaphore, mpsc};

use crate::Index;
use crate::words::{Teller, Words};

/// Commands of the runner on their way to one task.
const COMMANDS_QUEUED_MAX: usize = 4;

/// A task that the engine could not run is tried again after this long, and twice as long each time.
const RETRY_FIRST_MS: u64 = 2_000;

/// No longer than this between two tries.
const RETRY_LAST_MS: u64 = 5 * 60 * 1_000;

/// How often tasks are looked for that nobody has in hand: left by a terminal that died, or answered by another process.
const SWEEP_MS: u64 = 10_000;

/// A task that was made this short a while ago is left to the process that is about to run it.
const BEGINNING_MS: u64 = 15_000;

/// Stores of checkpoints that are tidied at one look.
const TIDIED_PER_LOOK: usize = 8;

/// How long a task may take to put itself down before the server leaves all the same: its journal is safe in any case.
const PUT_DOWN_MS: u64 = 5_000;

/// How many tasks may run and wait.
#[derive(Clone, Copy, Debug)]
pub struct RunnerLimits {
    /// Tasks in hand at once.
    pub running_max: usize,
    /// Tasks waiting for one of those places; more are refused.
    pub queued_max: usize,
    /// A task that nobody has moved for longer is not taken up by itself: a person says so.
    pub recovery_age_ms: u64,
    /// Threads that run the loops.
    pub threads: usize,
}

impl Default for RunnerLimits {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, 16);
        Self { running_max: 512, queued_max: 10_000, recovery_age_ms: 24 * 60 * 60 * 1_000, threads }
    }
}

/// Where a task is, as far as this process has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Waiting for its turn.
    Queued,
    /// In hand.
    Running,
}

/// How much there is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub running: usize,
    pub queued: usize,
    /// Since the start of this process.
    pub begun: u64,
    /// Runs that came to rest: ended, or waiting for a person.
    pub ended: u64,
    /// Runs that the engine could not carry on with.
    pub broken: u64,
}

/// Why a task is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Try again later.
    #[error("{0} tasks are waiting already")]
    Full(usize),
    /// Try again when the server is back.
    #[error("the server is stopping")]
    Stopping,
}

/// Runs tasks; a cheap handle.
#[derive(Clone)]
pub struct Runner {
    shared: Arc<Shared>,
}

struct Shared {
    instance: Arc<Instance>,
    models: Arc<dyn Models>,
    limits: RunnerLimits,
    words: Words,
    desk: Mutex<Desk>,
    /// Tasks that are over and whose checkpoints were tidied, each as of its last event.
    tidied: Mutex<HashMap<TaskId, u64>>,
    /// Something came into the queue, or the end has come.
    changed: Notify,
    /// A run came to rest.
    rested: Notify,
}

#[derive(Default)]
struct Desk {
    queue: VecDeque<(TaskId, Start)>,
    tasks: HashMap<TaskId, Held>,
    stopping: bool,
    load: Load,
}

/// A task that this process has.
enum Held {
    Queued,
    Running {
        commands: mpsc::Sender<Command>,
        /// Asked for once more while it was coming to rest.
        again: bool,
    },
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner")
            .field("limits", &self.shared.limits)
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}

impl Runner {
    /// Starts the threads; no task runs yet.
    pub fn start(instance: Arc<Instance>, models: Arc<dyn Models>, limits: RunnerLimits) -> std::io::Result<Self> {
        let (changed, rested) = (Notify::new(), Notify::new());
        let words = Words::default();
        let (desk, tidied) = (Mutex::default(), Mutex::default());
        let shared = Shared { instance, models, limits, words, desk, tidied, changed, rested };
        let runner = Self { shared: Arc::new(shared) };
        // Each thread has its share of the places, so that none takes them all.
        let places = limits.running_max.div_ceil(limits.threads);
        for number in 0..limits.threads {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(places.max(1) * 2)
                .thread_keep_alive(Duration::from_secs(2))
                .build()?;
            let shared = Arc::clone(&runner.shared);
            let work = move || {
                tokio::task::LocalSet::new().block_on(&runtime, work(shared, places));
                // A tool call that still runs belongs to its keeper; nobody here waits for it.
                runtime.shutdown_background();
            };
            std::thread::Builder::new().name(format!("tasks-{number}")).spawn(work)?;
        }
        Ok(runner)
    }

    /// Puts a task into the queue. A task that is in hand already is asked once more when it comes to rest.
    pub fn begin(&self, id: &TaskId, start: Start) -> Result<(), Refused> {
        let mut desk = self.shared.desk();
        if desk.stopping {
            return Err(Refused::Stopping);
        }
        match desk.tasks.get_mut(id) {
            Some(Held::Queued) => return Ok(()),
            Some(Held::Running { again, .. }) => {
                *again = true;
                return Ok(());
            }
            None => {}
        }
        if desk.queue.len() >= self.shared.limits.queued_max {
            return Err(Refused::Full(desk.queue.len()));
        }
        desk.queue.push_back((id.clone(), start));
        desk.tasks.insert(id.clone(), Held::Queued);
        desk.load.queued = desk.queue.len();
        drop(desk);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Whether one more task would be taken now.
    pub fn room(&self) -> Result<(), Refused> {
        let desk = self.shared.desk();
        match desk.queue.len() {
            _ if desk.stopping => Err(Refused::Stopping),
            queued if queued >= self.shared.limits.queued_max => Err(Refused::Full(queued)),
            _ => Ok(()),
        }
    }

    /// Where this process has the task, if it has it.
    pub fn place(&self, id: &TaskId) -> Option<Place> {
        self.shared.desk().tasks.get(id).map(|held| match held {
            Held::Queued => Place::Queued,
            Held::Running { .. } => Place::Running,
        })
    }

    /// Takes a task out of the queue, if it is still there.
    pub fn withdraw(&self, id: &TaskId) -> bool {
        let mut desk = self.shared.desk();
        if !matches!(desk.tasks.get(id), Some(Held::Queued)) {
            return false;
        }
        desk.queue.retain(|(queued, _)| queued != id);
        desk.tasks.remove(id);
        desk.load.queued = desk.queue.len();
        true
    }

    /// What the models of the tasks in hand are just saying.
    pub(crate) fn words(&self) -> &Words {
        &self.shared.words
    }

    /// How much there is to do.
    pub fn load(&self) -> Load {
        self.shared.desk().load
    }

    /// Whether no more tasks are taken.
    pub fn is_stopping(&self) -> bool {
        self.shared.desk().stopping
    }

    /// Queues every task that somebody began, that has not ended, and that no process has in hand. Returns how many.
    /// Blocks: it looks at each journal that has changed.
    pub fn take_up(&self, index: &Index, now_ms: u64) -> usize {
        let limits = self.shared.limits;
        let mut tasks = index.list().tasks;
        for task in tasks.iter().filter(|task| task.is_over()) {
            if self.shared.instance.end_left_computer(&task.id).unwrap_or(false) {
                tracing::info!(task = %task.id, "ended the computer that a task had left behind");
            }
        }
        self.tidy(&tasks);
        for task in tasks.iter().filter(|task| task.sleeps_at_ms.is_some_and(|at| at <= now_ms)) {
            if self.place(&task.id).is_none() && self.shared.instance.put_to_sleep(&task.id).unwrap_or(false) {
                tracing::info!(task = %task.id, "put a computer to sleep whose task waits for long");
            }
        }
        // The oldest first: they have waited longest.
        tasks.reverse();
        let left = tasks.iter().filter(|task| {
            let moved_ms_ago = now_ms.saturating_sub(task.updated_ms);
            let beginning = task.created_ms == task.updated_ms && moved_ms_ago < BEGINNING_MS;
            let wanted = task.is_left() || self.is_in_a_persons_hands(task);
            wanted && moved_ms_ago <= limits.recovery_age_ms && !beginning
        });
        left.filter(|task| self.place(&task.id).is_none() && self.begin(&task.id, Start::Resume).is_ok()).count()
    }

    /// Whether a person works with a part of its computer and nobody has it in hand, to answer for what they reach from there.
    fn is_in_a_persons_hands(&self, task: &Summary) -> bool {
        let instance = &self.shared.instance;
        // Looked at anew: it may have been handed back, and done with, since it was listed.
        let still = |task: Summary| task.taken_over.is_some() && !task.is_over();
        task.taken_over.is_some()
            && self.place(&task.id).is_none()
            && !instance.is_held(&task.id).unwrap_or(true)
            && instance.summary(&task.id).is_ok_and(still)
    }

    /// Clears the stores of checkpoints of tasks that are over of what crashes left there, a few at each look and each once.
    fn tidy(&self, tasks: &[Summary]) {
        let mut tidied = self.shared.tidied.lock().unwrap_or_else(PoisonError::into_inner);
        let due = |task: &&Summary| task.is_over() && tidied.get(&task.id) != Some(&task.updated_ms);
        let due: Vec<_> = tasks.iter().filter(due).filter(|task| self.place(&task.id).is_none()).collect();
        for task in due.into_iter().take(TIDIED_PER_LOOK) {
            match self.shared.instance.tidy_checkpoints(&task.id) {
                // Whoever has it in hand tidies it.
                Ok(_) | Err(agent::Error::Held { .. }) => {}
                Err(error) => {
                    tracing::warn!(task = %task.id, %error, "checkpoints that are not needed stay where they are")
                }
            }
            tidied.insert(task.id.clone(), task.updated_ms);
        }
        tidied.retain(|id, _| tasks.iter().any(|task| task.id == *id));
    }

    /// Takes up what is left lying, now and then, until the runner stops.
    pub async fn sweep(&self, index: Index, clock: fn() -> u64) {
        while !self.is_stopping() {
            tokio::time::sleep(Duration::from_millis(SWEEP_MS)).await;
            let (runner, index) = (self.clone(), index.clone());
            let swept = tokio::task::spawn_blocking(move || runner.take_up(&index, clock())).await;
            match swept {
                Ok(0) => {}
                Ok(taken) => tracing::info!(taken, "took up tasks that nobody had in hand"),
                Err(error) => tracing::error!(%error, "look for tasks to take up"),
            }
        }
    }

    /// Takes no more tasks, and puts down those in hand. Their computers run on, and what runs in them.
    pub async fn stop(&self, reason: &str) {
        let running: Vec<_> = {
            let mut desk = self.shared.desk();
            desk.stopping = true;
            desk.queue.clear();
            desk.load.queued = 0;
            desk.tasks.retain(|_, held| matches!(held, Held::Running { .. }));
            desk.tasks
                .values()
                .filter_map(|held| match held {
                    Held::Running { commands, .. } => Some(commands.clone()),
                    Held::Queued => None,
                })
                .collect()
        };
        self.shared.changed.notify_waiters();
        for commands in running {
            let _ = commands.try_send(Command::PutDown { reason: reason.to_owned() });
        }
        let all_rested = async {
            loop {
                let rested = self.shared.rested.notified();
                if self.shared.desk().tasks.is_empty() {
                    return;
                }
                rested.await;
            }
        };
        if tokio::time::timeout(Duration::from_millis(PUT_DOWN_MS), all_rested).await.is_err() {
            tracing::warn!("some tasks did not put themselves down in time; they are taken up from their journals");
        }
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        // A panic elsewhere leaves the desk as it was: each change is whole before the lock is let go.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next task of the queue; `None` at the end.
    async fn next(&self) -> Option<(TaskId, Start, mpsc::Receiver<Command>)> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no notice is missed.
            changed.as_mut().enable();
            {
                let mut desk = self.desk();
                if desk.stopping {
                    return None;
                }
                if let Some((id, start)) = desk.queue.pop_front() {
                    let (commands, heard) = mpsc::channel(COMMANDS_QUEUED_MAX);
                    desk.tasks.insert(id.clone(), Held::Running { commands, again: false });
                    desk.load.queued = desk.queue.len();
                    desk.load.running += 1;
                    desk.load.begun += 1;
                    let more = !desk.queue.is_empty();
                    drop(desk);
                    if more {
                        self.changed.notify_one();
                    }
                    return Some((id, start, heard));
                }
            }
            changed.await;
        }
    }

    /// Notes that a run came to rest, and whether somebody asked for the task meanwhile.
    fn rest(&self, id: &TaskId, broken: bool) {
        let mut desk = self.desk();
        let again = matches!(desk.tasks.remove(id), Some(Held::Running { again: true, .. }));
        desk.load.running -= 1;
        desk.load.ended += 1;
        desk.load.broken += u64::from(broken);
        if again && !desk.stopping {
            desk.queue.push_back((id.clone(), Start::Resume));
            desk.tasks.insert(id.clone(), Held::Queued);
            desk.load.queued = desk.queue.len();
        }
        drop(desk);
        self.changed.notify_one();
        self.rested.notify_waiters();
    }
}

/// One thread's work: takes tasks while it has places.
async fn work(shared: Arc<Shared>, places: usize) {
    let slots = Arc::new(Semaphore::new(places));
    let shared = Rc::new(shared);
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let Some((id, start, commands)) = shared.next().await else { break };
        let shared = Rc::clone(&shared);
        tokio::task::spawn_local(async move {
            // A task of its own, so that a panic in it is told and harms no other.
            let (runs, name) = (Arc::clone(&shared), id.clone());
            let run = tokio::task::spawn_local(async move { carry(&runs, &name, start, commands).await });
            let broken = match run.await {
                Ok(came_to_rest) => !came_to_rest,
                Err(error) => {
                    tracing::error!(task.id = %id, %error, "the task broke its engine down");
                    true
                }
            };
            shared.rest(&id, broken);
            drop(slot);
        });
    }
    // The end: whatever is in hand puts itself down; each place comes back.
    let all = u32::try_from(places).unwrap_or(u32::MAX);
    let _ = slots.acquire_many(all).await;
}

/// Runs one task until it comes to rest; what the machine refuses for a while is tried again. Returns whether it did.
async fn carry(shared: &Shared, id: &TaskId, start: Start, mut commands: mpsc::Receiver<Command>) -> bool {
    let (mut start, mut wait_ms) = (start, RETRY_FIRST_MS);
    loop {
        let (given, heard) = mpsc::channel(COMMANDS_QUEUED_MAX);
        let error = {
            let run = run(shared, id, start, heard);
            tokio::pin!(run);
            loop {
                tokio::select! {
                    outcome = &mut run => match outcome {
                        Ok(()) => return true,
                        Err(error) => break error,
                    },
                    Some(command) = commands.recv() => drop(given.send(command).await),
                }
            }
        };
        match &error {
            agent::Error::Held { .. } | agent::Error::Journal(journal::Error::Locked { .. }) => {
                tracing::info!(task.id = %id, "another process has the task");
                return true;
            }
            agent::Error::NoSuchTask(_)
            | agent::Error::Invalid(_)
            | agent::Error::Refused { .. }
            | agent::Error::Policy(_)
            | agent::Error::Event { .. }
            | agent::Error::Model { .. }
            | agent::Error::NoCheckpoint { .. }
            | agent::Error::NotKept(_)
            | agent::Error::Journal(
                journal::Error::Corrupt { .. } | journal::Error::BlobMissing { .. } | journal::Error::Newer { .. },
            ) => {
                tracing::error!(task.id = %id, %error, "the task cannot be run");
                return false;
            }
            agent::Error::Journal(_)
            | agent::Error::Io { .. }
            | agent::Error::Kept(_)
            | agent::Error::Computer(_)
            | agent::Error::Crashed(_) => {
                tracing::warn!(task.id = %id, %error, wait_ms, "the task is tried again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
            // The server stops: the journal has all there is.
            _ = commands.recv() => return false,
        }
        (start, wait_ms) = (Start::Resume, wait_ms.saturating_mul(2).min(RETRY_LAST_MS));
    }
}

async fn run(
    shared: &Shared,
    id: &TaskId,
    start: Start,
    commands: mpsc::Receiver<Command>,
) -> Result<(), agent::Error> {
    let (instance, models, name) = (Arc::clone(&shared.instance), Arc::clone(&shared.models), id.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let summary = instance.summary(&name)?;
        match models.open(Some(&summary.model)) {
            Ok(opened) => Ok(Some(opened)),
            Err(unavailable) => {
                instance.put_off(&name, &format!("{}. {}", unavailable.reason, unavailable.hint)).map(|()| None)
            }
        }
    });
    let Ok(opened) = opened.await else { return Ok(()) };
    let Some(opened) = opened? else { return Ok(()) };
    let mut teller = Teller(shared.words.of(id));
    Box::pin(shared.instance.run(id, start, opened.client, commands, &mut teller)).await.map(drop)
}
