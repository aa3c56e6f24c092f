//! Extended attributes that are kept: those of users, and access lists. What grants rights to programs (`security.*`) or is the system's own stays out, both ways.

use std::ffi::CStr;
use std::os::fd::AsFd;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

/// Bytes of names and values that are kept of one file; what comes after in their order is not.
const BYTES_MAX: usize = 64 * 1024;
/// The largest value that the kernel gives.
const VALUE_BYTES_MAX: usize = 64 * 1024;

type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

fn is_kept(name: &[u8]) -> bool {
    name.starts_with(b"user.") || is_access_list(name)
}

fn is_access_list(name: &[u8]) -> bool {
    matches!(name, b"system.posix_acl_access" | b"system.posix_acl_default")
}

/// The attributes of an open file, sorted.
pub(super) fn read(fd: impl AsFd) -> Attributes {
    let fd = fd.as_fd();
    // Most files have none: one system call says so.
    let length = match rustix::fs::flistxattr_query(fd) {
        Ok(0) | Err(_) => return Vec::new(),
        Ok(length) => length,
    };
    let mut names = vec![0; length.min(BYTES_MAX)];
    let Ok(length) = rustix::fs::flistxattr(fd, &mut names) else { return Vec::new() };
    let mut kept = Vec::new();
    let mut room = BYTES_MAX;
    let mut sorted: Vec<&[u8]> = names[..length].split_inclusive(|byte| *byte == 0).collect();
    sorted.sort_unstable();
    for name in sorted {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        if !is_kept(name.to_bytes()) {
            continue;
        }
        let mut value = vec![0; VALUE_BYTES_MAX];
        let Ok(length) = rustix::fs::fgetxattr(fd, name, &mut value) else { continue };
        value.truncate(length);
        let Some(left) = room.checked_sub(name.to_bytes().len() + length) else { break };
        room = left;
        kept.push((name.to_bytes().to_vec(), value));
    }
    kept
}

/// Makes the attributes of an open file what they were.
pub(super) fn write(fd: impl AsFd, wanted: &Attributes) -> Result<(), Errno> {
    let fd = fd.as_fd();
    let there = read(fd);
    for (name, _) in there.iter().filter(|(name, _)| wanted.iter().all(|(kept, _)| kept != name)) {
        rustix::fs::fremovexattr(fd, name.as_slice())?;
    }
    for (name, value) in wanted.iter().filter(|wanted| is_kept(&wanted.0) && !there.contains(wanted)) {
        rustix::fs::fsetxattr(fd, name.as_slice(), value, XattrFlags::empty())?;
    }
    Ok(())
}

/// Without access lists: they name users of the place they were made in.
pub(super) fn portable(attributes: &Attributes) -> Attributes {
    attributes.iter().filter(|(name, _)| !is_access_list(name)).cloned().collect()
}
