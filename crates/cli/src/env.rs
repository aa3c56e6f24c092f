//! Every environment variable that Thenar reads, in one place, and where its folders are. Nothing else reads the
//! environment.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// The data folder. Default: `$XDG_DATA_HOME/thenar`, else `~/.local/share/thenar`.
pub(crate) const HOME: &str = "THENAR_HOME";

/// The model to use, as `provider:model`, where the command line names none.
pub(crate) const MODEL: &str = "THENAR_MODEL";

/// Who makes each task's computer: `native` (our own launcher, the default) or `bwrap` (bubblewrap; no browser and no
/// way out then). There is no falling back from one to the other.
pub(crate) const COMPUTER: &str = "THENAR_COMPUTER";

/// What programs in the computers of new tasks may reach, as of `--allow-net`, separated by commas.
pub(crate) const ALLOW_NET: &str = "THENAR_ALLOW_NET";

/// The toolset's folder. Default: `$XDG_CACHE_HOME/thenar/toolset/HASH`, else below `~/.cache`.
pub(crate) const TOOLSET: &str = "THENAR_TOOLSET";

/// How long a model may be silent before an attempt is given up, as `90s` or `2m`. Default: 120 s.
pub(crate) const MODEL_TIMEOUT: &str = "THENAR_MODEL_TIMEOUT";

/// The key for OpenAI or the server at `OPENAI_BASE_URL`.
pub(crate) const OPENAI_API_KEY: &str = "OPENAI_API_KEY";

/// The server of `openai:` models, as far as `/chat/completions`.
pub(crate) const OPENAI_BASE_URL: &str = "OPENAI_BASE_URL";

/// Which model to take from there where none is named.
pub(crate) const OPENAI_MODEL: &str = "OPENAI_MODEL";

/// Where to look for model servers on this machine, as `127.0.0.1:8080,127.0.0.1:8000`, or `none`. Default: the usual
/// ports of Ollama, llama.cpp, vLLM and LM Studio.
pub(crate) const LOCAL_SERVERS: &str = "THENAR_LOCAL_SERVERS";

/// What to log to standard error: `info`, `warn`, `agent=debug`. Nothing by default.
pub(crate) const LOG: &str = "THENAR_LOG";

/// `json` for one JSON object a line; else text.
pub(crate) const LOG_FORMAT: &str = "THENAR_LOG_FORMAT";

/// `yes` puts what was said and done into logs and telemetry. By default none of it leaves.
pub(crate) const TELEMETRY_CONTENT: &str = "THENAR_TELEMETRY_CONTENT";

/// A collector of OpenTelemetry traces (OTLP over HTTP), without `/v1/traces`.
pub(crate) const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The same, as the whole address.
pub(crate) const OTLP_TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// Headers for the collector: `name=value,name=value`.
pub(crate) const OTLP_HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// Under which name the collector files it. Default: `thenar`.
pub(crate) const OTEL_SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// The key for `anthropic:` models.
pub(crate) const ANTHROPIC_API_KEY: &str = "ANTHROPIC_API_KEY";

/// The server of `anthropic:` models, without `/v1/messages`. Default: Anthropic's own.
pub(crate) const ANTHROPIC_BASE_URL: &str = "ANTHROPIC_BASE_URL";

/// The key for `gemini:` models.
pub(crate) const GEMINI_API_KEY: &str = "GEMINI_API_KEY";

/// The server of `gemini:` models, as far as `/chat/completions`. Default: Google's own.
pub(crate) const GEMINI_BASE_URL: &str = "GEMINI_BASE_URL";

/// Any value: no colours.
pub(crate) const NO_COLOR: &str = "NO_COLOR";

/// A variable that is set and not empty.
pub(crate) fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// What [`ALLOW_NET`] names.
pub(crate) fn always_reached() -> Vec<String> {
    let named = var(ALLOW_NET).unwrap_or_default();
    named.split(',').map(str::trim).filter(|place| !place.is_empty()).map(str::to_owned).collect()
}

/// What the names of variables end with that hold secrets.
const SECRETS: [&str; 4] = ["KEY", "TOKEN", "SECRET", "PASSWORD"];

/// The values of all variables that hold secrets by their names, so that they can be covered where strangers look on.
pub(crate) fn secrets() -> Vec<String> {
    let is_secret = |name: &str| SECRETS.iter().any(|end| name.to_ascii_uppercase().ends_with(end));
    let all =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    all.filter(|(name, _)| is_secret(name)).map(|(_, value)| value).collect()
}

/// The data folder, absolute.
pub(crate) fn home() -> Result<PathBuf> {
    folder(HOME, "XDG_DATA_HOME", ".local/share", "thenar")
}

/// The configuration folder.
pub(crate) fn config_folder() -> Result<PathBuf> {
    folder("", "XDG_CONFIG_HOME", ".config", "thenar")
}

/// The cache folder.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    folder("", "XDG_CACHE_HOME", ".cache", "thenar")
}

/// The person's own folder.
pub(crate) fn person() -> Option<PathBuf> {
    var("HOME").map(PathBuf::from)
}

fn folder(own: &str, xdg: &str, below_home: &str, name: &str) -> Result<PathBuf> {
    let path = match (Some(own).filter(|own| !own.is_empty()).and_then(var), var(xdg)) {
        (Some(path), _) => PathBuf::from(path),
        (None, Some(base)) => PathBuf::from(base).join(name),
        (None, None) => {
            let home = person().context("find your home folder: neither HOME nor THENAR_HOME is set")?;
            home.join(below_home).join(name)
        }
    };
    std::path::absolute(&path).with_context(|| format!("make {} absolute", path.display()))
}

/// Milliseconds since 1970 (UTC): the one clock, handed in to those who may know the time.
#[expect(clippy::disallowed_methods, reason = "the edge reads the clock for everybody")]
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Nanoseconds since 1970 (UTC), for the times of telemetry.
#[expect(clippy::disallowed_methods, reason = "the edge reads the clock for everybody")]
pub(crate) fn now_nanos() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// Identity of the machine's boot.
pub(crate) fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// Whether there is a desktop that could open a browser.
pub(crate) fn has_desktop() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| var(name).is_some())
}
