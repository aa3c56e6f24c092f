//! The effect under way: started or attached to, waited for, landed, and brought down where it has to end now.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use event::{Digest, EffectId, Event, Label, ToolCall, ToolResult, ToolStatus};
use policy::Permit;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Span;

use super::{Performed, Run};
use crate::Error;
use crate::faults::Place;
use crate::limits::STOP_GRACE_MS;
use crate::trace;

type ReplyFuture = Pin<Box<dyn Future<Output = Result<event::Reply, model::Failure>>>>;

/// The effect under way.
pub(super) enum Flight {
    Model {
        id: EffectId,
        attempt: u32,
        reply: ReplyFuture,
        deltas: mpsc::UnboundedReceiver<model::Delta>,
        span: Span,
    },
    /// `answer` is what the person said yes to, for a call that turns out not to have begun.
    Tool {
        call: Box<ToolCall>,
        answer: Option<Digest>,
        result: JoinHandle<Option<ToolResult>>,
        /// Set, it ends this call alone, also what of it goes on when nobody waits for it any more.
        cancel: Arc<AtomicBool>,
        span: Span,
    },
}

/// What the effect under way gave.
pub(super) enum Landed {
    Delta(EffectId, u32, model::Delta),
    Reply(EffectId, u32, Result<event::Reply, model::Failure>),
    Tool(Box<ToolCall>, ToolResult),
    /// It had left no trace: provably not begun.
    NotBegun(Box<ToolCall>, Option<Digest>),
}

impl Run<'_> {
    /// Starts a permitted tool call. What leaves the machine waits until the record is on the disk.
    pub(super) fn run_tool(&mut self, call: Box<ToolCall>, permit: Permit<ToolCall>) -> Flight {
        let world = self.world();
        let own = call.tool == tools::HAND_OVER;
        let leaves = own || tools::durable_first(&call.tool);
        let sync = self.record.sync_handle();
        let (unread, cancel) = (self.keeping.unread(), Arc::clone(&world.cancel));
        let until_read = Arc::clone(&cancel);
        let id = call.id;
        let span = trace::tool_span(&self.record.id, &call);
        let inside = span.clone();
        let result = tokio::task::spawn_blocking(move || {
            let _inside = inside.entered();
            if unread.is_some_and(|unread| !unread.wait(&until_read)) {
                return None;
            }
            if leaves && let Err(error) = sync.sync() {
                let text = format!("Not done: the record could not be written to the disk: {error}");
                return Some(ToolResult {
                    status: ToolStatus::Failed,
                    text,
                    label: Label::output_of(id),
                    facts: vec![],
                });
            }
            Some(if own { tools::hand_over(permit, &world) } else { tools::run(permit, &world) })
        });
        Flight::Tool { call, answer: None, result, cancel, span }
    }

    /// Finds out what became of a call that had started under an engine that is gone.
    pub(super) fn attach_tool(&mut self, call: Box<ToolCall>, boot: &str, answer: Option<Digest>) -> Flight {
        let world = self.world();
        let cancel = Arc::clone(&world.cancel);
        let power_was_lost = boot != self.boot;
        let attached = (*call).clone();
        let span = trace::tool_span(&self.record.id, &call);
        let result = tokio::task::spawn_blocking(move || {
            tools::attach(&attached, &world).or_else(|| {
                // The keeper's own trace may have been lost with the power: absence proves nothing then.
                (power_was_lost && !REPEATABLE.contains(&attached.tool.as_str())).then(unknown)
            })
        });
        Flight::Tool { call, answer, result, cancel, span }
    }

    pub(super) fn landed(&mut self, landed: Landed, flight: Option<Flight>) -> Result<Option<Flight>, Error> {
        match landed {
            Landed::Delta(id, attempt, delta) => {
                self.watcher.delta(id, attempt, &delta);
                return Ok(flight);
            }
            Landed::Reply(id, attempt, outcome) => {
                self.crash_at(Place::Landed)?;
                let event = match outcome {
                    Ok(reply) => {
                        let cost = reply.usage.and_then(|usage| self.client.cost(&usage));
                        Event::ModelReplied { id, reply: Box::new(reply), cost }
                    }
                    Err(failure) => self.failed(id, attempt, failure),
                };
                self.append(vec![event])?;
            }
            Landed::Tool(call, result) => {
                self.crash_at(Place::Landed)?;
                self.append(vec![Event::ToolFinished { id: call.id, result }])?;
            }
            Landed::NotBegun(call, answer) => {
                return match self.authorize_tool(*call, answer, Vec::new())? {
                    Performed::Flying(flight) => Ok(Some(flight)),
                    Performed::Recorded | Performed::Wake(_) | Performed::Waiting => Ok(None),
                };
            }
        }
        self.crash_at(Place::Recorded)?;
        Ok(None)
    }

    /// Ends what is under way. A model call is simply dropped: it is safe to repeat. A tool call is told to end, and if
    /// it does not, its computer is ended under it.
    pub(super) async fn ground(&mut self, flight: Option<Flight>) -> Result<(), Error> {
        match flight {
            None => Ok(()),
            Some(Flight::Model { id, .. }) => {
                self.watcher.withdrawn(id);
                Ok(())
            }
            Some(Flight::Tool { call, mut result, cancel, span, .. }) => {
                cancel.store(true, Ordering::Relaxed);
                // The line to the browser outlives its calls and knows this one only.
                self.place.cancel.store(true, Ordering::Relaxed);
                let grace = Duration::from_millis(STOP_GRACE_MS);
                let landed = match tokio::time::timeout(grace, &mut result).await {
                    Ok(Ok(Some(landed))) => landed,
                    Ok(Ok(None)) => interrupted(call.id, "it had not begun"),
                    Ok(Err(_)) | Err(_) => {
                        self.end_computer();
                        not_landed(call.id)
                    }
                };
                self.place.cancel.store(false, Ordering::Relaxed);
                trace::tool_ended(&span, &landed);
                self.append(vec![Event::ToolFinished { id: call.id, result: landed }])
            }
        }
    }
}

/// Waits for what is under way.
pub(super) async fn land(flight: &mut Option<Flight>) -> Landed {
    match flight {
        None => std::future::pending().await,
        Some(Flight::Model { id, attempt, reply, deltas, span }) => tokio::select! {
            biased;
            Some(delta) = deltas.recv() => Landed::Delta(*id, *attempt, delta),
            outcome = reply => {
                trace::replied(span, &outcome);
                Landed::Reply(*id, *attempt, outcome)
            }
        },
        Some(Flight::Tool { call, answer, result, span, .. }) => match result.await {
            Ok(Some(result)) => {
                trace::tool_ended(span, &result);
                Landed::Tool(call.clone(), result)
            }
            Ok(None) => Landed::NotBegun(call.clone(), *answer),
            Err(error) => {
                let text = format!("The tool broke down in the middle of its work: {error}. Check what it did.");
                let (status, label) = (ToolStatus::Unknown, Label::output_of(call.id));
                Landed::Tool(call.clone(), ToolResult { status, text, label, facts: Vec::new() })
            }
        },
    }
}

/// Tools that do nothing in the computer, or nothing twice: after a loss of power they are simply called again.
const REPEATABLE: [&str; 8] = [
    "plan_update",
    "message_notify_user",
    "message_ask_user",
    "idle",
    "deliver",
    "browser_view",
    "browser_console_view",
    tools::HAND_OVER,
];

fn unknown() -> ToolResult {
    let text = "Outcome unknown: the machine went down while this call was under way. It may have happened wholly, in part \
                or not at all. Check what is there before you repeat anything.";
    ToolResult { status: ToolStatus::Unknown, text: text.to_owned(), label: Label::system(), facts: Vec::new() }
}

/// It was told to end and did not: what it did until it does nobody knows yet.
fn not_landed(id: EffectId) -> ToolResult {
    let text = "Outcome unknown: the call was told to stop, did not end in time, and its computer was ended under it. It may \
                have happened wholly, in part or not at all. Check what is there before you repeat anything.";
    let label = Label::output_of(id);
    ToolResult { status: ToolStatus::Unknown, text: text.to_owned(), label, facts: Vec::new() }
}

fn interrupted(id: EffectId, how: &str) -> ToolResult {
    let text = format!("Stopped while it was under way: {how}.");
    ToolResult { status: ToolStatus::Interrupted, text, label: Label::output_of(id), facts: Vec::new() }
}
