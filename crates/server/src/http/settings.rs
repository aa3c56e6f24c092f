//! The settings of the server: its models, what a new task begins with, and how this machine is. What they mean and where they
//! stand is the edge's business.

use agent::Because;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::Said;
use super::problem::{Answer, Configuring, Kind, OfConfiguration, Problem, Trying};
use super::wanted::{Bounds, check_model};
use super::{Shared, blocking};
use crate::house::{Change, DefaultLimits, Figures, Findings, Settings, Trial, WantedModel};

const ADDRESS_CHARS_MAX: usize = 1_900;
const NAME_CHARS_MAX: usize = 150;
const KEY_CHARS_MAX: usize = 4_000;
const TOKENS_MAX: u64 = 1_000_000_000;
const PRICE_MAX: f64 = 1e9;

/// The settings of the server
///
/// Keys are not among them.
#[utoipa::path(get, path = "/v1/settings", operation_id = "getSettings", tag = "settings",
    responses((status = 200, description = "As they stand.", body = Settings), OfConfiguration))]
pub(super) async fn show(State(shared): State<Shared>) -> Answer {
    let house = Arc::clone(&shared.app.house);
    let settings = blocking(move || Ok(house.settings()?)).await?;
    Ok(Json(settings).into_response())
}

/// The providers whose models can be configured; who serves them otherwise speaks as one of these.
const PROVIDERS: [&str; 4] = ["openai", "responses", "anthropic", "gemini"];

/// The script that needs no configuration.
const DEMO: &str = "script:demo";

fn check_name(name: &str) -> Answer<()> {
    let form = name.split_once(':').is_some_and(|(provider, model)| {
        let plain = (1..=NAME_CHARS_MAX).contains(&model.len()) && model.bytes().all(|byte| byte.is_ascii_graphic());
        PROVIDERS.contains(&provider) && plain
    });
    let wrong = || {
        Problem::invalid("a model is provider:model, of openai, responses, anthropic or gemini")
            .because(Because::ModelForm)
    };
    form.then_some(()).ok_or_else(wrong)
}

async fn change(shared: &Shared, change: Change) -> Answer {
    let house = Arc::clone(&shared.app.house);
    blocking(move || house.change(change).map_err(|refused| Problem::new(Kind::Invalid, refused.reason, refused.hint)))
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Put a model into the configuration
///
/// From the next task on. A key is kept in the configuration file, which nobody else can read then, and never told again.
#[utoipa::path(put, path = "/v1/settings/models/{*name}", operation_id = "putModel", tag = "settings",
    params(("name" = String, Path, pattern = "^(openai|responses|anthropic|gemini):[!-~]{1,150}$",
        description = "`provider:model`; it may hold slashes.")), request_body = WantedModel,
    responses((status = 204, description = "It is there."), Configuring))]
pub(super) async fn put_model(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Said(wanted): Said<WantedModel>,
) -> Answer {
    check_name(&name)?;
    check(&wanted)?;
    change(&shared, Change::Model(name, Box::new(wanted))).await
}

fn check(wanted: &WantedModel) -> Answer<()> {
    let address = wanted.base_url.as_deref().unwrap_or("http://");
    let is_address = ["http://", "https://"].iter().any(|start| address.starts_with(start));
    if !is_address || address.len() > ADDRESS_CHARS_MAX || !address.bytes().all(|byte| byte.is_ascii_graphic()) {
        let wrong = Problem::invalid("base_url must be an address that begins with http:// or https://");
        return Err(wrong.because(Because::ModelAddress));
    }
    let key = wanted.api_key.as_deref().unwrap_or("-");
    if key.is_empty() || key.len() > KEY_CHARS_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let wrong = Problem::invalid("api_key must be 1 to 4000 plain characters without spaces");
        return Err(wrong.because(Because::ModelKey));
    }
    let Figures { input_price, cached_input_price, output_price, window, max_output } = wanted.figures;
    if [input_price, cached_input_price, output_price]
        .into_iter()
        .flatten()
        .any(|price| !(0.0..=PRICE_MAX).contains(&price))
    {
        return Err(Problem::invalid("a price must be between 0 and 1000000000").because(Because::ModelPrices));
    }
    if [window, max_output].into_iter().flatten().any(|tokens| !(1..=TOKENS_MAX).contains(&tokens)) {
        let wrong = Problem::invalid("window and max_output must be between 1 and 1000000000");
        return Err(wrong.because(Because::ModelSizes));
    }
    Ok(())
}

/// Take a model out of the configuration
///
/// Its key goes with it.
#[utoipa::path(delete, path = "/v1/settings/models/{*name}", operation_id = "deleteModel", tag = "settings",
    params(("name" = String, Path, pattern = "^(openai|responses|anthropic|gemini):[!-~]{1,150}$",
        description = "`provider:model`; it may hold slashes.")),
    responses((status = 204, description = "It is not there."), Configuring))]
pub(super) async fn delete_model(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    check_name(&name)?;
    change(&shared, Change::Forget(name)).await
}

/// A model to choose.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChosenModel {
    /// `provider:model`; null leaves it to the environment.
    #[schema(required, pattern = "^(openai|responses|anthropic|gemini):[!-~]{1,150}$|^script:demo$")]
    // Not a part of it that may be left out.
    #[serde(deserialize_with = "Option::deserialize")]
    model: Option<String>,
}

/// Choose the model of tasks that name none
#[utoipa::path(put, path = "/v1/settings/model", operation_id = "chooseModel", tag = "settings", request_body = ChosenModel,
    responses((status = 204, description = "It is chosen."), Configuring))]
pub(super) async fn choose(State(shared): State<Shared>, Said(chosen): Said<ChosenModel>) -> Answer {
    chosen.model.as_deref().filter(|name| *name != DEMO).map(check_name).transpose()?;
    change(&shared, Change::Choose(chosen.model)).await
}

/// Set how far a task may go that says nothing of it
#[utoipa::path(put, path = "/v1/settings/limits", operation_id = "putLimits", tag = "settings", request_body = DefaultLimits,
    responses((status = 204, description = "From the next task on."), Configuring))]
pub(super) async fn limits(State(shared): State<Shared>, Said(limits): Said<DefaultLimits>) -> Answer {
    Bounds::from(limits.clone()).over(event::TaskOptions::default(), 0)?;
    change(&shared, Change::Limits(limits)).await
}

/// Hosts that every new task may reach.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DefaultHosts {
    /// Each as `HOST[:PORT][=ADDRESS[:PORT]]`.
    #[schema(max_items = 200)]
    allow_net: Vec<String>,
}

/// Set what programs of a task may reach that says nothing of it
#[utoipa::path(put, path = "/v1/settings/hosts", operation_id = "putHosts", tag = "settings", request_body = DefaultHosts,
    responses((status = 204, description = "From the next task on."), Configuring))]
pub(super) async fn hosts(State(shared): State<Shared>, Said(hosts): Said<DefaultHosts>) -> Answer {
    let hosts = agent::allow_list(&hosts.allow_net)?;
    change(&shared, Change::Hosts(hosts)).await
}

/// A model to try.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TriedModel {
    /// `provider:model`.
    #[schema(min_length = 1, max_length = 200)]
    model: String,
}

/// Try a model
///
/// A few small calls: does it answer, stream, call tools, keep to a schema? They cost what such calls cost.
#[utoipa::path(post, path = "/v1/settings/try", operation_id = "tryModel", tag = "settings", request_body = TriedModel,
    responses((status = 200, description = "What came of it.", body = Trial), Trying))]
pub(super) async fn try_out(State(shared): State<Shared>, Said(tried): Said<TriedModel>) -> Answer {
    check_model(&tried.model)?;
    let _place = place(&shared)?;
    let house = Arc::clone(&shared.app.house);
    let trial = blocking(move || Ok(house.try_out(&tried.model)?)).await?;
    Ok(Json(trial).into_response())
}

/// What this is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct About {
    version: &'static str,
}

/// What this is
#[utoipa::path(get, path = "/v1/about", operation_id = "about", tag = "server",
    responses((status = 200, description = "Its version.", body = About)))]
pub(super) async fn about() -> Json<About> {
    Json(About { version: env!("CARGO_PKG_VERSION") })
}

/// Try what a task needs on this machine
///
/// As `thenar doctor` does; it takes some seconds.
#[utoipa::path(post, path = "/v1/doctor", operation_id = "doctor", tag = "server",
    responses((status = 200, description = "What was found.", body = Findings), Trying))]
pub(super) async fn doctor(State(shared): State<Shared>) -> Answer {
    let _place = place(&shared)?;
    let house = Arc::clone(&shared.app.house);
    let findings = blocking(move || Ok(house.findings()?)).await?;
    Ok(Json(findings).into_response())
}

/// One thing is tried at a time: it takes a machine's attention, or money.
fn place(shared: &Shared) -> Answer<tokio::sync::OwnedSemaphorePermit> {
    let busy = |_| {
        Problem::new(Kind::Busy, "something is being tried already", "ask again when that is done")
            .because(Because::TrialUnderWay)
    };
    Arc::clone(&shared.trials).try_acquire_owned().map_err(busy)
}
