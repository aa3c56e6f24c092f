//! The kernel's second lock on files, tried for real: under the rules that a computer gets, one write that has to work and one
//! that has to be refused. It locks a thread that ends, never the process.

use std::fs;
use std::io;
use std::path::Path;

use super::{Capability, Seen};
use crate::launch::lock_files_but;
use crate::sys;

/// From this one on signals and hidden sockets are kept in, too.
const ABI_WHOLE: u32 = 6;

/// Tries Landlock below `scratch`, an existing folder that may be used freely.
pub fn landlock(scratch: &Path) -> Capability {
    let finding = |seen: Seen, finding: String, fix: String| {
        let works = matches!(seen, Seen::LandlockWhole { .. } | Seen::LandlockPartial { .. });
        Capability { name: "Landlock", works, needed: false, finding, seen, fix }
    };
    let abi = match sys::landlock_abi() {
        Ok(abi) => abi,
        Err(error) => {
            let (seen, why) = why_none(&error);
            return finding(seen, format!("{why}: {error}"), fix_none(&error));
        }
    };
    let tried = std::thread::scope(|scope| scope.spawn(|| attempt(scratch)).join());
    match tried {
        Ok(Ok(())) if abi >= ABI_WHOLE => {
            let text = format!("ABI {abi}: a write outside was refused, one inside was not");
            finding(Seen::LandlockWhole { abi }, text, String::new())
        }
        Ok(Ok(())) => {
            let text = format!(
                "ABI {abi}: a write outside was refused; signals and hidden sockets are not covered before Linux 6.12"
            );
            finding(Seen::LandlockPartial { abi }, text, String::new())
        }
        Ok(Err(wrong)) => {
            let text = format!("ABI {abi}, but {wrong}");
            finding(Seen::LandlockWrong { abi, error: wrong }, text, String::new())
        }
        Err(_) => {
            let wrong = "the trial broke down".to_owned();
            let text = format!("ABI {abi}, but {wrong}");
            finding(Seen::LandlockWrong { abi, error: wrong }, text, String::new())
        }
    }
}

/// In a thread of its own: what it gives up it never gets back.
fn attempt(scratch: &Path) -> Result<(), String> {
    let (open, closed) = (scratch.join("open"), scratch.join("closed"));
    let prepared = fs::create_dir_all(&open).and_then(|()| fs::create_dir_all(&closed));
    prepared.map_err(|error| format!("its folders could not be made: {error}"))?;
    rustix::thread::set_no_new_privs(true).map_err(|error| format!("rights cannot be given up: {error}"))?;
    let taken = lock_files_but(&[&open]).map_err(|error| format!("the rules were not taken: {error}"))?;
    if !taken {
        return Err("the kernel did not take the rules".to_owned());
    }
    fs::write(open.join("file"), b"x").map_err(|error| format!("a write inside was refused: {error}"))?;
    match fs::write(closed.join("file"), b"x") {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(format!("a write outside failed otherwise: {error}")),
        Ok(()) => Err("a write outside was let".to_owned()),
    }
}

fn why_none(error: &io::Error) -> (Seen, &'static str) {
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => {
            (Seen::LandlockOff, "this kernel has it, switched off; namespaces and mounts still hold")
        }
        _ => (Seen::LandlockNone, "this kernel has none; namespaces and mounts still hold"),
    }
}

fn fix_none(error: &io::Error) -> String {
    let listed = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    let others = listed.trim().split(',').filter(|name| !name.is_empty() && *name != "landlock");
    let list = std::iter::once("landlock").chain(others).collect::<Vec<_>>().join(",");
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => format!(
            "echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX lsm={list}\"' | sudo tee /etc/default/grub.d/60-thenar.cfg && sudo update-grub && sudo reboot"
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_really_seen_and_this_process_stays_free() {
        let scratch = tempfile::tempdir().unwrap();
        if sys::landlock_abi().is_err() {
            return;
        }
        let seen = landlock(scratch.path());
        assert!(seen.works && seen.finding.contains("was refused"), "{seen:?}");
        assert!(scratch.path().join("open/file").exists() && !scratch.path().join("closed/file").exists());
        fs::write(scratch.path().join("closed/file"), b"x").unwrap();
    }

    #[test]
    fn a_switch_has_a_command_and_an_old_kernel_has_none() {
        let fix = fix_none(&io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        assert!(fix.contains("lsm=landlock") && fix.ends_with("sudo update-grub && sudo reboot"), "{fix}");
        assert!(fix_none(&io::Error::from_raw_os_error(libc::ENOSYS)).is_empty());
    }
}
