//! The chosen model's server is asked for its list: reachable, and the key is taken. No call is made and nothing is spent;
//! what a model can do is `thenar models test`'s business.

use std::time::Duration;

use server::Seen;

use super::Finding;
use crate::config::{self, Config};
use crate::{choice, clean};

/// How long a server may take to list its models.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn findings() -> Vec<Finding> {
    let config = match config::read() {
        Ok(config) => config,
        // Told by itself.
        Err(_) => return Vec::new(),
    };
    let found = choice::local_servers().unwrap_or_default();
    let paste = found.iter().find_map(|server| {
        let model = server.models.first()?;
        let name = choice::quoted(&format!("openai:{}", model.name));
        Some(format!("export OPENAI_BASE_URL={} THENAR_MODEL={name}", server.place.base_url()))
    });
    let told = found.iter().map(|server| {
        format!("{} at {} with {}", server.place.program, server.place.base_url(), count(server.models.len()))
    });
    let told = told.collect::<Vec<_>>().join(", ");
    let local = if told.is_empty() {
        Finding::good("local models", Seen::LocalModelsNone, "none on the usual ports")
    } else {
        let short = found
            .iter()
            .map(|server| format!("{} {} ({})", server.place.program, server.place.base_url(), server.models.len()));
        let servers = short.collect::<Vec<_>>().join(", ");
        Finding::good("local models", Seen::LocalModels { servers }, told)
    };
    vec![model(&config, paste), local]
}

fn count(models: usize) -> String {
    format!("{models} model{}", if models == 1 { "" } else { "s" })
}

fn model(config: &Config, paste: Option<String>) -> Finding {
    let name = match choice::name(None, config) {
        Ok(name) => name,
        Err(problem) => {
            let line = problem.message.lines().next().unwrap_or_default();
            // The rest of it says how to get one, which is what the fix is for.
            let first = [". ", ", but "].iter().fold(line, |line, end| line.split(end).next().unwrap_or(line));
            let what = format!("{first}; the demo works without");
            let fix = paste.or_else(|| problem.hints.first().cloned());
            let fix = fix.unwrap_or_else(|| "export OPENAI_API_KEY=…    # or: thenar models".to_owned());
            return Finding::poor("model", Seen::ModelNone, what, fix);
        }
    };
    let shown = clean::line(&name, 80).to_string();
    let chosen = match choice::client(&name, config) {
        Ok(chosen) => chosen,
        Err(problem) => {
            let fix = problem.hints.first().cloned().unwrap_or_else(|| "thenar models".to_owned());
            let what = format!("{shown}: {}", problem.message);
            return Finding::poor("model", Seen::ModelFailed { model: shown, error: problem.message }, what, fix);
        }
    };
    if chosen.scripted {
        let what = format!("{shown}, a script");
        return Finding::good("model", Seen::ModelScript { model: shown }, what);
    }
    let Ok(runtime) = crate::runtime() else {
        let what = "the runtime does not start";
        return Finding::poor("model", Seen::ModelFailed { model: shown, error: what.to_owned() }, what, "");
    };
    let listed = runtime.block_on(async { tokio::time::timeout(PATIENCE, chosen.client.offered()).await });
    let try_it = format!("thenar models test {}", choice::quoted(&name));
    match listed {
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            let what = format!("{shown}: its server said nothing for {seconds} s");
            Finding::poor("model", Seen::ModelSilent { model: shown, seconds }, what, try_it)
        }
        Ok(Err(failure)) => {
            let what = format!("{shown}: {failure}");
            Finding::poor("model", Seen::ModelFailed { model: shown, error: failure.to_string() }, what, try_it)
        }
        Ok(Ok(models)) => {
            let bare = name.split_once(':').map_or(name.as_str(), |(_, bare)| bare);
            if models.iter().any(|model| model.name == bare || model.name == format!("models/{bare}")) {
                let what = format!("{shown}: its server answers and has it (`{try_it}` tries a call)");
                Finding::good("model", Seen::ModelThere { model: shown, command: try_it }, what)
            } else {
                let what = format!("{shown}: its server answers, but lists {} and not this one", count(models.len()));
                let seen = Seen::ModelNotListed { model: shown, listed: models.len() as u64 };
                Finding::poor("model", seen, what, try_it)
            }
        }
    }
}
