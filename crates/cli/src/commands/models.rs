//! `thenar models`: what can be used, and where it comes from. Whether it works is said by `try_out`.

use serde_json::json;

use crate::choice;
use crate::config::{self, Config};
use crate::exit::{Code, Outcome, Problem};
use crate::screen::{Look, Screen, data};
use crate::{clean, env, screen};

/// Columns of a model's name in the list.
const NAME_COLUMNS: usize = 40;

/// A model that can be used, or could be.
struct Row {
    name: String,
    /// Where it comes from.
    note: String,
    /// The address of a server that was found and is not configured.
    found_at: Option<String>,
}

impl Row {
    fn new(name: String, note: &str) -> Self {
        Self { name, note: note.to_owned(), found_at: None }
    }
}

/// `thenar models`.
pub(crate) fn list(json_wanted: bool, screen: Screen) -> Outcome {
    let config = config::read()?;
    let mut rows: Vec<Row> = config.models.keys().map(|name| Row::new(name.clone(), "configured")).collect();
    let trouble = offered(&config, &mut rows)?;
    found(&config, &mut rows)?;
    rows.push(Row::new(format!("script:{}", choice::DEMO), "a script, no model: the demo"));
    if json_wanted {
        let models = rows.iter().map(|row| {
            let mut model = json!({ "name": row.name, "note": row.note });
            if let Some(base_url) = &row.found_at {
                model["base_url"] = base_url.as_str().into();
            }
            model
        });
        screen::json(&serde_json::Value::from(models.collect::<Vec<_>>()));
    } else {
        for row in &rows {
            let name = clean::line(&row.name, 80);
            data(&format!("{name:<NAME_COLUMNS$} {}", clean::line(&row.note, 200)));
        }
    }
    for trouble in trouble {
        screen.say(&format!("{} {}", screen.paint(Look::Warn, "warning:"), clean::line(&trouble, 400)));
    }
    match choice::name(None, &config) {
        Ok(name) => screen.say(&format!("`thenar run` takes {} unless told otherwise.", clean::line(&name, 80))),
        Err(Problem { message, .. }) => screen.say(&message),
    }
    Ok(Code::Done)
}

/// What the configured addresses offer; what they said where they did not answer.
fn offered(config: &Config, rows: &mut Vec<Row>) -> Result<Vec<String>, Problem> {
    let mut trouble = Vec::new();
    for (variables, provider) in [
        ([env::OPENAI_API_KEY, env::OPENAI_BASE_URL], "openai"),
        ([env::ANTHROPIC_API_KEY, env::ANTHROPIC_BASE_URL], "anthropic"),
        ([env::GEMINI_API_KEY, env::GEMINI_BASE_URL], "gemini"),
    ] {
        if variables.iter().all(|variable| env::var(variable).is_none()) {
            continue;
        }
        let chosen = choice::client(&format!("{provider}:any"), config)?;
        match crate::runtime()?.block_on(chosen.client.offered()) {
            Ok(models) => {
                rows.extend(models.into_iter().map(|model| Row::new(format!("{provider}:{}", model.name), "offered")));
            }
            Err(failure) => trouble.push(failure.to_string()),
        }
    }
    Ok(trouble)
}

/// Servers of this machine that nobody configured.
fn found(config: &Config, rows: &mut Vec<Row>) -> Result<(), Problem> {
    let mut known: Vec<String> = config.models.values().filter_map(|known| known.base_url.clone()).collect();
    known.extend(env::var(env::OPENAI_BASE_URL));
    let same = |one: &str, other: &str| one.trim_end_matches('/').replace("localhost", "127.0.0.1") == other;
    for server in choice::local_servers()? {
        let base_url = server.place.base_url();
        if known.iter().any(|known| same(known, &base_url)) {
            continue;
        }
        for model in server.models {
            let note = format!("found: {} at {base_url}", server.place.program);
            rows.push(Row { name: format!("openai:{}", model.name), note, found_at: Some(base_url.clone()) });
        }
    }
    Ok(())
}
