//! The one page: a list of tasks, one task's events, a form. It holds no data; it asks `/v1` as any other caller does.

use axum::http::header;
use axum::response::IntoResponse as _;

use super::problem::{Answer, Problem};

const PAGE: &str = include_str!("page.html");

const NONCE_BYTES: usize = 16;

/// The page, with leave for its own script and style only.
pub(super) async fn page() -> Answer {
    let mut bytes = [0; NONCE_BYTES];
    getrandom::fill(&mut bytes).map_err(Problem::internal)?;
    let nonce: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    );
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (header::CONTENT_SECURITY_POLICY, policy)];
    Ok((headers, PAGE.replace("NONCE", &nonce)).into_response())
}
