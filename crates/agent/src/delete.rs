//! Taking a task away for good: its record, its workspace and its files there. What was delivered elsewhere stays.

use event::TaskId;

use crate::home::Home;
use crate::record::held;
use crate::{Error, Instance};

/// How the folders of tasks begin that are being removed.
pub(crate) const GONE: &str = ".gone-";

impl Instance {
    /// The data folder.
    pub fn home(&self) -> &Home {
        &self.setup.home
    }

    /// Removes a task that nobody has in hand. A crash in between leaves a folder that no list shows.
    pub fn delete(&self, id: &TaskId) -> Result<(), Error> {
        let folder = self.folder(id)?;
        let io = |doing| {
            let path = folder.root().to_owned();
            move |source| Error::Io { doing, path, source }
        };
        // Whoever holds the journal has the task in hand; as long as it is ours nobody takes it up.
        let lock = journal::Writer::open_replaying(folder.root(), |_| {}).map_err(|error| held(id, error))?;
        if let Ok(Some(computer)) = sandbox::Computer::attach(&folder.computer()) {
            let _ = computer.shutdown();
        }
        let gone = self.setup.home.tasks().join(format!("{GONE}{id}"));
        std::fs::rename(folder.root(), &gone).map_err(io("remove the task in"))?;
        drop(lock);
        sandbox::remove_tree(&gone).map_err(io("remove the task in"))
    }
}
