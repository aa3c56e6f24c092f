//! What a task's run looks like from outside: spans after OpenTelemetry's conventions for generative AI. What was said
//! and done (content) goes only to the target [`CONTENT`], which is off unless the person asks; nothing here decides.

use std::time::Instant;

use event::{Event, ModelCall, Reply, TaskId, ToolCall, ToolResult, ToolStatus};
use tracing::Span;
use tracing::field::Empty;

/// The target of everything that holds words of the person, the model or a tool.
pub const CONTENT: &str = "thenar::content";

/// A task in this process's hands.
pub(crate) fn task_span(id: &TaskId) -> Span {
    tracing::info_span!(
        "invoke_agent",
        otel.name = "invoke_agent thenar",
        task.id = %id,
        gen_ai.operation.name = "invoke_agent",
        gen_ai.provider.name = Empty,
        gen_ai.request.model = Empty,
        gen_ai.agent.name = "thenar",
        gen_ai.agent.version = env!("CARGO_PKG_VERSION"),
        gen_ai.conversation.id = %id,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        thenar.state = Empty,
        error.type = Empty,
    )
}

/// Which model the task has, as its record says.
pub(crate) fn task_has(name: &str) {
    let (span, (provider, model)) = (Span::current(), named(name));
    span.record("gen_ai.provider.name", provider);
    span.record("gen_ai.request.model", model);
}

/// What the whole task has used by now, resumes and all.
pub(crate) fn task_used(usage: &event::Usage) {
    used(&Span::current(), usage);
}

/// One attempt at a model call.
pub(crate) fn model_span(task: &TaskId, call: &ModelCall, attempt: u32, client: &model::Client) -> Span {
    let (provider, model) = named(&call.model);
    let (address, port) = client.server().unzip();
    tracing::info_span!(
        "chat",
        otel.name = format!("chat {model}"),
        otel.kind = "client",
        task.id = %task,
        gen_ai.operation.name = "chat",
        gen_ai.conversation.id = %task,
        gen_ai.provider.name = provider,
        gen_ai.request.model = model,
        gen_ai.request.stream = true,
        gen_ai.request.max_tokens = client.requested_output_max(),
        gen_ai.response.id = Empty,
        gen_ai.response.model = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.response.time_to_first_chunk = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        server.address = address,
        server.port = port,
        error.type = Empty,
        thenar.effect = call.id.0,
        thenar.attempt = attempt,
    )
}

/// Provider and model as the conventions name them.
fn named(name: &str) -> (&str, &str) {
    match name.split_once(':') {
        Some(("responses", model)) => ("openai", model),
        Some(("gemini", model)) => ("gcp.gemini", model),
        // The name of a script is the path of a file of the person's.
        Some(("script", _)) => ("script", "script"),
        Some(known) => known,
        None => ("unknown", name),
    }
}

/// What is sent to the model.
pub(crate) fn asked(span: &Span, body: &model::Body) {
    if tracing::enabled!(target: "thenar::content", tracing::Level::INFO) {
        let (instructions, messages) = model::told::request(body.as_bytes());
        tracing::info!(
            target: "thenar::content",
            parent: span,
            { gen_ai.system_instructions = %instructions, gen_ai.input.messages = %messages },
            "content"
        );
    }
}

/// Passes on what streams in, and notes when it began.
pub(crate) fn noting_first(span: Span, mut on_delta: impl FnMut(model::Delta)) -> impl FnMut(model::Delta) {
    let mut waits = Some((span, Instant::now()));
    move |delta| {
        if let Some((span, since)) = waits.take() {
            span.record("gen_ai.response.time_to_first_chunk", since.elapsed().as_secs_f64());
        }
        on_delta(delta);
    }
}

/// What a model call came to.
pub(crate) fn replied(span: &Span, outcome: &Result<Reply, model::Failure>) {
    let reply = match outcome {
        Ok(reply) => reply,
        Err(failure) => {
            span.record("error.type", format!("{:?}", failure.kind).to_lowercase());
            return;
        }
    };
    for (field, value) in [("gen_ai.response.model", &reply.served_by), ("gen_ai.response.id", &reply.response_id)] {
        if !value.is_empty() {
            span.record(field, value.as_str());
        }
    }
    span.record("gen_ai.response.finish_reasons", model::told::reason(reply.finish));
    if let Some(usage) = &reply.usage {
        used(span, usage);
    }
    if tracing::enabled!(target: "thenar::content", tracing::Level::INFO) {
        let told = model::told::reply(&reply.message, reply.finish);
        tracing::info!(target: "thenar::content", parent: span, { gen_ai.output.messages = %told }, "content");
    }
}

fn used(span: &Span, usage: &event::Usage) {
    span.record("gen_ai.usage.input_tokens", usage.input_tokens);
    span.record("gen_ai.usage.cache_read.input_tokens", usage.cached_input_tokens);
    span.record("gen_ai.usage.cache_creation.input_tokens", usage.cache_write_input_tokens);
    span.record("gen_ai.usage.output_tokens", usage.output_tokens);
}

/// One tool call. What it does in tools and in the computer are spans below it.
pub(crate) fn tool_span(task: &TaskId, call: &ToolCall) -> Span {
    let span = tracing::info_span!(
        "execute_tool",
        otel.name = format!("execute_tool {}", call.tool),
        task.id = %task,
        gen_ai.operation.name = "execute_tool",
        gen_ai.conversation.id = %task,
        gen_ai.tool.name = call.tool,
        gen_ai.tool.type = "function",
        gen_ai.tool.call.id = call.call_id,
        error.type = Empty,
        thenar.effect = call.id.0,
    );
    if tracing::enabled!(target: "thenar::content", tracing::Level::INFO) {
        let arguments = serde_json::Value::Object(call.arguments.clone());
        tracing::info!(target: "thenar::content", parent: &span, { gen_ai.tool.call.arguments = %arguments }, "content");
    }
    span
}

/// What a tool call came to.
pub(crate) fn tool_ended(span: &Span, result: &ToolResult) {
    if result.status != ToolStatus::Ok {
        span.record("error.type", format!("{:?}", result.status).to_lowercase());
    }
    tracing::info!(target: "thenar::content", parent: span, { gen_ai.tool.call.result = result.text }, "content");
}

/// What is worth an event beside the spans: a try that failed, a refusal, a question, a crash before, the end.
pub(crate) fn event(event: &Event) {
    if let Event::ModelAttemptFailed { id, attempt, retry_in_ms, .. } = event {
        tracing::warn!(effect = id.0, attempt, retry_in_ms, "the model is called again");
    } else if let Event::EffectDecided { id, decision } = event
        && decision.outcome == event::Outcome::Deny
    {
        tracing::warn!(effect = id.0, rules = decision.rules.join(","), "refused");
    } else if let Event::ApprovalRequested { id, .. } = event {
        tracing::info!(effect = id.0, "the person is asked");
    } else if let Event::Resumed { previous_lived_ms, .. } = event {
        tracing::info!(previous_lived_ms, "taken up again");
    } else if let Event::AutorunChanged { files, .. } = event {
        tracing::warn!(files = files.len(), "what the person's programs run was changed");
    } else if let Event::TaskEnded { state, cause, .. } = event {
        tracing::info!(?state, ?cause, "ended");
        Span::current().record("thenar.state", format!("{state:?}").to_lowercase());
    }
}
