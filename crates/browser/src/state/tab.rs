//! One page: its frames, what it waits for, what it has said. Folded from its events; it asks for nothing.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Console, Hand, WORLD};
use crate::limits::{ADDRESS_CHARS_MAX, FETCHES_MAX, FRAMES_KNOWN_MAX, TITLE_CHARS_MAX};

/// Frames within frames.
const DEPTH_MAX: usize = 32;

/// A page.
#[derive(Debug)]
pub(crate) struct Tab {
    pub(crate) target: String,
    pub(crate) session: String,
    /// As the caller is told: counted from 1, never used again.
    pub(crate) number: u32,
    pub(crate) title: String,
    pub(crate) url: String,
    pub(crate) frames: HashMap<String, Frame>,
    pub(crate) dialog: Option<Dialog>,
    pub(crate) chooser: Option<Chooser>,
    pub(crate) hand: Hand,
    pub(crate) console: Console,
    pub(crate) crashed: bool,
    /// Documents that the page itself has had.
    pub(crate) navigations: u64,
    /// What the page fetches now by itself.
    fetches: HashSet<String>,
}

/// A frame of a page, its main one included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) parent: Option<String>,
    /// Whose process it is in.
    pub(crate) session: String,
    pub(crate) url: String,
    /// Which document it has.
    pub(crate) loader: String,
    pub(crate) loading: bool,
    /// The worlds in it: the page's own, and ours.
    pub(crate) page_world: Option<World>,
    pub(crate) our_world: Option<World>,
}

/// Where code can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) id: i64,
    /// Unlike the number it never means another one.
    pub(crate) unique: String,
}

/// A question of the page's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialog {
    /// No other question has it, also over another line.
    pub(crate) number: u64,
    pub(crate) session: String,
    pub(crate) kind: DialogKind,
    pub(crate) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DialogKind {
    /// Yes or no.
    Confirm,
    /// A line of text.
    Prompt,
}

/// The page asks for files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chooser {
    pub(crate) session: String,
    /// The field they go to, as the browser numbers it.
    pub(crate) node: i64,
    pub(crate) many: bool,
}

impl Tab {
    pub(crate) fn new(target: &str, session: &str, number: u32) -> Self {
        let root = Frame { session: session.to_owned(), ..Frame::default() };
        Self {
            target: target.to_owned(),
            session: session.to_owned(),
            number,
            title: String::new(),
            url: String::new(),
            frames: HashMap::from([(target.to_owned(), root)]),
            dialog: None,
            chooser: None,
            hand: Hand::default(),
            console: Console::default(),
            crashed: false,
            navigations: 0,
            fetches: HashSet::new(),
        }
    }

    /// The main frame; it bears the name of its page's target.
    pub(crate) fn root(&self) -> Option<&Frame> {
        self.frames.get(&self.target)
    }

    pub(crate) fn is_loading(&self) -> bool {
        self.root().is_some_and(|root| root.loading)
    }

    pub(crate) fn is_fetching(&self) -> bool {
        !self.fetches.is_empty()
    }

    pub(crate) fn forget_fetches(&mut self) {
        self.fetches.clear();
    }

    pub(crate) fn rename(&mut self, title: Option<&str>, url: Option<&str>) {
        if let Some(title) = title {
            self.title = title.chars().take(TITLE_CHARS_MAX).collect();
        }
        if let Some(url) = url.filter(|url| !url.is_empty()) {
            self.url = url.chars().take(ADDRESS_CHARS_MAX).collect();
        }
    }

    /// A frame has moved to a process of its own.
    pub(crate) fn moved(&mut self, frame: &str, session: &str) {
        let frame = self.frames.entry(frame.to_owned()).or_default();
        session.clone_into(&mut frame.session);
        (frame.page_world, frame.our_world) = (None, None);
    }

    /// A process of frames is gone.
    pub(crate) fn lost(&mut self, session: &str) {
        for frame in self.frames.values_mut().filter(|frame| frame.session == session) {
            (frame.page_world, frame.our_world, frame.loading) = (None, None, false);
        }
    }

    pub(crate) fn take_frames(&mut self, session: &str, tree: &Value, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        self.navigated(session, &tree["frame"], false);
        for child in tree["childFrames"].as_array().into_iter().flatten() {
            self.take_frames(session, child, depth + 1);
        }
    }

    pub(crate) fn apply(&mut self, session: &str, method: &str, params: &Value) {
        let frame = || params["frameId"].as_str().unwrap_or_default();
        match method {
            "Page.frameAttached" => {
                let parent = params["parentFrameId"].as_str().map(str::to_owned);
                if self.frames.len() < FRAMES_KNOWN_MAX {
                    let session = session.to_owned();
                    self.frames.insert(frame().to_owned(), Frame { parent, session, ..Frame::default() });
                }
            }
            "Page.frameDetached" if params["reason"] != "swap" => self.removed(frame()),
            "Page.frameNavigated" => self.navigated(session, &params["frame"], true),
            "Page.navigatedWithinDocument" => {
                let url = params["url"].as_str().unwrap_or_default();
                if frame() == self.target {
                    self.rename(None, Some(url));
                }
                if let Some(frame) = self.frames.get_mut(frame()) {
                    frame.url = url.chars().take(ADDRESS_CHARS_MAX).collect();
                }
            }
            "Page.frameStartedLoading" | "Page.frameStoppedLoading" => {
                if let Some(frame) = self.frames.get_mut(frame()) {
                    frame.loading = method == "Page.frameStartedLoading";
                }
            }
            "Page.javascriptDialogClosed" => self.dialog = None,
            "Page.fileChooserOpened" => {
                let node = params["backendNodeId"].as_i64();
                let many = params["mode"] == "selectMultiple";
                self.chooser = node.map(|node| Chooser { session: session.to_owned(), node, many });
            }
            "Runtime.executionContextCreated" => self.world_made(session, &params["context"]),
            "Runtime.executionContextDestroyed" => self.world_gone(params["executionContextUniqueId"].as_str()),
            "Runtime.executionContextsCleared" => self.lost_worlds(session),
            "Network.requestWillBeSent" => {
                let by_itself = matches!(params["type"].as_str(), Some("XHR" | "Fetch" | "Script"));
                if by_itself && self.fetches.len() < FETCHES_MAX {
                    self.fetches.extend(params["requestId"].as_str().map(str::to_owned));
                }
            }
            "Network.loadingFinished" | "Network.loadingFailed" => {
                self.fetches.remove(params["requestId"].as_str().unwrap_or_default());
            }
            _ => self.console.apply(method, params),
        }
    }

    fn navigated(&mut self, session: &str, about: &Value, now: bool) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let id = text(&about["id"]);
        if id.is_empty() || (self.frames.len() >= FRAMES_KNOWN_MAX && !self.frames.contains_key(&id)) {
            return;
        }
        let url: String = text(&about["url"]).chars().take(ADDRESS_CHARS_MAX).collect();
        if id == self.target {
            self.url.clone_from(&url);
            if now {
                self.navigations += 1;
                self.crashed = false;
                self.chooser = None;
                self.fetches.clear();
                // Whatever was in it went with its document.
                self.frames.retain(|name, _| *name == id);
            }
        }
        let loader = text(&about["loaderId"]);
        let frame = self.frames.entry(id).or_default();
        if let Some(parent) = about["parentId"].as_str() {
            frame.parent = Some(parent.to_owned());
        }
        frame.session = session.to_owned();
        frame.url = url;
        frame.loader = loader;
    }

    fn removed(&mut self, frame: &str) {
        let mut gone = vec![frame.to_owned()];
        while let Some(frame) = gone.pop() {
            self.frames.remove(&frame);
            let below = self.frames.iter().filter(|(_, other)| other.parent.as_ref() == Some(&frame));
            gone.extend(below.map(|(name, _)| name.clone()).collect::<Vec<_>>());
        }
    }

    fn world_made(&mut self, session: &str, context: &Value) {
        let about = &context["auxData"];
        let frame = about["frameId"].as_str().unwrap_or_default().to_owned();
        let (Some(id), Some(unique)) = (context["id"].as_i64(), context["uniqueId"].as_str()) else { return };
        let world = World { id, unique: unique.to_owned() };
        if self.frames.len() >= FRAMES_KNOWN_MAX && !self.frames.contains_key(&frame) {
            return;
        }
        let frame = self.frames.entry(frame).or_default();
        if frame.session.is_empty() {
            session.clone_into(&mut frame.session);
        }
        if frame.session != session {
            return;
        }
        if about["isDefault"] == true {
            frame.page_world = Some(world);
        } else if context["name"] == WORLD {
            frame.our_world = Some(world);
        }
    }

    fn world_gone(&mut self, unique: Option<&str>) {
        let Some(unique) = unique else { return };
        for frame in self.frames.values_mut() {
            for world in [&mut frame.page_world, &mut frame.our_world] {
                if world.as_ref().is_some_and(|world| world.unique == unique) {
                    *world = None;
                }
            }
        }
    }

    fn lost_worlds(&mut self, session: &str) {
        for frame in self.frames.values_mut().filter(|frame| frame.session == session) {
            (frame.page_world, frame.our_world) = (None, None);
        }
    }
}
