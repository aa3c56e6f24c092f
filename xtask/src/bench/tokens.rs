//! What every request begins with, in o200k tokens. The count is of the text, without a provider's own framing.

use anyhow::{Context, Result};

use super::engine::{begin, finish, stage};
use super::{Figure, Target, figure};
use crate::rig::Programs;

pub(super) fn prompt(programs: &Programs) -> Result<Vec<Figure>> {
    let stage = stage(programs, 1)?;
    finish(&stage, &mut begin(&stage)?)?;
    let request = stage.server.request(0)?;
    let system = request["messages"][0]["content"].as_str().context("no system prompt was sent")?;
    let tools = request["tools"].as_array().context("no tools were sent")?;
    let counter = tiktoken_rs::o200k_base().context("load the token table")?;
    let count = |text: &str| counter.encode_ordinary(text).len();
    let (words, list) = (count(system), count(&request["tools"].to_string()));
    Ok(vec![
        figure("system prompt + tool definitions", (words + list) as f64, "o200k tokens", Target::AtMost(3_500.0))
            .note(format!("{words} + {list}, {} tools", tools.len())),
    ])
}
