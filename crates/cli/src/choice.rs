//! Which model a task gets, and how it is reached. In this order: the command line, `THENAR_MODEL`, the configuration,
//! `OPENAI_API_KEY` / `OPENAI_BASE_URL`. Nothing is guessed silently.

use std::path::Path;
use std::time::Duration;

use model::{Client, Endpoint, Local, LocalServer, Name, Provider, Script, Secret, Settings};

use crate::config::{Config, Known};
use crate::env;
use crate::exit::{Code, Problem};
use crate::words;

const OPENAI: &str = "https://api.openai.com/v1";

const ANTHROPIC: &str = "https://api.anthropic.com";

const GEMINI: &str = "https://generativelanguage.googleapis.com/v1beta/openai";

/// What is taken from OpenAI itself where a key is there and no model is named.
const OPENAI_DEFAULT_MODEL: &str = "gpt-4.1";

/// How long a model may be silent.
const IDLE_DEFAULT_MS: u64 = 120_000;

/// Models of one server that are named in an error.
const NAMES_TOLD_MAX: usize = 6;

/// The largest script file.
const SCRIPT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The name of the demo's script.
pub(crate) const DEMO: &str = "demo";

/// The demo's script, written beforehand.
pub(crate) const DEMO_SCRIPT: &str = include_str!("../../../examples/demo/script.json");

/// A chosen model, ready to be called.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) name: String,
    pub(crate) scripted: bool,
    pub(crate) priced: bool,
    pub(crate) client: Client,
}

/// The name of the model to use, or the five lines that say how to get one.
pub(crate) fn name(wanted: Option<&str>, config: &Config) -> Result<String, Problem> {
    let named = wanted.map(str::to_owned).or_else(|| env::var(env::MODEL)).or_else(|| config.model.clone());
    if let Some(name) = named {
        return Ok(name);
    }
    let (key, base_url) = (env::var(env::OPENAI_API_KEY), env::var(env::OPENAI_BASE_URL));
    match (env::var(env::OPENAI_MODEL), key, base_url) {
        (Some(model), _, _) => Ok(format!("openai:{model}")),
        (None, _, Some(base_url)) => only_model_of(&base_url, config),
        (None, Some(_), None) => Ok(format!("openai:{OPENAI_DEFAULT_MODEL}")),
        (None, None, None) => {
            let ready = ready(config);
            Err(if ready.is_empty() { none(&local_servers()?) } else { unchosen(&ready) })
        }
    }
}

/// The servers that answer on this machine. What is found is told and never taken by itself: any program of this machine
/// may listen there.
pub(crate) fn local_servers() -> Result<Vec<LocalServer>, Problem> {
    let places = places()?;
    if places.is_empty() {
        return Ok(Vec::new());
    }
    Ok(crate::runtime()?.block_on(model::found(&places)))
}

fn places() -> Result<Vec<Local>, Problem> {
    let Some(text) = env::var(env::LOCAL_SERVERS) else { return Ok(Local::usual()) };
    if text.trim() == "none" {
        return Ok(Vec::new());
    }
    let place = |text: &str| text.trim().parse().ok().and_then(Local::at);
    let wrong = |text: &str| {
        let words =
            format!("{}: {text:?} is no address of this machine: write 127.0.0.1:PORT, or none", env::LOCAL_SERVERS);
        Problem::new(Code::Setup, words)
    };
    text.split(',').map(|text| place(text).ok_or_else(|| wrong(text))).collect()
}

/// What can be used as soon as it is named: the configured models, and services whose key is there.
fn ready(config: &Config) -> Vec<String> {
    let services = [
        (env::ANTHROPIC_API_KEY, env::ANTHROPIC_BASE_URL, "anthropic:NAME"),
        (env::GEMINI_API_KEY, env::GEMINI_BASE_URL, "gemini:NAME"),
    ];
    let reached =
        services.into_iter().filter(|(key, base_url, _)| env::var(key).or_else(|| env::var(base_url)).is_some());
    config.models.keys().cloned().chain(reached.map(|(_, _, name)| name.to_owned())).collect()
}

fn unchosen(ready: &[String]) -> Problem {
    let mut text = "no model is chosen yet. To use one that is configured:".to_owned();
    for name in ready.iter().take(NAMES_TOLD_MAX) {
        text.push_str(&format!("\n  export THENAR_MODEL={}", quoted(name)));
    }
    text.push_str(&more(ready.len()));
    Problem::new(Code::Setup, text)
        .hint("or --model, or model = \"…\" in config.toml; `thenar models` lists what there is")
}

fn none(servers: &[LocalServer]) -> Problem {
    let ways = "\
         export OPENAI_API_KEY=…                             OpenAI, or any service that speaks its API\n  \
         export OPENAI_BASE_URL=http://127.0.0.1:11434/v1    a model on this machine (Ollama, llama.cpp, vLLM, LM Studio)\n  \
         thenar run --model openai:NAME …                    or THENAR_MODEL, or model = \"openai:NAME\" in config.toml\n  \
         make demo (or: thenar demo)                         works without any: a script drives the real tools";
    if servers.is_empty() {
        return Problem::new(Code::Setup, format!("there is no model yet. Ways to get one:\n  {ways}"));
    }
    let mut text = "no model is chosen yet, but this machine has a server that answers. To use it:".to_owned();
    for server in servers {
        text.push_str(&format!("\n  export OPENAI_BASE_URL={}", server.place.base_url()));
        let names = server.models.iter().take(NAMES_TOLD_MAX);
        for model in names {
            text.push_str(&format!("\n  export THENAR_MODEL={}", quoted(&format!("openai:{}", model.name))));
        }
        text.push_str(&more(server.models.len()));
    }
    Problem::new(Code::Setup, text).hint("`thenar models test` then says what the model can do")
}

/// That there are more names than are told.
fn more(names: usize) -> String {
    let more = names.saturating_sub(NAMES_TOLD_MAX);
    if more > 0 { format!("\n  … or one of {more} more") } else { String::new() }
}

/// A model's name for a shell: who listens on a port chose it, and the person may paste it.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+".contains(c);
    if name.chars().all(plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

/// A server with one model needs no name.
fn only_model_of(base_url: &str, config: &Config) -> Result<String, Problem> {
    let probe = client("openai:any", config)?;
    let runtime = crate::runtime()?;
    let offered = runtime.block_on(probe.client.offered()).map_err(|failure| {
        Problem::new(Code::Setup, format!("ask {base_url} for its models: {failure}"))
            .hint("start the server, or name the model: --model openai:NAME")
    })?;
    match offered.as_slice() {
        [only] => Ok(format!("openai:{}", only.name)),
        [] => Err(Problem::new(Code::Setup, format!("the server at {base_url} offers no model"))),
        several => {
            let names =
                several.iter().take(12).map(|model| format!("openai:{}", model.name)).collect::<Vec<_>>().join(", ");
            Err(Problem::new(Code::Setup, format!("the server at {base_url} offers several models: name one"))
                .hint(format!("--model with one of: {names}")))
        }
    }
}

/// Makes the client for a model.
pub(crate) fn client(name: &str, config: &Config) -> Result<Chosen, Problem> {
    let mut parsed: Name = name.parse().map_err(|error: model::UnknownModel| {
        Problem::new(Code::Setup, error.to_string()).hint("`thenar models` lists what can be used")
    })?;
    let known = config.models.get(name).cloned().unwrap_or_default();
    let scripted = parsed.provider == Provider::Script;
    if scripted && parsed.model != DEMO {
        // The task keeps the name, and may be taken up from another folder.
        let path = std::path::absolute(&parsed.model).ok().and_then(|path| path.to_str().map(str::to_owned));
        parsed.model = path.unwrap_or(parsed.model);
    }
    let name = parsed.to_string();
    let settings = Settings {
        name: name.clone(),
        endpoint: (!scripted).then(|| endpoint(parsed.provider, &known)).transpose()?,
        script: if scripted { Some(script(&parsed.model)?) } else { None },
        price: known.price(),
        window_tokens: known.window,
        output_tokens_max: known.max_output,
        sees: known.sees,
        idle: idle(config)?,
    };
    let priced = scripted || settings.price.is_some();
    let client = Client::new(settings).map_err(|failure| Problem::new(Code::Setup, failure.to_string()))?;
    Ok(Chosen { name, scripted, priced, client })
}

fn endpoint(provider: Provider, known: &Known) -> Result<Endpoint, Problem> {
    let (key_variable, url_variable, usual) = match provider {
        Provider::OpenAi | Provider::Responses | Provider::Script => {
            (env::OPENAI_API_KEY, env::OPENAI_BASE_URL, OPENAI)
        }
        Provider::Anthropic => (env::ANTHROPIC_API_KEY, env::ANTHROPIC_BASE_URL, ANTHROPIC),
        Provider::Gemini => (env::GEMINI_API_KEY, env::GEMINI_BASE_URL, GEMINI),
    };
    let base_url = known.base_url.clone().or_else(|| env::var(url_variable));
    let kept = known.api_key.as_ref().map(|key| key.reveal().to_owned());
    let key = kept.or_else(|| env::var(known.api_key_env.as_deref().unwrap_or(key_variable))).map(Secret::new);
    if base_url.is_none() && key.is_none() {
        return Err(Problem::new(Code::Setup, "there is neither a key nor a server for this model")
            .hint(format!("export {key_variable}=…, or {url_variable}=http://… for a server that needs none")));
    }
    let base_url = base_url.unwrap_or_else(|| usual.to_owned());
    if !base_url.starts_with("http://") && !base_url.starts_with("https://") {
        let text = format!("{base_url:?} is no address of a server: it begins with http:// or https://");
        return Err(Problem::new(Code::Setup, text));
    }
    Ok(Endpoint { base_url, key })
}

fn script(name: &str) -> Result<Script, Problem> {
    let wrong = |what: String| Problem::new(Code::Setup, format!("script {name}: {what}"));
    let text = if name == DEMO {
        DEMO_SCRIPT.to_owned()
    } else {
        let path = Path::new(name);
        let length = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
        if length > SCRIPT_BYTES_MAX {
            return Err(wrong(format!("it is over {}", words::size(SCRIPT_BYTES_MAX))));
        }
        std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?
    };
    Script::parse(&text).map_err(|error| wrong(error.to_string()))
}

fn idle(config: &Config) -> Result<Duration, Problem> {
    let ms = match env::var(env::MODEL_TIMEOUT) {
        None => config.model_timeout.unwrap_or(IDLE_DEFAULT_MS),
        Some(text) => words::duration_ms(&text)
            .map_err(|error| Problem::new(Code::Setup, format!("{}: {error}", env::MODEL_TIMEOUT)))?,
    };
    Ok(Duration::from_millis(ms))
}
