//! Files between pages and the caller: what was downloaded, and what a page may be given. Only names inside the browser's
//! box pass here; the caller brings files in and takes them out.

use serde_json::json;

use crate::field::Takes;
use crate::limits::ANSWER;
use crate::line::Ask;
use crate::state::Download;
use crate::{Browser, Error, Result};

/// Downloads under way that are told one by one.
const RUNNING_TOLD_MAX: usize = 5;

/// A field that files can be given to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    session: String,
    node: Node,
    /// Several files at once.
    pub many: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// As the browser numbers it.
    Known(i64),
    /// A handle on it.
    Handle(String),
}

impl Browser {
    /// What was downloaded and is over, each told once.
    pub fn take_downloads(&self) -> Vec<Download> {
        self.line.state(|state| state.downloads.take_ended())
    }

    /// Downloads under way, in words; nothing if there are none.
    pub fn downloads_under_way(&self) -> Option<String> {
        self.line.state(|state| {
            let running = state.downloads.all();
            let one = |download: &Download| match download.bytes_in_all {
                Some(all) => format!("{:?} ({} of {all} bytes)", download.suggested, download.bytes),
                None => format!("{:?} ({} bytes)", download.suggested, download.bytes),
            };
            let more = running.len().saturating_sub(RUNNING_TOLD_MAX);
            let more = (more > 0).then(|| format!("{more} more"));
            let few = running.iter().take(RUNNING_TOLD_MAX).map(one).chain(more);
            (!running.is_empty()).then(|| few.collect::<Vec<_>>().join(", "))
        })
    }

    /// Waits until no download is under way, at most so long.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn wait_for_downloads(&self, within: std::time::Duration) -> Result<()> {
        self.line.wait_for(within, |state| (!state.downloads.are_running()).then_some(()))?;
        Ok(())
    }

    /// Whether the page waits for files to be chosen.
    pub fn wants_files(&self) -> bool {
        self.line.state(|state| state.active().is_some_and(|tab| tab.chooser.is_some()))
    }

    /// Forgets that the page asks for files, as if there were none to give. True if it did.
    pub(crate) fn close_chooser(&self, target: &str) -> bool {
        self.line.state(|state| state.tab_mut(target).and_then(|tab| tab.chooser.take()).is_some())
    }

    /// The field that files go to: an element if it takes any, else the one whose chooser the page has opened. None if the
    /// element is another kind of field.
    ///
    /// # Errors
    /// [`Error::Cannot`] if there is no such element.
    pub fn upload_field(&self, number: Option<u32>) -> Result<Option<Upload>> {
        let target = self.page()?;
        self.no_dialog(&target)?;
        if let Some(number) = number {
            let takes = self.takes_files(number)?;
            if takes == Takes::Text {
                return Ok(None);
            }
            if let Takes::Files { many } = takes {
                let (place, frame) = self.place_of(number)?;
                let handle = self.run_for_handle(&place, &frame, "fileField", &[number.into()])?;
                let handle = handle.ok_or_else(|| crate::act::no_element(number))?;
                let (session, _) = self.our_world(&place, &frame)?;
                return Ok(Some(Upload { session, node: Node::Handle(handle), many }));
            }
        }
        let chooser = self.line.state(|state| state.active().and_then(|tab| tab.chooser.clone()));
        Ok(chooser.map(|chooser| Upload {
            session: chooser.session,
            node: Node::Known(chooser.node),
            many: chooser.many,
        }))
    }

    /// Gives a field files, by their paths as the browser sees them.
    ///
    /// # Errors
    /// [`Error::Cannot`] if the field takes one file only.
    pub fn upload(&self, field: &Upload, paths: &[String]) -> Result<String> {
        let target = self.page()?;
        if paths.len() > 1 && !field.many {
            return Err(Error::Cannot("that field takes one file only".to_owned()));
        }
        let mut params = json!({ "files": paths });
        match &field.node {
            Node::Known(node) => params["backendNodeId"] = json!(node),
            Node::Handle(handle) => params["objectId"] = json!(handle),
        }
        let ask = Ask {
            session: Some(&field.session),
            method: "DOM.setFileInputFiles",
            params,
            within: ANSWER,
            tab: Some(&target),
        };
        match self.line.ask(ask) {
            Ok(_) | Err(Error::Dialog) => {}
            Err(error) => return Err(error),
        }
        self.close_chooser(&target);
        self.after(&format!("Gave the page {} {}.", paths.len(), if paths.len() == 1 { "file" } else { "files" }))
    }
}
