//! A command that puts out fifty megabytes: how long, and how much of it the model is made to read.

use anyhow::{Context, Result};

use super::engine::finish;
use super::{Figure, Target, figure};
use crate::rig::{Programs, Script, Stage};

/// Lines, since that is what real output is.
const COMMAND: &str = "yes 'the quick brown fox jumps over the lazy dog' | head -c 50000000";

pub(super) fn fifty_megabytes(programs: &Programs) -> Result<Vec<Figure>> {
    let stage = Stage::set(programs, &Script { steps: 1, command: COMMAND.to_owned() })?;
    let mut child = stage.start(&["run", "--model", "openai:scripted", "--yes", "print a lot"])?;
    finish(&stage, &mut child)?;
    let report = stage.server.report()?;
    let seconds = report.gaps_ms().first().context("the output never reached the model")? / 1000.0;
    let request = stage.server.request(1)?;
    let messages = request["messages"].as_array().context("a request without messages")?;
    let shown = messages.iter().rev().find(|message| message["role"] == "tool").context("no tool result was sent")?;
    let characters = shown["content"].as_str().unwrap_or_default().chars().count() as f64;
    Ok(vec![
        figure("50 MB of output", seconds, "s", Target::AtMost(0.3)),
        figure("characters of it in the context", characters, "", Target::AtMost(10_000.0)),
    ])
}
