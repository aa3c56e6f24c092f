//! The terminals of a task's computer for those who watch them, and for a person who has taken one over. Whether somebody
//! may type is for the caller to ask the record; nothing here writes one. All of it blocks.

use std::time::Duration;

use event::TaskId;
use sandbox::{Computer, Depict, Look, Size, Terminal, Until};

use crate::{Error, Instance};

impl Instance {
    /// The open terminals of a task; none where its computer is not there.
    pub fn terminals(&self, id: &TaskId) -> Result<Vec<Terminal>, Error> {
        let Some(computer) = self.living_computer(id)? else { return Ok(Vec::new()) };
        match computer.terminals() {
            Err(sandbox::Error::Gone { .. }) => Ok(Vec::new()),
            terminals => Ok(terminals?),
        }
    }

    /// All terminals that the task's computers ever had: name and call, the oldest first.
    pub fn recorded_terminals(&self, id: &TaskId) -> Result<Vec<(String, String)>, Error> {
        Ok(sandbox::recorded_terminals(&self.folder(id)?.computer())?)
    }

    /// A look at the terminal that is this call; nothing if it is over.
    pub fn look_at_terminal(
        &self,
        id: &TaskId,
        call: &str,
        until: Until,
        depict: Depict,
        timeout: Duration,
    ) -> Result<Option<Look>, Error> {
        let Some(computer) = self.living_computer(id)? else { return Ok(None) };
        match computer.look(call, until, depict, timeout) {
            Err(sandbox::Error::Gone { .. }) => Ok(None),
            look => Ok(look?),
        }
    }

    /// What the terminal has put out from `offset` on, as far as it is kept.
    pub fn terminal_output(&self, id: &TaskId, call: &str, offset: u64, max: usize) -> Result<Vec<u8>, Error> {
        Ok(sandbox::read_output(&self.folder(id)?.computer(), call, offset, max)?)
    }

    /// How much of it there is.
    pub fn terminal_output_bytes(&self, id: &TaskId, call: &str) -> Result<u64, Error> {
        Ok(sandbox::output_bytes(&self.folder(id)?.computer(), call)?)
    }

    /// Types into a terminal, once per `write_id`.
    pub fn type_into_terminal(&self, id: &TaskId, call: &str, write_id: &str, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.computer_there(id)?.write_input(write_id, call, bytes)?)
    }

    /// Gives a terminal another size.
    pub fn resize_terminal(&self, id: &TaskId, call: &str, size: Size) -> Result<(), Error> {
        Ok(self.computer_there(id)?.resize_terminal(call, size)?)
    }

    fn living_computer(&self, id: &TaskId) -> Result<Option<Computer>, Error> {
        Ok(Computer::attach(&self.folder(id)?.computer())?)
    }

    fn computer_there(&self, id: &TaskId) -> Result<Computer, Error> {
        let dir = self.folder(id)?.computer();
        Ok(Computer::attach(&dir)?.ok_or(sandbox::Error::Gone { dir })?)
    }
}
