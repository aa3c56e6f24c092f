//! What a person sees while a task runs: the plan, a line per step, the model's words, and what it waits for. It only
//! looks; answers go to the loop as commands.

use agent::{Patience, State, Watcher};
use event::{AcceptanceStatus, Effect, EffectId, Event, Plan, StepStatus, ToolCall, ToolFact, ToolResult, ToolStatus};
use model::Delta;

use crate::answers::{Answers, Asked};
use crate::clean;
use crate::screen::{Look, Screen};
use crate::words;

/// Characters of a line on the screen.
const LINE_CHARS: usize = 110;

/// Lines shown of a failed step, and characters of each: what went wrong matters more than a tidy margin.
const FAILURE_LINES: usize = 4;
const FAILURE_CHARS: usize = 2 * LINE_CHARS;

/// Characters of a tool's name: a model may have made one up.
const TOOL_CHARS: usize = 24;

/// Shows a task on standard error.
pub(crate) struct Show {
    screen: Screen,
    /// Where the person's answers go, where they can give some.
    answers: Option<Answers>,
    plan: Plan,
    /// The model's words are being streamed.
    streaming: bool,
    streamed: bool,
    /// The model's latest words, which the person has read.
    last_words: String,
    calls: std::collections::BTreeMap<EffectId, ToolCall>,
}

impl Show {
    pub(crate) fn new(screen: Screen, answers: Option<Answers>) -> Self {
        Self {
            screen,
            answers,
            plan: Plan::default(),
            streaming: false,
            streamed: false,
            last_words: String::new(),
            calls: std::collections::BTreeMap::new(),
        }
    }

    /// The latest words of the model that were shown.
    pub(crate) fn last_words(&self) -> &str {
        &self.last_words
    }

    fn dim(&self, text: &str) {
        self.screen.say(&self.screen.paint(Look::Dim, text));
    }

    fn end_stream(&mut self) {
        if self.streaming {
            self.screen.say("");
            self.streaming = false;
        }
    }

    fn replied(&mut self, text: &str) {
        self.end_stream();
        if !self.streamed && !text.trim().is_empty() {
            self.screen.say(&clean::text(text.trim()));
        }
        self.streamed = false;
        text.clone_into(&mut self.last_words);
    }

    fn finished(&mut self, id: EffectId, result: &ToolResult) {
        let call = self.calls.remove(&id);
        let shown_elsewhere = result.facts.iter().any(|fact| {
            matches!(
                fact,
                ToolFact::Plan { .. } | ToolFact::Notice { .. } | ToolFact::Question { .. } | ToolFact::Idle { .. }
            )
        });
        let good = result.status == ToolStatus::Ok;
        if let Some(call) = &call
            && (!good || !shown_elsewhere)
        {
            self.step(call, result, good);
        }
        for fact in &result.facts {
            match fact {
                ToolFact::Plan { plan } => self.plan(plan),
                ToolFact::Notice { text } => self.screen.say(&format!("  {}", clean::text(text))),
                ToolFact::Acceptance { .. }
                | ToolFact::Question { .. }
                | ToolFact::Delivered { .. }
                | ToolFact::Command { .. }
                | ToolFact::BrowserLimits { .. }
                | ToolFact::Picture { .. }
                | ToolFact::Page { .. }
                | ToolFact::Idle { .. } => {}
            }
        }
    }

    fn step(&self, call: &ToolCall, result: &ToolResult, good: bool) {
        let exit = result.facts.iter().find_map(|fact| match fact {
            ToolFact::Command { exit_code, running, limit, .. } => Some((*exit_code, *running, limit.as_deref())),
            ToolFact::Plan { .. }
            | ToolFact::Acceptance { .. }
            | ToolFact::Notice { .. }
            | ToolFact::Question { .. }
            | ToolFact::Delivered { .. }
            | ToolFact::BrowserLimits { .. }
            | ToolFact::Picture { .. }
            | ToolFact::Page { .. }
            | ToolFact::Idle { .. } => None,
        });
        let (mark, look, note) = match (good, exit) {
            (true, Some((Some(0), ..)) | None) => ("✓", Look::Good, String::new()),
            (true, Some((_, true, _))) => ("…", Look::Dim, " (still running)".to_owned()),
            (true, Some((Some(code), ..))) => ("✗", Look::Warn, format!(" (exit code {code})")),
            (true, Some((None, false, _))) => ("✗", Look::Warn, " (ended by a signal)".to_owned()),
            (false, _) if result.status == ToolStatus::Refused => ("✗", Look::Warn, " (not permitted)".to_owned()),
            (false, _) => ("✗", Look::Bad, format!(" ({})", status(result.status))),
        };
        let what = in_short(call);
        let tool = clean::line(short_name(&call.tool), TOOL_CHARS);
        let tool = self.screen.paint(Look::Dim, &format!("{tool:<11}"));
        self.screen.say(&format!(
            "  {} {tool} {what}{}",
            self.screen.paint(look, mark),
            self.screen.paint(look, &note)
        ));
        let of_browser = result.facts.iter().find_map(|fact| {
            if let ToolFact::BrowserLimits { limit, .. } = fact { Some(limit.as_str()) } else { None }
        });
        if let Some(limit) = exit.and_then(|(.., limit)| limit).or(of_browser) {
            self.dim(&format!("      limit reached: {}", clean::line(limit, FAILURE_CHARS)));
        }
        if !good {
            for line in result.text.lines().take(FAILURE_LINES) {
                self.dim(&format!("      {}", clean::line(line, FAILURE_CHARS)));
            }
        }
    }

    fn plan(&mut self, plan: &Plan) {
        if *plan == self.plan {
            return;
        }
        let first = self.plan.steps.is_empty();
        let same_steps = self.plan.steps.len() == plan.steps.len()
            && self.plan.steps.iter().zip(&plan.steps).all(|(old, new)| old.text == new.text);
        let total = plan.steps.len();
        let done =
            plan.steps.iter().filter(|step| matches!(step.status, StepStatus::Done | StepStatus::Skipped)).count();
        if first || !same_steps {
            self.screen.say(&self.screen.paint(Look::Bold, "  Plan"));
            for step in &plan.steps {
                let mark = match step.status {
                    StepStatus::Done => self.screen.paint(Look::Good, "✓"),
                    StepStatus::InProgress => self.screen.paint(Look::Bold, "▸"),
                    StepStatus::Pending => self.screen.paint(Look::Dim, "·"),
                    StepStatus::Skipped => self.screen.paint(Look::Dim, "–"),
                };
                self.screen.say(&format!("    {mark} {}", clean::line(&step.text, LINE_CHARS)));
            }
        } else if let Some(step) = plan.steps.iter().find(|step| step.status == StepStatus::InProgress) {
            let head = format!("  ▸ {}/{total} ", done + 1);
            self.screen.say(&format!(
                "{}{}",
                self.screen.paint(Look::Bold, &head),
                clean::line(&step.text, LINE_CHARS)
            ));
        }
        self.plan = plan.clone();
    }

    /// Puts to the person what the task waits for, once.
    fn ask(&mut self, answers: &mut Answers, state: &State) {
        let (asked, question, prompt) = match (state.open_approval(), &state.question) {
            (Some((id, _, question)), _) => (Asked::Approval(id), question, "Allow this? [y/N] "),
            (None, Some(question)) => (Asked::Question, question.as_str(), "Your answer: "),
            (None, None) => return,
        };
        if answers.ask(asked) {
            self.screen.say("");
            self.screen.say(&quoted(self.screen, question));
            self.screen.say_part(&format!("{} {prompt}", self.screen.paint(Look::Warn, "?")));
        }
    }

    fn settled(&self) {
        if self.answers.as_ref().is_some_and(Answers::settled_elsewhere) {
            // The prompt still stands there, without the end of its line.
            self.screen.say("");
        }
    }
}

/// Somebody else's text in a margin of its own: no line of it can pass for one of ours.
pub(crate) fn quoted(screen: Screen, text: &str) -> String {
    let margin = screen.paint(Look::Warn, "│");
    let lines: Vec<String> = clean::text(text).lines().map(|line| format!("  {margin} {line}")).collect();
    lines.join("\n")
}

impl Watcher for Show {
    fn event(&mut self, _seq: u64, time_ms: u64, event: &Event, state: &State) {
        match event {
            Event::EffectRequested { effect: Effect::Tool(call) } => {
                self.calls.insert(call.id, call.clone());
            }
            Event::ApprovalAnswered { allowed, .. } => {
                self.settled();
                self.dim(if *allowed { "  you allowed it" } else { "  you refused it" });
            }
            Event::MessageReceived { text, .. } => {
                self.settled();
                self.screen.say(&format!(
                    "  {} {}",
                    self.screen.paint(Look::Bold, "you:"),
                    clean::line(text, LINE_CHARS)
                ));
            }
            Event::ModelAttemptFailed { reason, retry_in_ms, .. } => {
                let wait = words::span(*retry_in_ms);
                self.screen.say(
                    &self.screen.paint(
                        Look::Warn,
                        &format!("  {}; trying again in {wait}", clean::line(reason, 2 * LINE_CHARS)),
                    ),
                );
            }
            Event::ModelReplied { reply, .. } => self.replied(&reply.message.text),
            Event::ToolFinished { id, result } => {
                if !self.calls.contains_key(id)
                    && let Some(call) = state.all_calls().find_map(|call| call.effect().filter(|call| call.id == *id))
                {
                    self.calls.insert(*id, call.clone());
                }
                self.finished(*id, result);
            }
            Event::ConnectionRefused { connection, refused } => {
                let place = format!("{}:{}", connection.host, connection.port);
                let text = format!(
                    "  not connected: {} ({})",
                    clean::line(&place, LINE_CHARS),
                    clean::line(&refused.reason, LINE_CHARS)
                );
                self.dim(&text);
            }
            Event::GrantEnded { refused, .. } => {
                self.dim(&format!("  cut off from a host: {}", clean::line(&refused.reason, LINE_CHARS)));
            }
            Event::LimitReached { .. } => self.dim("  a limit is reached: handing over what there is"),
            Event::StopRequested { .. } => self.dim("  stopping"),
            Event::ComputerSlept { .. } => self.dim("  its computer sleeps: nobody came for long"),
            Event::CheckpointMissed { reason, .. } => {
                self.dim(&format!("  no checkpoint: {}", clean::line(reason, LINE_CHARS)));
            }
            Event::WorkspaceRestored { number, .. } => {
                self.dim(&format!("  the workspace was set back to checkpoint {number}"));
            }
            Event::TakenOver { what, .. } => {
                self.dim(&format!("  you took over {what}: the agent waits until it is handed back"))
            }
            Event::HandedBack { what, .. } => self.dim(&format!("  you handed back {what}")),
            Event::HostsChanged { allow_net } => {
                let now =
                    if allow_net.is_empty() { "none without a question".to_owned() } else { allow_net.join(", ") };
                self.dim(&format!("  you changed the hosts that it may reach: {}", clean::line(&now, LINE_CHARS)));
            }
            Event::Resumed { .. } => {
                // What a server is given is taken up for the first time.
                if state.model_call.is_some() || state.steps > 0 {
                    let span = words::span(time_ms.saturating_sub(state.created_ms));
                    self.dim(&format!("  taken up again, {span} after it began"));
                }
                // What was open when the engine before us ended is known from the record.
                self.calls =
                    state.all_calls().filter_map(|call| call.effect()).map(|call| (call.id, call.clone())).collect();
                self.plan = state.plan.clone();
            }
            Event::TaskCreated(_)
            | Event::Forked { .. }
            | Event::OptionsChanged { .. }
            | Event::EffectRequested { .. }
            | Event::EffectDecided { .. }
            | Event::ApprovalRequested { .. }
            | Event::EffectStarted { .. }
            | Event::ModelFailed { .. }
            | Event::PutDown { .. }
            | Event::TimeReached { .. }
            | Event::AutorunChanged { .. }
            | Event::CheckpointTaken { .. }
            | Event::CheckpointsLetGo { .. }
            | Event::RestoreBegun { .. }
            | Event::ConnectionOpened { .. }
            | Event::ConnectionClosed { .. }
            | Event::ConnectionsCounted { .. }
            | Event::TaskEnded { .. } => {}
        }
    }

    fn delta(&mut self, _id: EffectId, _attempt: u32, delta: &Delta) {
        if !self.screen.is_terminal() {
            return;
        }
        match delta {
            Delta::Text(text) => {
                let text = if self.streaming { text.as_str() } else { text.trim_start() };
                if !text.is_empty() {
                    self.screen.say_part(&clean::text(text));
                    (self.streaming, self.streamed) = (true, true);
                }
            }
            Delta::Reasoning(_) | Delta::ToolCall(_) => {}
        }
    }

    fn withdrawn(&mut self, _id: EffectId) {
        if self.streaming {
            self.end_stream();
            self.dim("  (withdrawn: the reply was cut off)");
        }
        self.streamed = false;
    }

    fn waiting(&mut self, state: &State) -> Patience {
        // Lent to itself, so that asking can look at the screen as well.
        let Some(mut answers) = self.answers.take() else { return Patience::Leave };
        self.ask(&mut answers, state);
        self.answers = Some(answers);
        Patience::Stay
    }
}

fn status(status: ToolStatus) -> &'static str {
    match status {
        ToolStatus::Ok => "done",
        ToolStatus::Invalid => "not possible so",
        ToolStatus::Refused => "refused",
        ToolStatus::Failed => "failed",
        ToolStatus::Interrupted => "stopped",
        ToolStatus::Unknown => "outcome unknown",
    }
}

fn short_name(tool: &str) -> &str {
    match tool {
        "shell_exec" => "run",
        "shell_view" => "look",
        "shell_wait" => "wait",
        "shell_write_to_process" => "type",
        "shell_kill_process" => "kill",
        "file_read" => "read",
        "file_write" => "write",
        "file_str_replace" => "edit",
        "file_find_in_content" | "file_find_by_name" => "search",
        "hand_over" => "hand over",
        "browser_view" => "page",
        "browser_navigate" => "open",
        "browser_restart" => "new browser",
        "browser_click" => "click",
        "browser_input" => "fill in",
        "browser_move_mouse" => "mouse",
        "browser_press_key" => "key",
        "browser_select_option" => "choose",
        "browser_scroll_up" | "browser_scroll_down" => "scroll",
        "browser_console_exec" | "browser_console_view" => "console",
        other => other,
    }
}

/// A call on one line: what it is about. Of a text of many lines the first is shown, and how many follow.
fn in_short(call: &ToolCall) -> String {
    let about = about(call);
    let about = about.trim();
    let first = about.lines().next().unwrap_or_default();
    match about.lines().count().saturating_sub(1) {
        0 => clean::line(first, LINE_CHARS),
        more => format!("{} … (+{more} line{})", clean::line(first, LINE_CHARS), if more == 1 { "" } else { "s" }),
    }
}

fn about(call: &ToolCall) -> String {
    let text = |name: &str| call.arguments.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    for name in ["command", "path", "id", "text", "url", "key", "javascript"] {
        if !text(name).is_empty() {
            return text(name).to_owned();
        }
    }
    let files = call.arguments.get("files").and_then(|files| files.as_array());
    let names = files.into_iter().flatten().filter_map(|file| file.get("path").and_then(|path| path.as_str()));
    names.collect::<Vec<_>>().join(", ")
}

/// The mark of an acceptance item.
pub(crate) fn acceptance_mark(status: AcceptanceStatus) -> (&'static str, Look) {
    match status {
        AcceptanceStatus::Passed => ("✓", Look::Good),
        AcceptanceStatus::Failed => ("✗", Look::Bad),
        AcceptanceStatus::Unchecked => ("?", Look::Dim),
        AcceptanceStatus::Waived => ("~", Look::Warn),
    }
}
