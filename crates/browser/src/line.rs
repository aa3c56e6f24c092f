//! The line to a browser: messages out and in, each answer back to whoever asked, each event into the state. One thread
//! reads; any thread may ask. It knows the form of the protocol and none of its meaning.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::browser::Start;
use crate::error::Error;
use crate::limits::{LOOK, MESSAGE_BYTES_MAX};
use crate::state::{Post, State};

/// Bytes read at one time.
const CHUNK: usize = 64 * 1024;
/// Numbers of messages that each caller of a browser has to itself.
const IDS_PER_GENERATION: u32 = 1_000_000;
/// Generations after which the numbers begin anew.
const GENERATIONS: u32 = 2_000;

/// One thing to ask for.
#[derive(Debug, Clone)]
pub(crate) struct Ask<'a> {
    /// The page or frame process, or the browser itself.
    pub(crate) session: Option<&'a str>,
    pub(crate) method: &'a str,
    pub(crate) params: Value,
    pub(crate) within: Duration,
    /// The page that this is done to: if a dialog of it opens, there will be no answer until it is closed.
    pub(crate) tab: Option<&'a str>,
}

/// The line. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Line(Arc<Inner>);

struct Inner {
    writer: Mutex<Box<dyn Write + Send>>,
    shared: Mutex<Shared>,
    happened: Condvar,
    /// The caller wants everything to stop.
    cancel: Arc<AtomicBool>,
}

struct Shared {
    next_id: u32,
    answers: HashMap<u32, Waiting>,
    state: State,
    /// Why the line is over.
    over: Option<String>,
}

enum Waiting {
    /// Somebody waits for it.
    Asked(Option<Result<Value, String>>),
    /// The frames of a page or frame process, which the state takes in.
    Frames(String),
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

impl Line {
    /// Begins to listen, on a thread of its own that ends with the stream.
    pub(crate) fn open(
        reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
        start: &Start,
        state: State,
    ) -> Result<Self, Error> {
        let next_id = (start.generation % GENERATIONS) * IDS_PER_GENERATION + 1;
        let shared = Shared { next_id, answers: HashMap::new(), state, over: None };
        let line = Self(Arc::new(Inner {
            writer: Mutex::new(Box::new(writer)),
            shared: Mutex::new(shared),
            happened: Condvar::new(),
            cancel: Arc::clone(&start.cancel),
        }));
        let inner = Arc::clone(&line.0);
        let thread = std::thread::Builder::new().name("browser-line".to_owned());
        thread
            .spawn(move || inner.listen(reader))
            .map_err(|error| Error::Gone(format!("no thread can be started for it: {error}")))?;
        Ok(line)
    }

    /// Asks and waits for the answer.
    pub(crate) fn ask(&self, ask: Ask<'_>) -> Result<Value, Error> {
        let id = self.send(ask.session, ask.method, &ask.params)?;
        self.answer(id, &ask, Instant::now() + ask.within)
    }

    /// Asks several things at once, and waits for all answers: each has its time from now on, not from the one before it.
    pub(crate) fn ask_all(&self, asks: &[Ask<'_>]) -> Result<Vec<Value>, Error> {
        let mut ids = Vec::with_capacity(asks.len());
        for ask in asks {
            ids.push(self.send(ask.session, ask.method, &ask.params)?);
        }
        let asked = Instant::now();
        let answer = |(id, ask): (u32, &Ask<'_>)| self.answer(id, ask, asked + ask.within);
        let answers: Vec<_> = ids.into_iter().zip(asks).map(answer).collect();
        answers.into_iter().collect()
    }

    fn answer(&self, id: u32, ask: &Ask<'_>, until: Instant) -> Result<Value, Error> {
        let found = self.wait_until(until, |shared| {
            let answered = matches!(shared.answers.get(&id), Some(Waiting::Asked(Some(_))));
            let dialog = !answered && ask.tab.is_some_and(|tab| shared.state.has_dialog(tab));
            if dialog {
                return Some(Err(Error::Dialog));
            }
            let taken = answered.then(|| shared.answers.remove(&id)).flatten();
            taken.and_then(|waiting| match waiting {
                Waiting::Asked(Some(answer)) => Some(Ok(answer)),
                Waiting::Asked(None) | Waiting::Frames(_) => None,
            })
        });
        let what = || words(ask.method);
        match found {
            Ok(Some(Ok(answer))) => answer.map_err(|reason| Error::Refused { what: what(), reason }),
            failed => {
                self.lock().answers.remove(&id);
                match failed {
                    Ok(Some(Err(error))) | Err(error) => Err(error),
                    Ok(_) => Err(Error::Silent { what: what(), seconds: ask.within.as_secs() }),
                }
            }
        }
    }

    /// Waits until `found` finds something in what is known, at most `within`.
    pub(crate) fn wait_for<T>(
        &self,
        within: Duration,
        mut found: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.wait_until(Instant::now() + within, |shared| found(&mut shared.state))
    }

    fn wait_until<T>(
        &self,
        until: Instant,
        mut found: impl FnMut(&mut Shared) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let mut shared = self.lock();
        loop {
            if let Some(found) = found(&mut shared) {
                return Ok(Some(found));
            }
            if let Some(reason) = &shared.over {
                return Err(Error::Gone(reason.clone()));
            }
            if self.0.cancel.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let waited = self.0.happened.wait_timeout(shared, left.min(LOOK));
            shared = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Asks for something whose answer nobody needs.
    pub(crate) fn post(&self, post: &Post) -> Result<(), Error> {
        self.0.post(post)
    }

    /// Looks at what is known, or changes it.
    pub(crate) fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.lock().state)
    }

    /// Why the line is over, if it is.
    pub(crate) fn over(&self) -> Option<String> {
        self.lock().over.clone()
    }

    fn send(&self, session: Option<&str>, method: &str, params: &Value) -> Result<u32, Error> {
        let id = {
            let mut shared = self.lock();
            let id = shared.take_id();
            shared.answers.insert(id, Waiting::Asked(None));
            id
        };
        self.0.write(id, session, method, params)?;
        Ok(id)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock()
    }
}

impl Shared {
    fn take_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, post: &Post) -> Result<(), Error> {
        let id = {
            let mut shared = self.lock();
            let id = shared.take_id();
            if let (true, Some(session)) = (post.frames_wanted, &post.session) {
                shared.answers.insert(id, Waiting::Frames(session.clone()));
            }
            id
        };
        self.write(id, post.session.as_deref(), post.method, &post.params)
    }

    fn write(&self, id: u32, session: Option<&str>, method: &str, params: &Value) -> Result<(), Error> {
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = Value::from(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(&bytes).and_then(|()| writer.flush()).map_err(|error| {
            // Half of it may have gone: what were to follow would make no sense.
            let mut shared = self.lock();
            let reason = shared.over.get_or_insert_with(|| format!("it takes no more commands ({error})"));
            Error::Gone(reason.clone())
        })
    }

    /// The listening thread's whole life.
    fn listen(&self, reader: impl Read) {
        let reason = match self.hear(reader) {
            Ok(()) => "it ended, or another program has taken it over".to_owned(),
            Err(error) => format!("the line to it broke: {error}"),
        };
        self.lock().over.get_or_insert(reason);
        self.happened.notify_all();
    }

    fn hear(&self, mut reader: impl Read) -> io::Result<()> {
        let mut heard = Vec::new();
        // A message that is longer than any is passed over: a page can have one said again to whoever comes next.
        let mut too_long = false;
        let mut chunk = vec![0; CHUNK];
        loop {
            let bytes = match reader.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut rest = &chunk[..bytes];
            while let Some(end) = rest.iter().position(|byte| *byte == 0) {
                heard.extend_from_slice(&rest[..end]);
                rest = &rest[end + 1..];
                if !std::mem::take(&mut too_long) {
                    self.take(&heard);
                }
                heard.clear();
                if heard.capacity() > 4 * CHUNK {
                    heard = Vec::new();
                }
            }
            if !too_long {
                heard.extend_from_slice(rest);
            }
            if heard.len() > MESSAGE_BYTES_MAX {
                too_long = true;
                heard = Vec::new();
            }
        }
    }

    fn take(&self, message: &[u8]) {
        let read = serde_json::from_slice::<Value>(message).or_else(|_| serde_json::from_str(&mended(message)));
        // What is no object of JSON tells nothing; the protocol has no other form.
        let Some(mut message) = read.ok().filter(Value::is_object) else { return };
        let id = message.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
        let posts = match id {
            Some(id) => self.take_answer(id, &mut message),
            None => {
                let session = message["sessionId"].as_str().map(str::to_owned);
                let (method, params) =
                    (message["method"].as_str().unwrap_or_default().to_owned(), message["params"].take());
                self.lock().state.apply(session.as_deref(), &method, &params)
            }
        };
        self.happened.notify_all();
        for post in posts {
            // A line that breaks now is found broken by the next read.
            let _ = self.post(&post);
        }
    }

    fn take_answer(&self, id: u32, message: &mut Value) -> Vec<Post> {
        let mut shared = self.lock();
        let answer = match message.get("error") {
            Some(error) => Err(error["message"].as_str().unwrap_or("no reason was given").to_owned()),
            None => Ok(message["result"].take()),
        };
        match shared.answers.get_mut(&id) {
            Some(Waiting::Asked(slot)) => *slot = Some(answer),
            Some(Waiting::Frames(session)) => {
                let session = session.clone();
                shared.answers.remove(&id);
                if let Ok(tree) = answer {
                    shared.state.take_frames(&session, &tree["frameTree"]);
                }
            }
            // Of a caller before us, or of something posted.
            None => {}
        }
        Vec::new()
    }
}

/// The same message without halves of letters: a page can have those in its text, and the browser passes them on, but they are
/// no JSON. Each becomes the sign for what cannot be read.
fn mended(message: &[u8]) -> String {
    const UNREADABLE: &str = "\\ufffd";
    let text = String::from_utf8_lossy(message);
    let unit = |rest: &str| u16::from_str_radix(rest.strip_prefix("\\u")?.get(..4)?, 16).ok();
    let mut whole = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('\\') {
        let (before, escaped) = rest.split_at(at);
        whole.push_str(before);
        // An escape of JSON has two letters, or six where it is a unit of UTF-16.
        let taken = match unit(escaped) {
            Some(0xd800..=0xdbff) if matches!(escaped.get(6..).and_then(unit), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                whole.push_str(UNREADABLE);
                rest = &escaped[6..];
                continue;
            }
            _ => 1 + escaped[1..].chars().next().map_or(0, char::len_utf8),
        };
        whole.push_str(&escaped[..taken]);
        rest = &escaped[taken..];
    }
    whole + rest
}

/// A method's name as words: `Page.captureScreenshot` is "capture screenshot".
fn words(method: &str) -> String {
    let name = method.rsplit('.').next().unwrap_or(method);
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    //! A line whose other end is not what it should be.

    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn line(reader: impl Read + Send + 'static, writer: impl Write + Send + 'static) -> Line {
        let (standing, downloads) = (Vec::new(), String::new());
        let start = Start { generation: 0, fresh: true, standing, downloads, cancel: Arc::default() };
        Line::open(reader, writer, &start, State::default()).unwrap()
    }

    fn ask(line: &Line) -> Result<Value, Error> {
        let (session, method, params) = (None, "Browser.getVersion", json!({}));
        line.ask(Ask { session, method, params, within: Duration::from_secs(60), tab: None })
    }

    #[test]
    fn nonsense_is_passed_over_and_what_follows_is_heard() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let line = line(ours.try_clone().unwrap(), ours);
        let nonsense = [
            "7",
            "null",
            "true",
            r#""text""#,
            "[]",
            r#"[{"id":1}]"#,
            "{",
            "",
            r#"{"id":[]}"#,
            r#"{"method":7,"params":8}"#,
        ];
        let answering = std::thread::spawn(move || {
            for asked in BufReader::new(&theirs).split(0) {
                let asked: Value = serde_json::from_slice(&asked.unwrap()).unwrap();
                let said = format!("{}\0{}\0", nonsense.join("\0"), json!({ "id": asked["id"], "result": "it" }));
                (&theirs).write_all(said.as_bytes()).unwrap();
                if asked["method"] == "Browser.getVersion" {
                    break;
                }
            }
        });
        assert_eq!(ask(&line), Ok(json!("it")));
        answering.join().unwrap();
    }

    const WITHIN: Duration = Duration::from_millis(500);

    #[test]
    fn a_line_that_answers_nothing_keeps_several_waiting_no_longer_than_one() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let line = line(ours.try_clone().unwrap(), ours);
        let ask = || {
            let (session, method, params) = (None, "Browser.getVersion", json!({}));
            Ask { session, method, params, within: WITHIN, tab: None }
        };
        let asks: Vec<_> = (0..30).map(|_| ask()).collect();
        let begun = Instant::now();
        assert!(matches!(line.ask_all(&asks), Err(Error::Silent { .. })));
        let all = begun.elapsed();
        // One after the other it is thirty times as long.
        assert!(all < WITHIN * 20, "{all:?} for all");
    }

    #[test]
    fn a_message_longer_than_any_is_passed_over_and_what_follows_is_heard() {
        let page = json!({ "targetId": "t", "type": "page", "title": "", "url": "" });
        let event = json!({ "method": "Target.attachedToTarget", "params": { "sessionId": "s", "targetInfo": page } });
        let long = io::repeat(b'x').take(u64::try_from(MESSAGE_BYTES_MAX).unwrap() + 1);
        let after = std::io::Cursor::new(format!("\0{event}\0"));
        let line = line(long.chain(after), io::sink());
        let found = line.wait_for(Duration::from_secs(60), |state| state.tab("t").map(drop));
        assert_eq!(found, Ok(Some(())));
    }

    #[test]
    fn halves_of_letters_are_taken_for_unreadable_and_all_else_stays() {
        for (said, read) in [
            (r#"{"a":"x\ud83dy"}"#, "x\u{fffd}y"),
            (r#"{"a":"\udc00"}"#, "\u{fffd}"),
            (r#"{"a":"\ud83d\ud83d\ude00"}"#, "\u{fffd}\u{1f600}"),
            (r#"{"a":"\\ud83d\n\"\ud83d"}"#, "\\ud83d\n\"\u{fffd}"),
            (r#"{"a":"\ud83d\ude00 ü"}"#, "\u{1f600} ü"),
        ] {
            assert_eq!(serde_json::from_str::<Value>(&mended(said.as_bytes())).unwrap()["a"], read, "{said}");
        }
        for odd in ["\\", "{\"a\":\"\\u12", "\\uD83D\\u", "\\ü"] {
            assert!(!mended(odd.as_bytes()).is_empty(), "{odd}");
        }
    }

    #[test]
    fn a_line_that_took_half_a_command_is_over() {
        struct Half(bool);
        impl Write for Half {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    Err(io::ErrorKind::WouldBlock.into())
                } else {
                    Ok(bytes.len() / 2)
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let line = line(ours, Half(false));
        assert!(matches!(ask(&line), Err(Error::Gone(reason)) if reason.contains("takes no more commands")));
        assert!(line.over().is_some_and(|reason| reason.contains("takes no more commands")));
    }
}
