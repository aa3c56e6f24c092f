//! Our own code in a page: a world in each frame that the page can neither see nor change, made when it is first needed. The
//! code itself is in `page/`; it looks and points, and changes a page only where a tool says so.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::limits::ANSWER;
use crate::line::Ask;
use crate::state::{WORLD, World};
use crate::{Browser, Error, Result};

/// The code, as one function that does nothing the second time.
const CODE: &str = concat!(
    "(() => { 'use strict'; if (Object.hasOwn(globalThis, 'thenar')) return;\n",
    include_str!("page/elements.js"),
    include_str!("page/walk.js"),
    include_str!("page/act.js"),
    include_str!("page/text.js"),
    include_str!("page/draw.js"),
    "\n})()"
);

/// What a world without our code answers.
const NONE: &str = "thenar: none";

/// What our code is asked to do, in words.
const LOOK: &str = "look at the page";

/// Tries to run something in a frame whose document changes meanwhile.
const TRIES: usize = 3;

impl Browser {
    /// Runs one of our functions in a frame, and gives what it returns.
    pub(crate) fn run(&self, target: &str, frame: &str, call: &str, args: &[Value], within: Duration) -> Result<Value> {
        let evaluated = self.evaluate(target, frame, &called(call, args), true, within)?;
        Ok(evaluated["value"].clone())
    }

    /// The same, for a handle on what it returns.
    pub(crate) fn run_for_handle(
        &self,
        target: &str,
        frame: &str,
        call: &str,
        args: &[Value],
    ) -> Result<Option<String>> {
        let evaluated = self.evaluate(target, frame, &called(call, args), false, ANSWER)?;
        Ok(evaluated["objectId"].as_str().map(str::to_owned))
    }

    fn evaluate(&self, target: &str, frame: &str, expression: &str, by_value: bool, within: Duration) -> Result<Value> {
        let mut tries = 0;
        let until = Instant::now() + within;
        let left = || until.saturating_duration_since(Instant::now());
        loop {
            let answer = self.evaluate_once(target, frame, expression, by_value, left());
            tries += 1;
            match answer {
                Ok(Ok(value)) if value["value"] == NONE => {
                    if let Err(reason) = self.evaluate_once(target, frame, CODE, true, left())? {
                        return Err(Error::Refused { what: LOOK.to_owned(), reason });
                    }
                }
                Ok(Ok(value)) => return Ok(value),
                // Our own code failed on this page: another try would fail alike.
                Ok(Err(reason)) => return Err(Error::Refused { what: LOOK.to_owned(), reason }),
                // Its document went while it ran: it is run in the next one.
                Err(Error::Refused { .. }) if tries < TRIES => {
                    let lost = |frame: &mut crate::state::Frame| frame.our_world = None;
                    self.line.state(|state| {
                        let tab = state.tab_mut(target);
                        tab.and_then(|tab| tab.frames.get_mut(frame)).map(lost)
                    });
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn evaluate_once(
        &self,
        target: &str,
        frame: &str,
        expression: &str,
        by_value: bool,
        within: Duration,
    ) -> Result<Result<Value, String>> {
        let (session, world) = self.our_world_within(target, frame, within)?;
        let mut params = json!({ "expression": expression, "returnByValue": by_value, "awaitPromise": true });
        if world.unique.is_empty() {
            params["contextId"] = world.id.into();
        } else {
            params["uniqueContextId"] = world.unique.into();
        }
        let ask = Ask { session: Some(&session), method: "Runtime.evaluate", params, within, tab: Some(target) };
        let mut answer = self.line.ask(ask)?;
        let failed = &answer["exceptionDetails"];
        if failed.is_object() {
            return Ok(Err(crate::state::exception(failed)));
        }
        Ok(Ok(answer["result"].take()))
    }

    /// Our world in a frame, and the session that it is in.
    pub(crate) fn our_world(&self, target: &str, frame: &str) -> Result<(String, World)> {
        self.our_world_within(target, frame, ANSWER)
    }

    fn our_world_within(&self, target: &str, frame: &str, within: Duration) -> Result<(String, World)> {
        let known = |browser: &Self| {
            browser.line.state(|state| {
                let frame = state.tab(target)?.frames.get(frame)?;
                Some((frame.session.clone(), frame.our_world.clone()))
            })
        };
        let gone = || Error::Cannot("that part of the page is gone".to_owned());
        let (session, world) = known(self).ok_or_else(gone)?;
        if let Some(world) = world {
            return Ok((session, world));
        }
        let params = json!({ "frameId": frame, "worldName": WORLD });
        let ask =
            Ask { session: Some(&session), method: "Page.createIsolatedWorld", params, within, tab: Some(target) };
        let answer = self.line.ask(ask)?;
        // The event that tells of it comes before the answer; there is none for a world that was there already.
        let (session, world) = known(self).ok_or_else(gone)?;
        let reason = || "its document was replaced".to_owned();
        let told = || Some(World { id: answer["executionContextId"].as_i64()?, unique: String::new() });
        let world = world.or_else(told).ok_or_else(|| Error::Refused { what: LOOK.to_owned(), reason: reason() })?;
        Ok((session, world))
    }

    /// Calls a function on something in a page.
    pub(crate) fn call_on(
        &self,
        session: &str,
        target: &str,
        object: &str,
        function: &str,
        args: Value,
    ) -> Result<Value> {
        let params = json!({
            "objectId": object, "functionDeclaration": function, "arguments": args, "returnByValue": true, "awaitPromise": true,
        });
        let ask =
            Ask { session: Some(session), method: "Runtime.callFunctionOn", params, within: ANSWER, tab: Some(target) };
        let mut answer = self.line.ask(ask)?;
        let failed = &answer["exceptionDetails"];
        if failed.is_object() {
            return Err(Error::Refused {
                what: "look at the page".to_owned(),
                reason: crate::state::exception(failed),
            });
        }
        Ok(answer["result"]["value"].take())
    }

    /// A handle, in our world, on something that the browser knows by a number of its own.
    pub(crate) fn resolve(&self, target: &str, frame: &str, node: i64) -> Result<(String, String)> {
        // Our code must be there before something is asked of it through a handle.
        self.run(target, frame, "numbered", &[], ANSWER)?;
        let (session, world) = self.our_world(target, frame)?;
        let params = json!({ "backendNodeId": node, "executionContextId": world.id });
        let ask = Ask { session: Some(&session), method: "DOM.resolveNode", params, within: ANSWER, tab: Some(target) };
        let answer = self.line.ask(ask)?;
        let object = answer["object"]["objectId"].as_str().map(str::to_owned);
        let object = object.ok_or_else(|| Error::Cannot("that part of the page is gone".to_owned()))?;
        Ok((session, object))
    }

    /// Lets go of a handle.
    pub(crate) fn release(&self, session: &str, object: &str) {
        let post = crate::state::Post::new(Some(session), "Runtime.releaseObject", json!({ "objectId": object }));
        // A page that is gone has let go of everything.
        let _ = self.line.post(&post);
    }

    /// The number of something in a page, given one if it had none.
    pub(crate) fn number(&self, target: &str, frame: &str, session: &str, object: &str) -> Result<u32> {
        let next = self.mine().next;
        let function = "function (next) { return thenar.numberOf(this, next); }";
        let answer = self.call_on(session, target, object, function, json!([{ "value": next }]))?;
        let number = answer.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.ok_or_else(|| Error::Cannot("that is no element".to_owned()))?;
        let mut mine = self.mine();
        mine.next = mine.next.max(number.saturating_add(1));
        mine.places.put(&[number], target, frame);
        Ok(number)
    }
}

/// One of our functions called, or word that there is none. A page can have an element of our name, which is seen in every
/// world under the same name; it is no property of the world's own.
fn called(call: &str, args: &[Value]) -> String {
    let args: Vec<String> = args.iter().map(Value::to_string).collect();
    format!("Object.hasOwn(globalThis, 'thenar') ? thenar.{call}({}) : {NONE:?}", args.join(","))
}
