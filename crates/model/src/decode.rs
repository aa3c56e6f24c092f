//! One answer's bytes, as they arrive, into one reply. Whether it is a stream or a single JSON text is read off the bytes:
//! servers answer one where the other was asked for, and name the wrong type. It opens no connection.

use event::Reply;
use serde_json::Value;

use crate::anthropic;
use crate::chat::{Answer, REPLY_BYTES_MAX};
use crate::sse::Lines;
use crate::{Delta, Failure};

/// Bytes of one answer with all that surrounds the reply: names repeated in each piece, comments that keep it alive.
const ANSWER_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Lines of one event. Each may be the last, so each costs a look at the whole event.
const EVENT_LINES_MAX: u32 = 256;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(Clone, Copy, Debug, Default)]
enum Form {
    /// Nothing but white space so far: some servers send it to keep the connection alive.
    #[default]
    Unknown,
    Stream,
    Whole,
}

/// In which words the server answers.
#[derive(Clone, Debug, Default)]
pub(crate) enum Dialect {
    /// Chat completions.
    #[default]
    Chat,
    /// Anthropic's messages.
    Anthropic(anthropic::Reader),
    /// OpenAI's responses.
    Responses(crate::responses::Reader),
}

impl Dialect {
    fn translate(&mut self, value: Value) -> Result<Value, Failure> {
        match self {
            Self::Chat => Ok(value),
            Self::Anthropic(reader) => reader.translate(&value),
            Self::Responses(reader) => reader.translate(&value),
        }
    }

    /// Whether this event is a stream's last.
    fn ends(&self, value: &Value) -> bool {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
        match self {
            Self::Chat => false,
            Self::Anthropic(_) => kind == "message_stop",
            Self::Responses(_) => matches!(kind, "response.completed" | "response.incomplete"),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Chat => 0,
            Self::Anthropic(reader) => reader.bytes(),
            Self::Responses(reader) => reader.bytes(),
        }
    }
}

/// An answer that is being read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decoder {
    form: Form,
    dialect: Dialect,
    answer: Answer,
    lines: Lines,
    /// What a whole answer has brought so far; of an unknown one, its beginning.
    whole: Vec<u8>,
    /// The lines of an event whose JSON goes on in the next line.
    held: Vec<u8>,
    held_lines: u32,
    bytes: u64,
    done: bool,
}

impl Decoder {
    /// For answers in these words.
    pub(crate) fn of(dialect: Dialect) -> Self {
        Self { dialect, ..Self::default() }
    }

    /// Takes a chunk in; true once the server has said that there is no more.
    pub(crate) fn push(&mut self, chunk: &[u8], on_delta: &mut dyn FnMut(Delta)) -> Result<bool, Failure> {
        self.bytes += chunk.len() as u64;
        if self.bytes > ANSWER_BYTES_MAX {
            return Err(Failure::transient(format!("the model's answer is over {ANSWER_BYTES_MAX} bytes")));
        }
        match self.form {
            Form::Unknown => {
                self.whole.extend_from_slice(chunk);
                self.recognise()?;
                if matches!(self.form, Form::Stream) {
                    let begun = std::mem::take(&mut self.whole);
                    self.stream(&begun, on_delta)?;
                }
            }
            Form::Stream => self.stream(chunk, on_delta)?,
            Form::Whole => {
                self.whole.extend_from_slice(chunk);
                if self.whole.len() > 2 * REPLY_BYTES_MAX {
                    return Err(Failure::transient("the model's answer is too long"));
                }
            }
        }
        Ok(self.done)
    }

    /// How much of a reply has come: what only keeps the connection alive does not count.
    pub(crate) fn progress(&self) -> usize {
        let whole = if matches!(self.form, Form::Whole) { self.whole.len() } else { 0 };
        whole.saturating_add(self.answer.bytes()).saturating_add(self.dialect.bytes())
    }

    /// The reply, where the connection broke and the server had said before why the reply ends: what was still to come is
    /// the account, or nothing.
    pub(crate) fn broken(mut self, failure: Failure, on_delta: &mut dyn FnMut(Delta)) -> Result<Reply, Failure> {
        if !self.answer.is_finished() {
            return Err(failure);
        }
        // Half a line of the account.
        self.lines = Lines::default();
        self.held.clear();
        self.finish(on_delta).map_err(|_| failure)
    }

    /// The reply, once the connection has nothing more. An answer that breaks off is a failure, not half a reply.
    pub(crate) fn finish(mut self, on_delta: &mut dyn FnMut(Delta)) -> Result<Reply, Failure> {
        match self.form {
            Form::Unknown => return Err(Failure::transient("the model's answer was empty")),
            Form::Whole => {
                let value: Value = serde_json::from_slice(&self.whole).map_err(|error| not_json(&error))?;
                self.answer.take(&self.dialect.translate(value)?, on_delta)?;
                // A whole answer is whole by its JSON: some servers give no reason for its end.
                self.done = true;
            }
            Form::Stream if self.done => {}
            Form::Stream => {
                if let Some(data) = self.lines.rest() {
                    self.event(&data, on_delta)?;
                }
                if !self.held.is_empty() {
                    return Err(cut());
                }
            }
        }
        if !self.answer.has_begun() {
            return Err(Failure::transient("the server answered, but without a reply in the form of chat completions"));
        }
        if !self.done && !self.answer.is_finished() {
            return Err(cut());
        }
        let mut reply = self.answer.into_reply();
        match self.dialect {
            Dialect::Chat => {}
            Dialect::Responses(reader) => reply.message.carried = reader.carried(&reply.message.tool_calls),
            Dialect::Anthropic(reader) => reply.message.carried = reader.carried(&reply.message.tool_calls),
        }
        Ok(reply)
    }

    fn recognise(&mut self) -> Result<(), Failure> {
        if BYTE_ORDER_MARK.starts_with(&self.whole) {
            return Ok(());
        }
        let begun = self.whole.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.whole).trim_ascii_start();
        self.form = match begun.first() {
            None => Form::Unknown,
            Some(b'{' | b'[') => Form::Whole,
            Some(b'<') => {
                return Err(Failure::rejected(
                    "the address answers with a web page, not with a model's reply. Is it the right one? It usually ends in /v1",
                ));
            }
            Some(_) => Form::Stream,
        };
        self.whole = begun.to_vec();
        Ok(())
    }

    fn stream(&mut self, chunk: &[u8], on_delta: &mut dyn FnMut(Delta)) -> Result<(), Failure> {
        self.lines.push(chunk)?;
        while !self.done
            && let Some(data) = self.lines.next()
        {
            self.event(&data, on_delta)?;
        }
        Ok(())
    }

    fn event(&mut self, data: &[u8], on_delta: &mut dyn FnMut(Delta)) -> Result<(), Failure> {
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        if !self.held.is_empty() {
            self.held.push(b'\n');
        }
        self.held.extend_from_slice(data);
        self.held_lines += 1;
        if self.held.len() > REPLY_BYTES_MAX {
            return Err(Failure::transient(format!("the model's stream has an event over {REPLY_BYTES_MAX} bytes")));
        }
        if self.held_lines > EVENT_LINES_MAX {
            return Err(Failure::transient(format!("the model's stream has an event over {EVENT_LINES_MAX} lines")));
        }
        match serde_json::from_slice::<Value>(&self.held) {
            Ok(value) => {
                self.held.clear();
                self.held_lines = 0;
                let ends = self.dialect.ends(&value);
                self.answer.take(&self.dialect.translate(value)?, on_delta)?;
                self.done |= ends;
                Ok(())
            }
            // One event may have several lines of data.
            Err(error) if error.is_eof() => Ok(()),
            Err(error) => Err(not_json(&error)),
        }
    }
}

fn cut() -> Failure {
    Failure::transient("the model's answer was cut off before its end")
}

/// An answer that cannot be read.
pub(crate) fn not_json(error: &serde_json::Error) -> Failure {
    Failure::transient(format!("the model's answer is not what chat completions send: {error}"))
}

#[cfg(test)]
mod tests;
