//! A process that looks at something beside the keeper, which never waits for it, and ends with this at the latest. What it looks at is the caller's.

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, WaitOptions};

use crate::sys::{self, Forked};

/// One that is at work; it tells `N` numbers.
pub(super) struct Aside<const N: usize> {
    process: Pid,
    result: PipeReader,
}

impl<const N: usize> Aside<N> {
    /// It holds nothing of the keeper's but `kept`, as its standard input.
    pub(super) fn begin(kept: Option<BorrowedFd<'_>>, work: impl FnOnce() -> io::Result<[u64; N]>) -> io::Result<Self> {
        let (result, to) = io::pipe()?;
        rustix::fs::fcntl_setfl(&result, OFlags::NONBLOCK)?;
        match sys::fork()? {
            Forked::Parent(process) => Ok(Self { process, result }),
            Forked::Child => {
                let _ = tell(kept, to.as_fd(), work);
                sys::exit_now(0)
            }
        }
    }

    /// Becomes readable when it is done.
    pub(super) fn source(&self) -> BorrowedFd<'_> {
        self.result.as_fd()
    }

    /// What it tells, once that is there; nothing inside if it died without a word.
    pub(super) fn told(&mut self) -> Option<Option<[u64; N]>> {
        let mut line = vec![0; N * 8];
        match self.result.read(&mut line) {
            Ok(read) if read == line.len() => {
                let number = |at: usize| line[at * 8..at * 8 + 8].try_into().map_or(0, u64::from_ne_bytes);
                Some(Some(std::array::from_fn(number)))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            _ => Some(None),
        }
    }
}

impl<const N: usize> Drop for Aside<N> {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(self.process, Signal::KILL);
        let _ = rustix::process::waitpid(Some(self.process), WaitOptions::empty());
    }
}

/// Such a process's whole life.
fn tell<const N: usize>(
    kept: Option<BorrowedFd<'_>>,
    to: BorrowedFd<'_>,
    work: impl FnOnce() -> io::Result<[u64; N]>,
) -> io::Result<()> {
    if let Some(kept) = kept {
        rustix::stdio::dup2_stdin(kept)?;
    }
    rustix::stdio::dup2_stdout(to)?;
    sys::close_from(3)?;
    die_with_the_keeper()?;
    let line: Vec<u8> = work()?.into_iter().flat_map(u64::to_ne_bytes).collect();
    rustix::io::write(rustix::stdio::stdout(), &line)?;
    Ok(())
}

/// Whoever changes what user it is must say so again.
pub(super) fn die_with_the_keeper() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}
