//! The models of a server: opened by name, as a command would. Keys and addresses are read anew each time, so that a
//! changed configuration holds from the next task on; nothing is kept here but open clients.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use agent::{Models, Offered, Opened, Unavailable};

use crate::choice;
use crate::config::{self, Config};
use crate::exit::Problem;

/// Open clients, each with its pool of connections, by the model's name.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    open: Mutex<HashMap<String, (Config, Opened)>>,
}

impl Models for Shelf {
    fn open(&self, name: Option<&str>) -> Result<Opened, Unavailable> {
        let config = config::read().map_err(unavailable)?;
        let name = choice::name(name, &config).map_err(unavailable)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, opened)) = open.get(&name)
            && *then == config
        {
            return Ok(opened.clone());
        }
        let chosen = choice::client(&name, &config).map_err(unavailable)?;
        let client = Arc::new(chosen.client);
        let opened = Opened { name: chosen.name, scripted: chosen.scripted, priced: chosen.priced, client };
        open.insert(name, (config, opened.clone()));
        Ok(opened)
    }

    fn offered(&self) -> Result<Vec<Offered>, Unavailable> {
        let config = config::read().map_err(unavailable)?;
        let mut offered: Vec<Offered> =
            config.models.keys().map(|name| Offered { name: name.clone(), note: "configured".to_owned() }).collect();
        if let Ok(name) = choice::name(None, &config)
            && offered.iter().all(|known| known.name != name)
        {
            offered.insert(0, Offered { name, note: "used where none is named".to_owned() });
        }
        for server in choice::local_servers().map_err(unavailable)? {
            let note = format!("found on this machine: {} at {}", server.place.program, server.place.base_url());
            let new = server.models.into_iter().map(|model| format!("openai:{}", model.name));
            for name in new.filter(|name| offered.iter().all(|known| known.name != *name)).collect::<Vec<_>>() {
                offered.push(Offered { name, note: note.clone() });
            }
        }
        let note = "a script, no model: the demo".to_owned();
        offered.push(Offered { name: format!("script:{}", choice::DEMO), note });
        Ok(offered)
    }
}

fn unavailable(problem: Problem) -> Unavailable {
    Unavailable { reason: problem.message, hint: problem.hints.join("; ") }
}
