//! What one more step costs the encoder, early and late in a task, and what a client costs before its first call. The
//! journey to the model is not in it.

#![expect(clippy::unwrap_used, reason = "a bench that cannot build its subject has failed")]

use event::{AssistantMessage, Item, Label, ToolRequest};
use model::{Client, Conversation, Endpoint, Settings};

fn main() {
    divan::main();
}

fn step(conversation: &mut Conversation, number: usize) {
    let id = format!("call_{number}");
    let call = ToolRequest { id: id.clone(), name: "shell_exec".into(), arguments: r#"{"command":"ls -la"}"#.into() };
    let message = AssistantMessage { text: "Looking.".into(), tool_calls: vec![call], ..AssistantMessage::default() };
    conversation.push(&Item::Assistant { message });
    let text = "a line of what a command put out\n".repeat(20);
    conversation.push(&Item::Tool { call_id: id, tool: "shell_exec".into(), text, label: Label::person() });
}

/// One step's two items and the request after them, with so many steps before.
#[divan::bench(args = [1, 50, 1_000])]
fn push_and_body(bencher: divan::Bencher<'_, '_>, steps: usize) {
    let mut conversation = Conversation::new("openai:m", &vec![b' '; 12_000], None).unwrap();
    for number in 0..steps {
        step(&mut conversation, number);
    }
    bencher.with_inputs(|| conversation.clone()).bench_values(|mut conversation| {
        step(&mut conversation, steps);
        conversation.body().digest()
    });
}

#[divan::bench(args = ["http://127.0.0.1:1/v1", "https://127.0.0.1:1/v1"])]
fn client(address: &str) -> Client {
    let endpoint = Some(Endpoint { base_url: address.to_owned(), key: None });
    Client::new(Settings {
        name: "openai:m".into(),
        endpoint,
        script: None,
        price: None,
        window_tokens: None,
        output_tokens_max: None,
        sees: None,
        idle: std::time::Duration::from_secs(1),
    })
    .unwrap()
}
