//! Hands telemetry to a collector over HTTP, because only this crate opens connections to the outside. It knows nothing
//! of what it carries, and never tries twice.

use std::time::Duration;

use crate::Failure;

/// How long a collector may take over one batch.
const PATIENCE: Duration = Duration::from_secs(3);

/// A collector's address, with the headers it wants.
#[derive(Debug)]
pub struct Collector {
    http: reqwest::Client,
    url: String,
    headers: reqwest::header::HeaderMap,
}

impl Collector {
    /// A collector at this address; nothing is sent yet. Headers that cannot be sent are refused.
    pub fn new(url: &str, headers: &[(String, String)]) -> Result<Self, Failure> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("thenar/", env!("CARGO_PKG_VERSION")));
        let builder = if url.starts_with("http://") { builder.tls_certs_only([]) } else { builder };
        let wrong = |what: String| Failure::rejected(format!("the collector's address or headers: {what}"));
        let mut map = reqwest::header::HeaderMap::new();
        for (name, value) in headers {
            let name: reqwest::header::HeaderName = name.parse().map_err(|error| wrong(format!("{error}")))?;
            // The value may be a key: it is in no message, and marked so for whoever prints the map.
            let mut value: reqwest::header::HeaderValue =
                value.parse().map_err(|_| wrong(format!("the value of {name} cannot be sent")))?;
            value.set_sensitive(true);
            map.insert(name, value);
        }
        let http = builder.build().map_err(|error| wrong(error.to_string()))?;
        Ok(Self { http, url: url.to_owned(), headers: map })
    }

    /// Sends one batch of JSON; whether the collector took it.
    pub async fn send(&self, json: Vec<u8>) -> bool {
        let request = self.http.post(&self.url).headers(self.headers.clone());
        let request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(json);
        request.send().await.is_ok_and(|response| response.status().is_success())
    }
}
