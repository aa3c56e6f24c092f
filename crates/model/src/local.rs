//! Model servers on this machine, at the ports where they usually listen. It only looks, sends no key, and goes to the
//! loopback alone; what it finds is told to a person, and used by nobody unasked: any program here may listen there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::client::Endpoint;
use crate::http::{self, Listed};
use crate::name::Provider;

/// How long a server may take to list its models at a port where one usually is, and where somebody said that one is.
const USUAL_PATIENCE: Duration = Duration::from_millis(400);
const NAMED_PATIENCE: Duration = Duration::from_secs(5);

/// Models of one server that are told.
const MODELS_MAX: usize = 50;

/// Places that are looked at.
const PLACES_MAX: usize = 16;

/// A place where a server may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Which server usually listens there.
    pub program: String,
    address: SocketAddr,
    patience: Duration,
}

impl Local {
    /// The ports that servers take where nobody tells them another.
    pub fn usual() -> Vec<Self> {
        let places = [("Ollama", 11434), ("llama.cpp", 8080), ("vLLM", 8000), ("LM Studio", 1234)];
        let local = |(program, port): (&str, u16)| Self {
            program: program.to_owned(),
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
            patience: USUAL_PATIENCE,
        };
        places.map(local).into()
    }

    /// A place by its address; none outside of the loopback.
    pub fn at(address: SocketAddr) -> Option<Self> {
        address.ip().is_loopback().then(|| Self { program: "a server".to_owned(), address, patience: NAMED_PATIENCE })
    }

    /// What goes into `OPENAI_BASE_URL`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}

/// A server that answered, and its models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalServer {
    pub place: Local,
    pub models: Vec<Listed>,
}

/// The servers that answer with a list of models, in the order of the places. All are asked at once.
pub async fn found(places: &[Local]) -> Vec<LocalServer> {
    let asked: Vec<_> = places.iter().take(PLACES_MAX).map(|place| tokio::spawn(look(place.clone()))).collect();
    let mut servers = Vec::new();
    for server in asked {
        servers.extend(server.await.ok().flatten());
    }
    servers
}

async fn look(place: Local) -> Option<LocalServer> {
    let endpoint = Endpoint { base_url: place.base_url(), key: None };
    let connections = http::connections(&endpoint.base_url).ok()?;
    let listed = http::models(&connections, &endpoint, Provider::OpenAi, place.patience);
    // A server that drips a byte at a time is given up like one that is silent.
    let mut models = tokio::time::timeout(place.patience, listed).await.ok()?.ok()?;
    models.retain(|model| !model.name.is_empty());
    models.truncate(MODELS_MAX);
    (!models.is_empty()).then_some(LocalServer { place, models })
}
