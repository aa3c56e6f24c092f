//! A call's way to the task's browser: taken up, or started when it is first needed; what is to be done in it is marked on
//! the computer's record first, so that nothing is ever done twice; what came of it is told in words. What a tool asks of
//! the browser is in the tool's own file.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use browser::{Browser, Destination, Error, Spot, Start};
use event::{ToolFact, ToolStatus};
use policy::ToolFacts;
use sandbox::{Computer, Met, Recorded};

use crate::call::{Call, lasting_facts};
use crate::limits::OBSERVATION_CHARS_MAX;
use crate::outcome::{Outcome, Words};
use crate::world::Place;
use crate::{downloads, met, picture, process, shown};

/// The folder for downloads, as the browser sees it.
pub const DOWNLOADS_INSIDE: &str = "/downloads";

/// What the model is told of a browser that is another than before.
const STARTED_ANEW: &str = "The browser had ended and was started anew: what was open in it is gone.";

/// The browser in an engine's hands.
#[derive(Debug)]
pub struct Held {
    pub(crate) browser: Browser,
    /// To let go of it: its reader waits on the same line.
    stream: UnixStream,
    /// What the model is told with the next result.
    note: Mutex<Option<&'static str>>,
    /// Calls that are under way in it.
    calls: AtomicUsize,
}

impl Held {
    /// The browser, to be looked at: what is done in it is the agent's.
    pub fn browser(&self) -> &Browser {
        &self.browser
    }

    /// Whether a call of the agent's is under way in it: whoever takes the line now cuts it.
    pub fn is_at_work(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The browser itself goes on; only this line to it ends.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A browser in which a call is under way, and the computer it is in.
pub(crate) struct Taken {
    pub(crate) held: Arc<Held>,
    pub(crate) computer: Computer,
}

impl Taken {
    fn new(held: Arc<Held>, computer: Computer) -> Self {
        held.calls.fetch_add(1, Ordering::Relaxed);
        Self { held, computer }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.held.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::ops::Deref for Taken {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.held.browser
    }
}

/// What policy is told of a tool that acts upon pages: it stays in the task's computer, whose network has a gate of its
/// own, and what a page took it for cannot be taken back.
pub(crate) fn acting_facts(sinks: &[&str]) -> ToolFacts {
    ToolFacts { sinks: sinks.iter().map(|name| (*name).to_owned()).collect(), ..lasting_facts() }
}

/// The task's browser, started now if there is none.
pub(crate) fn take(call: &Call<'_>, which: sandbox::Browser) -> Result<Taken, Outcome> {
    let place = &call.world.place;
    let computer = process::computer(call)?;
    let held = place.browser();
    if let Some(held) = held.filter(|held| held.browser.is_alive()) {
        return Ok(Taken::new(held, computer));
    }
    let (computer, line) = match computer.browser(which) {
        // The computer that was opened earlier is gone; another one has another browser.
        Err(sandbox::Error::Gone { .. }) => {
            place.forget();
            let computer = process::computer(call)?;
            let line = computer.browser(which);
            (computer, line)
        }
        line => (computer, line),
    };
    let line = line.map_err(|error| Outcome::failed(format!("The browser cannot be started: {error}.")))?;
    let failed = |error: &dyn std::fmt::Display| {
        let words = if line.last_words.is_empty() { String::new() } else { format!(" ({})", line.last_words) };
        Outcome::failed(format!("The browser does not come up: {error}{words}. Try browser_restart."))
    };
    let ends = line.stream.try_clone().and_then(|one| Ok((one, line.stream.try_clone()?)));
    let (reader, writer) = ends.map_err(|error| failed(&error))?;
    let start = Start {
        generation: line.generation,
        fresh: line.fresh,
        standing: line.standing.clone(),
        downloads: DOWNLOADS_INSIDE.to_owned(),
        cancel: Arc::clone(&place.cancel),
    };
    let browser = Browser::attach(reader, writer, start).map_err(|error| failed(&error))?;
    let note = (line.fresh && line.generation > 1).then_some(STARTED_ANEW);
    let held = Arc::new(Held { browser, stream: line.stream, note: Mutex::new(note), calls: AtomicUsize::new(0) });
    let taken = Taken::new(Arc::clone(&held), computer);
    place.hold(held);
    Ok(taken)
}

/// Looks at something in the browser; it may be done again.
pub(crate) fn look(call: &Call<'_>, look: impl Fn(&Browser) -> browser::Result<String>) -> Result<Outcome, Outcome> {
    let taken = take(call, sandbox::Browser::default())?;
    let looked = look(&taken);
    if let Err(Error::Gone(_)) = looked {
        // Nothing was done: the next browser may be looked at just as well.
        call.world.place.let_go_of_browser();
        let taken = take(call, sandbox::Browser::default())?;
        return tell(call, &taken, "The look", look(&taken));
    }
    tell(call, &taken, "The look", looked)
}

/// Does something in the browser, once for this call; `what` names it where nobody can tell whether it happened.
pub(crate) fn act(
    call: &Call<'_>,
    what: &str,
    act: impl FnOnce(&Taken) -> browser::Result<String>,
) -> Result<Outcome, Outcome> {
    let taken = take(call, sandbox::Browser::default())?;
    mark(call, &taken.computer, what)?;
    let acted = act(&taken);
    tell(call, &taken, what, acted)
}

/// Puts on the computer's record that the call is about to do something.
pub(crate) fn mark(call: &Call<'_>, computer: &Computer, what: &str) -> Result<(), Outcome> {
    match computer.mark(&call.name()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Outcome::unknown_in_browser(what)),
        Err(error) => Err(Outcome::failed(format!("Nothing was done: the computer did not take it: {error}."))),
    }
}

/// How a call came out that an engine had begun which is gone: if it left a mark, nobody can tell.
pub(crate) fn acted(call: &Call<'_>, what: &str) -> Result<Option<Outcome>, Outcome> {
    let recorded = sandbox::recorded(&call.world.place.spec.dir, &call.name());
    match recorded.map_err(|error| Outcome::failed(format!("The computer's records cannot be read: {error}.")))? {
        Recorded::NeverSeen => Ok(None),
        Recorded::Running | Recorded::Ended(_) | Recorded::Lost => Ok(Some(Outcome::unknown_in_browser(what))),
    }
}

/// What came of it, for the model: with the limits that the browser has met since the last call, and what helps.
pub(crate) fn tell(
    call: &Call<'_>,
    taken: &Taken,
    what: &str,
    came: browser::Result<String>,
) -> Result<Outcome, Outcome> {
    let told = tell_page(call, taken, what, came);
    // A keeper of an earlier version knows none, and of a computer that is gone the next call tells.
    let met = taken.computer.browser_limits().unwrap_or_default();
    let Some(limit) = Met::in_words(&met) else { return told };
    let with_limit = |outcome: Outcome| {
        let text = capped(&format!("Limit reached: {limit}.\n{}", outcome.text));
        let fact = ToolFact::BrowserLimits { limit: limit.clone(), limits: met::on_record(&met) };
        Outcome { text, ..outcome }.with(fact)
    };
    told.map(with_limit).map_err(with_limit)
}

/// Pages' words are marked as such by the browser's own quotation.
fn tell_page(call: &Call<'_>, taken: &Taken, what: &str, came: browser::Result<String>) -> Result<Outcome, Outcome> {
    let place = &call.world.place;
    let text = match came {
        Ok(text) => text,
        // What it was asked may have happened all the same.
        Err(error @ Error::Silent { .. }) => return Err(with_page(call, taken, failed(place, taken, what, error))),
        Err(error) => return Err(failed(place, taken, what, error)),
    };
    let note = taken.held.note.lock().unwrap_or_else(PoisonError::into_inner).take();
    let page = note.into_iter().chain([&*text]).collect::<Vec<_>>().join("\n");
    let files = downloads::bring_in(taken, place).join("\n");
    Ok(with_page(call, taken, Outcome::shown(with_files(&shown::plain(&page), &shown::plain(&files)))))
}

/// A page with what is told of files, which has its place whatever the page takes: a page that makes many files must not push
/// itself out of what is told, nor them.
fn with_files(page: &str, files: &str) -> String {
    if files.is_empty() {
        return capped(page);
    }
    let room = OBSERVATION_CHARS_MAX.saturating_sub(files.chars().count() + 1);
    capped(&format!("{}\n{files}", capped_to(page, room)))
}

/// The outcome with the page as it stands, for the person who looks back.
fn with_page(call: &Call<'_>, taken: &Taken, outcome: Outcome) -> Outcome {
    let album = call.world.place.pages.as_ref();
    match album.and_then(|album| picture::seen(taken, album, call.world.pages_bytes)) {
        Some(page) => outcome.with(ToolFact::Page { page }),
        None => outcome,
    }
}

fn failed(place: &Place, taken: &Taken, what: &str, error: Error) -> Outcome {
    let of_page = |status, text: String| Outcome { status, ..Outcome::shown(capped(&shown::plain(&text))) };
    match error {
        Error::Cannot(text) => of_page(ToolStatus::Invalid, format!("Not done: {text}.")),
        Error::Dialog => {
            let dialog = taken.dialog().unwrap_or_default();
            of_page(ToolStatus::Invalid, format!("Not done: a dialog of the page stands in the way.\n{dialog}"))
        }
        Error::Gone(_) => {
            place.let_go_of_browser();
            Outcome::unknown_in_browser(what)
        }
        Error::Silent { .. } => of_page(
            ToolStatus::Failed,
            format!("{error}. It may have happened all the same: look with browser_view, or go elsewhere."),
        ),
        Error::Refused { .. } => of_page(ToolStatus::Failed, format!("{error}.")),
        Error::Cancelled => Outcome::interrupted("Interrupted: the task is being stopped."),
    }
}

/// No longer than an observation may be.
pub(crate) fn capped(text: &str) -> String {
    capped_to(text, OBSERVATION_CHARS_MAX)
}

fn capped_to(text: &str, chars_max: usize) -> String {
    const CUT: &str = "\n[cut here: browser_view shows the page]";
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max.saturating_sub(CUT.len())).collect::<String>() + CUT,
    }
}

/// Where to point: an element by its number, or a point of the window.
pub(crate) fn spot(element: Option<u32>, x: Option<u64>, y: Option<u64>) -> Result<Option<Spot>, Outcome> {
    match (element, x, y) {
        (Some(number), None, None) => Ok(Some(Spot::Element(number))),
        (None, Some(x), Some(y)) => Ok(Some(Spot::Point(x as f64, y as f64))),
        (None, None, None) => Ok(None),
        (Some(_), _, _) => Err(not_so("give `element`, or `x` and `y`, not both")),
        (None, _, _) => Err(not_so("`x` and `y` belong together")),
    }
}

/// The same where there must be something to point at.
pub(crate) fn some_spot(element: Option<u32>, x: Option<u64>, y: Option<u64>) -> Result<Spot, Outcome> {
    spot(element, x, y)?.ok_or_else(|| not_so("say where: `element`, or `x` and `y`"))
}

/// Where to go.
pub(crate) fn destination(url: &str) -> Result<Destination, Outcome> {
    Destination::read(url).map_err(|error| not_so(&error.to_string()))
}

pub(crate) fn not_so(text: &str) -> Outcome {
    Outcome { words: Words::Arguments, ..Outcome::invalid(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_files_stands_after_the_page_and_is_not_pushed_out_by_it() {
        assert_eq!(with_files("page", ""), "page");
        assert_eq!(with_files("page", "file"), "page\nfile");
        let told = with_files(&"x".repeat(2 * OBSERVATION_CHARS_MAX), "file");
        assert_eq!(told.chars().count(), OBSERVATION_CHARS_MAX);
        assert!(told.starts_with("xxx") && told.ends_with("[cut here: browser_view shows the page]\nfile"));
    }
}
