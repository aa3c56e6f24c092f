//! What the server's page may see and change of this program's configuration, and try. The person's file keeps its comments and
//! its order; a change that would not be a configuration is not written. Keys go in and never come out.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use agent::Unavailable;
use model::{Name, Provider};
use server::{Change, DefaultLimits, Demo, Figures, Findings, House, KnownModel, Settings, Trial, WantedModel};
use toml_edit::{DocumentMut, Item, Table, value};

use crate::commands::{demo, try_out};
use crate::config::{self, Config};
use crate::exit::Problem;
use crate::{choice, env};

/// The edge, as the server's page knows it.
#[derive(Debug, Default)]
pub(crate) struct Edge {
    /// One change at a time.
    writing: Mutex<()>,
}

impl House for Edge {
    fn settings(&self) -> Result<Settings, Unavailable> {
        let config = config::read().map_err(unavailable)?;
        let models = config.models.iter().map(|(name, known)| KnownModel {
            name: name.clone(),
            base_url: known.base_url.clone(),
            has_key: known.api_key.is_some(),
            api_key_env: known.api_key_env.clone().filter(|variable| !variable.is_empty()),
            figures: Figures {
                input_price: known.input_price,
                cached_input_price: known.cached_input_price,
                output_price: known.output_price,
                window: known.window,
                max_output: known.max_output,
            },
        });
        let limits = DefaultLimits {
            max_steps: config.limits.max_steps,
            max_cost_usd: config.limits.max_cost,
            max_time: config.limits.max_time.map(span),
        };
        let file = file().map(|path| path.display().to_string()).unwrap_or_default();
        Ok(Settings {
            file,
            model: config.model.clone(),
            models: models.collect(),
            limits,
            allow_net: config.allow_net,
        })
    }

    fn change(&self, change: Change) -> Result<(), Unavailable> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = file().ok_or_else(|| refused("there is no place for a configuration", "set HOME or THENAR_HOME"))?;
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| cannot("read", &path, &error))?,
        };
        let mut document: DocumentMut = text.parse().map_err(|error| cannot("read", &path, &error))?;
        apply(&mut document, change)?;
        let text = document.to_string();
        toml::from_str::<Config>(&text).map_err(|error| {
            refused(&format!("that is no configuration: {}", error.to_string().trim()), "change it")
        })?;
        replace(&path, &text).map_err(|error| cannot("write", &path, &error))
    }

    fn try_out(&self, model: &str) -> Result<Trial, Unavailable> {
        let config = config::read().map_err(unavailable)?;
        try_out::tried(choice::client(model, &config).map_err(unavailable)?).map_err(unavailable)
    }

    fn demo(&self) -> Result<Demo, Unavailable> {
        let script = demo::script().map_err(unavailable)?;
        Ok(Demo { task: script.task, model: format!("script:{}", choice::DEMO), files: demo::INPUTS.to_vec() })
    }

    /// In a process of its own: the doctor takes up what the server needs for its tasks.
    #[expect(clippy::disallowed_methods, reason = "this program once more; no task has a part in it")]
    fn findings(&self) -> Result<Findings, Unavailable> {
        let failed =
            |error: &dyn std::fmt::Display| refused(&format!("the doctor did not run: {error}"), "thenar doctor");
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let mut command = Command::new(program);
        command.args(["doctor", "--json"]).stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.output().map_err(|error| failed(&error))?;
        serde_json::from_slice(&output.stdout).map_err(|error| failed(&error))
    }

    fn always_reached(&self) -> Vec<String> {
        env::always_reached()
    }

    fn withheld(&self) -> Vec<String> {
        let keys = config::read().map(|config| config.models).unwrap_or_default();
        let keys = keys.into_values().filter_map(|known| known.api_key.map(|key| key.reveal().to_owned()));
        env::secrets().into_iter().chain(keys).collect()
    }
}

/// The file that is read, or the one that is made.
fn file() -> Option<PathBuf> {
    let places = config::places();
    let there = places.iter().find(|path| path.is_file()).or(places.first())?;
    // Through a link, so that a file that is kept elsewhere stays there.
    Some(there.canonicalize().unwrap_or_else(|_| there.clone()))
}

fn apply(document: &mut DocumentMut, change: Change) -> Result<(), Unavailable> {
    match change {
        Change::Choose(None) => drop(document.remove("model")),
        Change::Choose(Some(name)) => {
            check(&name)?;
            document["model"] = value(name);
        }
        Change::Forget(name) => {
            if let Some(models) = document.get_mut("models").and_then(Item::as_table_like_mut) {
                models.remove(&name);
            }
        }
        Change::Model(name, wanted) => {
            if check(&name)? == Provider::Script {
                return Err(refused("a script is no model to configure", "name it when a task is made"));
            }
            let models = table(document.as_item_mut(), "models", true)?;
            model(table(models, &name, false)?, *wanted);
        }
        Change::Hosts(hosts) => match hosts.is_empty() {
            true => drop(document.remove("allow_net")),
            false => document["allow_net"] = value(hosts.into_iter().collect::<toml_edit::Array>()),
        },
        Change::Limits(limits) => {
            let item = table(document.as_item_mut(), "limits", false)?;
            set(item, "max_steps", limits.max_steps.map(whole));
            set(item, "max_cost", limits.max_cost_usd.map(value));
            set(item, "max_time", limits.max_time.map(value));
        }
    }
    Ok(())
}

/// A key belongs to the server it was given for: whoever names another server gives a key for it, or none is sent. Else a page
/// could have one key after the other sent to a place of its choice.
fn model(item: &mut Item, wanted: WantedModel) {
    let WantedModel { base_url, api_key, figures } = wanted;
    let known = item.get("base_url").and_then(Item::as_str).map(str::to_owned);
    let same = known == base_url;
    match api_key {
        Some(key) => {
            set(item, "api_key", Some(value(key)));
            set(item, "api_key_env", None);
        }
        None if same => {}
        None => {
            set(item, "api_key", None);
            set(item, "api_key_env", base_url.is_some().then(|| value("")));
        }
    }
    set(item, "base_url", base_url.map(value));
    let Figures { input_price, cached_input_price, output_price, window, max_output } = figures;
    set(item, "input_price", input_price.map(value));
    set(item, "cached_input_price", cached_input_price.map(value));
    set(item, "output_price", output_price.map(value));
    set(item, "window", window.map(whole));
    set(item, "max_output", max_output.map(whole));
}

fn set(item: &mut Item, key: &str, to: Option<Item>) {
    let Some(table) = item.as_table_like_mut() else { return };
    match to {
        Some(to) => drop(table.insert(key, to)),
        None => drop(table.remove(key)),
    }
}

fn whole(number: u64) -> Item {
    value(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The table of this name, made where there is none.
fn table<'a>(item: &'a mut Item, name: &str, implicit: bool) -> Result<&'a mut Item, Unavailable> {
    let wrong = || refused(&format!("`{name}` is no table in the configuration"), "mend the file by hand");
    let tables = item.as_table_like_mut().ok_or_else(wrong)?;
    let mut new = Table::new();
    new.set_implicit(implicit);
    let found = tables.entry(name).or_insert(Item::Table(new));
    if found.is_table_like() { Ok(found) } else { Err(wrong()) }
}

fn check(name: &str) -> Result<Provider, Unavailable> {
    let parsed: Result<Name, _> = name.parse();
    let wrong = |error: model::UnknownModel| refused(&error.to_string(), "write provider:model, like openai:gpt-4.1");
    parsed.map(|name| name.provider).map_err(wrong)
}

/// Put into place whole, and for nobody else to read: there may be keys in it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let aside = path.with_extension(format!("toml-{}", std::process::id()));
    let written = (|| {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&aside);
    }
    written
}

/// A number and a unit.
fn span(ms: u64) -> String {
    let units = [(86_400_000, 'd'), (3_600_000, 'h'), (60_000, 'm')];
    match units.into_iter().find(|(unit_ms, _)| ms.is_multiple_of(*unit_ms)) {
        Some((unit_ms, unit)) => format!("{}{unit}", ms / unit_ms),
        None => format!("{}s", ms.div_ceil(1_000)),
    }
}

fn refused(reason: &str, hint: &str) -> Unavailable {
    Unavailable { reason: reason.to_owned(), hint: hint.to_owned() }
}

fn cannot(what: &str, path: &Path, error: &dyn std::fmt::Display) -> Unavailable {
    refused(
        &format!("{what} {}: {}", path.display(), error.to_string().trim()),
        "mend the file by hand, or its folder's rights",
    )
}

fn unavailable(problem: Problem) -> Unavailable {
    Unavailable { reason: problem.message, hint: problem.hints.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str, change: Change) -> Result<String, String> {
        let mut document: DocumentMut = text.parse().unwrap();
        apply(&mut document, change).map_err(|refused| refused.reason)?;
        let text = document.to_string();
        toml::from_str::<Config>(&text).map_err(|error| error.to_string())?;
        Ok(text)
    }

    fn put(text: &str, base_url: Option<&str>, api_key: Option<&str>) -> String {
        let figures = Figures { window: Some(32_768), ..Figures::default() };
        let wanted =
            WantedModel { base_url: base_url.map(str::to_owned), api_key: api_key.map(str::to_owned), figures };
        after(text, Change::Model("openai:big".to_owned(), Box::new(wanted))).unwrap()
    }

    const OWN: &str = "# mine\nmodel = \"openai:big\" # the best\n\n[computer]\nmemory = \"4G\"\n\n[models.\"openai:big\"]\ncache_write_price = 2.5\ninput_price = 2.0\n";

    #[test]
    fn comments_order_and_what_the_page_does_not_know_stay() {
        let text = put(OWN, None, Some("sk-secret"));
        assert!(
            text.starts_with("# mine\nmodel = \"openai:big\" # the best\n\n[computer]\nmemory = \"4G\"\n"),
            "{text}"
        );
        assert!(text.contains("cache_write_price = 2.5\n") && !text.contains("input_price = 2.0"), "{text}");
        assert!(text.contains("api_key = \"sk-secret\"\n") && text.contains("window = 32768\n"), "{text}");
    }

    #[test]
    fn a_key_stays_with_the_server_it_was_given_for() {
        let text = put("", Some("http://10.0.0.5/v1"), Some("sk-secret"));
        assert!(put(&text, Some("http://10.0.0.5/v1"), None).contains("sk-secret"));
        for elsewhere in [Some("http://evil.example/v1"), None] {
            assert!(!put(&text, elsewhere, None).contains("sk-secret"));
        }
        // Nor is that of the environment sent to a place that the page names.
        let config: Config = toml::from_str(&put("", Some("http://evil.example/v1"), None)).unwrap();
        assert_eq!(config.models["openai:big"].api_key_env.as_deref(), Some(""));
        let named = "[models.\"openai:big\"]\nbase_url = \"http://10.0.0.5/v1\"\napi_key_env = \"SMALL_KEY\"\n";
        assert!(put(named, Some("http://10.0.0.5/v1"), None).contains("SMALL_KEY"));
        assert!(!put(named, Some("http://evil.example/v1"), None).contains("SMALL_KEY"));
    }

    #[test]
    fn models_are_chosen_and_taken_away() {
        let text = after(OWN, Change::Choose(Some("anthropic:claude".to_owned()))).unwrap();
        assert!(text.contains("model = \"anthropic:claude\"") && text.contains("# mine"), "{text}");
        assert!(!after(OWN, Change::Choose(None)).unwrap().contains("model = "));
        let text = after(OWN, Change::Forget("openai:big".to_owned())).unwrap();
        assert!(!text.contains("cache_write_price") && text.contains("memory"), "{text}");
        for wrong in ["big", "nobody:big", ""] {
            assert!(after(OWN, Change::Choose(Some(wrong.to_owned()))).is_err(), "{wrong}");
        }
        let script = Change::Model("script:/etc/passwd".to_owned(), Box::default());
        assert!(after(OWN, script).is_err());
        assert!(after("models = 3", Change::Model("openai:a".to_owned(), Box::default())).is_err());
    }

    #[test]
    fn hosts_come_back_as_they_went_in() {
        let text = after(OWN, Change::Hosts(vec!["pypi.org".to_owned(), "*.example.org:8443".to_owned()])).unwrap();
        let config: Config = toml::from_str(&text).unwrap();
        assert_eq!(config.allow_net, ["pypi.org", "*.example.org:8443"]);
        assert!(text.contains("# mine") && config.model.is_some(), "{text}");
        assert!(!after(&text, Change::Hosts(Vec::new())).unwrap().contains("allow_net"));
    }

    #[test]
    fn limits_come_back_as_they_went_in() {
        let limits = DefaultLimits { max_steps: Some(200), max_cost_usd: Some(2.5), max_time: Some("8h".to_owned()) };
        let text = after("", Change::Limits(limits)).unwrap();
        let config: Config = toml::from_str(&text).unwrap();
        assert_eq!((config.limits.max_steps, config.limits.max_cost), (Some(200), Some(2.5)));
        assert_eq!(config.limits.max_time.map(span).as_deref(), Some("8h"));
        assert_eq!([span(90_000), span(172_800_000)], ["90s", "2d"]);
        assert!(!after(&text, Change::Limits(DefaultLimits::default())).unwrap().contains("max_"));
    }
}
