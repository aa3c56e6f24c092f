//! From what a model wrote to a tool's argument type, by way of the type's JSON Schema.
//!
//! Small slips that leave no doubt are mended (a number in quotes, null for a field that may be absent, one item where
//! a list is wanted); everything else is named with its place. Nothing here guesses a value that was not given.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The JSON Schema of an argument type as a model is told it, and the whole doc comment of the type.
pub(crate) fn schema_of<T: JsonSchema>() -> (Value, String) {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    let manual = schema["description"].as_str().unwrap_or_default().to_owned();
    strip(&mut schema);
    if let Value::Object(map) = &mut schema {
        map.remove("description");
        map.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    }
    (schema, manual)
}

/// Takes out what costs tokens and tells a model nothing.
fn strip(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    for key in ["$schema", "title", "format", "default", "minimum", "$defs"] {
        map.remove(key);
    }
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
    // Optional enums come as a choice between the enum and null.
    if let Some(Value::Array(choices)) = map.remove("anyOf")
        && let Some(Value::Object(choice)) = choices.into_iter().find(|choice| choice["type"] != "null")
    {
        for (key, value) in choice {
            map.entry(key).or_insert(value);
        }
    }
    if let Some(Value::Array(values)) = map.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(strip);
    }
    if let Some(items) = map.get_mut("items") {
        strip(items);
    }
}

/// The arguments in the tool's own form, or what is wrong with them.
pub(crate) fn fit(arguments: &Map<String, Value>, schema: &Value) -> Result<Map<String, Value>, String> {
    let mut problems = Vec::new();
    let fitted = fit_object(arguments, schema, "", &mut problems);
    if problems.is_empty() { Ok(fitted) } else { Err(problems.join("; ")) }
}

/// The form a tool expects, on one line.
pub(crate) fn form(schema: &Value) -> String {
    match schema["type"].as_str() {
        Some("object") => {
            let field = |(name, field): (&str, &Value)| {
                let mark = if is_required(schema, name) { "" } else { "?" };
                format!("{name}{mark}: {}", form(field))
            };
            let fields: Vec<String> = ordered(schema).into_iter().map(field).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Some("array") => format!("[{}]", form(&schema["items"])),
        Some(kind) => match schema["enum"].as_array() {
            Some(values) => values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|"),
            None => kind.to_owned(),
        },
        None => "any".to_owned(),
    }
}

/// The properties as a person would list them: the required ones as declared, then the others by name. (A JSON map has
/// no order of its own to go by.)
pub(crate) fn ordered(schema: &Value) -> Vec<(&str, &Value)> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut optional: Vec<&str> =
        properties(schema).map(|(name, _)| name.as_str()).filter(|name| !is_required(schema, name)).collect();
    optional.sort_unstable();
    required.chain(optional).map(|name| (name, &schema["properties"][name])).collect()
}

pub(crate) fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name))
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

fn fit_object(
    given: &Map<String, Value>,
    schema: &Value,
    path: &str,
    problems: &mut Vec<String>,
) -> Map<String, Value> {
    let mut fitted = Map::new();
    let mut missing = Vec::new();
    for (name, field) in ordered(schema) {
        let place = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match given.get(name) {
            None | Some(Value::Null) if is_required(schema, name) => missing.push(place),
            None | Some(Value::Null) => {}
            Some(value) => {
                if let Some(value) = fit_value(value, field, &place, problems) {
                    fitted.insert(name.to_owned(), value);
                }
            }
        }
    }
    if !missing.is_empty() {
        let known = |name: &&String| schema["properties"].get(name.as_str()).is_none();
        let unknown: Vec<String> = given.keys().filter(known).take(5).map(|name| quoted(name)).collect();
        let missing: Vec<String> = missing.iter().map(|name| quoted(name)).collect();
        let verb = if missing.len() == 1 { "is" } else { "are" };
        let mut problem = format!("{} {verb} missing", missing.join(", "));
        if !unknown.is_empty() {
            problem.push_str(&format!(" (not known: {})", unknown.join(", ")));
        }
        problems.push(problem);
    }
    fitted
}

fn fit_value(value: &Value, schema: &Value, path: &str, problems: &mut Vec<String>) -> Option<Value> {
    let fitted = match schema["type"].as_str() {
        Some("object") => match as_object(value, schema) {
            Some(object) => return Some(Value::Object(fit_object(&object, schema, path, problems))),
            None => None,
        },
        Some("array") => {
            let items = as_array(value);
            let fit_item = |(i, item)| fit_value(item, &schema["items"], &format!("{path}[{i}]"), problems);
            return Some(Value::Array(items.iter().enumerate().filter_map(fit_item).collect()));
        }
        Some("string") if schema["enum"].is_array() => as_choice(value, schema),
        Some("string") => as_text(value, path),
        Some("integer") => as_integer(value),
        Some("boolean") => as_boolean(value),
        _ => Some(value.clone()),
    };
    if fitted.is_none() {
        problems.push(format!("{} must be {}, not {}", quoted(path), wanted(schema), found(value)));
    }
    fitted
}

/// An object; the text of one; or the text that is its one required field.
fn as_object(value: &Value, schema: &Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => Some(map.clone()),
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(map)) => Some(map),
            Ok(_) | Err(_) => {
                let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
                match required {
                    [Value::String(only)] => Some(Map::from_iter([(only.clone(), value.clone())])),
                    _ => None,
                }
            }
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

fn as_array(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(Value::Array(items)) => items,
            Ok(_) | Err(_) => vec![value.clone()],
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec![value.clone()],
    }
}

/// A text. Only names are also taken as numbers: a command or a file's content of another type was never meant so.
fn as_text(value: &Value, path: &str) -> Option<Value> {
    match value {
        Value::String(_) => Some(value.clone()),
        Value::Number(number) if matches!(path, "id" | "terminal") => Some(Value::String(number.to_string())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn as_integer(value: &Value) -> Option<Value> {
    let whole = |number: f64| (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64);
    match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(whole)).map(Value::from),
        Value::String(text) => text.trim().parse::<u64>().ok().map(Value::from),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn as_boolean(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(_) => Some(value.clone()),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" => Some(Value::Bool(true)),
            "false" | "no" | "" => Some(Value::Bool(false)),
            _ => None,
        },
        Value::Number(number) => match number.as_u64() {
            Some(0) => Some(Value::Bool(false)),
            Some(1) => Some(Value::Bool(true)),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Words that models use for the states of a step or of an acceptance point.
const SYNONYMS: [(&str, &str); 16] = [
    ("todo", "pending"),
    ("to_do", "pending"),
    ("not_started", "pending"),
    ("open", "pending"),
    ("doing", "in_progress"),
    ("active", "in_progress"),
    ("started", "in_progress"),
    ("complete", "done"),
    ("completed", "done"),
    ("finished", "done"),
    ("cancelled", "skipped"),
    ("pass", "passed"),
    ("ok", "passed"),
    ("fail", "failed"),
    ("unknown", "unchecked"),
    ("not_checked", "unchecked"),
];

fn as_choice(value: &Value, schema: &Value) -> Option<Value> {
    let Value::String(text) = value else { return None };
    let word = text.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    let choices = schema["enum"].as_array()?;
    let canonical = SYNONYMS.iter().find(|(synonym, _)| *synonym == word).map(|(_, canonical)| *canonical);
    choices.iter().find(|choice| **choice == word.as_str() || canonical.is_some_and(|one| **choice == one)).cloned()
}

fn wanted(schema: &Value) -> String {
    match schema["type"].as_str() {
        Some("integer") => "a whole number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("string") if schema["enum"].is_array() => format!("one of {}", form(schema)),
        Some("string") => "text".to_owned(),
        Some(_) | None => form(schema),
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
    }
}

fn quoted(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    format!("`{name}`")
}

#[cfg(test)]
mod tests;
