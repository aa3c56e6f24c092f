//! The browser of a task's computer in the hands of a person who has taken it over: pictures of the page as it changes, and
//! their clicks and keys. Whether they may is for the caller to ask the record. All of it blocks.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use browser::{Browser, Frame, Input, Start};
use event::TaskId;
use sandbox::Computer;

use crate::{Error, Instance};

/// The largest pictures, in points: the window is no larger.
const WIDTH_MAX: u32 = 1_280;
const HEIGHT_MAX: u32 = 800;

/// How long a picture is waited for before it is asked whether anybody still watches.
const LOOK: Duration = Duration::from_secs(1);

/// The line to a task's browser. The agent's own line, if it had one, is over: it takes another with its next call.
#[derive(Debug)]
pub struct Viewer {
    browser: Browser,
    stream: UnixStream,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        // The browser goes on.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Instance {
    /// Takes the line to a task's browser, started now if there is none; nothing where there is no computer.
    pub fn view_browser(&self, id: &TaskId) -> Result<Option<Viewer>, Error> {
        let dir = self.folder(id)?.computer();
        let Some(computer) = Computer::attach(&dir)? else { return Ok(None) };
        let line = computer.browser(sandbox::Browser::default())?;
        let unusable =
            |error: std::io::Error| Error::Invalid(format!("the line to the browser cannot be used: {error}"));
        let reader = line.stream.try_clone().map_err(unusable)?;
        let writer = line.stream.try_clone().map_err(unusable)?;
        let start = Start {
            generation: line.generation,
            fresh: line.fresh,
            downloads: tools::DOWNLOADS_INSIDE.to_owned(),
            cancel: Arc::new(AtomicBool::new(false)),
        };
        let browser = Browser::attach(reader, writer, start).map_err(told)?;
        Ok(Some(Viewer { browser, stream: line.stream }))
    }
}

impl Viewer {
    /// Whether the line still holds; it is over once the agent has the browser again.
    pub fn is_there(&self) -> bool {
        self.browser.is_alive()
    }

    /// Gives pictures of the page that is shown as it changes, the latest only, until `each` has enough or the line is over.
    /// Where nothing changes, `each` is asked now and then without one.
    pub fn watch(&self, mut each: impl FnMut(Option<&Frame>) -> bool) -> Result<(), Error> {
        let mut watch = self.browser.watch(WIDTH_MAX, HEIGHT_MAX).map_err(told)?;
        loop {
            let frame = match watch.next(LOOK) {
                Ok(frame) => frame,
                Err(browser::Error::Gone(_)) => return Ok(()),
                Err(error) => return Err(told(error)),
            };
            if !each(frame.as_ref()) {
                return Ok(());
            }
            if frame.is_none() {
                watch.follow(WIDTH_MAX, HEIGHT_MAX).map_err(told)?;
            }
        }
    }

    /// Does what the person does.
    pub fn feed(&self, input: &Input) -> Result<(), Error> {
        self.browser.feed(input).map_err(told)
    }
}

fn told(error: browser::Error) -> Error {
    Error::Invalid(error.to_string())
}
