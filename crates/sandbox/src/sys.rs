//! The system calls that no safe library offers, each as a small safe function. The only file of the house with `unsafe` in it; it decides nothing.
#![expect(unsafe_code, reason = "namespaces, fork and seccomp have no safe interface")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_long, c_uint};
use rustix::process::Pid;

/// The namespaces of a computer from its first moment. One more is parted from once it is in its control groups.
pub(crate) const NAMESPACES: c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

/// Which process a fork came back in.
pub(crate) enum Forked {
    Parent(Pid),
    Child,
}

fn check(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Forks. Only for our own processes, which have one thread, or beside it one that waits for the disk.
pub(crate) fn fork() -> io::Result<Forked> {
    // SAFETY: no lock can be held by a thread that the child lacks but that of the allocator, of which the C library takes care.
    let pid = check(c_long::from(unsafe { libc::fork() }))?;
    Ok(Pid::from_raw(i32::try_from(pid).unwrap_or(0)).map_or(Forked::Child, Forked::Parent))
}

#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

impl CloneArgs {
    fn new(flags: c_int, group: Option<BorrowedFd<'_>>) -> Self {
        /// Not in every libc.
        const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
        let flags = u64::from(flags.cast_unsigned());
        Self {
            flags: group.map_or(flags, |_| flags | CLONE_INTO_CGROUP),
            cgroup: group.map_or(0, |group| u64::from(group.as_raw_fd().cast_unsigned())),
            ..Self::default()
        }
    }
}

/// Forks into new namespaces, and into a control group if one is given; the parent also gets a descriptor of the child that
/// becomes readable when it dies.
pub(crate) fn clone_into(namespaces: c_int, group: Option<BorrowedFd<'_>>) -> io::Result<(Forked, Option<OwnedFd>)> {
    let mut pidfd: RawFd = -1;
    let args = CloneArgs {
        pidfd: std::ptr::from_mut(&mut pidfd) as u64,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        ..CloneArgs::new(namespaces | libc::CLONE_PIDFD, group)
    };
    // SAFETY: without CLONE_VM this is a fork: the child gets a copy of everything, its stack included. One thread, as above.
    // `args` and `pidfd` outlive the call.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) })?;
    match Pid::from_raw(i32::try_from(pid).unwrap_or(0)) {
        None => Ok((Forked::Child, None)),
        // SAFETY: the kernel has just opened this descriptor for us and nobody else knows of it.
        Some(pid) => Ok((Forked::Parent(pid), Some(unsafe { OwnedFd::from_raw_fd(pidfd) }))),
    }
}

/// Forks into new namespaces, and into a control group if one is given, a child of this process's parent.
pub(crate) fn clone_for_parent(namespaces: c_int, group: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    // The signal of its end is the one of this process's own: the kernel wants none here.
    let args = CloneArgs::new(namespaces | libc::CLONE_PARENT, group);
    // SAFETY: without CLONE_VM this is a fork, as in `clone_into`; one thread, and `args` outlives the call.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) })?;
    Ok(Pid::from_raw(i32::try_from(pid).unwrap_or(0)).map_or(Forked::Child, Forked::Parent))
}

/// Replaces this process by the program behind a descriptor, with one argument and no environment. Comes back only on failure.
pub(crate) fn exec_fd(program: BorrowedFd<'_>, name: &CStr) -> io::Error {
    exec_fd_with(program, &[name])
}

/// The same with all arguments.
pub(crate) fn exec_fd_with(program: BorrowedFd<'_>, argv: &[&CStr]) -> io::Error {
    let argv: Vec<_> = argv.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
    let envp: [*const libc::c_char; 1] = [std::ptr::null()];
    // SAFETY: both arrays end with a null pointer and live until the call is over; the path is the empty string.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

/// Replaces this process by a program found in `PATH` of `env`. Comes back only on failure.
pub(crate) fn exec_path(program: &CStr, argv: &[&CStr], env: &[&CStr]) -> io::Error {
    let argv: Vec<_> = argv.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
    let env: Vec<_> = env.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
    // SAFETY: both arrays end with a null pointer and live until the call is over.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Ends this process at once, without running anything that its parent registered.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process; nothing can be broken after it.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor from `first` on.
pub(crate) fn close_from(first: c_uint) -> io::Result<()> {
    // SAFETY: called at the start of a process of ours, before it owns any descriptor above the standard ones.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, c_uint::MAX, 0) }).map(drop)
}

/// Closes a descriptor by its number.
pub(crate) fn close_number(number: RawFd) {
    // SAFETY: only right before this process becomes another program, for one whose owner is never used or dropped in it.
    unsafe { libc::close(number) };
}

/// Which Landlock this kernel has, counted from 1.
pub(crate) fn landlock_abi() -> io::Result<u32> {
    const VERSION: c_uint = 1;
    // SAFETY: with this flag the kernel reads no attributes and only answers with a number.
    let abi =
        check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) })?;
    Ok(u32::try_from(abi).unwrap_or(0))
}

/// Whether the kernel's clock is being kept right by somebody; it is only asked.
pub(crate) fn clock_is_synchronised() -> io::Result<bool> {
    let mut asked = std::mem::MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: all zeroes is a valid question that changes nothing, and the kernel fills in a struct of this very type.
    let state = unsafe { libc::adjtimex(asked.as_mut_ptr()) };
    check(c_long::from(state))?;
    // SAFETY: filled in above.
    let told = unsafe { asked.assume_init() };
    Ok(state != libc::TIME_ERROR && told.status & libc::STA_UNSYNC == 0)
}

/// Attributes for [`mount_attributes`].
pub(crate) mod mount_attr {
    pub(crate) const READ_ONLY: u64 = 0x1;
    pub(crate) const NOSUID: u64 = 0x2;
    pub(crate) const NODEV: u64 = 0x4;
    pub(crate) const NOEXEC: u64 = 0x8;
    pub(crate) const IDMAP: u64 = 0x0010_0000;
}

/// Sets attributes on a detached mount and all below it; `users` maps its owners through that user namespace.
pub(crate) fn mount_attributes(mount: BorrowedFd<'_>, set: u64, users: Option<BorrowedFd<'_>>) -> io::Result<()> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        userns_fd: u64,
    }
    let users_fd = users.map_or(0, |fd| u64::from(fd.as_raw_fd().cast_unsigned()));
    let set = if users.is_some() { set | mount_attr::IDMAP } else { set };
    let attr = MountAttr { set, clear: 0, propagation: libc::MS_PRIVATE, userns_fd: users_fd };
    // SAFETY: the path is the empty string and `attr` is the structure of the size given.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// Leaves all supplementary groups.
pub(crate) fn leave_groups() -> io::Result<()> {
    // SAFETY: an empty list needs no pointer.
    check(c_long::from(unsafe { libc::setgroups(0, std::ptr::null()) })).map(drop)
}

/// Takes a terminal as the controlling one of this session.
pub(crate) fn take_terminal(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: this request takes an integer.
    check(c_long::from(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) })).map(drop)
}

/// Switches the loopback interface of this network namespace on.
pub(crate) fn loopback_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: all fields of this plain structure may be zero.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(0);
    // SAFETY: this request reads the structure it expects.
    check(c_long::from(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })).map(drop)
}

/// Installs a seccomp filter of kernel instructions, eight bytes each.
pub(crate) fn install_filter(instructions: &[u8]) -> io::Result<()> {
    let filter: Vec<libc::sock_filter> = instructions
        .chunks_exact(8)
        .map(|bytes| libc::sock_filter {
            code: u16::from_ne_bytes([bytes[0], bytes[1]]),
            jt: bytes[2],
            jf: bytes[3],
            k: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        })
        .collect();
    let len = u16::try_from(filter.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    // SAFETY: `program` points to `len` instructions that live until the call is over; the kernel checks and copies them.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) }).map(drop)
}

/// Blocks SIGCHLD and gives a descriptor that becomes readable when a child ends.
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by sigemptyset before it is used; signalfd gives a fresh descriptor.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        check(c_long::from(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())))?;
        let fd = check(c_long::from(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)))?;
        Ok(OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)))
    }
}

/// Gives every signal its default action and blocks none, as a fresh program expects.
pub(crate) fn default_signals() {
    // SAFETY: SIG_DFL is a valid action for every signal; refusals (for SIGKILL and the like) do no harm.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// Ignores one signal.
pub(crate) fn ignore_signal(signal: c_int) {
    // SAFETY: SIG_IGN is a valid action.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Says whether others of the same user may look into this process.
pub(crate) fn dumpable(yes: bool) -> io::Result<()> {
    // SAFETY: takes integers only.
    check(c_long::from(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(yes), 0, 0, 0) })).map(drop)
}

/// Leaves the control groups' namespace of the host: what this process is in now looks like the whole tree.
pub(crate) fn part_from_groups() -> io::Result<()> {
    // SAFETY: takes an integer only and changes nothing but what is seen of control groups.
    check(c_long::from(unsafe { libc::unshare(libc::CLONE_NEWCGROUP) })).map(drop)
}

/// Leaves the mounts' namespace of the host. Only root can by itself.
pub(crate) fn part_from_mounts() -> io::Result<()> {
    // SAFETY: takes an integer only and changes nothing but which mounts this process, which has one thread, sees from now on.
    check(c_long::from(unsafe { libc::unshare(libc::CLONE_NEWNS) })).map(drop)
}

/// The namespace of users that another namespace belongs to.
pub(crate) fn users_of(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    const NS_GET_USERNS: c_uint = 0xb701;
    // SAFETY: this request takes no argument and answers with a descriptor that nobody else knows of.
    unsafe {
        let users = check(c_long::from(libc::ioctl(namespace.as_raw_fd(), NS_GET_USERNS.into())))?;
        Ok(OwnedFd::from_raw_fd(i32::try_from(users).unwrap_or(-1)))
    }
}

/// Takes over the orphans below this process.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    // SAFETY: takes integers only.
    check(c_long::from(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })).map(drop)
}

/// Takes a capability out of the bounding set; says whether there is one of that number.
pub(crate) fn drop_bounding(capability: u32) -> bool {
    // SAFETY: takes integers only.
    unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) == 0 }
}

/// Gives up all capabilities, ambient ones included.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let sets = [0_u32; 6];
    // SAFETY: version 3 has two structures of three words, which `sets` holds; both live until the call is over.
    unsafe {
        check(c_long::from(libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)))?;
        check(libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr())).map(drop)
    }
}

/// Takes the write lock of a file, held by this open file until it is closed; false if another holds it.
pub(crate) fn try_lock(file: BorrowedFd<'_>) -> io::Result<bool> {
    let lock = whole_file(libc::F_WRLCK);
    // SAFETY: the structure lives until the call is over.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    match check(c_long::from(result)) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether somebody holds the write lock of a file; takes none, so that asking disturbs nobody.
pub(crate) fn is_locked(file: BorrowedFd<'_>) -> io::Result<bool> {
    let mut lock = whole_file(libc::F_WRLCK);
    // SAFETY: the structure lives until the call is over and the kernel writes only within it.
    check(c_long::from(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) }))?;
    Ok(c_int::from(lock.l_type) != libc::F_UNLCK)
}

/// Whether nobody has a file open for writing, or mapped so, whatever became of the descriptor; nothing where the system does not say.
pub(crate) fn nobody_writes(file: BorrowedFd<'_>) -> Option<bool> {
    /// Not in every libc.
    const F_SETSIG: c_int = 10;
    const F_SETLEASE: c_int = 1024;
    // SAFETY: takes integers only, and sets what belongs to this descriptor alone.
    let set = |what, value: c_int| check(c_long::from(unsafe { libc::fcntl(file.as_raw_fd(), what, value) }));
    // Whoever opens it in the moment between is told of by a signal: one that ends nobody.
    set(F_SETSIG, libc::SIGURG).ok()?;
    match set(F_SETLEASE, libc::F_RDLCK) {
        Ok(_) => set(F_SETLEASE, libc::F_UNLCK).ok().map(|_| true),
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Some(false),
        Err(_) => None,
    }
}

fn whole_file(kind: c_int) -> libc::flock {
    // SAFETY: all fields of this plain structure may be zero: from the start, to the end, whoever it is.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = i16::try_from(kind).unwrap_or(0);
    lock.l_whence = i16::try_from(libc::SEEK_SET).unwrap_or(0);
    lock
}

/// Lowers the priority of this process and its children.
pub(crate) fn be_nice(increment: c_int) {
    // SAFETY: takes an integer only; a refusal does no harm.
    let _ = unsafe { libc::nice(increment) };
}

/// Gives freed memory back to the system.
pub(crate) fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes an integer only and touches nothing but free memory.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets all threads of this process share one heap. Each thread would otherwise take one of 64 MB of addresses, to be taken apart
/// at the end of the process.
pub(crate) fn one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes two integers only and changes how later memory is handed out.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Puts a copy of a descriptor at a number, kept open when this process becomes another program.
pub(crate) fn place(fd: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    if fd.as_raw_fd() == number {
        // SAFETY: clears the close-on-exec flag of a descriptor that is open.
        return check(c_long::from(unsafe { libc::fcntl(number, libc::F_SETFD, 0) })).map(drop);
    }
    // SAFETY: only right before this process becomes another program: whoever had that number will never use it again.
    check(c_long::from(unsafe { libc::dup2(fd.as_raw_fd(), number) })).map(drop)
}

/// Takes a descriptor that was handed over at a fixed number.
pub(crate) fn inherited(number: RawFd) -> OwnedFd {
    // SAFETY: only for the number that the launcher put there for us; it is taken once, at the start of PID 1.
    unsafe { OwnedFd::from_raw_fd(number) }
}
