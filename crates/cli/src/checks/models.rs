//! The chosen model's server is asked for its list: reachable, and the key is taken. No call is made and nothing is spent;
//! what a model can do is `thenar models test`'s business.

use std::time::Duration;

use super::Finding;
use crate::config::{self, Config};
use crate::{choice, clean};

/// How long a server may take to list its models.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn findings() -> Vec<Finding> {
    let config = match config::read() {
        Ok(config) => config,
        Err(problem) => {
            let places = config::places();
            let file = places.iter().find(|path| path.is_file()).map(|path| path.display().to_string());
            let fix = format!("${{EDITOR:-vi}} '{}'", file.unwrap_or_default());
            return vec![Finding::poor("configuration", problem.message, fix)];
        }
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
    let local = if told.is_empty() { "none on the usual ports".to_owned() } else { told };
    vec![model(&config, paste), Finding::good("local models", local)]
}

fn count(models: usize) -> String {
    format!("{models} model{}", if models == 1 { "" } else { "s" })
}

fn model(config: &Config, paste: Option<String>) -> Finding {
    let name = match choice::name(None, config) {
        Ok(name) => name,
        Err(problem) => {
            let first = problem.message.split(['.', ',', '\n']).next().unwrap_or_default();
            let what = format!("{first}; the demo works without");
            return Finding::poor(
                "model",
                what,
                paste.unwrap_or_else(|| "export OPENAI_API_KEY=…    # or: thenar models".to_owned()),
            );
        }
    };
    let shown = clean::line(&name, 80).to_string();
    let chosen = match choice::client(&name, config) {
        Ok(chosen) => chosen,
        Err(problem) => {
            let fix = problem.hints.first().cloned().unwrap_or_else(|| "thenar models".to_owned());
            return Finding::poor("model", format!("{shown}: {}", problem.message), fix);
        }
    };
    if chosen.scripted {
        return Finding::good("model", format!("{shown}, a script"));
    }
    let Ok(runtime) = crate::runtime() else { return Finding::poor("model", "the runtime does not start", "") };
    let listed = runtime.block_on(async { tokio::time::timeout(PATIENCE, chosen.client.offered()).await });
    let try_it = format!("thenar models test {}", choice::quoted(&name));
    match listed {
        Err(_) => {
            Finding::poor("model", format!("{shown}: its server said nothing for {} s", PATIENCE.as_secs()), try_it)
        }
        Ok(Err(failure)) => Finding::poor("model", format!("{shown}: {failure}"), try_it),
        Ok(Ok(models)) => {
            let bare = name.split_once(':').map_or(name.as_str(), |(_, bare)| bare);
            if models.iter().any(|model| model.name == bare || model.name == format!("models/{bare}")) {
                Finding::good("model", format!("{shown}: its server answers and has it (`{try_it}` tries a call)"))
            } else {
                let what = format!("{shown}: its server answers, but lists {} and not this one", count(models.len()));
                Finding::poor("model", what, try_it)
            }
        }
    }
}
