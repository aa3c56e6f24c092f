//! The web app: files that `make web` built, carried in the program. They hold no data, so whoever asks may have them; what
//! they show they ask `/v1` for, as any other caller does. Built without Node there are none, and a plain page stands in.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse as _, Response};

use super::page;
use super::problem::{Answer, Kind, Problem};

#[derive(rust_embed::Embed)]
#[folder = "../../web/dist"]
struct Files;

/// Its own files and nothing else: no inline script or style, no other site, no frame around it. Workers may also be made by a
/// script that runs already: spreadsheets are unpacked so.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' blob:; \
    connect-src 'self'; worker-src 'self' blob:; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// File names carry a digest of what is in them.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Whether the request is for the app itself, which tells nothing of any task.
pub(super) fn is_for_everyone(request: &Request) -> bool {
    let path = request.uri().path();
    let screen = ["/tasks/", "/settings", "/shared/"].iter().any(|start| path.starts_with(start));
    matches!(*request.method(), Method::GET | Method::HEAD)
        && (path == "/" || path == "/icon.svg" || path.starts_with("/assets/") || screen)
}

/// Every screen is the same page; the address says which.
pub(super) async fn screen(headers: HeaderMap) -> Answer {
    match send("index.html", &headers, "no-cache") {
        Some(mut response) => {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
            Ok(response)
        }
        None => page::page().await,
    }
}

/// One of its files.
pub(super) async fn file(request: Request) -> Answer {
    let path = request.uri().path().trim_start_matches('/');
    let kept = if path.starts_with("assets/") { FOR_EVER } else { "no-cache" };
    let missing = || Problem::new(Kind::NoSuchFile, "there is no such file in the app", "load the page again");
    send(path, request.headers(), kept).ok_or_else(missing)
}

fn send(path: &str, headers: &HeaderMap, kept: &'static str) -> Option<Response> {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let packed = accepted.contains("gzip").then(|| Files::get(&format!("{path}.gz"))).flatten();
    let is_packed = packed.is_some();
    let file = packed.or_else(|| Files::get(path))?;
    let mut response = file.data.into_owned().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if is_packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Some(response)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}
