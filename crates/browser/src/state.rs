//! What is known of a browser, as a fold over its events: pages, frames, dialogs, downloads. An event goes in, what has to
//! be asked of the browser because of it comes out; nothing here waits or writes.

mod console;
mod downloads;
mod hand;
mod tab;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::limits::{DIALOG_CHARS_MAX, NEWS_MAX, SESSIONS_MAX, TABS_MAX};

pub(crate) use console::{Console, exception, shown};
pub(crate) use downloads::Downloads;
pub use downloads::{Download, Progress};
pub(crate) use hand::{Event, Hand, Point};
pub(crate) use tab::{Chooser, Dialog, DialogKind, Frame, Tab, World};

/// The world in which our own code runs in a page: not the page's own.
pub(crate) const WORLD: &str = "thenar";

/// Questions of pages so far, of all browsers that this program watches.
static DIALOGS: AtomicU64 = AtomicU64::new(0);

/// Something to ask of the browser that nobody waits for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Post {
    pub(crate) session: Option<String>,
    pub(crate) method: &'static str,
    pub(crate) params: Value,
    /// Its answer is a page's frames, which the state takes in.
    pub(crate) frames_wanted: bool,
}

impl Post {
    pub(crate) fn new(session: Option<&str>, method: &'static str, params: Value) -> Self {
        Self { session: session.map(str::to_owned), method, params, frames_wanted: false }
    }
}

/// All that is known.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// In the order of their opening.
    tabs: Vec<Tab>,
    /// The page that is acted upon, by its target.
    active: Option<String>,
    /// Which page a session belongs to.
    sessions: HashMap<String, String>,
    pub(crate) downloads: Downloads,
    /// What happened by itself and has not been told yet.
    news: VecDeque<String>,
    /// The number that the next page gets.
    tabs_opened: u32,
    /// The latest picture of a screencast, and how many there were.
    pub(crate) cast: Cast,
}

/// A screencast as far as it is known: only the latest picture is kept.
#[derive(Debug, Default)]
pub(crate) struct Cast {
    pub(crate) frame: Option<crate::watch::Frame>,
    pub(crate) count: u64,
    /// Who watches, and the page whose pictures come.
    pub(crate) watchers: u32,
    pub(crate) target: Option<String>,
}

/// What is told beside it. Why a process ended is nowhere to be read here; a limit that the whole browser met is told by whoever holds it.
const CRASHED: &str = "its process ended, which is also what happens to one that wants too much memory. Navigate again or elsewhere, \
    close other tabs, or restart the browser.";

/// Which kinds of target are looked at: pages and the frames that have a process of their own.
pub(crate) fn auto_attach(on: bool) -> Value {
    let mut params = json!({ "autoAttach": on, "waitForDebuggerOnStart": false, "flatten": true });
    if on {
        params["filter"] = json!([{ "type": "page" }, { "type": "iframe" }]);
    }
    params
}

impl State {
    /// What still holds of what was said to others: the state it makes, and what has to be asked because of it.
    pub(crate) fn standing(messages: &[String]) -> (Self, Vec<Post>) {
        let (mut state, mut posts) = (Self::default(), Vec::new());
        for message in messages {
            let Ok(message) = serde_json::from_str::<Value>(message) else { continue };
            let (method, params) = (message["method"].as_str().unwrap_or_default(), &message["params"]);
            if let ("Target.attachedToTarget", Some(session)) = (method, params["sessionId"].as_str()) {
                // What is on already is told anew only once it was off; nobody looks at what others watched, or holds what they dragged.
                for off in ["Runtime.disable", "Log.disable", "Page.stopScreencast", "Input.cancelDragging"] {
                    posts.push(Post::new(Some(session), off, json!({})));
                }
            }
            posts.extend(state.apply(message["sessionId"].as_str(), method, params));
        }
        // It was told to those before.
        state.news.clear();
        (state, posts)
    }

    pub(crate) fn tabs(&self) -> &[Tab] {
        &self.tabs
    }

    pub(crate) fn tab(&self, target: &str) -> Option<&Tab> {
        self.tabs.iter().find(|tab| tab.target == target)
    }

    pub(crate) fn tab_mut(&mut self, target: &str) -> Option<&mut Tab> {
        self.tabs.iter_mut().find(|tab| tab.target == target)
    }

    /// The page that is acted upon: the one chosen, else the newest.
    pub(crate) fn active(&self) -> Option<&Tab> {
        let chosen = self.active.as_deref().and_then(|target| self.tab(target));
        chosen.or_else(|| self.tabs.last())
    }

    pub(crate) fn activate(&mut self, target: &str) {
        self.active = Some(target.to_owned());
    }

    pub(crate) fn has_dialog(&self, target: &str) -> bool {
        self.tab(target).is_some_and(|tab| tab.dialog.is_some())
    }

    /// Something the caller should be told.
    pub(crate) fn note(&mut self, news: impl Into<String>) {
        if self.news.len() < NEWS_MAX {
            self.news.push_back(news.into());
        }
    }

    /// What is to be told, once.
    pub(crate) fn take_news(&mut self) -> Vec<String> {
        self.news.drain(..).collect()
    }

    /// Folds one event in.
    pub(crate) fn apply(&mut self, session: Option<&str>, method: &str, params: &Value) -> Vec<Post> {
        match method {
            "Target.attachedToTarget" => return self.attached(session, params),
            "Target.detachedFromTarget" => self.detached(params["sessionId"].as_str().unwrap_or_default()),
            "Target.targetDestroyed" => self.closed(params["targetId"].as_str().unwrap_or_default()),
            "Target.targetInfoChanged" => {
                let info = &params["targetInfo"];
                if let Some(tab) = info["targetId"].as_str().and_then(|target| self.tab_mut(target)) {
                    tab.rename(info["title"].as_str(), info["url"].as_str());
                }
            }
            "Browser.downloadWillBegin" => return self.downloads.begin(params),
            "Browser.downloadProgress" => return self.downloads.progress(params),
            _ => {
                let Some(session) = session else { return Vec::new() };
                let Some(target) = self.sessions.get(session).cloned() else {
                    return Vec::new();
                };
                return self.of_page(session, &target, method, params);
            }
        }
        Vec::new()
    }

    /// An event of a page or of a frame with a process of its own.
    fn of_page(&mut self, session: &str, target: &str, method: &str, params: &Value) -> Vec<Post> {
        match method {
            "Page.javascriptDialogOpening" => return self.dialog(session, target, params),
            "Page.screencastFrame" => return self.cast.take(session, params),
            "Input.dragIntercepted" => {
                let Some(tab) = self.tab_mut(target) else { return Vec::new() };
                let events = tab.hand.take(&params["data"]);
                return events
                    .into_iter()
                    .map(|(method, params)| Post::new(Some(&tab.session), method, params))
                    .collect();
            }
            "Inspector.targetCrashed" => {
                let mut what = "A frame of the page";
                if let Some(tab) = self.tab_mut(target).filter(|tab| tab.session == session) {
                    tab.crashed = true;
                    what = "The page";
                }
                self.note(format!("{what} crashed: {CRASHED}"));
            }
            _ => {
                if let Some(tab) = self.tab_mut(target) {
                    tab.apply(session, method, params);
                }
            }
        }
        Vec::new()
    }

    /// A page, or a frame with a process of its own, is there: everything about it is asked for.
    fn attached(&mut self, within: Option<&str>, params: &Value) -> Vec<Post> {
        let info = &params["targetInfo"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (session, target, kind) = (text(&params["sessionId"]), text(&info["targetId"]), text(&info["type"]));
        let room = self.sessions.len() < SESSIONS_MAX;
        let page = match (kind.as_str(), within.and_then(|within| self.sessions.get(within)).cloned()) {
            ("page", _) if room => target.clone(),
            ("iframe", Some(page)) if room => page,
            _ => return vec![Post::new(within, "Target.detachFromTarget", json!({ "sessionId": session }))],
        };
        self.sessions.insert(session.clone(), page.clone());
        let mut posts = Vec::new();
        if kind == "page" {
            if self.tabs.len() >= TABS_MAX {
                self.note(format!("A page opened another one and it was closed: {TABS_MAX} are open already."));
                // Let go first: whoever opened it waits for that, whatever becomes of it.
                return vec![
                    Post::new(Some(&session), "Runtime.runIfWaitingForDebugger", json!({})),
                    Post::new(None, "Target.closeTarget", json!({ "targetId": target })),
                ];
            }
            self.opened(&session, &target, info);
            posts.push(Post::new(Some(&session), "Inspector.enable", json!({})));
            if self.active.as_deref() == Some(&*target) {
                // One that is not in front has slow clocks.
                posts.push(Post::new(Some(&session), "Page.bringToFront", json!({})));
            }
            posts.push(Post::new(Some(&session), "Log.enable", json!({})));
        } else if let Some(tab) = self.tab_mut(&page) {
            tab.moved(&target, &session);
        }
        let quiet = json!({ "maxTotalBufferSize": 0, "maxResourceBufferSize": 0, "maxPostDataSize": 0 });
        posts.push(Post::new(Some(&session), "Page.enable", json!({})));
        posts.push(Post::new(Some(&session), "Runtime.enable", json!({})));
        posts.push(Post::new(Some(&session), "Network.enable", quiet));
        posts.push(Post::new(Some(&session), "Target.setAutoAttach", auto_attach(true)));
        posts.push(Post::new(Some(&session), "Page.setInterceptFileChooserDialog", json!({ "enabled": true })));
        posts.push(Post::new(Some(&session), "Input.setInterceptDrags", json!({ "enabled": true })));
        let tree = Post::new(Some(&session), "Page.getFrameTree", json!({}));
        posts.push(Post { frames_wanted: true, ..tree });
        // A window that a script opens stands still, and the script with it, until this is said, whatever was said before.
        posts.push(Post::new(Some(&session), "Runtime.runIfWaitingForDebugger", json!({})));
        posts
    }

    fn opened(&mut self, session: &str, target: &str, info: &Value) {
        self.tabs_opened += 1;
        let by_page = info.get("openerId").and_then(Value::as_str).is_some();
        let mut tab = Tab::new(target, session, self.tabs_opened);
        tab.rename(info["title"].as_str(), info["url"].as_str());
        self.tabs.push(tab);
        if by_page {
            self.note(format!("A new tab was opened (tab {}) and is shown now.", self.tabs_opened));
        }
        if by_page || self.active.is_none() {
            self.active = Some(target.to_owned());
        }
    }

    fn detached(&mut self, session: &str) {
        let Some(target) = self.sessions.remove(session) else { return };
        if self.tab(&target).is_some_and(|tab| tab.session == session) {
            self.closed(&target);
        } else if let Some(tab) = self.tab_mut(&target) {
            tab.lost(session);
        }
    }

    fn closed(&mut self, target: &str) {
        let Some(at) = self.tabs.iter().position(|tab| tab.target == target) else { return };
        let tab = self.tabs.remove(at);
        self.sessions.retain(|_, page| page != target);
        if self.active.as_deref() == Some(target) {
            self.active = self.tabs.last().map(|tab| tab.target.clone());
            if let Some(now) = self.active().map(|tab| tab.number) {
                self.note(format!("Tab {} was closed; tab {now} is shown now.", tab.number));
            }
        }
    }

    /// The frames of a page as it was found.
    pub(crate) fn take_frames(&mut self, session: &str, tree: &Value) {
        let Some(target) = self.sessions.get(session).cloned() else { return };
        if let Some(tab) = self.tab_mut(&target) {
            tab.take_frames(session, tree, 0);
        }
    }

    /// What a page says with one way to answer is answered; what it asks is for the caller to answer.
    fn dialog(&mut self, session: &str, target: &str, params: &Value) -> Vec<Post> {
        let message: String = params["message"].as_str().unwrap_or_default().chars().take(DIALOG_CHARS_MAX).collect();
        let kind = match params["type"].as_str() {
            Some("confirm") => DialogKind::Confirm,
            Some("prompt") => DialogKind::Prompt,
            other => {
                if other == Some("alert") {
                    self.note(format!("The page showed an alert, which was closed: {message:?}"));
                }
                let accept = json!({ "accept": true });
                return vec![Post::new(Some(session), "Page.handleJavaScriptDialog", accept)];
            }
        };
        if let Some(tab) = self.tab_mut(target) {
            let number = DIALOGS.fetch_add(1, Ordering::Relaxed) + 1;
            tab.dialog = Some(Dialog { number, session: session.to_owned(), kind, message });
        }
        Vec::new()
    }
}

impl Cast {
    /// Keeps the picture and asks for the next one: without that the browser sends no more.
    fn take(&mut self, session: &str, params: &Value) -> Vec<Post> {
        self.count += 1;
        self.frame = crate::watch::Frame::read(self.count, params);
        let seen = json!({ "sessionId": params["sessionId"] });
        vec![Post::new(Some(session), "Page.screencastFrameAck", seen)]
    }
}

#[cfg(test)]
mod tests;
