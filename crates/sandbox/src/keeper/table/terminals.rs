//! What can be asked of the terminals among the calls.

use super::Table;
use crate::request::{Exit, Status};
use crate::terminal::{Depict, Size, TERMINALS_MAX, Terminal, Until};
use crate::wire::Answer;

impl Table {
    /// The open terminals.
    pub(in crate::keeper) fn terminals(&self) -> Vec<Terminal> {
        let open = self.calls.iter().filter(|(_, call)| call.result.is_none());
        let mut open: Vec<Terminal> =
            open.filter_map(|(id, call)| Some(call.screen.as_ref()?.terminal(id, call.output_bytes()))).collect();
        open.sort_by(|one, other| one.name.cmp(&other.name));
        open
    }

    /// Why no terminal of this name can be opened, if none can.
    pub(super) fn no_terminal(&self, name: &str) -> Option<String> {
        let open = self.calls.values().filter(|call| call.result.is_none()).filter_map(|call| call.screen.as_ref());
        let names: Vec<&str> = open.map(|screen| screen.name()).collect();
        if names.contains(&name) {
            return Some(format!("there is a terminal {name} already"));
        }
        (names.len() >= TERMINALS_MAX).then(|| format!("{TERMINALS_MAX} terminals are open already: end one of them"))
    }

    /// What a look shows, if it is time for it.
    pub(in crate::keeper) fn look_at(&mut self, id: &str, until: &Until, depict: Depict, late: bool) -> Option<Answer> {
        let status = match self.status(id) {
            Ok(status) => status,
            Err(reason) => return Some(Answer::Refused { reason }),
        };
        let running = matches!(status, Status::Running { .. });
        let Some(call) = self.calls.get_mut(id).filter(|_| running) else { return Some(Answer::Status(status)) };
        let kept_bytes = call.output_bytes();
        let Some(screen) = &mut call.screen else {
            return Some(Answer::Refused { reason: format!("the call {id} has no screen") });
        };
        if !late && !screen.is(until) {
            return None;
        }
        if let Some(command) = screen.command().filter(|_| !call.settled) {
            let exit = command.ended.and_then(|(_, exit)| exit).map_or(Exit::Code(0), Exit::Code);
            command.limits = self.warden.met(call.standing, exit);
            if command.ended.is_some() {
                call.settled = true;
                self.told = self.warden.standing();
            }
        }
        Some(Answer::Look(Box::new(screen.look(id, kept_bytes, depict))))
    }

    /// Gives a terminal another size.
    pub(in crate::keeper) fn resize(&mut self, id: &str, size: Size) -> Result<(), String> {
        if !size.fits() {
            return Err("a terminal cannot have this size".to_owned());
        }
        let call = self.calls.get_mut(id).filter(|call| call.result.is_none());
        let call = call.ok_or_else(|| format!("the call {id} is not running"))?;
        match (&mut call.screen, &call.terminal) {
            (Some(screen), Some(terminal)) => {
                screen.resize(terminal, size).map_err(|error| format!("give the terminal another size: {error}"))
            }
            (Some(_), None) => Err("the terminal is not open yet".to_owned()),
            (None, _) => Err(format!("the call {id} has no screen")),
        }
    }
}
