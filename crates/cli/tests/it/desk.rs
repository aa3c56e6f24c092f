//! A person's corner of a machine for one test: home, folders, environment, and the program itself. It hides no failure.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use regex::Regex;
use serde_json::{Value, json};

/// Long enough for a loaded machine; no test waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);

const KEEPER: &str = "thenar-keeper";

/// One person, with nothing in the environment but what a test puts there.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    program: PathBuf,
    home: PathBuf,
    /// Where the person stands.
    pub(crate) here: PathBuf,
    environment: BTreeMap<String, String>,
    user: Option<u32>,
    /// How many programs were started to run beside the test.
    started: std::cell::Cell<u32>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("thenar-").tempdir().unwrap();
        let here = folder.path().join("here");
        fs::create_dir_all(&here).unwrap();
        fs::create_dir_all(folder.path().join("person")).unwrap();
        let home = folder.path().join("home");
        Self {
            program: program(),
            home,
            here,
            // What happens to run on the machine is nobody's business here.
            environment: BTreeMap::from([("THENAR_LOCAL_SERVERS".to_owned(), "none".to_owned())]),
            user: None,
            started: Default::default(),
            folder,
        }
    }

    /// Copies of the programs, to be replaced while they run.
    pub(crate) fn with_own_programs(mut self) -> Self {
        let programs = self.path("programs");
        fs::create_dir(&programs).unwrap();
        self.replace_programs();
        self.program = programs.join("thenar");
        self
    }

    /// Puts new files in the place of the copies, as an upgrade does: whoever runs keeps the old ones.
    pub(crate) fn replace_programs(&self) {
        for name in ["thenar", KEEPER] {
            let (new, place) = (self.path("programs").join(format!("{name}.new")), self.path("programs").join(name));
            fs::copy(program().with_file_name(name), &new).unwrap();
            fs::rename(&new, &place).unwrap();
        }
    }

    /// The data folder somewhere else.
    pub(crate) fn with_home(mut self, home: PathBuf) -> Self {
        self.home = home;
        self
    }

    /// The same person in another folder.
    pub(crate) fn standing_in(mut self, here: PathBuf) -> Self {
        self.here = here;
        self
    }

    /// With a variable of the environment.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// As an ordinary user, where the test runs as root: whoever is none already is ordinary.
    pub(crate) fn of_ordinary_user(self) -> Self {
        if rustix::process::geteuid().is_root() { self.owned_by_user(64_325) } else { self }
    }

    /// As an ordinary user, who gets programs of his own and all folders.
    pub(crate) fn owned_by_user(mut self, user: u32) -> Self {
        use std::os::unix::fs::{PermissionsExt, chown};
        let programs = self.path("programs");
        fs::create_dir(&programs).unwrap();
        for name in ["thenar", KEEPER] {
            let (from, to) = (self.program.with_file_name(name), programs.join(name));
            if fs::hard_link(&from, &to).is_err() {
                fs::copy(&from, &to).unwrap();
            }
        }
        self.program = programs.join("thenar");
        for folder in ["", "here", "person", "programs"] {
            let path = self.path(folder);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            chown(&path, Some(user), Some(user)).unwrap();
        }
        self.user = Some(user);
        self
    }

    /// A path below the test's own folder.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// The folder of a task.
    pub(crate) fn task(&self, id: &str) -> PathBuf {
        self.home.join("tasks").join(id)
    }

    /// Writes a file below the test's own folder, and its folder.
    pub(crate) fn write(&self, below: &str, content: &str) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes `config.toml` into the data folder.
    pub(crate) fn config(&self, content: &str) {
        fs::create_dir_all(&self.home).unwrap();
        fs::write(self.home.join("config.toml"), content).unwrap();
    }

    /// A script with these turns; its name as a model.
    pub(crate) fn script(&self, turns: &[Value]) -> String {
        let path = self.write("script.json", &json!({ "turns": turns }).to_string());
        format!("script:{}", path.display())
    }

    #[expect(clippy::disallowed_methods, reason = "the program under test")]
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.here).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("THENAR_HOME", &self.home).env("HOME", self.path("person"));
        for (name, folder) in [("DATA", "xdg/data"), ("CONFIG", "xdg/config"), ("CACHE", "xdg/cache")] {
            command.env(format!("XDG_{name}_HOME"), self.path(folder));
        }
        command.envs(&self.environment);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs the program to its end, with nothing to read.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).stdin(Stdio::null()).output().unwrap();
        self.ran(output.status, &output.stdout, &output.stderr)
    }

    /// Runs the program to its end on a machine that lacks something: root of namespaces of its own sets it up by this script,
    /// which goes on with `exec "$@"`.
    pub(crate) fn run_where(&self, machine: &str, arguments: &[&str]) -> Ran {
        self.run_by(
            &["/usr/bin/unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", machine, "sh"],
            arguments,
        )
    }

    /// The same by a shell of this machine's.
    pub(crate) fn run_as_it_is(&self, machine: &str, arguments: &[&str]) -> Ran {
        self.run_by(&["/bin/sh", "-ec", machine, "sh"], arguments)
    }

    #[expect(clippy::disallowed_methods, reason = "the program under test, by another one")]
    fn run_by(&self, by: &[&str], arguments: &[&str]) -> Ran {
        let program = self.command(arguments);
        let mut command = Command::new(by[0]);
        command.args(&by[1..]);
        command.arg(program.get_program()).args(program.get_args()).current_dir(&self.here).env_clear();
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        self.ran(output.status, &output.stdout, &output.stderr)
    }

    /// Runs the program to its end, with this to read.
    pub(crate) fn run_reading(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that does not want it may have gone already.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        self.ran(output.status, &output.stdout, &output.stderr)
    }

    /// Runs the program for a reader that goes away at once.
    pub(crate) fn run_unread(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        self.ran(output.status, &output.stdout, &output.stderr)
    }

    /// Starts the program and lets it run, with this to read.
    pub(crate) fn start_reading(&self, arguments: &[&str], input: &[u8]) -> Running<'_> {
        let (read, mut write) = std::io::pipe().unwrap();
        // A pipe holds that much before anybody reads.
        assert!(input.len() < 4096);
        write.write_all(input).unwrap();
        self.start_with(arguments, Stdio::from(read))
    }

    /// Starts the program and lets it run.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running<'_> {
        self.start_with(arguments, Stdio::null())
    }

    fn start_with(&self, arguments: &[&str], stdin: Stdio) -> Running<'_> {
        let number = self.started.get();
        self.started.set(number + 1);
        let (out, errors) = (self.path(&format!("running-{number}.out")), self.path(&format!("running-{number}.err")));
        let mut command = self.command(arguments);
        command.stdin(stdin).stdout(File::create(&out).unwrap()).stderr(File::create(&errors).unwrap());
        Running { desk: self, child: command.spawn().unwrap(), out, errors }
    }

    fn ran(&self, status: ExitStatus, out: &[u8], errors: &[u8]) -> Ran {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: status.code().unwrap_or_else(|| 1_000 + status.signal().unwrap_or(0)),
            out: text(out),
            errors: text(errors),
            folder: self.folder.path().to_string_lossy().into_owned(),
        }
    }

    /// `task show --json`.
    #[track_caller]
    pub(crate) fn shown(&self, id: &str) -> Value {
        self.run(&["task", "show", "--json", id]).code(0).json()
    }

    /// The events of a task.
    #[track_caller]
    pub(crate) fn events(&self, id: &str) -> Vec<Value> {
        let ran = self.run(&["journal", "show", "--json", id]).code(0);
        ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone()).collect()
    }

    /// What the tools of a task brought back.
    #[track_caller]
    pub(crate) fn results(&self, id: &str) -> Vec<String> {
        let finished = self.events(id).into_iter().filter(|event| event["event"] == "tool_finished");
        finished.map(|event| event["result"]["text"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until a file is there.
    #[track_caller]
    pub(crate) fn until_there(&self, path: &Path) {
        until(&format!("{} is there", path.display()), || path.exists());
    }

    /// Whether a computer of this task is alive.
    pub(crate) fn has_computer(&self, id: &str) -> bool {
        matches!(sandbox::Computer::attach(&self.task(id).join("computer")), Ok(Some(_)))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        for task in fs::read_dir(self.home.join("tasks")).into_iter().flatten().flatten() {
            if let Ok(Some(computer)) = sandbox::Computer::attach(&task.path().join("computer")) {
                let _ = computer.shutdown();
            }
        }
    }
}

/// The program while it runs. Dropped, it is killed.
pub(crate) struct Running<'a> {
    desk: &'a Desk,
    child: Child,
    out: PathBuf,
    errors: PathBuf,
}

impl Running<'_> {
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has told the person so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let status = self.child.wait().unwrap();
        self.desk.ran(status, &fs::read(&self.out).unwrap(), &fs::read(&self.errors).unwrap())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How the program ended and what it said.
pub(crate) struct Ran {
    code: i32,
    pub(crate) out: String,
    pub(crate) errors: String,
    folder: String,
}

impl Ran {
    /// A screen, as if it were all output.
    pub(crate) fn of(screen: String) -> Self {
        Self { code: 0, out: screen, errors: String::new(), folder: String::new() }
    }

    /// It ended with this code (1000 and more: by that signal).
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- out\n{}--- err\n{}", self.out, self.errors);
        self
    }

    /// It told the person this.
    #[track_caller]
    pub(crate) fn says(self, part: &str) -> Self {
        let errors = self.errors.replace(&self.folder, "[FOLDER]");
        assert!(errors.contains(part), "it does not say {part:?}:\n{errors}");
        self
    }

    /// It put out this.
    #[track_caller]
    pub(crate) fn puts_out(self, out: &str) -> Self {
        assert_eq!(self.out.replace(&self.folder, "[FOLDER]"), out, "\n--- err\n{}", self.errors);
        self
    }

    /// Standard output is one JSON text on one line.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "{}", self.out);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// All of it, with what differs from run to run named instead.
    pub(crate) fn seen(&self) -> String {
        let plain = |text: &str| {
            let mut text = text.replace(&self.folder, "[FOLDER]");
            for (pattern, name) in [
                (r"\bt[0-9a-z]{9}-[0-9a-z]{4}\b", "[ID]"),
                (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "[TIME]"),
                (r"\b[0-9a-f]{64}\b", "[HASH]"),
                (r"\b\d+(\.\d)? m?s\b", "[SPAN]"),
                (r"pid \d+", "pid [PID]"),
            ] {
                text = Regex::new(pattern).unwrap().replace_all(&text, name).into_owned();
            }
            text
        };
        format!("exit {}\n--- out\n{}--- err\n{}", self.code, plain(&self.out), plain(&self.errors))
    }
}

/// Looks until a condition holds.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
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

/// The program under test. The keeper belongs beside it and is another crate's, so it is built where nobody has yet.
fn program() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_thenar"));
    let keeper = program.with_file_name(KEEPER);
    if !keeper.is_file() {
        build_keeper(program.parent().unwrap());
        assert!(keeper.is_file(), "{} is missing: cargo build -p sandbox --bins", keeper.display());
    }
    program
}

#[expect(clippy::disallowed_methods, reason = "the other half of the program under test")]
fn build_keeper(folder: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "sandbox", "--bin", KEEPER]).current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.arg("--target-dir").arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().unwrap();
    assert!(status.success(), "cargo build -p sandbox --bin {KEEPER}: {status}");
}

/// A turn that says something; without calls, it is the last.
pub(crate) fn say(text: &str) -> Value {
    json!({ "say": text })
}

/// A turn that calls a tool.
pub(crate) fn call(tool: &str, arguments: Value) -> Value {
    json!({ "calls": [{ "name": tool, "arguments": arguments }] })
}

/// A turn that runs a command.
pub(crate) fn exec(command: &str) -> Value {
    call("shell_exec", json!({ "command": command }))
}

/// A turn that runs a command until somebody makes the file `go` in the workspace; `begun` tells that it runs.
pub(crate) fn exec_until_go(before: &str, after: &str) -> Value {
    exec(&format!("{before}; touch begun; until [ -e go ]; do sleep 0.02; done; {after}"))
}

/// The program at a terminal, with a person who reads and types. Dropped, it is killed.
pub(crate) struct AtTerminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Desk {
    /// Starts the program with a terminal on all three streams.
    pub(crate) fn start_at_terminal(&self, arguments: &[&str]) -> AtTerminal {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = || File::options().read(true).write(true).open(&name).unwrap();
        let mut command = self.command(arguments);
        command.env("TERM", "xterm-256color").stdin(slave()).stdout(slave()).stderr(slave());
        let child = command.spawn().unwrap();
        let (keyboard, screen) = (File::from(master), Arc::new(Mutex::new(Vec::new())));
        let (mut from, to) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // Ends with an error once the program has let its terminal go.
            while let Ok(read) = from.read(&mut piece) {
                to.lock().unwrap().extend_from_slice(&piece[..read]);
            }
        });
        AtTerminal { child, keyboard, screen, reader }
    }
}

impl AtTerminal {
    /// Waits until this stands on the screen.
    #[track_caller]
    pub(crate) fn until_shown(&self, part: &str) {
        until(&format!("{part:?} is shown"), || self.shown().contains(part));
    }

    /// Waits until this stands there so many times.
    #[track_caller]
    pub(crate) fn until_shown_times(&self, part: &str, times: usize) {
        until(&format!("{part:?} is shown {times} times"), || self.shown().matches(part).count() == times);
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).replace("\r\n", "\n")
    }

    /// Waits for the end; the exit code and all that was on the screen.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        // What it wrote last may still be on its way: the reader ends once all of it has come.
        until("the screen is read to its end", || self.reader.is_finished());
        (code, self.shown())
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
