//! The language of the oracles, read whole before anything is done: what `run_oracle.mjs` takes, field by field. It knows
//! nothing of browsers.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use fancy_regex::Regex;
use serde_json::{Map, Value};

/// A file of oracles, in its own order.
#[derive(Debug)]
pub(super) struct Oracle {
    pub(super) tasks: Vec<Task>,
}

#[derive(Debug)]
pub(super) struct Task {
    pub(super) name: String,
    pub(super) cases: Vec<Case>,
}

/// What to do where the page's words match.
#[derive(Debug)]
pub(super) struct Case {
    /// One that is no expression is an error when it is come to.
    pub(super) words: Result<Regex, String>,
    /// Not counted at all.
    pub(super) skip: bool,
    pub(super) steps: Vec<Step>,
}

/// A text with places for variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(String);

/// Which elements: those of a selector that pass every filter given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) css: Template,
    pub(super) text: Option<Template>,
    pub(super) ci: Option<Template>,
    pub(super) starts: Option<Template>,
    pub(super) ends: Option<Template>,
    pub(super) row_label: Option<Template>,
    /// A selector of what is in it, and that one's text.
    pub(super) has: Option<(String, Template)>,
    pub(super) nth: Option<Template>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Click(Target),
    Hover(Target),
    /// Clicks on all that there are now.
    Each(Target),
    Type {
        into: Target,
        text: Template,
    },
    Select {
        from: Target,
        labels: Labels,
    },
    Wait(Template),
    Read {
        from: Target,
        value: bool,
        name: String,
    },
    /// The n-th word, from the end where n is negative.
    Word {
        of: Template,
        n: Template,
        name: String,
    },
    Calc {
        of: Template,
        name: String,
    },
    ForEach {
        list: Template,
        split: String,
        name: String,
        steps: Vec<Step>,
    },
    /// Clicks on one after another until something is there.
    Until {
        there: Target,
        tries: Target,
        /// The same ones again, so often.
        repeat: Option<usize>,
        /// Looks for new ones after each.
        leaf: bool,
    },
    Scroll {
        what: Target,
        to: Template,
    },
    PageItem {
        items: Target,
        next: Target,
        n: Template,
        per: usize,
    },
    Within {
        what: Target,
        menu: Template,
    },
    Rows {
        rows: Target,
        number: String,
        even: String,
        odd: String,
    },
    Drag {
        what: Target,
        direction: Template,
        by: f64,
    },
    SelectText(Target),
    Press(Template),
    /// Nothing that can be done: an error when it is come to.
    Wrong(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Labels {
    /// One text, cut at ", ".
    Split(Template),
    Each(Vec<Template>),
}

/// The variables of an episode; the groups of the case's expression by their numbers.
pub(super) type Variables = BTreeMap<String, String>;

impl Oracle {
    pub(super) fn read(text: &str) -> Result<Self> {
        let file: Value = serde_json::from_str(text).context("it is no JSON")?;
        let tasks = file["tasks"].as_object().context("it has no `tasks`")?;
        let task = |(name, cases): (&String, &Value)| -> Result<Task> {
            let cases = cases.as_array().context("its cases are no list")?.iter().map(Case::read);
            Ok(Task { name: name.clone(), cases: cases.collect::<Result<_>>()? })
        };
        let read = |entry: (&String, &Value)| task(entry).with_context(|| format!("task {}", entry.0));
        Ok(Self { tasks: tasks.iter().map(read).collect::<Result<_>>()? })
    }
}

impl Case {
    fn read(case: &Value) -> Result<Self> {
        let words = case["u"].as_str().context("a case has no `u`")?;
        let words = Regex::new(words).map_err(|error| format!("the expression {words}: {error}"));
        Ok(Self { words, skip: truthy(&case["skip"]), steps: steps(&case["s"]) })
    }
}

fn steps(list: &Value) -> Vec<Step> {
    let read = |step: &Value| Step::read(step).unwrap_or_else(|error| Step::Wrong(format!("{error:#}: {step}")));
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(read).collect()
}

impl Step {
    /// The first operation that the step has, in the order in which they are looked for.
    fn read(step: &Value) -> Result<Self> {
        let fields = step.as_object().context("a step is no object")?;
        let template = |name: &str| Template::read(&fields_of(fields, name));
        let target = |name: &str| Target::read(&fields_of(fields, name)).with_context(|| format!("`{name}`"));
        let name = || fields.get("as").and_then(Value::as_str).map(str::to_owned).context("`as` is missing");
        let text = |name: &str| {
            fields.get(name).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("`{name}` is missing"))
        };
        let is = |name: &str| fields.get(name).is_some_and(truthy);
        Ok(if is("click") {
            Self::Click(target("click")?)
        } else if is("hover") {
            Self::Hover(target("hover")?)
        } else if is("each") {
            Self::Each(target("each")?)
        } else if is("type") {
            Self::Type { into: target("type")?, text: template("text") }
        } else if is("select") {
            let labels = match fields.get("labels_split") {
                Some(split) if truthy(split) => Labels::Split(Template::read(split)),
                _ => Labels::Each(
                    fields_of(fields, "labels").as_array().into_iter().flatten().map(Template::read).collect(),
                ),
            };
            Self::Select { from: target("select")?, labels }
        } else if is("wait") {
            Self::Wait(template("wait"))
        } else if is("read") {
            let value = fields.get("prop").is_some_and(|prop| prop == "value");
            Self::Read { from: target("read")?, value, name: name()? }
        } else if fields.contains_key("word") {
            Self::Word { of: template("word"), n: template("n"), name: name()? }
        } else if fields.contains_key("calc") {
            Self::Calc { of: template("calc"), name: name()? }
        } else if fields.contains_key("foreach") {
            let steps = steps(&fields_of(fields, "do"));
            Self::ForEach { list: template("foreach"), split: text("split")?, name: name()?, steps }
        } else if is("until") {
            let repeat = fields.get("repeat").filter(|repeat| truthy(repeat)).map(whole).transpose()?;
            Self::Until { there: target("until")?, tries: target("tries")?, repeat, leaf: is("leaf") }
        } else if is("scroll") {
            Self::Scroll { what: target("scroll")?, to: template("to") }
        } else if is("pageitem") {
            let per = whole(&fields_of(fields, "per"))?.max(1);
            Self::PageItem { items: target("pageitem")?, next: target("next")?, n: template("n"), per }
        } else if is("within") {
            Self::Within { what: target("within")?, menu: template("menu") }
        } else if is("rows") {
            Self::Rows { rows: target("rows")?, number: text("num")?, even: text("even")?, odd: text("odd")? }
        } else if is("drag") {
            let by = fields_of(fields, "by");
            let by = by.as_f64().or_else(|| by.as_str()?.parse().ok()).context("`by` is no number")?;
            Self::Drag { what: target("drag")?, direction: template("dir"), by }
        } else if is("selecttext") {
            Self::SelectText(target("selecttext")?)
        } else if is("press") {
            Self::Press(template("press"))
        } else {
            bail!("there is no such operation")
        })
    }
}

impl Target {
    fn read(target: &Value) -> Result<Self> {
        let fields = target.as_object().context("a target is no object")?;
        let filter = |name: &str| fields.get(name).map(Template::read);
        let has = match fields.get("has").filter(|has| truthy(has)) {
            Some(has) => {
                Some((has["css"].as_str().context("`has` has no `css`")?.to_owned(), Template::read(&has["text"])))
            }
            None => None,
        };
        Ok(Self {
            css: filter("css").context("a target has no `css`")?,
            text: filter("text"),
            ci: filter("ci"),
            starts: filter("starts"),
            ends: filter("ends"),
            row_label: filter("row_label"),
            has,
            nth: filter("nth").filter(|nth| !nth.0.is_empty()),
        })
    }
}

impl Template {
    pub(super) fn plain(text: &str) -> Self {
        Self(text.to_owned())
    }

    fn read(value: &Value) -> Self {
        Self(match value {
            Value::String(text) => text.clone(),
            Value::Null => "undefined".to_owned(),
            other => other.to_string(),
        })
    }

    /// The text with the variables put in, through their filters.
    pub(super) fn fill(&self, variables: &Variables) -> Result<String> {
        let mut text = String::new();
        let mut rest = self.0.as_str();
        while let Some(at) = rest.find("${") {
            text.push_str(&rest[..at]);
            let Some((place, after)) = rest[at + 2..].split_once('}') else { break };
            let (name, filter) = place.split_once('|').map_or((place, None), |(name, filter)| (name, Some(filter)));
            let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !word(name) || !filter.is_none_or(word) {
                text.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            let value = variables.get(name).cloned();
            match (filter, value) {
                (Some(filter), Some(value)) => text.push_str(&filtered(filter, &value)?),
                (Some(filter), None) => bail!("{filter} of {name}, which has no value"),
                (None, value) => text.push_str(value.as_deref().unwrap_or("undefined")),
            }
            rest = after;
        }
        text.push_str(rest);
        Ok(text)
    }
}

fn filtered(filter: &str, value: &str) -> Result<String> {
    Ok(match filter {
        "upper" => value.to_uppercase(),
        "lower" => value.to_lowercase(),
        "nocolon" => value.trim_end().strip_suffix(':').unwrap_or(value).to_owned(),
        "firstword" => value.split(' ').next().unwrap_or_default().to_owned(),
        "time24" => {
            let clock = Regex::new(r"(\d+):(\d+) ([AP])M")?;
            let parts = clock.captures(value)?.with_context(|| format!("{value:?} is no time"))?;
            let hour = parts[1].parse::<u32>()? % 12 + if &parts[3] == "P" { 12 } else { 0 };
            format!("{hour:02}:{}", &parts[2])
        }
        other => bail!("there is no filter {other}"),
    })
}

/// What JavaScript takes for true.
fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

fn fields_of(fields: &Map<String, Value>, name: &str) -> Value {
    fields.get(name).cloned().unwrap_or_default()
}

fn whole(value: &Value) -> Result<usize> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    usize::try_from(number.with_context(|| format!("{value} is no whole number"))?).context("it is too large")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn filled(template: &str, text: &str) {
        let variables = [("1", "Ann Lee"), ("t", "1:05 PM"), ("c", "Name: ")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(Template(template.to_owned()).fill(&variables).unwrap(), text, "{template}");
    }

    #[test]
    fn variables_go_through_their_filters() {
        filled("a[x='${1}']", "a[x='Ann Lee']");
        filled("${1|upper} ${1|lower} ${1|firstword}", "ANN LEE ann lee Ann");
        filled("${t|time24}", "13:05");
        filled("${c|nocolon}", "Name");
        filled("${2}", "undefined");
        filled("$ {1} ${1 ${}", "$ {1} ${1 ${}");
        assert!(Template("${1|reverse}".to_owned()).fill(&Variables::from([("1".into(), "x".into())])).is_err());
    }

    #[test]
    fn every_operation_is_read_and_an_unknown_one_is_only_met() {
        let file = r##"{"tasks": {"t": [{"u": "(.+)", "s": [
            {"click": {"css": "a", "nth": "${1}"}}, {"hover": {"css": "a"}}, {"each": {"css": "a"}, "do": "click"},
            {"type": {"css": "a"}, "text": "x"}, {"select": {"css": "a"}, "labels": ["x"]}, {"select": {"css": "a"}, "labels_split": "${1}"},
            {"wait": 100}, {"read": {"css": "a"}, "prop": "value", "as": "v"}, {"word": "${v}", "n": -1, "as": "w"},
            {"calc": "${v}", "as": "c"}, {"foreach": "${1}", "split": ", ", "as": "x", "do": [{"wait": "1"}]},
            {"until": {"css": "a"}, "tries": {"css": "b"}, "repeat": 3}, {"scroll": {"css": "a"}, "to": "top"},
            {"pageitem": {"css": "a"}, "next": {"css": "b"}, "n": "${1}", "per": 3}, {"within": {"css": "a"}, "menu": "m"},
            {"rows": {"css": "a"}, "num": "b", "even": "c", "odd": "d"}, {"drag": {"css": "a"}, "dir": "up", "by": 30},
            {"selecttext": {"css": "a"}}, {"press": "Enter"}, {"fly": 1}]}, {"u": "x", "skip": true}]}}"##;
        let oracle = Oracle::read(file).unwrap();
        let [case, skipped] = &oracle.tasks[0].cases[..] else { panic!("two cases") };
        let unknown: Vec<&Step> = case.steps.iter().filter(|step| matches!(step, Step::Wrong(_))).collect();
        assert_eq!((case.steps.len(), unknown.len()), (20, 1));
        assert!(skipped.skip && skipped.steps.is_empty());
        assert!(matches!(&case.steps[8], Step::Word { n, .. } if n.0 == "-1"));
    }

    #[test]
    fn what_is_wrong_in_one_case_is_no_matter_to_the_others() {
        let file = r#"{"tasks": {"t": [
            {"u": "^(?!no)(\\w)\\1", "s": [{"click": {"text": "no css"}}, {"foreach": "a", "as": "x"}, {"wait": 1}]},
            {"u": "(", "s": []}]}}"#;
        let oracle = Oracle::read(file).unwrap();
        let [case, broken] = &oracle.tasks[0].cases[..] else { panic!("two cases") };
        let words = case.words.as_ref().unwrap();
        assert_eq!(["aab", "noob", "ab"].map(|text| words.is_match(text).unwrap()), [true, false, false]);
        let [Step::Wrong(click), Step::Wrong(each), Step::Wait(_)] = &case.steps[..] else {
            panic!("{:?}", case.steps)
        };
        assert!(click.contains("a target has no `css`") && each.contains("`split` is missing"), "{click} {each}");
        assert!(broken.words.as_ref().unwrap_err().contains("the expression ("));
    }

    #[test]
    fn the_oracles_of_the_repository_are_all_understood() {
        let oracle = Oracle::read(include_str!("../../../bench/miniwob/oracle.json")).unwrap();
        assert_eq!(oracle.tasks.len(), 41);
        let steps = oracle.tasks.iter().flat_map(|task| &task.cases).flat_map(|case| &case.steps);
        assert!(!steps.into_iter().any(|step| matches!(step, Step::Wrong(_))));
    }
}
