//! A computer for a test: folders that vanish, short ways to ask. It hides no failure.
#![allow(dead_code, reason = "two test programs share it, and neither uses all of it")]

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::{Duration, Instant};

use sandbox::{
    CallResult, Computer, ComputerSpec, Driver, Exit, FileAnswer, FileOp, Limits, Request, Status, Workspace,
};

/// Long enough for a loaded machine; no test waits for it unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

/// Folders of one test, and what a computer is made from in them.
pub(crate) struct Desk {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) spec: ComputerSpec,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("thenar-").tempdir().unwrap();
        let spec = ComputerSpec {
            dir: folder.path().join("computer"),
            workspace: Workspace::Own(folder.path().join("workspace")),
            toolset: None,
            limits: Limits::default(),
            deadline_unix_ms: None,
            env: BTreeMap::new(),
            keeper: std::env::var_os("THENAR_TEST_KEEPER")
                .unwrap_or_else(|| env!("CARGO_BIN_EXE_thenar-keeper").into())
                .into(),
            forbidden: Vec::new(),
            build: driver().into(),
            egress: false,
        };
        Self { folder, spec }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn open(&self) -> Computer {
        Computer::open(&self.spec).unwrap_or_else(|error| panic!("{error}: {:?}", error.hint()))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Ok(Some(computer)) = Computer::attach(&self.spec.dir) {
            let _ = computer.shutdown();
        }
    }
}

pub(crate) fn shell(script: &str) -> Request {
    Request::Exec { argv: ["sh", "-c", script].map(str::to_owned).to_vec(), cwd: None, env: BTreeMap::new() }
}

#[track_caller]
pub(crate) fn ended(computer: &Computer, call: &str) -> CallResult {
    match computer.wait(call, PATIENCE).unwrap() {
        Status::Ended(result) => result,
        Status::Running { output_bytes, .. } => panic!("{call} still runs after {output_bytes} bytes of output"),
    }
}

pub(crate) fn output(computer: &Computer, call: &str) -> String {
    String::from_utf8_lossy(&computer.output(call, 0, usize::MAX).unwrap()).into_owned()
}

/// Runs a script under a call id of its own and gives exit and output.
#[track_caller]
pub(crate) fn run(computer: &Computer, script: &str) -> (Exit, String) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let call = format!("run-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    computer.start(&call, &shell(script)).unwrap();
    let result = ended(computer, &call);
    (result.exit, output(computer, &call))
}

#[track_caller]
pub(crate) fn file(computer: &Computer, call: &str, op: FileOp) -> FileAnswer {
    computer.start(call, &Request::File(op)).unwrap();
    ended(computer, call);
    let bytes = computer.output(call, 0, usize::MAX).unwrap();
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)))
}

/// Looks until a condition holds.
#[track_caller]
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        #[expect(
            clippy::disallowed_methods,
            reason = "a poll with a deadline; the condition is another process's doing"
        )]
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The keeper of a folder: the process of that name that holds its lock file open.
pub(crate) fn keeper_pid(dir: &Path) -> Option<i32> {
    let lock = dir.join("keeper.lock").canonicalize().ok()?;
    pids().into_iter().find(|pid| {
        name_of(*pid).as_deref() == Some("thenar-keeper")
            && std::fs::read_dir(format!("/proc/{pid}/fd"))
                .into_iter()
                .flatten()
                .flatten()
                .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target == lock))
    })
}

/// PID 1 of the computer that this keeper keeps, as the host numbers it. Between them stands bubblewrap, where it made the box.
pub(crate) fn init_pid(keeper: i32) -> Option<i32> {
    let is_below = |pid: i32| {
        let parent = parent_of(pid);
        parent == Some(keeper) || parent.is_some_and(|parent| parent_of(parent) == Some(keeper))
    };
    pids().into_iter().find(|pid| name_of(*pid).as_deref() == Some("thenar-init") && is_below(*pid))
}

pub(crate) fn alive(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    // The first thread may end before the others, and with them what they all hold.
    let threads: u32 = fields.get(17).and_then(|threads| threads.parse().ok()).unwrap_or(0);
    !matches!(fields.first(), Some(&("Z" | "X"))) || threads > 1
}

pub(crate) fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn pids() -> Vec<i32> {
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn name_of(pid: i32) -> Option<String> {
    Some(std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned())
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The value of a variable of the host's that no computer may see.
pub(crate) const PLANTED: &str = "bait-in-a-variable";

/// Has the variable in this process's environment, from where whatever is inherited would come.
pub(crate) fn plant_variable() {
    if std::env::var_os("THENAR_BAIT").is_none() {
        #[expect(unsafe_code, reason = "the variable must be in this process's environment to be inherited")]
        // SAFETY: whoever runs several tests in one process has planted it before; alone, no other thread reads it.
        unsafe {
            std::env::set_var("THENAR_BAIT", PLANTED);
        }
    }
}

/// Lends this process and what comes from it the right to go before everybody, as groups like `audio` do, where it may.
pub(crate) fn lend_priority() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    for (what, most) in [(Resource::Rtprio, 50), (Resource::Nice, 40)] {
        let _ = setrlimit(what, Rlimit { current: Some(most), maximum: Some(most) });
    }
}

/// Who makes the computers of this run.
pub(crate) fn driver() -> Driver {
    std::env::var("THENAR_TEST_DRIVER").map_or(Driver::Native, |name| name.parse().unwrap())
}

/// A user that owns nothing on any host.
const USER: u32 = 64_321;

/// As whom the tests run once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// As this run.
    Same,
    /// As an ordinary user, if this run is root's.
    User,
}

/// Runs this test program once more as an ordinary user, if it runs as root: its other tests then show both.
pub(crate) fn all_again_as_an_ordinary_user() {
    again_as_an_ordinary_user(&[]);
}

/// The same with those tests only whose names contain one of these.
pub(crate) fn again_as_an_ordinary_user(names: &[&str]) {
    again(Driver::Native, Who::User, names);
}

/// Runs this test program once more with the computers of a driver, all of it or the tests of some names.
#[expect(clippy::disallowed_methods, reason = "this program again, as somebody else")]
pub(crate) fn again(driver: Driver, who: Who, names: &[&str]) {
    // What runs again does not run itself again.
    if std::env::var_os("THENAR_TEST_DRIVER").is_some() || who == Who::User && !rustix::process::geteuid().is_root() {
        return;
    }
    lend_priority();
    // The build folder may be one that only root may pass, so the programs are copied to where the user can run them.
    let folder = tempfile::Builder::new().prefix("thenar-user-").tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (tests, keeper) = (folder.path().join("tests"), folder.path().join("thenar-keeper"));
    std::fs::copy(std::env::current_exe().unwrap(), &tests).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_thenar-keeper"), &keeper).unwrap();
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let mut command = std::process::Command::new(&tests);
    command
        .arg("--test-threads=2")
        .args(names)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TMPDIR", &scratch)
        .env("THENAR_TEST_KEEPER", &keeper)
        .env("THENAR_TEST_DRIVER", driver.to_string())
        .env("THENAR_BAIT", PLANTED)
        .current_dir(&scratch);
    if who == Who::User {
        chown(&scratch, Some(USER), Some(USER)).unwrap();
        command.uid(USER).gid(USER);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("test result: ok."), "{said}");
}
