//! What a task's run looks like from outside: spans after OpenTelemetry's conventions for generative AI. What was said
//! and done (content) goes only to the target [`CONTENT`], which is off unless the person asks; nothing here decides.

use event::{Event, FinishReason, ModelCall, Reply, TaskId, ToolCall, ToolResult, ToolStatus};
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
        gen_ai.agent.name = "thenar",
        gen_ai.conversation.id = %id,
        thenar.state = Empty,
        error.type = Empty,
    )
}

/// One attempt at a model call.
pub(crate) fn model_span(task: &TaskId, call: &ModelCall, attempt: u32) -> Span {
    let (provider, model) = call.model.split_once(':').unwrap_or(("unknown", &call.model));
    // The name of a script is the path of a file of the person's.
    let model = if provider == "script" { "script" } else { model };
    tracing::info_span!(
        "chat",
        otel.name = format!("chat {model}"),
        otel.kind = "client",
        task.id = %task,
        gen_ai.operation.name = "chat",
        gen_ai.conversation.id = %task,
        gen_ai.provider.name = provider,
        gen_ai.request.model = model,
        gen_ai.response.model = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        error.type = Empty,
        thenar.effect = call.id.0,
        thenar.attempt = attempt,
    )
}

/// What is sent to the model.
pub(crate) fn asked(span: &Span, body: &model::Body) {
    if tracing::enabled!(target: "thenar::content", tracing::Level::INFO) {
        let text = String::from_utf8_lossy(body.as_bytes());
        tracing::info!(target: "thenar::content", parent: span, { gen_ai.input.messages = %text }, "content");
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
    if !reply.served_by.is_empty() {
        span.record("gen_ai.response.model", reply.served_by.as_str());
    }
    span.record("gen_ai.response.finish_reasons", finish(reply.finish));
    if let Some(usage) = &reply.usage {
        span.record("gen_ai.usage.input_tokens", usage.input_tokens);
        span.record("gen_ai.usage.cache_read.input_tokens", usage.cached_input_tokens);
        span.record("gen_ai.usage.output_tokens", usage.output_tokens);
    }
    tracing::info!(target: "thenar::content", parent: span, { gen_ai.output.messages = ?reply.message }, "content");
}

/// One tool call.
pub(crate) fn tool_span(task: &TaskId, call: &ToolCall) -> Span {
    let span = tracing::info_span!(
        "execute_tool",
        otel.name = format!("execute_tool {}", call.tool),
        task.id = %task,
        gen_ai.operation.name = "execute_tool",
        gen_ai.conversation.id = %task,
        gen_ai.tool.name = call.tool,
        gen_ai.tool.call.id = call.call_id,
        error.type = Empty,
        thenar.effect = call.id.0,
    );
    tracing::info!(target: "thenar::content", parent: &span, { gen_ai.tool.call.arguments = ?call.arguments }, "content");
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
    } else if let Event::TaskEnded { state, cause, .. } = event {
        tracing::info!(?state, ?cause, "ended");
        Span::current().record("thenar.state", format!("{state:?}").to_lowercase());
    }
}

fn finish(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Other => "other",
    }
}
