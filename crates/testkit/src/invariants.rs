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
    broken.extend(tools(&value));
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
            let name = call.pointer("/function/name").and_then(Value::as_str).unwrap_or_default();
            if !is_name(name) {
                broken.push(format!("message {at} sends back a call of {name:?}, which servers refuse"));
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

/// Each tool is a function with a name of its own, words, and an object of arguments.
fn tools(request: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for tool in request.get("tools").and_then(Value::as_array).into_iter().flatten() {
        let text = |pointer: &str| tool.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let name = text("/function/name");
        if text("/type") != "function" || !is_name(name) || names.contains(&name) {
            broken.push(format!("the tool {name:?} is no function, has no sound name or is there twice"));
        }
        if text("/function/description").is_empty() || text("/function/parameters/type") != "object" {
            broken.push(format!("the tool {name:?} has no description or no object of arguments"));
        }
        names.push(name);
    }
    broken
}

/// The form of names that every server takes.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= 64 && name.chars().all(plain)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A request with these messages after a system prompt.
    fn request(messages: &[Value]) -> Vec<u8> {
        let mut all = vec![json!({ "role": "system", "content": "be good" })];
        all.extend_from_slice(messages);
        json!({ "messages": all }).to_string().into_bytes()
    }

    fn calls(ids: &[&str]) -> Value {
        let calls: Vec<Value> = ids
            .iter()
            .map(|id| json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } }))
            .collect();
        json!({ "role": "assistant", "content": null, "tool_calls": calls })
    }

    fn result(id: &str) -> Value {
        json!({ "role": "tool", "tool_call_id": id, "content": "seen" })
    }

    #[track_caller]
    fn check_broken(messages: &[Value], words: &str) {
        let broken = check(&request(messages), None);
        assert!(broken.iter().any(|rule| rule.contains(words)), "{broken:?}");
    }

    #[test]
    fn a_sound_request_breaks_nothing() {
        let user = json!({ "role": "user", "content": "hello" });
        let before = request(std::slice::from_ref(&user));
        let body = request(&[user, calls(&["a", "b"]), result("b"), result("a")]);
        assert_eq!(check(&body, Some((&before, false))), [""; 0]);
        assert!((append_only(&before, &body) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn every_rule_is_seen_when_it_is_broken() {
        check_broken(&[calls(&["a"])], "without the results");
        check_broken(&[result("a")], "nobody called");
        check_broken(&[calls(&["a"]), result("a"), result("a")], "nobody called");
        check_broken(&[calls(&["a"]), json!({ "role": "user", "content": "x" }), result("a")], "before the results");
        check_broken(&[calls(&["a", "a"]), result("a")], "twice");
        check_broken(&[json!({ "role": "system", "content": "again" })], "only that");
        check_broken(&[json!({ "role": "robot", "content": "x" })], "the role robot");
        let mut call = calls(&["a"]);
        call["tool_calls"][0]["function"]["arguments"] = json!("{\"cut");
        check_broken(&[call, result("a")], "no object");
        let mut call = calls(&["a"]);
        call["tool_calls"][0]["function"]["name"] = json!("look at");
        check_broken(&[call, result("a")], "servers refuse");
    }

    #[test]
    fn a_request_that_does_not_follow_is_seen() {
        let before = request(&[json!({ "role": "user", "content": "hello" })]);
        let other = request(&[json!({ "role": "user", "content": "help!" })]);
        let broken = check(&other, Some((&before, true)));
        assert_eq!(broken.len(), 2, "{broken:?}");
        assert_eq!(check(&before, Some((&before, true))), [""; 0]);
        assert_eq!(check(b"{", None).len(), 1);
    }

    #[test]
    fn tools_that_servers_refuse_are_seen() {
        let tool = |name: &str| json!({ "type": "function", "function": { "name": name, "description": "d", "parameters": { "type": "object" } } });
        let body =
            |tools: &[Value]| json!({ "messages": [{ "role": "system", "content": "x" }], "tools": tools }).to_string();
        assert_eq!(check(body(&[tool("f"), tool("g")]).as_bytes(), None), [""; 0]);
        assert_eq!(check(body(&[tool("f"), tool("f")]).as_bytes(), None).len(), 1);
        assert_eq!(check(body(&[tool("look at")]).as_bytes(), None).len(), 1);
        assert_eq!(
            check(body(&[json!({ "type": "function", "function": { "name": "f" } })]).as_bytes(), None).len(),
            1
        );
    }
}
