//! The browser of a task's computer as a person sees it: pictures of the page as it changes, over the agent's own line while the
//! agent has it; and in their hands once they have taken it over, with their clicks and keys. Whether they may is for the caller
//! to ask the record. All of it blocks.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use browser::{Browser, Going, Input, Sight, Start};
use event::{PageSeen, TaskId};
use sandbox::{Computer, Folders};

use crate::record::album;
use crate::{Error, Instance};

/// The largest pictures, in points: the window is no larger.
const WIDTH_MAX: u32 = 1_280;
const HEIGHT_MAX: u32 = 800;

/// How long news are waited for before it is asked whether anybody still watches.
const LOOK: Duration = Duration::from_millis(500);

/// The line to a task's browser. The agent's own line, if it had one, is over: it takes another with its next call.
#[derive(Debug)]
pub struct Viewer(Line);

#[derive(Debug)]
enum Line {
    /// Taken for the person.
    Taken { browser: Box<Browser>, stream: UnixStream, folders: Folders },
    /// The agent's, only looked along.
    Agents(Arc<tools::Held>),
}

impl Drop for Line {
    fn drop(&mut self) {
        match self {
            // The browser goes on.
            Self::Taken { stream, .. } => drop(stream.shutdown(Shutdown::Both)),
            Self::Agents(_) => {}
        }
    }
}

impl Instance {
    /// Takes the line to a task's browser, started now if there is none; nothing where there is no computer.
    pub fn view_browser(&self, id: &TaskId) -> Result<Option<Viewer>, Error> {
        let dir = self.folder(id)?.computer();
        let Some(computer) = Computer::attach(&dir)? else { return Ok(None) };
        viewer(&computer, computer.browser(sandbox::Browser::default())?).map(Some)
    }

    /// The same to one that lives: to look is to start nothing.
    pub fn view_living_browser(&self, id: &TaskId) -> Result<Option<Viewer>, Error> {
        let dir = self.folder(id)?.computer();
        let Some(computer) = Computer::attach(&dir)? else { return Ok(None) };
        computer.living_browser()?.map(|line| viewer(&computer, line)).transpose()
    }

    /// Looks along the agent's line to a task's browser; nothing while it has none, or while another process runs the task.
    pub fn look_at_browser(&self, id: &TaskId) -> Option<Viewer> {
        let held = self.in_hand(id).lock().unwrap_or_else(PoisonError::into_inner).upgrade()?.browser()?;
        held.browser().is_alive().then_some(Viewer(Line::Agents(held)))
    }

    /// Takes the line to the browser of a task that no process of ours has in hand, if one lives: to look at it.
    pub fn view_idle_browser(&self, id: &TaskId) -> Result<Option<Viewer>, Error> {
        let place = self.in_hand(id);
        // Held until the line is taken, so that an engine that begins meanwhile takes it after us.
        let held = place.lock().unwrap_or_else(PoisonError::into_inner);
        if held.strong_count() > 0 { Ok(None) } else { self.view_living_browser(id) }
    }

    /// The page that is shown, its picture kept among the task's blobs: to be put on the record by a command.
    pub fn keep_page(&self, id: &TaskId, viewer: &Viewer) -> Option<PageSeen> {
        let folder = self.folder(id).ok()?;
        let bytes = self.state(id, &folder).ok()?.pages.bytes;
        let blobs = journal::Blobs::open(folder.root());
        let page = tools::page_seen(viewer.browser(), &album(blobs.clone()), bytes)?;
        // Whoever writes the record syncs what they have put, and this is not theirs.
        blobs.sync().ok().map(|()| page)
    }

    /// Lets whoever asks look at what this process runs.
    pub(crate) fn shows(&self, id: &TaskId, place: &Arc<tools::Place>) {
        *self.in_hand(id).lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(place);
    }

    /// What this process runs of a task, if anything. Each has a lock of its own: a browser that hangs holds up its task alone.
    fn in_hand(&self, id: &TaskId) -> Arc<Mutex<Weak<tools::Place>>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|_, place| Arc::strong_count(place) > 1 || runs(place));
        Arc::clone(places.entry(id.clone()).or_default())
    }
}

/// Whether a task is run there. Only for one that nobody else holds.
fn runs(place: &Mutex<Weak<tools::Place>>) -> bool {
    place.lock().unwrap_or_else(PoisonError::into_inner).strong_count() > 0
}

impl Viewer {
    fn browser(&self) -> &Browser {
        match &self.0 {
            Line::Taken { browser, .. } => browser,
            Line::Agents(held) => held.browser(),
        }
    }

    /// Whether the line still holds; it is over once the other has the browser again.
    pub fn is_there(&self) -> bool {
        self.browser().is_alive()
    }

    /// Whether the agent does something along this line just now: it is let finish what it has begun.
    pub fn is_at_work(&self) -> bool {
        match &self.0 {
            Line::Taken { .. } => false,
            Line::Agents(held) => held.is_at_work(),
        }
    }

    /// Whether both look along the same line of the agent's.
    pub fn is_the_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Line::Agents(one), Line::Agents(other)) => Arc::ptr_eq(one, other),
            (Line::Taken { .. } | Line::Agents(_), _) => false,
        }
    }

    /// Gives what is new of the page that is shown, the latest picture only, until `each` has enough or the line is over.
    /// Where nothing changes, `each` is asked now and then without.
    pub fn watch(&self, mut each: impl FnMut(Option<&Sight>) -> bool) -> Result<(), Error> {
        let mut watch = self.browser().watch(WIDTH_MAX, HEIGHT_MAX).map_err(told)?;
        loop {
            let sight = match watch.next(LOOK) {
                Ok(sight) => sight,
                Err(browser::Error::Gone(_) | browser::Error::Cancelled) => return Ok(()),
                Err(error) => return Err(told(error)),
            };
            if !each(sight.as_ref()) {
                return Ok(());
            }
            if sight.is_none_or(|sight| sight.page.is_some()) {
                watch.follow(WIDTH_MAX, HEIGHT_MAX).map_err(told)?;
            }
        }
    }

    /// Does what the person does.
    pub fn feed(&self, input: &Input) -> Result<(), Error> {
        self.browser().feed(input).map_err(told)
    }

    /// Goes where the person wants to.
    pub fn travel(&self, to: &Going) -> Result<(), Error> {
        self.browser().travel(to).map_err(told)
    }

    /// Gives the page the files that it asks for: copies of these, of that folder. They lie under a name that must not have
    /// been used before. None tells the page that there are none.
    pub fn give_files(&self, from: &Path, files: &[String], slot: &str) -> Result<(), Error> {
        let Line::Taken { browser, folders, .. } = &self.0 else {
            return Err(Error::Invalid("the browser is the agent's".to_owned()));
        };
        browser.wants_so_many(files.len()).map_err(told)?;
        let mut inside = Vec::new();
        for (nth, file) in files.iter().enumerate() {
            let copy = sandbox::hand_out(from, folders, Path::new(file), &format!("{slot}-{nth}"));
            inside.push(copy.map_err(|error| Error::Invalid(format!("{file:?} cannot be given: {error}")))?);
        }
        browser.give_files(&inside).map_err(told)
    }

    /// What is selected in the page.
    pub fn selection(&self) -> Result<String, Error> {
        self.browser().selection().map_err(told)
    }
}

fn viewer(computer: &Computer, line: sandbox::BrowserLine) -> Result<Viewer, Error> {
    let unusable = |error: std::io::Error| Error::Invalid(format!("the line to the browser cannot be used: {error}"));
    let reader = line.stream.try_clone().map_err(unusable)?;
    let writer = line.stream.try_clone().map_err(unusable)?;
    let start = Start {
        generation: line.generation,
        fresh: line.fresh,
        standing: line.standing.clone(),
        downloads: tools::DOWNLOADS_INSIDE.to_owned(),
        cancel: Arc::new(AtomicBool::new(false)),
    };
    let browser = Box::new(Browser::attach(reader, writer, start).map_err(told)?);
    Ok(Viewer(Line::Taken { browser, stream: line.stream, folders: computer.browser_folders() }))
}

fn told(error: browser::Error) -> Error {
    Error::Invalid(error.to_string())
}
