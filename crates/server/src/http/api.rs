//! The routes, and the OpenAPI document that is made from them. What a route does is in its own file.

use std::collections::btree_map::Entry;
use std::sync::OnceLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, PathItem, Paths, Ref, RefOr};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::{self, Kind};
use super::{
    Shared, archive, browser, demo, events, files, framed, guard, guests, hand, hosts, kept, pictures, record, say,
    secrets, settings, shares, status, takeover, tasks, terminals,
};

/// What every route may answer.
const EVERYWHERE: [Kind; 4] = [Kind::ForeignOrigin, Kind::WrongHost, Kind::Internal, Kind::Busy];

/// What every route may answer that wants the token.
const WITH_TOKEN: [Kind; 2] = [Kind::Unauthorized, Kind::TooManyRequests];

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Thenar",
        description = "Tasks of an agent that its operator owns: create them, watch them, step in, fetch what they made. \
            `docs/api.md` is the guide.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "The server that this document came from.")),
    components(schemas(problem::Told)),
    security(("token" = []), ("cookie" = [])),
    tags(
        (name = "tasks", description = "Tasks, from the sentence to the end."),
        (name = "events", description = "What happens to a task, as it happens and afterwards."),
        (name = "control", description = "What can be said to a task."),
        (name = "terminals", description = "The terminals of its computer."),
        (name = "browser", description = "The browser of its computer, watched and in the person's hands."),
        (name = "files", description = "Its workspace, and what it handed over."),
        (name = "shares", description = "Links to a task for people without the token."),
        (name = "settings", description = "The models, and what a new task begins with."),
        (name = "server", description = "The server itself."),
    ),
)]
struct Document;

/// All routes with their descriptions.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(tasks::list, tasks::create))
        .routes(routes!(demo::begin))
        .routes(routes!(tasks::show, tasks::delete))
        .routes(routes!(events::listen))
        .routes(routes!(say::message))
        .routes(routes!(say::asked, say::confirm))
        .routes(routes!(say::stop))
        .routes(routes!(say::resume))
        .routes(routes!(hosts::show, hosts::change))
        .routes(routes!(kept::list))
        .routes(routes!(kept::restore))
        .routes(routes!(kept::fork))
        .routes(routes!(takeover::take))
        .routes(routes!(takeover::hand_back))
        .routes(routes!(takeover::whose))
        .routes(routes!(terminals::list))
        .routes(routes!(terminals::watch))
        .routes(routes!(terminals::keys))
        .routes(routes!(terminals::size))
        .routes(routes!(browser::watch))
        .routes(routes!(browser::input))
        .routes(routes!(browser::selection))
        .routes(routes!(hand::go))
        .routes(routes!(hand::give))
        .routes(routes!(hand::upload))
        .routes(routes!(pictures::picture))
        .routes(routes!(files::list))
        .routes(routes!(files::file))
        .routes(routes!(files::deliverables))
        .routes(routes!(files::deliverable))
        .routes(routes!(archive::all))
        .routes(routes!(framed::deliverable))
        .routes(routes!(record::bundle))
        .routes(routes!(shares::create, shares::list))
        .routes(routes!(shares::revoke))
        .routes(routes!(guests::show))
        .routes(routes!(guests::events))
        .routes(routes!(guests::deliverable))
        .routes(routes!(guests::delivered_page))
        .routes(routes!(guests::picture))
        .routes(routes!(guests::archive))
        .routes(routes!(status::models))
        .routes(routes!(status::budgets))
        .routes(routes!(settings::show))
        .routes(routes!(settings::put_model, settings::delete_model))
        .routes(routes!(settings::choose))
        .routes(routes!(settings::limits))
        .routes(routes!(settings::hosts))
        .routes(routes!(secrets::list))
        .routes(routes!(secrets::put, secrets::remove))
        .routes(routes!(settings::try_out))
        .routes(routes!(settings::about))
        .routes(routes!(settings::doctor))
        .routes(routes!(status::health))
        .routes(routes!(status::ready))
        .routes(routes!(status::metrics))
        .routes(routes!(problem::kinds))
        .routes(routes!(document))
}

/// This API as an OpenAPI document, as JSON. `docs/openapi.json` is this text.
pub fn openapi() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut document = routes().into_openapi();
        complete(&mut document);
        let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
        text.push('\n');
        text
    })
}

/// This document
#[utoipa::path(get, path = "/v1/openapi.json", operation_id = "getOpenApi", tag = "server",
    responses((status = 200, description = "The OpenAPI document.", body = Object)))]
async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi())
}

/// Adds what holds for all routes, so that no route has to say it.
fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The text in the file `access-token` of the data folder."))
        .build();
    let cookie = ApiKeyValue::with_description(
        guard::COOKIE,
        "What a browser has after its first visit. A request that changes something must name its `Origin` beside it.",
    );
    components.add_security_scheme("token", SecurityScheme::Http(token));
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let Paths { paths, .. } = &mut document.paths;
    // A path with slashes in it is one parameter like any other; only the router must know.
    *paths = std::mem::take(paths).into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    for operation in paths.values_mut().flat_map(operations) {
        let open = operation.security.is_some();
        for kind in EVERYWHERE.into_iter().chain(WITH_TOKEN.into_iter().filter(|_| !open)) {
            let (name, status, text) = kind.documented();
            match operation.responses.responses.entry(status) {
                Entry::Vacant(vacant) => drop(vacant.insert(Ref::from_response_name(name).into())),
                Entry::Occupied(mut known) => {
                    if let RefOr::T(known) = known.get_mut() {
                        known.description = format!("{} {text}", known.description);
                    }
                }
            }
            components.responses.entry(name.to_owned()).or_insert_with(|| problem::response(text).into());
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
}
