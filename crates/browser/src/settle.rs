//! Waiting until a page has come to rest: loaded, nothing fetched any more, nothing changing. Whatever a page does to avoid
//! resting, each wait has an end, and what is there by then is what is shown.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::limits::{FETCH, LOAD, LOOK, NAVIGATIONS_MAX, RESTLESS_MS, SETTLE, STILL_MS};
use crate::state::Post;
use crate::{Browser, Error, Result};

/// What a page was doing when the waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing.
    Still,
    /// It has a question.
    Dialog,
    /// It loads on.
    Loading,
    /// Its scripts do not come to an end.
    Busy,
    /// It went from page to page by itself, and was stopped.
    Wandering,
}

/// How a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Gone,
    Dialog,
    Loading,
    Fetching,
    Nothing,
}

impl Browser {
    /// Waits for the page that is acted upon by now: an action may have opened another.
    pub(crate) fn settle(&self) -> Result<(String, Rest)> {
        let target = self.page()?;
        let rest = self.settle_page(&target)?;
        let now = self.page()?;
        if now == target {
            return Ok((target, rest));
        }
        let rest = self.settle_page(&now)?;
        Ok((now, rest))
    }

    pub(crate) fn settle_page(&self, target: &str) -> Result<Rest> {
        let begun = Instant::now();
        let navigations = || self.line.state(|state| state.tab(target).map_or(0, |tab| tab.navigations));
        let first = navigations();
        loop {
            let (doing, most) = match self.doing(target) {
                Doing::Gone => return Ok(Rest::Still),
                Doing::Dialog => return Ok(Rest::Dialog),
                doing @ Doing::Loading => (doing, LOAD),
                doing @ Doing::Fetching => (doing, FETCH),
                doing @ Doing::Nothing => (doing, SETTLE),
            };
            if navigations().saturating_sub(first) > NAVIGATIONS_MAX {
                let session = self.session(target)?;
                self.line.post(&Post::new(Some(&session), "Page.stopLoading", json!({})))?;
                return Ok(Rest::Wandering);
            }
            let left = most.saturating_sub(begun.elapsed());
            match doing {
                Doing::Loading if left.is_zero() => return Ok(Rest::Loading),
                Doing::Fetching if left.is_zero() => {
                    // A page that listens for ever is no busier than one that rests.
                    self.line.state(|state| state.tab_mut(target).map(crate::state::Tab::forget_fetches));
                }
                Doing::Loading | Doing::Fetching => {
                    self.line.wait_for(left, |state| {
                        let tab = state.tab(target)?;
                        let on = tab.dialog.is_none() && (tab.is_loading() || tab.is_fetching());
                        (!on || tab.navigations.saturating_sub(first) > NAVIGATIONS_MAX).then_some(())
                    })?;
                }
                Doing::Nothing => match self.quiet(target)? {
                    Some(rest) => return Ok(rest),
                    None if begun.elapsed() > SETTLE => return Ok(Rest::Still),
                    // Something new begins; whatever it is, it is an event first.
                    None => drop(self.line.wait_for(LOOK, |state| state.tab(target)?.is_loading().then_some(()))?),
                },
                Doing::Gone | Doing::Dialog => {}
            }
        }
    }

    fn doing(&self, target: &str) -> Doing {
        self.line.state(|state| match state.tab(target) {
            None => Doing::Gone,
            Some(tab) if tab.crashed => Doing::Gone,
            Some(tab) if tab.dialog.is_some() => Doing::Dialog,
            Some(tab) if tab.is_loading() => Doing::Loading,
            Some(tab) if tab.is_fetching() => Doing::Fetching,
            Some(_) => Doing::Nothing,
        })
    }

    /// Waits until nothing changes in the page. None: it has begun something new meanwhile.
    fn quiet(&self, target: &str) -> Result<Option<Rest>> {
        let within = Duration::from_millis(RESTLESS_MS) + Duration::from_secs(4);
        let args = [json!(STILL_MS), json!(RESTLESS_MS)];
        match self.run(target, target, "quiet", &args, within) {
            Ok(_) => Ok((self.doing(target) == Doing::Nothing).then_some(Rest::Still)),
            Err(Error::Dialog) => Ok(Some(Rest::Dialog)),
            Err(Error::Silent { .. }) => Ok(Some(Rest::Busy)),
            // Its document went.
            Err(Error::Refused { .. } | Error::Cannot(_)) => Ok(None),
            Err(error @ (Error::Gone(_) | Error::Cancelled)) => Err(error),
        }
    }
}
