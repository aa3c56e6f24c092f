//! Running a script of the caller's in the page, and what the page itself has put on its console. An element in a result
//! gets a number, so that it can be acted upon.

use std::time::Duration;

use serde_json::{Value, json};

use crate::limits::{ANSWER, RESULT_ELEMENTS_MAX, SCRIPT};
use crate::line::Ask;
use crate::state::{World, exception, shown};
use crate::{Browser, Error, Result};

/// How long a page may take to have a world for scripts.
const WORLD_WITHIN: Duration = Duration::from_secs(2);

/// Turns a result into JSON that has an end.
const TO_JSON: &str = "function (most) {
    const seen = new WeakSet();
    let left = 20000;
    const plain = (key, value) => {
        if (--left < 0) return undefined;
        if (typeof value === 'bigint') return String(value);
        if (typeof value === 'function') return 'function ' + value.name;
        if (value && typeof value === 'object') {
            if (seen.has(value)) return '(again)';
            seen.add(value);
            if (value instanceof Map) return Object.fromEntries(value);
            if (value instanceof Set) return Array.from(value);
            if (value instanceof Error) return String(value);
        }
        return value;
    };
    const text = JSON.stringify(this, plain);
    return text === undefined ? String(this) : text.slice(0, most);
}";

impl Browser {
    /// Runs a script in the page, as typed into its console; waits for what it awaits.
    ///
    /// # Errors
    /// If the page does not answer; an error in the script is its result.
    pub fn exec(&self, script: &str, chars_max: usize) -> Result<String> {
        let target = self.page()?;
        self.no_dialog(&target)?;
        let (session, world) = self.page_world(&target)?;
        let mut params = json!({
            "expression": script, "awaitPromise": true, "replMode": true, "userGesture": true, "generatePreview": false,
            "timeout": u64::try_from(SCRIPT.as_millis()).unwrap_or(u64::MAX),
        });
        if let Some(world) = world {
            params["uniqueContextId"] = world.unique.into();
        }
        // The browser ends it first, if it can.
        let within = SCRIPT + Duration::from_secs(2);
        let ask = Ask { session: Some(&session), method: "Runtime.evaluate", params, within, tab: Some(&target) };
        let result = match self.line.ask(ask) {
            Ok(answer) if answer["exceptionDetails"].is_object() => {
                format!("Error: {}", exception(&answer["exceptionDetails"]))
            }
            Ok(answer) => self.result(&target, &session, &answer["result"], chars_max)?,
            Err(Error::Dialog) => "The script opened a dialog.".to_owned(),
            Err(Error::Refused { reason, .. }) => format!("The script did not come to its end: {reason}"),
            Err(Error::Silent { seconds, .. }) => {
                return Err(Error::Silent { what: "run the script".to_owned(), seconds });
            }
            Err(error) => return Err(error),
        };
        let quoted: Vec<String> = result.lines().map(|line| format!("| {line}")).collect();
        let mut text = format!("Result:\n{}", quoted.join("\n"));
        let rest = self.settle_page(&target)?;
        if rest == crate::settle::Rest::Dialog {
            text.push_str(&format!("\n{}", self.dialog().unwrap_or_default()));
        }
        Ok(self.with_news(text))
    }

    /// The page's own world; none where the browser has told of its end after its beginning: it knows itself which is meant.
    fn page_world(&self, target: &str) -> Result<(String, Option<World>)> {
        let found = self.line.wait_for(WORLD_WITHIN, |state| {
            let root = state.tab(target)?.root()?;
            root.page_world.clone().map(|world| (root.session.clone(), Some(world)))
        })?;
        found.map_or_else(|| Ok((self.session(target)?, None)), Ok)
    }

    fn result(&self, target: &str, session: &str, result: &Value, chars_max: usize) -> Result<String> {
        let Some(object) = result["objectId"].as_str() else {
            return Ok(shown(result).chars().take(chars_max).collect());
        };
        let kind = result["subtype"].as_str().unwrap_or_default();
        let class = result["className"].as_str().unwrap_or_default();
        let text = match kind {
            "node" => self.elements(target, session, &[object.to_owned()])?,
            "array" if matches!(class, "NodeList" | "HTMLCollection" | "Array") => {
                let inside = self.nodes_in(target, session, object)?;
                if inside.is_empty() { None } else { self.elements(target, session, &inside)? }
            }
            _ => None,
        };
        let text = match text {
            Some(text) => text,
            None if result["type"] == "function" || kind == "error" => shown(result),
            None => {
                let json = self.call_on(session, target, object, TO_JSON, json!([{ "value": chars_max }]))?;
                json.as_str().unwrap_or_default().to_owned()
            }
        };
        self.release(session, object);
        Ok(text.chars().take(chars_max).collect())
    }

    /// Handles on the elements in a list.
    fn nodes_in(&self, target: &str, session: &str, object: &str) -> Result<Vec<String>> {
        let params = json!({ "objectId": object, "ownProperties": true });
        let ask =
            Ask { session: Some(session), method: "Runtime.getProperties", params, within: ANSWER, tab: Some(target) };
        let answer = self.line.ask(ask)?;
        let fields = answer["result"].as_array().map(Vec::as_slice).unwrap_or_default();
        let nodes = fields.iter().filter(|field| field["value"]["subtype"] == "node");
        let nodes = nodes.filter_map(|field| field["value"]["objectId"].as_str().map(str::to_owned));
        Ok(nodes.take(RESULT_ELEMENTS_MAX).collect())
    }

    /// Elements in words, numbered; None if the first of them is none.
    fn elements(&self, target: &str, session: &str, objects: &[String]) -> Result<Option<String>> {
        let mut lines = Vec::new();
        for object in objects {
            let params = json!({ "objectId": object });
            let ask =
                Ask { session: Some(session), method: "DOM.describeNode", params, within: ANSWER, tab: Some(target) };
            let about = self.line.ask(ask)?;
            let Some(node) = about["node"]["backendNodeId"].as_i64() else { continue };
            let (ours_session, ours) = self.resolve(target, target, node)?;
            let next = self.mine().next;
            let function = "function (next) { return thenar.describe(this, next); }";
            let answer = self.call_on(&ours_session, target, &ours, function, json!([{ "value": next }]))?;
            self.release(&ours_session, &ours);
            if let Some(number) = answer["number"].as_u64().and_then(|number| u32::try_from(number).ok()) {
                let mut mine = self.mine();
                mine.next = mine.next.max(number.saturating_add(1));
                mine.places.put(&[number], target, target);
                lines.push(answer["text"].as_str().unwrap_or_default().to_owned());
            }
        }
        Ok((!lines.is_empty()).then(|| lines.join("\n")))
    }

    /// The last lines of the page's console.
    ///
    /// # Errors
    /// If there is no page.
    pub fn console(&self, most: usize, chars_max: usize) -> Result<String> {
        let target = self.page()?;
        let (lines, all, lost) = self.line.state(|state| {
            let console = state.tab(&target).map(|tab| &tab.console);
            let lines: Vec<String> =
                console.into_iter().flat_map(|console| console.last(most)).map(str::to_owned).collect();
            (lines, console.map_or(0, crate::state::Console::len), console.map_or(0, |console| console.lost))
        });
        if lines.is_empty() {
            return Ok("The console is empty.".to_owned());
        }
        let (mut kept, mut chars) = (Vec::new(), 0);
        for line in lines.iter().rev() {
            chars += line.chars().count() + 3;
            if chars > chars_max {
                break;
            }
            kept.push(format!("| {line}"));
        }
        kept.reverse();
        let before = all - kept.len();
        let lost = if lost > 0 { format!(", {lost} more are not kept") } else { String::new() };
        Ok(format!("Console, last {} lines ({before} before them{lost}):\n{}", kept.len(), kept.join("\n")))
    }
}
