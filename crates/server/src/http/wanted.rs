//! What a person asks for when they make a task, and how far it may go. Checked here as the API document says it; whether
//! there is such a model is for others to say.

use agent::Because;
use event::{MicroUsd, TaskOptions};
use serde::Deserialize;
use utoipa::ToSchema;

use super::extract::whole_or_null;
use super::problem::{Answer, Problem};
use crate::DefaultLimits;

/// Characters of a task's text, and of a message.
pub(super) const TEXT_CHARS_MAX: usize = 65_536;

const MODEL_CHARS_MAX: usize = 200;
const STEPS_MAX: u64 = 1_000_000;

/// More is no cap any more.
const COST_USD_MAX: f64 = 1e9;

/// A new task.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTask)]
pub(super) struct Wanted {
    /// What should be done.
    #[schema(
        min_length = 1,
        max_length = 65_536,
        pattern = "[^\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]"
    )]
    pub(super) task: String,
    /// `provider:model`; without it, the one that is used where none is named.
    #[schema(min_length = 1, max_length = 200)]
    pub(super) model: Option<String>,
    /// Replies of the model at the most.
    #[schema(minimum = 1, maximum = 1_000_000)]
    #[serde(default, deserialize_with = "whole_or_null")]
    pub(super) max_steps: Option<u64>,
    /// US dollars at the most; the model's price must be known.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub(super) max_cost_usd: Option<f64>,
    /// A number and a unit: `90s`, `20m`, `8h`, `2d`. From the creation of the task.
    #[schema(pattern = "^[1-9][0-9]{0,5}[smhd]$")]
    pub(super) max_time: Option<String>,
    /// Answer yes to what the policy lets be answered so.
    #[serde(default)]
    pub(super) yes: bool,
    /// What programs in the computer may reach, as `HOST[:PORT][=ADDRESS[:PORT]]`; without it, what the settings say.
    #[schema(max_items = 200)]
    pub(super) allow_net: Option<Vec<String>>,
    /// Names of secrets that programs can use and never see; their hosts may be reached.
    #[serde(default)]
    #[schema(max_items = 200)]
    pub(super) secrets: Vec<String>,
}

impl Wanted {
    /// Checks the words; the limits are checked by [`Self::options`].
    pub(super) fn check(&self) -> Answer<()> {
        check_text("task", &self.task)?;
        self.model.as_deref().map_or(Ok(()), check_model)
    }

    /// The options of the task; what is not said is as the settings have it. A limit in dollars that only they know of is
    /// for models whose price is known.
    pub(super) fn options(&self, usual: DefaultLimits, priced: bool) -> Answer<TaskOptions> {
        let options = TaskOptions { yes: self.yes, secrets: self.secrets.clone(), ..TaskOptions::default() };
        let bounds = Bounds {
            max_steps: self.max_steps.or(usual.max_steps),
            max_cost_usd: self.max_cost_usd.or(usual.max_cost_usd.filter(|_| priced)),
            max_time: self.max_time.clone().or(usual.max_time),
            allow_net: self.allow_net.clone(),
            secrets: Vec::new(),
        };
        bounds.over(options, 0)
    }

    /// Checks the limits.
    pub(super) fn check_limits(&self) -> Answer<()> {
        self.options(DefaultLimits::default(), false).map(drop)
    }
}

/// A model's name by its length; whether there is one is for others to say.
pub(super) fn check_model(name: &str) -> Answer<()> {
    if name.is_empty() || name.chars().count() > MODEL_CHARS_MAX {
        return Err(Problem::invalid("model must have 1 to 200 characters"));
    }
    Ok(())
}

/// A text that says something, and not too much.
pub(super) fn check_text(name: &str, text: &str) -> Answer<()> {
    if text.chars().all(char::is_whitespace) {
        return Err(Problem::invalid(format!("{name} is empty: say in a sentence what you want")));
    }
    if text.chars().count() > TEXT_CHARS_MAX {
        let text = format!("{name} is longer than {TEXT_CHARS_MAX} characters: give long material as a file");
        return Err(Problem::invalid(text));
    }
    Ok(())
}

/// Other limits for a task; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Limits)]
pub(super) struct Bounds {
    /// Replies of the model at the most, those so far among them.
    #[schema(minimum = 1, maximum = 1_000_000)]
    #[serde(default, deserialize_with = "whole_or_null")]
    pub(super) max_steps: Option<u64>,
    /// US dollars at the most, those so far among them; the model's price must be known.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub(super) max_cost_usd: Option<f64>,
    /// A number and a unit: `90s`, `20m`, `8h`, `2d`. From now on.
    #[schema(pattern = "^[1-9][0-9]{0,5}[smhd]$")]
    pub(super) max_time: Option<String>,
    /// What programs in the computer may reach from now on, and nothing else but what the person was asked about.
    #[schema(max_items = 200)]
    pub(super) allow_net: Option<Vec<String>>,
    /// Names of secrets that programs can use from now on, beside those that they could; their hosts may be reached.
    #[serde(default)]
    #[schema(max_items = 200)]
    pub(super) secrets: Vec<String>,
}

impl From<DefaultLimits> for Bounds {
    fn from(limits: DefaultLimits) -> Self {
        let DefaultLimits { max_steps, max_cost_usd, max_time } = limits;
        Self { max_steps, max_cost_usd, max_time, allow_net: None, secrets: Vec::new() }
    }
}

impl Bounds {
    pub(super) fn is_empty(&self) -> bool {
        let Self { max_steps, max_cost_usd, max_time, allow_net, secrets } = self;
        let limits = max_steps.is_none() && max_cost_usd.is_none() && max_time.is_none();
        limits && allow_net.is_none() && secrets.is_empty()
    }

    /// These limits, and the others as they are. A task's time is counted from its creation, so that of a task that is
    /// `age_ms` old goes on top.
    pub(super) fn over(&self, old: TaskOptions, age_ms: u64) -> Answer<TaskOptions> {
        if self.max_steps.is_some_and(|steps| !(1..=STEPS_MAX).contains(&steps)) {
            let wrong = Problem::invalid("max_steps must be between 1 and 1000000");
            return Err(wrong.because(Because::BudgetSteps));
        }
        let max_cost = match self.max_cost_usd {
            None => old.max_cost,
            Some(usd) if (0.0..=COST_USD_MAX).contains(&usd) => Some(MicroUsd((usd * 1e6).round() as u64)),
            Some(_) => {
                let wrong = Problem::invalid("max_cost_usd must be between 0 and 1000000000");
                return Err(wrong.because(Because::BudgetCost));
            }
        };
        let max_time_ms = match &self.max_time {
            None => old.max_time_ms,
            Some(text) => {
                let wrong = || {
                    Problem::invalid("max_time must be a number and a unit, like 90s, 20m, 8h or 2d")
                        .because(Because::BudgetTime)
                };
                Some(milliseconds(text).ok_or_else(wrong)?.saturating_add(age_ms))
            }
        };
        let allow_net = match &self.allow_net {
            None => old.allow_net,
            Some(places) => agent::allow_list(places)?,
        };
        Ok(TaskOptions { max_steps: self.max_steps.or(old.max_steps), max_cost, max_time_ms, allow_net, ..old })
    }
}

/// At most 6 digits, the first of them not 0, and a unit.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let number = text.strip_suffix(['s', 'm', 'h', 'd'])?;
    let unit_ms = match text.as_bytes().last()? {
        b's' => 1_000,
        b'm' => 60_000,
        b'h' => 3_600_000,
        _ => 86_400_000,
    };
    let form = (1..=6).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    if !form || number.starts_with('0') {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        for (text, expected) in [
            ("90s", Some(90_000)),
            ("20m", Some(1_200_000)),
            ("8h", Some(28_800_000)),
            ("999999d", Some(86_399_913_600_000)),
            ("0s", None),
            ("01s", None),
            ("1000000s", None),
            ("s", None),
            ("1", None),
            ("1 s", None),
            ("-1s", None),
            ("٣s", None),
            ("", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_cap_in_dollars_is_exact_to_the_millionth() {
        let over = |usd| Bounds { max_cost_usd: Some(usd), ..Bounds::default() }.over(TaskOptions::default(), 0);
        assert_eq!(over(0.000_001).unwrap().max_cost, Some(MicroUsd(1)));
        assert_eq!(over(1e9).unwrap().max_cost, Some(MicroUsd(1_000_000_000_000_000)));
        assert!(over(-0.1).is_err() && over(1.1e9).is_err() && over(f64::NAN).is_err());
    }
}
