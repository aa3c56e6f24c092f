//! Makes the box of a computer's browser beside the one of its shell: namespaces of its own but for the network, which it
//! shares, and the right to make namespaces, which Chromium's own sandbox needs. No workspace, no toolset, no terminal.

use std::fs::{DirBuilder, File};
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{Gid, MemfdFlags, Mode, OFlags, Uid};
use rustix::process::{Pid, WaitOptions};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use super::inside::{self, Step, at};
use super::mounts::Plan;
use super::owner::Owner;
use super::{Failure, INSIDE_ID, SCRATCH, Shared, lockdown};
use crate::browser::{Browser, Folders};
use crate::group::{Group, In};
use crate::spec::Limits;
use crate::sys::{self, Forked};

/// Where the browser finds its commands and puts its answers, and PID 1 what to run: as Chromium has it.
pub(crate) const COMMANDS_FD: i32 = 3;
pub(crate) const ANSWERS_FD: i32 = 4;
pub(crate) const ERRORS_FD: i32 = 5;
pub(crate) const ORDER_FD: i32 = 6;
/// Processes and threads together; each site has a process of its own with a dozen threads.
const THREADS: u64 = 1_500;
/// The largest file that a page can make us keep.
const FILE_BYTES: u64 = 1024 * 1024 * 1024;
/// Room in memory for scratch files, and for pictures on their way between processes.
const SCRATCH_BYTES: u64 = 64 * 1024 * 1024;
const SHARED_BYTES: u64 = 512 * 1024 * 1024;
/// What a browser's cache may take on the disk.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// What a page is shown on, in points.
const WINDOW: &str = "1280,800";

/// A browser's box with the browser starting in it.
pub(crate) struct Started {
    /// PID 1 of the box, as the host numbers it.
    pub(crate) init: Pid,
    /// Becomes readable when it is dead.
    pub(crate) init_fd: OwnedFd,
    /// Commands to the browser.
    pub(crate) commands: OwnedFd,
    /// Answers and events from it.
    pub(crate) answers: OwnedFd,
    /// What it complains about.
    pub(crate) errors: OwnedFd,
}

/// What PID 1 of the box is to run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) argv: Vec<String>,
}

/// The inner ends of what leads to a browser.
struct Ends {
    commands: OwnedFd,
    answers: OwnedFd,
    errors: OwnedFd,
    order: OwnedFd,
}

/// Makes the box with these [`limits`] and starts the browser. The caller must have one thread only.
pub(crate) fn launch(
    which: Browser,
    dir: &Path,
    shared: &Shared,
    program: &File,
    (group, limits): (&mut Group, &Limits),
) -> Result<Started, Failure> {
    let (browser, which) =
        which.program().map_err(|reason| Failure::Launch { reason, hint: "run `make setup`".to_owned() })?;
    let folders = Folders::of(dir);
    prepare_folders(&folders, &shared.owner)
        .map_err(Failure::writing("make the browser's folders", &folders.profile))?;
    let order = order(&arguments(browser, which)).map_err(Failure::at("write the browser's order"))?;
    let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
    let pipe = |step: &str| pipe().map_err(|error| Failure::at(step)(error.into()));
    let (commands_inside, commands) = pipe("make the browser's pipes")?;
    let (answers, answers_inside) = pipe("make the browser's pipes")?;
    let (errors, errors_inside) = pipe("make the browser's pipes")?;
    let (report, report_inside) = io::pipe().map_err(Failure::at("make the report pipe"))?;
    let ends = Ends { commands: commands_inside, answers: answers_inside, errors: errors_inside, order };
    match sys::fork().map_err(Failure::at("fork"))? {
        Forked::Parent(helper) => {
            drop((ends, report_inside));
            let init = wait_for_init(report);
            let _ = rustix::process::waitpid(Some(helper), WaitOptions::empty());
            let init = init?;
            let init_fd = rustix::process::pidfd_open(init, rustix::process::PidfdFlags::empty())
                .map_err(|error| Failure::at("watch over the browser")(error.into()))?;
            Ok(Started { init, init_fd, commands, answers, errors })
        }
        Forked::Child => {
            drop((commands, answers, errors, report));
            let failed = help(&folders, (shared, group, limits), program, ends, &report_inside);
            tell_failure(&report_inside, failed);
            sys::exit_now(1)
        }
    }
}

/// First the number of PID 1, then nothing if all went well: it closes the pipe by becoming the other program.
fn wait_for_init(mut report: PipeReader) -> Result<Pid, Failure> {
    let mut told = String::new();
    report.read_to_string(&mut told).map_err(Failure::at("wait for the browser's box"))?;
    let (number, failure) = told.split_once('\n').unwrap_or(("", &told));
    if !failure.is_empty() {
        let unclear = || ("make the browser's box".to_owned(), libc::EIO);
        let (step, code) = serde_json::from_str::<(String, i32)>(failure).unwrap_or_else(|_| unclear());
        return Err(Failure::at(format!("the browser's box: {step}"))(io::Error::from_raw_os_error(code)));
    }
    let number = number.parse().ok().and_then(Pid::from_raw);
    number.ok_or_else(|| Failure::at("make the browser's box")(io::Error::from_raw_os_error(libc::EIO)))
}

fn tell_failure(mut report: &io::PipeWriter, (step, error): (String, io::Error)) {
    let told = serde_json::to_string(&(step, error.raw_os_error().unwrap_or(libc::EIO)));
    let _ = report.write_all(told.unwrap_or_default().as_bytes());
}

/// The helper's whole life: it goes to where the network is shared, makes the box there as a child of the keeper, writes
/// its maps and leaves. Comes back only with what failed.
fn help(
    folders: &Folders,
    (shared, group, limits): (&Shared, &mut Group, &Limits),
    program: &File,
    ends: Ends,
    mut report: &io::PipeWriter,
) -> (String, io::Error) {
    let helped = || -> Step<()> {
        // What it makes is in them from its birth.
        let entered = group.enter();
        let mut plan = Plan::browser(folders);
        let owner = &shared.owner;
        if owner.is_root {
            plan.detach().map_err(|(what, error)| (format!("take hold of {what}"), error))?;
        } else {
            // The network belongs to the shell's box: only from within its users' namespace may it be joined.
            move_into_link_name_space(shared.users.as_fd(), Some(LinkNameSpaceType::User))
                .map_err(at("join the computer's users"))?;
        }
        move_into_link_name_space(shared.network.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(at("join the computer's network"))?;
        let (go_inside, mut go) = io::pipe().map_err(at("make the start pipe"))?;
        let namespaces = sys::NAMESPACES & !libc::CLONE_NEWNET;
        let mut born = group.birth().is_some();
        let forked = sys::clone_for_parent(namespaces, group.birth()).or_else(|_| {
            born = false;
            sys::clone_for_parent(namespaces, None)
        });
        let forked = forked.map_err(at("make the namespaces"))?;
        let Forked::Parent(init) = forked else {
            drop(go);
            let failed = become_init((plan, limits), owner, program, &ends, go_inside);
            // A line of its own: the helper's comes before it.
            tell_failure(report, failed);
            sys::exit_now(1)
        };
        // Within the shell's users' namespace the computer's user bears the number that commands see.
        let outside = if owner.is_root { *owner } else { Owner { uid: INSIDE_ID, gid: INSIDE_ID, ..*owner } };
        outside.write_maps(init).map_err(at("map the computer's user"))?;
        group.join(init, In { born, entered });
        report.write_all(format!("{}\n", init.as_raw_nonzero()).as_bytes()).map_err(at("report"))?;
        go.write_all(b"g").map_err(at("start PID 1"))
    };
    match { helped }() {
        Ok(()) => sys::exit_now(0),
        Err(failed) => failed,
    }
}

/// The way of the first process of the box from its clone to PID 1. Comes back only with what failed.
fn become_init(of: (Plan, &Limits), owner: &Owner, program: &File, ends: &Ends, go: PipeReader) -> (String, io::Error) {
    match prepare(of, owner, program, go) {
        Err(failed) => failed,
        Ok(program) => match pass_on(ends) {
            Err(error) => ("pass the pipes on".to_owned(), error),
            Ok(()) => ("run PID 1".to_owned(), sys::exec_fd(program.as_fd(), c"thenar-browser")),
        },
    }
}

fn prepare((mut plan, limits): (Plan, &Limits), owner: &Owner, program: &File, mut go: PipeReader) -> Step<OwnedFd> {
    // Above every number that is about to be taken for something else.
    let program = rustix::io::fcntl_dupfd_cloexec(program, 20).map_err(at("hold the program"))?;
    inside::become_user(owner, &mut go)?;
    if !owner.is_root {
        plan.detach_inside().map_err(|(what, error)| (format!("take hold of {what}"), error))?;
    }
    let root = inside::make_tree(&plan, limits)?;
    inside::enter(root.as_fd())?;
    rustix::system::sethostname(inside::HOST_NAME.as_bytes()).map_err(at("name the computer"))?;
    sys::part_from_groups().map_err(at("part from the host's control groups"))?;
    lockdown::lower_limits(limits).map_err(at("set the limits"))?;
    // A page that wants more gets an error of its own, where the group would end a process.
    lockdown::lower_data(limits.memory_bytes).map_err(at("set the limits"))?;
    lockdown::give_up_rights().map_err(at("give up all rights"))?;
    Ok(program)
}

/// The folders in memory of a browser's box, by descriptors that tell their room and nothing else. A box that is gone has none.
pub(crate) fn scratch(init: Pid) -> io::Result<Vec<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = format!("/proc/{}/root", init.as_raw_nonzero());
    // The root itself is closed for writing, so that these names mean the same as ever.
    let open = |place: &&str| Ok(rustix::fs::open(format!("{root}{place}"), flags, Mode::empty())?);
    SCRATCH.iter().map(open).collect()
}

/// The ceilings of a browser in the words of a computer's. A page that wants more data than they allow gets an error of its own.
pub(crate) fn limits(memory_bytes: u64) -> Limits {
    Limits {
        memory_bytes,
        processes: THREADS,
        file_bytes: FILE_BYTES,
        tmp_bytes: SCRATCH_BYTES,
        home_bytes: SCRATCH_BYTES,
        shm_bytes: SHARED_BYTES,
        ..Limits::default()
    }
}

fn pass_on(ends: &Ends) -> io::Result<()> {
    inside::nothing_as_standard_files()?;
    // First out of the way of the numbers that they are about to get.
    let high = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, 20);
    let (commands, answers) = (high(&ends.commands)?, high(&ends.answers)?);
    let (errors, order) = (high(&ends.errors)?, high(&ends.order)?);
    sys::place(commands.as_fd(), COMMANDS_FD)?;
    sys::place(answers.as_fd(), ANSWERS_FD)?;
    sys::place(errors.as_fd(), ERRORS_FD)?;
    sys::place(order.as_fd(), ORDER_FD)
}

fn order(argv: &[String]) -> io::Result<OwnedFd> {
    let sheet = File::from(rustix::fs::memfd_create("order", MemfdFlags::CLOEXEC)?);
    (&sheet).write_all(&serde_json::to_vec(&Order { argv: argv.to_vec() })?)?;
    Ok(sheet.into())
}

/// Makes the folders, for the browser's user and nobody else.
fn prepare_folders(folders: &Folders, owner: &Owner) -> io::Result<()> {
    for folder in [&folders.profile, &folders.downloads, &folders.uploads] {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        if owner.is_root {
            let (uid, gid) = (Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)));
            rustix::fs::chown(folder, uid, gid)?;
        }
    }
    // Marks of a browser that ended under its profile: the next one would take it for living.
    for mark in ["SingletonLock", "SingletonCookie", "SingletonSocket"] {
        let _ = std::fs::remove_file(folders.profile.join(mark));
    }
    Ok(())
}

fn arguments(program: &Path, which: Browser) -> Vec<String> {
    let mut all = vec![program.display().to_string()];
    let common = [
        "--remote-debugging-pipe",
        "--user-data-dir=/profile",
        // Pages of different sites never share a process: one that breaks out of its own finds nobody else's data there.
        "--site-per-process",
        "--no-first-run",
        "--no-default-browser-check",
        "--no-pings",
        "--no-service-autorun",
        "--disable-background-networking",
        "--disable-breakpad",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-domain-reliability",
        "--disable-extensions",
        "--disable-gpu",
        "--disable-smooth-scrolling",
        "--disable-sync",
        "--force-color-profile=srgb",
        "--metrics-recording-only",
        "--mute-audio",
        "--noerrdialogs",
        "--password-store=basic",
        "--use-mock-keychain",
        // What reaches out by itself, and QUIC and WebRTC, which no gate here would see.
        "--disable-quic",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--disable-features=AutofillServerCommunication,CertificateTransparencyComponentUpdater,DialMediaRouteProvider,\
         GlobalMediaControls,InterestFeedContentSuggestions,MediaRouter,OptimizationHints,Translate",
    ];
    all.extend(common.map(str::to_owned));
    all.push(format!("--window-size={WINDOW}"));
    all.push(format!("--disk-cache-size={CACHE_BYTES}"));
    all.push(match which {
        Browser::Lean => "--headless".to_owned(),
        Browser::Full => "--headless=new".to_owned(),
    });
    all.push("about:blank".to_owned());
    all
}
