//! What still holds of what a browser has told its callers: which pages it speaks of, and which of them wait with a question. A
//! caller who comes later is told it again, and so lets the pages be: whoever attached to them anew would answer their questions
//! with no. It understands of a message whom it is about, and nothing else.

use serde::Deserialize;

const ATTACHED: &str = "Target.attachedToTarget";
const DETACHED: &str = "Target.detachedFromTarget";
const ASKS: &str = "Page.javascriptDialogOpening";
const ASKED: &str = "Page.javascriptDialogClosed";

/// How the browser begins the messages that matter here.
pub(super) const BEGINNINGS: [&[u8]; 4] = [
    br#"{"method":"Target.attachedToTarget","#,
    br#"{"method":"Target.detachedFromTarget","#,
    br#"{"method":"Page.javascriptDialogOpening","#,
    br#"{"method":"Page.javascriptDialogClosed","#,
];
/// Pages and frames that are kept account of.
const SESSIONS_MAX: usize = 500;
/// Bytes of what is kept, as it is told to the next caller in one answer: addresses and questions are as long as pages make them.
const BYTES_MAX: usize = 8 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Pages and frames, in the order in which they came.
    sessions: Vec<Session>,
    /// Something passed by that was too much: what is known is not all.
    lost: bool,
}

#[derive(Debug)]
struct Session {
    id: String,
    message: String,
    /// With which it waits.
    question: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    method: String,
    session_id: Option<String>,
    params: About,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    session_id: Option<String>,
}

impl Session {
    fn bytes(&self) -> usize {
        self.message.len() + self.question.as_ref().map_or(0, String::len)
    }
}

impl Standing {
    /// A whole message that begins as one of [`BEGINNINGS`].
    pub(super) fn hear(&mut self, message: &[u8]) {
        let (Ok(said), Ok(text)) = (serde_json::from_slice::<Said>(message), std::str::from_utf8(message)) else {
            return;
        };
        if self.lost {
            return;
        }
        match (said.method.as_str(), said.params.session_id, said.session_id) {
            (ATTACHED, Some(id), _) => self.sessions.push(Session { id, message: text.to_owned(), question: None }),
            (ATTACHED, ..) => self.missed(),
            (DETACHED, Some(id), _) => self.sessions.retain(|session| session.id != id),
            (ASKS, _, Some(id)) => self.question(&id, Some(text.to_owned())),
            (ASKED, _, Some(id)) => self.question(&id, None),
            _ => {}
        }
        if self.sessions.len() > SESSIONS_MAX || self.sessions.iter().map(Session::bytes).sum::<usize>() > BYTES_MAX {
            self.missed();
        }
    }

    /// A message went by that was too much to be kept. What is known is of no use from here on.
    pub(super) fn missed(&mut self) {
        (self.lost, self.sessions) = (true, Vec::new());
    }

    fn question(&mut self, id: &str, question: Option<String>) {
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) {
            session.question = question;
        }
    }

    /// What the next caller is told; nothing where not all is known.
    pub(super) fn messages(&self) -> Vec<String> {
        let sessions = self.sessions.iter().map(|session| session.message.clone());
        sessions.chain(self.sessions.iter().filter_map(|session| session.question.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_is_told_again_and_what_is_over_is_not() {
        let attached =
            |id: &str| format!(r#"{{"method":"{ATTACHED}","params":{{"sessionId":"{id}","targetInfo":{{}}}}}}"#);
        let detached = |id: &str| format!(r#"{{"method":"{DETACHED}","params":{{"sessionId":"{id}"}}}}"#);
        let asks = |id: &str| format!(r#"{{"method":"{ASKS}","params":{{"message":"Well?"}},"sessionId":"{id}"}}"#);
        let asked = |id: &str| format!(r#"{{"method":"{ASKED}","params":{{"result":true}},"sessionId":"{id}"}}"#);
        let mut standing = Standing::default();
        for message in
            [attached("a"), attached("b"), attached("c"), asks("a"), asks("c"), asked("a"), detached("b"), asks("z")]
        {
            standing.hear(message.as_bytes());
        }
        assert_eq!(standing.messages(), [attached("a"), attached("c"), asks("c")]);
        standing.hear(detached("c").as_bytes());
        assert_eq!(standing.messages(), [attached("a")]);
        standing.missed();
        standing.hear(attached("d").as_bytes());
        assert!(standing.messages().is_empty());
    }

    #[test]
    fn more_than_an_answer_can_hold_is_not_told_at_all() {
        let long = "x".repeat(200 * 1024);
        let attached = |id: usize| {
            format!(r#"{{"method":"{ATTACHED}","params":{{"sessionId":"{id}","targetInfo":{{"url":"{long}"}}}}}}"#)
        };
        let mut standing = Standing::default();
        (0..40).for_each(|id| standing.hear(attached(id).as_bytes()));
        assert_eq!(standing.messages().len(), 40);
        (40..50).for_each(|id| standing.hear(attached(id).as_bytes()));
        assert!(standing.messages().is_empty());
    }
}
