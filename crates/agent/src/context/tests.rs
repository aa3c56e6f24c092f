//! Events in, items out; and what a stop, a message and a resume do to them.

use event::{Event, FinishReason, Item, Label, TaskOptions, ToolRequest, ToolResult, ToolStatus};

use super::Context;
use crate::state::tests::{created, model_call, reply};

fn show(item: &Item) -> String {
    match item {
        Item::System { text } => format!("system: {text}"),
        Item::User { text, .. } => format!("user: {text}"),
        Item::Assistant { message } => format!("assistant: {}", message.text),
        Item::Picture { text, .. } => format!("picture: {text}"),
        Item::Tool { call_id, text, .. } => format!("tool {call_id}: {text}"),
    }
}

fn fold(context: &mut Context, events: &[Event]) -> Vec<String> {
    events.iter().flat_map(|event| context.apply(event, 1)).map(|entry| show(&entry.item)).collect()
}

#[test]
fn a_message_never_comes_between_a_call_and_its_result() {
    let mut context = Context::new("be good");
    let message = Event::MessageReceived { text: "hurry".into(), label: Label::person() };
    let mut seen = fold(&mut context, &[created(TaskOptions::default())]);
    seen.extend(fold(&mut context, &model_call(1)));
    seen.extend(fold(&mut context, &[reply(1, "looking", &[("file_read", "{}")]), message]));
    let request = ToolRequest { id: "call_0".into(), name: "file_read".into(), arguments: "{}".into() };
    let label = Label::output_of(event::EffectId(2));
    let result = ToolResult { status: ToolStatus::Ok, text: "rows".into(), label, facts: vec![] };
    seen.extend(context.tool_result(&request, &result, 9).iter().map(|entry| show(&entry.item)));
    seen.extend(fold(&mut context, &model_call(3)));
    let expected =
        ["system: be good", "user: count the birds", "assistant: looking", "tool call_0: rows", "user: hurry"];
    assert_eq!(seen, expected);
    // From here on whatever the model composes may have been made from the tool's output.
    assert_eq!(context.label().integrity, event::Integrity::Untrusted);
}

#[test]
fn a_resume_after_a_crash_adds_nothing_and_after_a_stop_says_so() {
    let resumed = || Event::Resumed { engine: "0".into(), boot: "b".into(), previous_lived_ms: None };
    let mut context = Context::new("be good");
    fold(&mut context, &[created(TaskOptions::default()), resumed()]);
    assert_eq!(context.pending().count(), 0);
    let ended = Event::TaskEnded {
        state: event::EndState::Stopped,
        cause: event::StopCause::Person,
        reason: String::new(),
        text: String::new(),
    };
    fold(&mut context, &[ended, resumed()]);
    assert_eq!(context.pending().count(), 1);
}

#[test]
fn a_reply_that_broke_off_is_not_taken_for_the_last_word() {
    for (finish, text, words) in [
        (FinishReason::Length, "the result is", "output limit"),
        (FinishReason::ContentFilter, "the result is", "filter"),
        // A server that lost the call on the way; a model that only thought.
        (FinishReason::ToolCalls, "I will look", "No tool call"),
        (FinishReason::Stop, " \n", "No tool call"),
        (FinishReason::Other, "", "No tool call"),
        (FinishReason::Stop, "the result is 42", ""),
        (FinishReason::Other, "the result is 42", ""),
    ] {
        let broken_off = |calls| match reply(1, text, calls) {
            Event::ModelReplied { id, mut reply, cost } => {
                reply.finish = finish;
                Event::ModelReplied { id, reply, cost }
            }
            other => other,
        };
        let mut context = Context::new("be good");
        fold(&mut context, &[vec![created(TaskOptions::default())], model_call(1), vec![broken_off(&[])]].concat());
        let told: Vec<String> = context.pending().map(show).collect();
        assert_eq!(told.len(), usize::from(!words.is_empty()), "{told:?}");
        assert!(told.iter().all(|notice| notice.contains(words)), "{told:?}");
        // What a call with cut arguments lacks is said in its result.
        let mut context = Context::new("be good");
        fold(&mut context, &[created(TaskOptions::default()), broken_off(&[("idle", "{\"a")])]);
        assert_eq!(context.pending().count(), 0);
    }
}
