//! What the models are just saying, for whoever listens. It is no part of any record: when a reply is whole it is an event, and
//! what was heard of it before is forgotten. Nothing is queued for anybody: whoever is slow hears more at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use agent::{Delta, Patience, State, Watcher};
use event::{EffectId, Event, TaskId};
use tokio::sync::watch;

/// Bytes of a reply that are told while it comes; the rest comes with the whole.
const SAID_BYTES_MAX: usize = 256 * 1024;

/// A reply that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Saying {
    /// The call, and which try of it; none where nothing is being said.
    pub(crate) call: Option<(EffectId, u32)>,
    pub(crate) text: String,
    /// What was said was void, and not the beginning of a reply that is on record now.
    withdrawn: bool,
}

/// Where one task's model is heard.
pub(crate) type Voice = watch::Sender<Saying>;

/// The voices of all tasks that somebody runs or hears; a cheap handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    voices: Arc<Mutex<HashMap<TaskId, Weak<Voice>>>>,
}

impl Words {
    /// The task's voice: that of its listeners or its run, else a new one.
    pub(crate) fn of(&self, id: &TaskId) -> Arc<Voice> {
        let mut voices = self.voices.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(voice) = voices.get(id).and_then(Weak::upgrade) {
            return voice;
        }
        voices.retain(|_, voice| voice.strong_count() > 0);
        let voice = Arc::new(watch::Sender::new(Saying::default()));
        voices.insert(id.clone(), Arc::downgrade(&voice));
        voice
    }
}

/// The onlooker of a run: passes on what the model says. It has patience only while a part of the computer is in a person's
/// hands: what they reach from there is decided by the run.
#[derive(Debug)]
pub(crate) struct Teller(pub(crate) Arc<Voice>);

impl Teller {
    /// Nothing is being said any more; how the last words ended stays, whatever ends after them.
    fn end(&self, withdrawn: bool) {
        self.0.send_if_modified(|saying| {
            let said = saying.call.is_some();
            if said {
                *saying = Saying { withdrawn, ..Saying::default() };
            }
            said
        });
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.end(true);
    }
}

impl Watcher for Teller {
    fn event(&mut self, _seq: u64, _time_ms: u64, event: &Event, _state: &State) {
        if matches!(event, Event::ModelReplied { .. }) {
            self.end(false);
        }
    }

    fn delta(&mut self, id: EffectId, attempt: u32, delta: &Delta) {
        let Delta::Text(text) = delta else { return };
        self.0.send_if_modified(|saying| {
            if saying.call != Some((id, attempt)) {
                *saying = Saying { call: Some((id, attempt)), ..Saying::default() };
            }
            let room = saying.text.len() + text.len() <= SAID_BYTES_MAX;
            if room {
                saying.text.push_str(text);
            }
            room
        });
    }

    fn withdrawn(&mut self, _id: EffectId) {
        self.end(true);
    }

    fn waiting(&mut self, state: &State) -> Patience {
        if state.taken_over.is_some() { Patience::Stay } else { Patience::Leave }
    }
}

/// One listener's place in what is being said.
#[derive(Debug)]
pub(crate) struct Hearing {
    voice: watch::Receiver<Saying>,
    /// The call of which something was told, and how many bytes.
    told: Option<((EffectId, u32), usize)>,
}

/// What is new: words of this call, or that those before are void.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) effect: EffectId,
    pub(crate) attempt: u32,
    pub(crate) text: Option<String>,
}

impl Hearing {
    pub(crate) fn new(voice: &Voice) -> Self {
        Self { voice: voice.subscribe(), told: None }
    }

    /// Comes back when something may be new.
    pub(crate) async fn changed(&mut self) {
        if self.voice.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// What is new since the last call, as one piece.
    pub(crate) fn next(&mut self) -> Option<Heard> {
        let saying = self.voice.borrow_and_update();
        if let Some(((effect, attempt), _)) = self.told
            && saying.call != Some((effect, attempt))
        {
            self.told = None;
            if saying.call.is_some() || saying.withdrawn {
                // The next call of this finds the words of the other try.
                return Some(Heard { effect, attempt, text: None });
            }
        }
        let (effect, attempt) = saying.call?;
        let from = self.told.map_or(0, |(_, told)| told);
        let text = saying.text.get(from..).filter(|text| !text.is_empty())?.to_owned();
        self.told = Some(((effect, attempt), saying.text.len()));
        Some(Heard { effect, attempt, text: Some(text) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(teller: &mut Teller, effect: u64, attempt: u32, text: &str) {
        teller.delta(EffectId(effect), attempt, &Delta::Text(text.to_owned()));
    }

    fn heard(effect: u64, attempt: u32, text: Option<&str>) -> Option<Heard> {
        Some(Heard { effect: EffectId(effect), attempt, text: text.map(str::to_owned) })
    }

    #[test]
    fn whoever_is_slow_or_late_hears_all_of_it_in_larger_pieces() {
        let words = Words::default();
        let id = TaskId::new("a").unwrap();
        let mut teller = Teller(words.of(&id));
        let mut quick = Hearing::new(&words.of(&id));
        say(&mut teller, 1, 1, "one ");
        assert_eq!(quick.next(), heard(1, 1, Some("one ")));
        assert_eq!(quick.next(), None);
        say(&mut teller, 1, 1, "two ");
        say(&mut teller, 1, 1, "three");
        let mut late = Hearing::new(&words.of(&id));
        assert_eq!(quick.next(), heard(1, 1, Some("two three")));
        assert_eq!(late.next(), heard(1, 1, Some("one two three")));
    }

    #[test]
    fn another_try_takes_back_what_was_said() {
        let words = Words::default();
        let id = TaskId::new("a").unwrap();
        let mut teller = Teller(words.of(&id));
        let (mut one, mut other) = (Hearing::new(&words.of(&id)), Hearing::new(&words.of(&id)));
        say(&mut teller, 1, 1, "wrong");
        assert_eq!(one.next(), heard(1, 1, Some("wrong")));
        teller.withdrawn(EffectId(1));
        assert_eq!(one.next(), heard(1, 1, None));
        say(&mut teller, 1, 2, "right");
        assert_eq!((one.next(), other.next()), (heard(1, 2, Some("right")), heard(1, 2, Some("right"))));
        // Whoever missed that it was taken back is told before the next words.
        say(&mut teller, 2, 1, "more");
        assert_eq!((one.next(), one.next()), (heard(1, 2, None), heard(2, 1, Some("more"))));
        drop(teller);
        assert_eq!((one.next(), one.next()), (heard(2, 1, None), None));
    }

    #[test]
    fn words_on_record_are_not_taken_back_when_the_run_ends() {
        let words = Words::default();
        let mut teller = Teller(words.of(&TaskId::new("a").unwrap()));
        let voice = Arc::clone(&teller.0);
        let mut slow = Hearing::new(&voice);
        say(&mut teller, 1, 1, "right");
        assert_eq!(slow.next(), heard(1, 1, Some("right")));
        teller.end(false);
        drop(teller);
        assert_eq!(slow.next(), None);
    }

    #[test]
    fn what_is_told_of_a_reply_has_an_end() {
        let words = Words::default();
        let mut teller = Teller(words.of(&TaskId::new("a").unwrap()));
        let mut one = Hearing::new(&teller.0);
        for _ in 0..300 {
            say(&mut teller, 1, 1, &"x".repeat(1024));
        }
        assert_eq!(one.next().unwrap().text.unwrap().len(), SAID_BYTES_MAX);
    }
}
