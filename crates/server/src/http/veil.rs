//! What of a task's events is shown to somebody who has a link and no token: the outputs, or everything, and neither with
//! secrets nor with where things stand on this machine. What cannot be told apart from other words, it cannot hide.

use agent::{Recorded, Summary};
use event::{AssistantMessage, Event, Reply, TaskCreated, TaskOptions, ToolFact, ToolResult};
use serde_json::{Value, json};

use super::App;
use crate::shares::What;

const COVERED: &str = "•••";

/// A text shorter than this is no secret: it would be found everywhere.
const SECRET_CHARS_MIN: usize = 8;

/// What keys of well-known services begin with, and how long they are at the least.
const KEYS: [(&str, usize); 14] = [
    ("sk-", 20),
    ("sk_live_", 20),
    ("rk_live_", 20),
    ("ghp_", 30),
    ("gho_", 30),
    ("ghs_", 30),
    ("github_pat_", 30),
    ("glpat-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("AKIA", 20),
    ("AIza", 35),
    ("hf_", 30),
    ("eyJ", 40),
];

/// What ends where a private key ends.
const PRIVATE_KEY: (&str, &str) = ("PRIVATE KEY-----", "-----END ");

/// Before the name of a person's own folder.
const HOMES: [&str; 2] = ["/home/", "/Users/"];

/// Covers what strangers are not shown.
#[derive(Clone)]
pub(super) struct Veil {
    what: What,
    /// Texts to cover, and what stands for them, longest first.
    covers: Vec<(String, &'static str)>,
}

impl Veil {
    /// Blocks: secrets are asked for anew each time.
    pub(super) fn new(app: &App, task: &Summary, what: What) -> Self {
        let secrets = app.house.withheld().into_iter().chain([app.token.reveal().to_owned()]);
        let secrets = secrets.filter(|secret| secret.len() >= SECRET_CHARS_MIN).map(|secret| (secret, COVERED));
        let places = [
            (Some(task.workspace.to_string_lossy().into_owned()), "/workspace"),
            (task.options.workspace.clone(), "/workspace"),
            (Some(task.out.to_string_lossy().into_owned()), "deliverables"),
            (task.options.out.clone(), "deliverables"),
            (Some(task.folder.to_string_lossy().into_owned()), "task"),
            (Some(app.instance.home().path().to_string_lossy().into_owned()), "data"),
        ];
        let places =
            places.into_iter().filter_map(|(path, shown)| Some((path?, shown))).filter(|(path, _)| path.len() > 1);
        let mut covers: Vec<_> = secrets.chain(places).collect();
        covers.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Self { what, covers }
    }

    /// A line of the record as it is shown; none where it is not.
    pub(super) fn line(&self, recorded: &Recorded) -> Option<String> {
        let event = match self.what {
            What::Outputs => output(&recorded.event)?,
            What::Everything => without_places(recorded.event.clone()),
        };
        let mut event = serde_json::to_value(event).ok()?;
        self.cover(&mut event);
        Some(json!({"seq": recorded.seq, "time_ms": recorded.time_ms, "event": event}).to_string())
    }

    /// The text without what is covered in it.
    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (covered, shown) in &self.covers {
            if text.contains(covered.as_str()) {
                text = text.replace(covered.as_str(), shown);
            }
        }
        without_homes(&without_keys(&without_private_keys(&text)))
    }

    fn cover(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.cover(value)),
            Value::Object(map) => {
                let names: Vec<_> = map.keys().filter(|name| self.text(name) != **name).cloned().collect();
                for name in names {
                    if let Some(value) = map.remove(&name) {
                        map.insert(self.text(&name), value);
                    }
                }
                map.values_mut().for_each(|value| self.cover(value));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// What was asked for, said, planned and handed over; nothing of how.
fn output(event: &Event) -> Option<Event> {
    match event {
        Event::TaskCreated(_)
        | Event::Forked { .. }
        | Event::Resumed { .. }
        | Event::MessageReceived { .. }
        | Event::TaskEnded { .. } => Some(without_places(event.clone())),
        Event::ModelReplied { reply, .. } if reply.message.text.is_empty() => None,
        Event::ModelReplied { id, reply, cost: _ } => {
            let message = AssistantMessage { text: reply.message.text.clone(), ..AssistantMessage::default() };
            let (served_by, response_id) = (String::new(), String::new());
            let reply = Reply { message, finish: reply.finish, usage: None, served_by, response_id };
            Some(Event::ModelReplied { id: *id, reply: Box::new(reply), cost: None })
        }
        Event::ToolFinished { id, result } => {
            let how = |fact: &ToolFact| {
                matches!(
                    fact,
                    ToolFact::Command { .. }
                        | ToolFact::BrowserLimits { .. }
                        | ToolFact::Picture { .. }
                        | ToolFact::Page { .. }
                )
            };
            let told = |fact: &&ToolFact| !how(fact);
            let facts: Vec<_> = result.facts.iter().filter(told).cloned().collect();
            let result = ToolResult { text: String::new(), facts, ..result.clone() };
            (!result.facts.is_empty()).then(|| without_places(Event::ToolFinished { id: *id, result }))
        }
        Event::PutDown { .. }
        | Event::OptionsChanged { .. }
        | Event::HostsChanged { .. }
        | Event::EffectRequested { .. }
        | Event::EffectDecided { .. }
        | Event::ApprovalRequested { .. }
        | Event::ApprovalAnswered { .. }
        | Event::EffectStarted { .. }
        | Event::ModelAttemptFailed { .. }
        | Event::ModelFailed { .. }
        | Event::LimitReached { .. }
        | Event::TimeReached { .. }
        | Event::StopRequested { .. }
        | Event::AutorunChanged { .. }
        | Event::CheckpointTaken { .. }
        | Event::CheckpointMissed { .. }
        | Event::CheckpointsLetGo { .. }
        | Event::RestoreBegun { .. }
        | Event::WorkspaceRestored { .. }
        | Event::ComputerSlept { .. }
        | Event::TakenOver { .. }
        | Event::ConnectionOpened { .. }
        | Event::ConnectionClosed { .. }
        | Event::ConnectionRefused { .. }
        | Event::ConnectionsCounted { .. }
        | Event::GrantEnded { .. }
        | Event::HandedBack { .. } => None,
    }
}

/// The event without the fields that say where things stand on this machine, or what only the provider reads.
fn without_places(mut event: Event) -> Event {
    let placeless = |options: &mut TaskOptions| (options.workspace, options.out) = (None, None);
    if let Event::TaskCreated(created) = &mut event {
        let TaskCreated { options, boot, autorun, forked_from, .. } = created.as_mut();
        placeless(options);
        boot.clear();
        (*autorun, *forked_from) = (None, None);
    }
    if let Event::OptionsChanged { options } | Event::Forked { options } = &mut event {
        placeless(options);
    }
    if let Event::Resumed { boot, .. } | Event::EffectStarted { boot, .. } = &mut event {
        boot.clear();
    }
    if let Event::ModelReplied { reply, .. } = &mut event {
        reply.message.carried.clear();
        reply.response_id.clear();
    }
    if let Event::ToolFinished { result, .. } = &mut event {
        for fact in &mut result.facts {
            if let ToolFact::Delivered { files } = fact {
                files.iter_mut().for_each(|file| file.path.clear());
            }
        }
    }
    event
}

fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// Covers what looks like a key of a well-known service.
fn without_keys(text: &str) -> String {
    if !KEYS.iter().any(|(start, _)| text.contains(start)) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.bytes().position(is_of_key) {
        let (before, word) = rest.split_at(at);
        let end = word.bytes().position(|byte| !is_of_key(byte)).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        shown.push_str(before);
        let key = KEYS.iter().any(|(start, least)| word.len() >= *least && word.starts_with(start));
        shown.push_str(if key { COVERED } else { word });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Covers what stands between the first and the last line of a private key, and to the end where that is missing.
fn without_private_keys(text: &str) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(PRIVATE_KEY.0) {
        let (before, key) = rest.split_at(at + PRIVATE_KEY.0.len());
        shown.push_str(before);
        shown.push_str(COVERED);
        rest = key.find(PRIVATE_KEY.1).map_or("", |end| &key[end..]);
        let Some(line) = rest.find(PRIVATE_KEY.0) else { break };
        shown.push_str(&rest[..line + PRIVATE_KEY.0.len()]);
        rest = &rest[line + PRIVATE_KEY.0.len()..];
    }
    shown.push_str(rest);
    shown
}

/// `~` for the folders that bear people's names.
fn without_homes(text: &str) -> String {
    let mut text = text.to_owned();
    for start in HOMES {
        let (mut shown, mut rest) = (String::new(), text.as_str());
        while let Some(at) = rest.find(start) {
            let (before, path) = rest.split_at(at);
            let name = &path[start.len()..];
            let end = name.find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))).unwrap_or(name.len());
            shown.push_str(before);
            shown.push_str(if end == 0 { start } else { "~" });
            rest = &name[end..];
        }
        shown.push_str(rest);
        text = shown;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_homes_are_covered_and_other_words_are_not() {
        let veil = Veil { what: What::Everything, covers: vec![("hunter2hunter2".to_owned(), COVERED)] };
        for (text, shown) in [
            ("export OPENAI_API_KEY=sk-proj-0123456789abcdefghij", "export OPENAI_API_KEY=•••"),
            ("(ghp_0123456789012345678901234567890123)", "(•••)"),
            (concat!("AKIA", "IOSFODNN7EXAMPLE and AKIA"), "••• and AKIA"),
            ("the password is hunter2hunter2.", "the password is •••."),
            ("cd /home/anna/work && ls /home/", "cd ~/work && ls /home/"),
            ("/Users/Ürsula-B/x", "~/x"),
            ("risk-averse, sk-1, task-0123456789abcdefghijklm", "risk-averse, sk-1, task-0123456789abcdefghijklm"),
            (
                concat!("-----BEGIN RSA ", "PRIVATE KEY-----\nMIIE\n-----END RSA ", "PRIVATE KEY-----\nafter"),
                concat!("-----BEGIN RSA ", "PRIVATE KEY-----•••-----END RSA ", "PRIVATE KEY-----\nafter"),
            ),
            (concat!("-----BEGIN ", "PRIVATE KEY-----\nMIIE"), concat!("-----BEGIN ", "PRIVATE KEY-----•••")),
        ] {
            assert_eq!(veil.text(text), shown);
        }
    }

    #[test]
    fn names_in_an_object_are_covered_too() {
        let veil = Veil { what: What::Everything, covers: vec![("hunter2hunter2".to_owned(), COVERED)] };
        let mut value = json!({"hunter2hunter2": ["hunter2hunter2", 1], "plain": null});
        veil.cover(&mut value);
        assert_eq!(value, json!({"•••": ["•••", 1], "plain": null}));
    }
}
