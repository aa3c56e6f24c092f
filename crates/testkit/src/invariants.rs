//! What must hold of every request a model gets, however the agent came to make it.

use serde_json::Value;

/// The rules a request breaks, given the request before it and whether that one was answered with a failure.
pub(crate) fn check(body: &[u8], before: Option<(&[u8], bool)>) -> Vec<String> {
    let mut broken = Vec::new();
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return vec![format!("the body is not JSON: {error}")],
    };
    let messages = value.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    broken.extend(pairing(messages));
    for (at, message) in messages.iter().enumerate() {
        let role = message.get("role").and_then(Value::as_str).unwrap_or("none");
        if !["system", "user", "assistant", "tool"].contains(&role) {
            broken.push(format!("message {at} has the role {role}"));
        }
        if (role == "system") != (at == 0) {
            broken.push(format!("message {at} is {role}: the system prompt is the first message and only that"));
        }
    }
    if let Some((earlier, failed)) = before {
        if failed && earlier != body {
            broken.push("a retry has another body than the try before it".to_owned());
        }
        if append_only(earlier, body) < 1.0 {
            broken.push("the request does not begin with the one before it".to_owned());
        }
    }
    broken
}

/// Each tool call has exactly one result, after its message and before the next reply or word of the person.
fn pairing(messages: &[Value]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut open: Vec<String> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let text = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("role") == "tool" {
            let id = text("tool_call_id");
            match open.iter().position(|known| *known == id) {
                Some(position) => drop(open.remove(position)),
                None => broken.push(format!("message {at} is the result of {id:?}, which nobody called")),
            }
            continue;
        }
        if !open.is_empty() {
            broken.push(format!("message {at} comes before the results of {open:?}"));
            open.clear();
        }
        for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let id = call.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            if open.contains(&id) || id.is_empty() {
                broken.push(format!("message {at} has the call id {id:?} twice or empty"));
            }
            let arguments = call.pointer("/function/arguments").and_then(Value::as_str).unwrap_or_default();
            if !serde_json::from_str::<Value>(arguments).is_ok_and(|arguments| arguments.is_object()) {
                broken.push(format!("message {at} sends back arguments that are no object: {arguments}"));
            }
            open.push(id);
        }
    }
    if !open.is_empty() {
        broken.push(format!("the request ends without the results of {open:?}"));
    }
    broken
}

/// The share of the earlier body, its closing brackets aside, that this one begins with.
pub(crate) fn append_only(earlier: &[u8], body: &[u8]) -> f64 {
    let earlier = earlier.strip_suffix(b"]}").unwrap_or(earlier);
    if earlier.is_empty() {
        return 1.0;
    }
    let same = earlier.iter().zip(body).take_while(|(one, other)| one == other).count();
    same as f64 / earlier.len() as f64
}
