//! Where the keeper's program is. It downloads and builds nothing.

use std::path::PathBuf;

use crate::{Error, Result};

/// The program's file name.
const KEEPER: &str = "thenar-keeper";

/// Finds `thenar-keeper`: in the variable `THENAR_KEEPER`, beside the running program, or one folder above it (where a
/// program under test lives).
///
/// # Errors
/// [`Error::KeeperMissing`] with the place where it was expected.
pub fn find_keeper() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("THENAR_KEEPER").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() { Ok(path) } else { Err(Error::KeeperMissing { path }) };
    }
    let here = std::env::current_exe().map_err(Error::io("find the running program"))?;
    let beside = here.with_file_name(KEEPER);
    let above = here.parent().and_then(|folder| folder.parent()).map(|folder| folder.join(KEEPER));
    [Some(beside.clone()), above]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
        .ok_or(Error::KeeperMissing { path: beside })
}
