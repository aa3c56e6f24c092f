//! The table of the tools, and the one way from a call to its tool. What a tool does is in the tool's own file.

use std::sync::OnceLock;

use event::{ToolCall, ToolResult};
use policy::{Permit, ToolFacts};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::arguments;
use crate::call::Call;
use crate::outcome::Outcome;
use crate::world::World;

/// One thing that the model can ask for: its argument type, and what is done with it.
pub(crate) trait Tool: DeserializeOwned + JsonSchema {
    const NAME: &'static str;

    /// Whether the record that it begins must survive a loss of power before it does.
    const DURABLE_FIRST: bool = false;

    /// What policy is told of the tool.
    fn facts() -> ToolFacts;

    /// Does it. Either side of the result is an outcome for the model: `Err` is the way out in mid-work.
    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome>;

    /// Finds out how a call that had started came out, and starts nothing. None: it left no trace, or none that a second
    /// run by the same number would not respect.
    fn attach(self, _call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        Ok(None)
    }
}

/// A tool as the model is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    pub name: &'static str,
    /// The first paragraph of the manual.
    pub description: String,
    /// JSON Schema of the arguments.
    pub parameters: Value,
    /// The whole text of the manual.
    pub manual: String,
}

/// A tool's work on arguments that fit it.
type Handler<T> = fn(Map<String, Value>, &Call<'_>) -> Result<T, Outcome>;

struct Entry {
    name: &'static str,
    durable_first: bool,
    schema: fn() -> (Value, String),
    facts: fn() -> ToolFacts,
    run: Handler<Outcome>,
    attach: Handler<Option<Outcome>>,
}

const fn entry<T: Tool>() -> Entry {
    Entry {
        name: T::NAME,
        durable_first: T::DURABLE_FIRST,
        schema: arguments::schema_of::<T>,
        facts: T::facts,
        run: |arguments, call| read::<T>(arguments)?.run(call),
        attach: |arguments, call| read::<T>(arguments)?.attach(call),
    }
}

static TABLE: [Entry; 27] = [
    entry::<crate::message_notify_user::MessageNotifyUser>(),
    entry::<crate::message_ask_user::MessageAskUser>(),
    entry::<crate::file_read::FileRead>(),
    entry::<crate::file_write::FileWrite>(),
    entry::<crate::file_str_replace::FileStrReplace>(),
    entry::<crate::file_find_in_content::FileFindInContent>(),
    entry::<crate::file_find_by_name::FileFindByName>(),
    entry::<crate::shell_exec::ShellExec>(),
    entry::<crate::shell_view::ShellView>(),
    entry::<crate::shell_wait::ShellWait>(),
    entry::<crate::shell_write_to_process::ShellWriteToProcess>(),
    entry::<crate::shell_kill_process::ShellKillProcess>(),
    entry::<crate::browser_view::BrowserView>(),
    entry::<crate::browser_navigate::BrowserNavigate>(),
    entry::<crate::browser_restart::BrowserRestart>(),
    entry::<crate::browser_click::BrowserClick>(),
    entry::<crate::browser_input::BrowserInput>(),
    entry::<crate::browser_move_mouse::BrowserMoveMouse>(),
    entry::<crate::browser_press_key::BrowserPressKey>(),
    entry::<crate::browser_select_option::BrowserSelectOption>(),
    entry::<crate::browser_scroll_up::BrowserScrollUp>(),
    entry::<crate::browser_scroll_down::BrowserScrollDown>(),
    entry::<crate::browser_console_exec::BrowserConsoleExec>(),
    entry::<crate::browser_console_view::BrowserConsoleView>(),
    entry::<crate::plan_update::PlanUpdate>(),
    entry::<crate::deliver::Deliver>(),
    entry::<crate::idle::Idle>(),
];

/// The tools in the order the model is told of them.
pub fn list() -> &'static [ToolSpec] {
    static LIST: OnceLock<Vec<ToolSpec>> = OnceLock::new();
    LIST.get_or_init(|| {
        let spec = |entry: &Entry| {
            let (parameters, manual) = (entry.schema)();
            let first = manual.split("\n\n").next().unwrap_or_default();
            ToolSpec { name: entry.name, description: first.replace('\n', " "), parameters, manual }
        };
        TABLE.iter().map(spec).collect()
    })
}

/// Which tools a task is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    All,
    /// Its computer can have no browser.
    WithoutBrowser,
}

impl Offered {
    fn has(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::WithoutBrowser => !name.starts_with("browser_"),
        }
    }
}

/// The tool list as the bytes that stand in every request of a task: the function list of chat completions, canonical.
pub fn list_json(offered: Offered) -> Vec<u8> {
    let function = |spec: &ToolSpec| {
        let ToolSpec { name, description, parameters, manual: _ } = spec;
        json!({ "type": "function", "function": { "name": name, "description": description, "parameters": parameters } })
    };
    let all = list().iter().filter(|spec| offered.has(spec.name));
    event::canonical(&all.map(function).collect::<Vec<_>>())
}

/// Whether there is a tool of this name.
pub fn is_known(name: &str) -> bool {
    TABLE.iter().any(|entry| entry.name == name)
}

/// What the model is told that asked for a tool that there is not.
pub fn unknown_tool(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    let names: Vec<&str> = TABLE.iter().map(|entry| entry.name).collect();
    format!("there is no tool named {name:?}. The tools are: {}", names.join(", "))
}

/// What policy is told of a tool.
pub fn facts(name: &str) -> Option<ToolFacts> {
    TABLE.iter().find(|entry| entry.name == name).map(|entry| (entry.facts)())
}

/// Whether the record that a call begins must be on the disk before the call is run: its effect is seen outside the
/// computer.
pub fn durable_first(name: &str) -> bool {
    TABLE.iter().any(|entry| entry.name == name && entry.durable_first)
}

/// The arguments in the tool's own form, or what is wrong with them: what policy should judge and the journal keep, so
/// that both see exactly what the tool will use.
pub fn admit(name: &str, arguments: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let spec = list().iter().find(|spec| spec.name == name).ok_or_else(|| unknown_tool(name))?;
    arguments::fit(arguments, &spec.parameters).map_err(|problem| {
        format!("{name} cannot be called so: {problem}. It takes {}", arguments::form(&spec.parameters))
    })
}

/// The name that a call gives the process it starts, if it starts one: newer calls take a name over.
pub fn process_name(call: &ToolCall) -> Option<String> {
    if call.tool != <crate::shell_exec::ShellExec as Tool>::NAME {
        return None;
    }
    let arguments = admit(&call.tool, &call.arguments).ok()?;
    let named = |field: &str| arguments.get(field).and_then(Value::as_str).filter(|name| !name.is_empty());
    // A terminal is the computer's: it has been there, or stays, longer than this call.
    if named("terminal").is_some() {
        return None;
    }
    Some(named("id").map_or_else(|| call.id.to_string(), str::to_owned))
}

/// Makes the call that the permit is for. Blocks for as long as the call takes.
pub fn run(permit: Permit<ToolCall>, world: &World) -> ToolResult {
    let call = permit.redeem();
    let outcome = match prepare(&call) {
        Ok((entry, arguments)) => {
            (entry.run)(arguments, &Call { call: &call, world }).unwrap_or_else(|outcome| outcome)
        }
        Err(outcome) => outcome,
    };
    outcome.into_result(&call)
}

/// Finds out how a call that had started before a crash came out; nothing is started. None: it left no trace, or is
/// exactly-once by its effect's number, so it may be decided anew and [`run`].
pub fn attach(call: &ToolCall, world: &World) -> Option<ToolResult> {
    let (entry, arguments) = prepare(call).ok()?;
    let outcome = match (entry.attach)(arguments, &Call { call, world }) {
        Ok(outcome) => outcome?,
        Err(outcome) => outcome,
    };
    Some(outcome.into_result(call))
}

fn prepare(call: &ToolCall) -> Result<(&'static Entry, Map<String, Value>), Outcome> {
    let entry = TABLE.iter().find(|entry| entry.name == call.tool);
    let entry = entry.ok_or_else(|| Outcome::invalid(unknown_tool(&call.tool)))?;
    let arguments = admit(&call.tool, &call.arguments).map_err(Outcome::invalid)?;
    Ok((entry, arguments))
}

fn read<T: Tool>(arguments: Map<String, Value>) -> Result<T, Outcome> {
    serde_json::from_value(Value::Object(arguments))
        .map_err(|error| Outcome::invalid(format!("{} cannot be called so: {error}", T::NAME)))
}

#[cfg(test)]
mod tests;
