//! One episode: the page is begun with a seed, asked what it wants, and the steps of the first case that fits are done, each
//! by calls of tools. Whether it has passed is for the page to say.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use regex::Regex;
use serde_json::{Value, json};

use super::desk::Desk;
use super::oracle::{Case, Labels, Step, Target, Task, Template, Variables};

/// Rounds of trying, unless the step says how many.
const TRIES_MAX: usize = 40;
/// The longest wait that a step may ask for.
const WAIT_MS_MAX: u64 = 30_000;

/// Begins an episode: nobody is timed, and the seed decides what is asked.
const BEGIN: &str = "core.EPISODE_MAX_TIME = 1e7; core.startEpisodeReal();
    for (let n = 0; n < 200 && !WOB_TASK_READY; n += 1) await new Promise((done) => setTimeout(done, 25));
    const asked = core.getUtterance(); return typeof asked === 'string' ? asked : asked.utterance;";

/// Waits a little for the end, and asks for the reward.
const END: &str =
    "for (let n = 0; n < 60 && !WOB_DONE_GLOBAL; n += 1) await new Promise((done) => setTimeout(done, 25));
    return [WOB_RAW_REWARD_GLOBAL, WOB_DONE_GLOBAL];";

/// The elements of a target, as `run_oracle.mjs` finds them.
const FIND: &str = "((t) => {
    const squeezed = (e) => (e.textContent || '').replace(/\\s+/g, ' ').trim();
    const seen = (e) => {
        const box = e.getBoundingClientRect();
        return box.width > 0 && box.height > 0 && getComputedStyle(e).visibility === 'visible';
    };
    return Array.from(document.querySelectorAll(t.css)).filter((e) => {
        const text = squeezed(e);
        if ('text' in t && text !== t.text) return false;
        if ('ci' in t && text.toLowerCase() !== t.ci) return false;
        if ('starts' in t && !text.startsWith(t.starts)) return false;
        if ('ends' in t && !text.endsWith(t.ends)) return false;
        if ('row_label' in t && e.previousElementSibling?.textContent?.trim() !== t.row_label) return false;
        if (t.has && !Array.from(e.querySelectorAll(t.has.css)).some((one) => (one.textContent || '').trim() === t.has.text)) return false;
        return seen(e);
    });
})";

/// Plays a task with a seed. None: the case is not counted. An error says why it did not pass.
pub(super) fn play(desk: &mut Desk, task: &Task, seed: u64) -> Result<Option<()>> {
    desk.open_page(&task.name)?;
    let asked = desk.value(&format!("Math.seedrandom('{seed}'); {BEGIN}"))?;
    let asked = asked.as_str().context("the page asks for nothing")?.to_owned();
    let (case, variables) = matched(task, &asked)?.with_context(|| format!("no case for {asked:?}"))?;
    if case.skip {
        return Ok(None);
    }
    let mut episode = Episode { desk, variables, began: Instant::now() };
    episode.steps(&case.steps)?;
    let reward = desk.value(END)?;
    if reward[0].as_f64().is_some_and(|reward| reward > 0.0) {
        Ok(Some(()))
    } else {
        bail!("reward {reward} for {asked:?}")
    }
}

/// The first case whose words are those, and what its groups took.
fn matched<'a>(task: &'a Task, asked: &str) -> Result<Option<(&'a Case, Variables)>> {
    for case in &task.cases {
        let words = case.words.as_ref().map_err(|error| anyhow!("{error}"))?;
        if let Some(groups) = words.captures(asked)? {
            let group = |at: usize| Some((at.to_string(), groups.get(at)?.as_str().to_owned()));
            return Ok(Some((case, (0..groups.len()).filter_map(group).collect())));
        }
    }
    Ok(None)
}

struct Episode<'a> {
    desk: &'a mut Desk,
    variables: Variables,
    /// When the last call that does something began.
    began: Instant,
}

impl Episode<'_> {
    fn steps(&mut self, steps: &[Step]) -> Result<()> {
        let mut steps = steps.iter().peekable();
        while let Some(step) = steps.next() {
            match (step, steps.peek()) {
                // Looking takes a moment too: where the next thing to click on is there already, it is known before the
                // wait and clicked on at its end.
                (Step::Wait(_), Some(Step::Click(target))) => {
                    let known = self.one(target).ok();
                    self.step(step)?;
                    if let Some(element) = known
                        && self.click(element).is_ok()
                    {
                        steps.next();
                    }
                }
                _ => self.step(step)?,
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Click(target) => {
                let element = self.one(target)?;
                self.click(element)
            }
            Step::Hover(target) => {
                let element = self.one(target)?;
                self.call("browser_move_mouse", json!({ "element": element }))
            }
            Step::Each(target) => self.find(target)?.into_iter().try_for_each(|element| self.click(element)),
            Step::Type { into, text } => {
                let (element, text) = (self.one(into)?, self.fill(text)?);
                self.call("browser_input", json!({ "element": element, "text": text }))
            }
            Step::Select { from, labels } => {
                let labels: Vec<String> = match labels {
                    Labels::Split(all) => self.fill(all)?.split(", ").map(str::to_owned).collect(),
                    Labels::Each(all) => all.iter().map(|one| self.fill(one)).collect::<Result<_>>()?,
                };
                let element = self.one(from)?;
                self.call("browser_select_option", json!({ "element": element, "option": labels }))
            }
            Step::Wait(time) => {
                let time: u64 = self.fill(time)?.trim().parse().context("a wait is no number of milliseconds")?;
                self.wait(time);
                Ok(())
            }
            Step::Read { from, value, name } => {
                let what = if *value { "value" } else { "textContent.trim()" };
                let read = self.of_element(from, &format!("e.{what}"))?;
                self.set(name, read.as_str().unwrap_or_default());
                Ok(())
            }
            Step::Word { .. } | Step::Calc { .. } => self.reckon(step),
            Step::ForEach { list, split, name, steps } => {
                for one in self.fill(list)?.split(split.as_str()) {
                    self.set(name, one);
                    self.steps(steps)?;
                }
                Ok(())
            }
            Step::Until { there, tries, repeat, leaf } => self.until(there, tries, *repeat, *leaf),
            Step::Scroll { what, to } => {
                let (element, bottom) = (self.one(what)?, self.fill(to)? == "bottom");
                let (tool, all_the_way) =
                    if bottom { ("browser_scroll_down", "to_bottom") } else { ("browser_scroll_up", "to_top") };
                self.call(tool, json!({ "element": element, all_the_way: true }))
            }
            Step::PageItem { items, next, n, per } => self.page_item(items, next, n, *per),
            Step::Within { what, menu } => self.within(what, menu),
            Step::Rows { rows, number, even, odd } => self.rows(rows, number, even, odd),
            Step::Drag { .. } | Step::SelectText(_) => self.draw(step),
            Step::Press(key) => {
                let key = self.fill(key)?;
                self.call("browser_press_key", json!({ "key": key }))
            }
            Step::Wrong(why) => bail!("{why}"),
        }
    }

    /// What is made of values alone.
    fn reckon(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Word { of, n, name } => {
                let (text, n) = (self.fill(of)?, self.fill(n)?);
                let words: Vec<&str> = text.split_whitespace().collect();
                let n: i64 = n.trim().parse().context("the number of a word is none")?;
                let at = if n < 0 { words.len() as i64 + n } else { n - 1 };
                let word = usize::try_from(at).ok().and_then(|at| words.get(at)).context("there is no such word")?;
                self.set(name, word.trim_end_matches(['.', ',']));
            }
            Step::Calc { of, name } => {
                let text = self.fill(of)?;
                let sum = Regex::new(r"(-?\d+)\s*([-+x])\s*(-?\d+)")?;
                let parts = sum.captures(&text).with_context(|| format!("{text:?} is no sum"))?;
                let (one, other): (i64, i64) = (parts[1].parse()?, parts[3].parse()?);
                let result = match &parts[2] {
                    "+" => one + other,
                    "-" => one - other,
                    _ => one * other,
                };
                self.set(name, &result.to_string());
            }
            _ => {}
        }
        Ok(())
    }

    /// Clicks on one after another until something is there. An element is tried once: its number is its own for as long as
    /// it lives. With `repeat`, the first is tried again and again.
    fn until(&mut self, there: &Target, tries: &Target, repeat: Option<usize>, leaf: bool) -> Result<()> {
        if !self.find(there)?.is_empty() {
            return Ok(());
        }
        let mut done = std::collections::BTreeSet::new();
        for _ in 0..repeat.unwrap_or(TRIES_MAX) {
            let mut did = false;
            for element in self.find(tries)? {
                if repeat.is_none() && !done.insert(element) {
                    continue;
                }
                self.click(element)?;
                did = true;
                // The click has waited until nothing changed any more.
                if !self.find(there)?.is_empty() {
                    return Ok(());
                }
                if repeat.is_some() || leaf {
                    break;
                }
            }
            if !did {
                break;
            }
        }
        bail!("what was to be found never came")
    }

    fn page_item(&mut self, items: &Target, next: &Target, n: &Template, per: usize) -> Result<()> {
        let n: usize = self.fill(n)?.trim().parse().context("the number of an item is none")?;
        let n = n.checked_sub(1).context("items are counted from 1")?;
        for _ in 0..n / per {
            let next = self.one(next)?;
            self.click(next)?;
        }
        let element = *self.find(items)?.get(n % per).context("there is no such item")?;
        self.click(element)
    }

    /// Chooses from the controls of one thing among many, or from what is behind its "more".
    fn within(&mut self, what: &Target, menu: &Template) -> Result<()> {
        let menu = self.fill(menu)?.to_lowercase();
        let inside = |episode: &mut Self, css: &str| {
            let found = format!("({}[0] ?? null)?.querySelector({})", episode.found(what)?, Value::from(css));
            episode.desk.elements(&found)
        };
        if let Some(element) = inside(self, &format!(".controls .{menu}"))?.first() {
            return self.click(*element);
        }
        let more = *inside(self, ".controls .more")?.first().context("it has no more controls")?;
        self.click(more)?;
        let ci = Some(Template::plain(&menu));
        let css = Template::plain("li, .menu span, ul span");
        let item = Target { css, ci, text: None, starts: None, ends: None, row_label: None, has: None, nth: None };
        let item = self.one(&item)?;
        self.click(item)
    }

    /// Sorts rows by whether the number in each is even.
    fn rows(&mut self, rows: &Target, number: &str, even: &str, odd: &str) -> Result<()> {
        let all = self.find(rows)?.len();
        for nth in 0..all {
            let row = format!("{}[{nth}]", self.found(rows)?);
            let told = self.desk.value(&format!("return {row}.querySelector({}).textContent", Value::from(number)))?;
            let told: f64 = told.as_str().unwrap_or_default().trim().parse().context("a row's number is none")?;
            let which = if told % 2.0 == 0.0 { even } else { odd };
            let element = self.desk.elements(&format!("{row}.querySelector({})", Value::from(which)))?;
            self.click(*element.first().context("a row has nothing to click on")?)?;
        }
        Ok(())
    }

    /// What is done with the button held down.
    fn draw(&mut self, step: &Step) -> Result<()> {
        const BOX: &str = "(() => { const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()";
        let (from, to) = match step {
            Step::Drag { what, direction, by } => {
                let [x, y, width, height] = corners(&self.of_element(what, BOX)?)?;
                let (across, down) = match self.fill(direction)?.as_str() {
                    "right" => (1.0, 0.0),
                    "left" => (-1.0, 0.0),
                    "up" => (0.0, -1.0),
                    "down" => (0.0, 1.0),
                    other => bail!("{other} is no direction"),
                };
                let middle = (x + width / 2.0, y + height / 2.0);
                (middle, (middle.0 + across * by, middle.1 + down * by))
            }
            Step::SelectText(what) => {
                let [x, y, width, height] = corners(&self.of_element(what, BOX)?)?;
                ((x + 1.0, y + 2.0), (x + width - 1.0, y + height - 2.0))
            }
            _ => return Ok(()),
        };
        self.call("browser_move_mouse", json!({ "x": from.0.round(), "y": from.1.round() }))?;
        self.call("browser_move_mouse", json!({ "x": to.0.round(), "y": to.1.round(), "drag": true }))
    }

    fn click(&mut self, element: u64) -> Result<()> {
        self.call("browser_click", json!({ "element": element }))
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Result<()> {
        self.began = Instant::now();
        self.desk.call(tool, arguments).map(drop)
    }

    /// Lets time pass. A call comes back only once the page has come to rest: what that took has passed already.
    fn wait(&self, time_ms: u64) {
        let time = Duration::from_millis(time_ms.min(WAIT_MS_MAX));
        crate::rig::pause(time.saturating_sub(self.began.elapsed()));
    }

    /// The numbers of a target's elements.
    fn find(&mut self, target: &Target) -> Result<Vec<u64>> {
        let found = self.found(target)?;
        self.desk.elements(&found)
    }

    /// The number of the one that is meant.
    fn one(&mut self, target: &Target) -> Result<u64> {
        let nth = self.nth(target)?;
        let found = self.find(target)?;
        found
            .get(nth)
            .copied()
            .with_context(|| format!("there is no {}", self.found(target).unwrap_or_default().replace(FIND, "")))
    }

    /// What an expression gives of the one that is meant, there called `e`.
    fn of_element(&mut self, target: &Target, expression: &str) -> Result<Value> {
        let (found, nth) = (self.found(target)?, self.nth(target)?);
        let absent = format!("throw new Error('there is no element {nth}')");
        self.desk.value(&format!("const e = {found}[{nth}]; if (!e) {absent}; return {expression};"))
    }

    fn nth(&self, target: &Target) -> Result<usize> {
        let nth = target.nth.as_ref().map(|nth| self.fill(nth)).transpose()?;
        nth.map_or(Ok(0), |nth| nth.trim().parse().with_context(|| format!("{nth:?} is no place in a list")))
    }

    /// The expression that finds a target's elements.
    fn found(&self, target: &Target) -> Result<String> {
        let mut filters = serde_json::Map::from_iter([("css".to_owned(), Value::from(self.fill(&target.css)?))]);
        let given = [
            ("text", &target.text),
            ("ci", &target.ci),
            ("starts", &target.starts),
            ("ends", &target.ends),
            ("row_label", &target.row_label),
        ];
        for (name, template) in given {
            let Some(template) = template else { continue };
            let text = self.fill(template)?;
            let text = match name {
                "text" | "row_label" => text.trim().to_owned(),
                "ci" => text.to_lowercase(),
                _ => text,
            };
            filters.insert(name.to_owned(), Value::from(text));
        }
        if let Some((css, text)) = &target.has {
            filters.insert("has".to_owned(), json!({ "css": css, "text": self.fill(text)? }));
        }
        Ok(format!("{FIND}({})", Value::Object(filters)))
    }

    fn fill(&self, template: &Template) -> Result<String> {
        template.fill(&self.variables)
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }
}

fn corners(value: &Value) -> Result<[f64; 4]> {
    serde_json::from_value(value.clone()).context("an element has no box")
}
