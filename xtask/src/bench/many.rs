//! Many tasks at once in one server, one step a second each: the gap, the memory, and what a noisy neighbour costs where there is room.
//!
//! The model is a thread of this process per connection, asleep but for a moment each second: it answers each request a
//! second after it came. A gap is what passes from a reply's last byte to the next request of the same task.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use event::{TaskId, TaskOptions};

use super::statistics::{median, percentile};
use super::{Figure, Target, figure};
use crate::rig::{self, Programs, Script, Stage, pause, wait_at_most, wait_until};

/// Tasks at once: more than two cores can do in time, where each step starts a shell.
const TASKS: usize = 500;

/// Tasks at once that leave some of the processor over: only there can be seen what a neighbour takes from them.
const TASKS_WITH_ROOM: usize = 250;

/// Replies with a command that each task gets.
const STEPS: usize = 30;

/// The first steps of each task are not counted: five hundred computers are being made.
const WARM_UP: usize = 8;

/// One step a second.
const THINKING: Duration = Duration::from_secs(1);

/// Stack of a thread that mostly sleeps.
const STACK_BYTES: usize = 128 * 1024;

const PATIENCE: Duration = Duration::from_secs(240);

/// What a noisy task does in each step, without a second's rest: all output it can, and all processor it gets.
const NOISE: &str = "timeout 5 sh -c 'yes | head -c 50000000 & yes > /dev/null & wait'";

/// Five hundred tasks; then half of them alone, and beside a noisy one.
pub(super) fn tasks(programs: &Programs) -> Result<Vec<Figure>> {
    let many = round(programs, TASKS, false)?;
    let quiet = round(programs, TASKS_WITH_ROOM, false)?;
    let noisy = round(programs, TASKS_WITH_ROOM, true)?;
    let name = |what: &str| format!("{TASKS} tasks, a step a second each: {what}");
    let half = |what: &str| format!("{TASKS_WITH_ROOM} tasks: {what}");
    let p95 = |round: &Round| percentile(&round.gaps_ms, 95.0);
    let note = |round: &Round| format!("{} gaps; median {:.1} ms", round.gaps_ms.len(), median(&round.gaps_ms));
    Ok(vec![
        figure(name("gap p95"), p95(&many), "ms", Target::AtMost(50.0)).note(note(&many)),
        figure(name("memory (PSS) of the server"), many.server_mb, "MB", Target::None),
        figure(name("memory (PSS) of one task's computer"), many.tree_mb / TASKS as f64, "MB", Target::None)
            .note("keeper and init, while commands run"),
        figure(name("CPU per step"), many.cpu_ms_per_step, "ms", Target::None).note("whole tree"),
        figure(half("gap p95"), p95(&quiet), "ms", Target::AtMost(50.0)).note(note(&quiet)),
        figure(half("gap p95 beside a noisy task"), p95(&noisy), "ms", Target::None).note(format!(
            "{:.2} times the gap without; 50 MB of output and a busy core, again and again",
            p95(&noisy) / p95(&quiet)
        )),
    ])
}

struct Round {
    gaps_ms: Vec<f64>,
    server_mb: f64,
    tree_mb: f64,
    cpu_ms_per_step: f64,
}

fn round(programs: &Programs, tasks: usize, noisy: bool) -> Result<Round> {
    let model = Model::start()?;
    let stage = Stage::set(programs, &Script { steps: 1, command: "true".to_owned() })?;
    let instance = instance(programs, &stage)?;
    let mut server = stage
        .thenar(&["serve", "--addr", "127.0.0.1:0", "--tasks", &(tasks + 1).to_string()])
        .env("OPENAI_BASE_URL", &model.base_url)
        .stderr(std::fs::File::create(stage.folder().join("server"))?)
        .spawn()
        .context("start the server")?;
    let said = || std::fs::read_to_string(stage.folder().join("server")).unwrap_or_default();
    ensure!(
        wait_until(PATIENCE, || said().contains("Ctrl-C stops the server")),
        "the server did not start: {}",
        said()
    );
    let mut names: Vec<String> = (0..tasks).map(|number| format!("quiet-{number:04}")).collect();
    if noisy {
        names.insert(0, "noisy".to_owned());
    }
    for name in &names {
        let id = TaskId::new(name.as_str())?;
        let task = agent::NewTask {
            brief: format!("<{name}>"),
            model: "openai:scripted".to_owned(),
            options: TaskOptions {
                out: Some(path_text(&stage.folder().join("out").join(name))?),
                ..Default::default()
            },
            id: Some(id.clone()),
            ..Default::default()
        };
        instance.create(task)?;
        let heard = server::ring(&stage.home(), &id)?.context("the server has no bell")?;
        ensure!(heard.accepted, "the server refused {name}: {}", heard.text);
    }
    let steps = |model: &Model| model.seen().values().map(|seen| seen.replied.len()).sum::<usize>();
    let half = tasks * STEPS / 2;
    ensure!(
        wait_until(PATIENCE, || {
            pause(Duration::from_millis(100));
            steps(&model) >= half
        }),
        "{} steps only",
        steps(&model)
    );
    let pid = i32::try_from(server.id())?;
    let tree = rig::below_us()?;
    let mb = |kib: u64| kib as f64 / 1024.0;
    let server_mb =
        tree.iter().find(|process| process.pid == pid).and_then(|process| process.pss_kib()).map_or(0.0, mb);
    let computers = tree.iter().filter(|process| process.name.starts_with("thenar-"));
    let tree_mb = mb(computers.filter_map(|process| process.pss_kib()).sum());
    let cpu_before: f64 = rig::below_us()?.iter().map(|process| process.cpu_ms + process.cpu_children_ms).sum();
    let steps_before = steps(&model);
    pause(Duration::from_secs(4));
    let cpu_after: f64 = rig::below_us()?.iter().map(|process| process.cpu_ms + process.cpu_children_ms).sum();
    let cpu_ms_per_step = (cpu_after - cpu_before) / (steps(&model) - steps_before).max(1) as f64;
    let ended = |model: &Model| {
        model.seen().iter().filter(|(name, seen)| *name != "noisy" && seen.replied.len() > STEPS).count()
    };
    if !wait_until(PATIENCE, || {
        pause(Duration::from_millis(100));
        ended(&model) >= tasks
    }) {
        bail!("only {} of {tasks} tasks came to their end", ended(&model));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&server), rustix::process::Signal::TERM)?;
    wait_at_most(&mut server, Duration::from_secs(20))?;
    let seen = model.seen();
    let gaps_ms = seen.iter().filter(|(name, _)| *name != "noisy").flat_map(|(_, seen)| seen.gaps_ms()).collect();
    Ok(Round { gaps_ms, server_mb, tree_mb, cpu_ms_per_step })
}

fn instance(programs: &Programs, stage: &Stage) -> Result<agent::Instance> {
    std::fs::create_dir_all(stage.home())?;
    let setup = agent::Setup {
        home: agent::Home::new(stage.home()),
        keeper: programs.keeper.clone(),
        toolset: None,
        limits: Default::default(),
        build: Default::default(),
        policy: policy::Engine::default_policy().to_owned(),
        boot: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
        forbidden: Vec::new(),
        clock: testkit::clock::now_ms,
    };
    Ok(agent::Instance::new(setup)?)
}

fn path_text(path: &std::path::Path) -> Result<String> {
    path.to_str().map(str::to_owned).context("a path that is not UTF-8")
}

/// What one task has asked and got.
#[derive(Clone, Default)]
struct Seen {
    arrived: Vec<Instant>,
    replied: Vec<Instant>,
}

impl Seen {
    fn gaps_ms(&self) -> Vec<f64> {
        let pairs = self.replied.iter().zip(self.arrived.iter().skip(1)).skip(WARM_UP);
        pairs.map(|(replied, arrived)| arrived.duration_since(*replied).as_secs_f64() * 1e3).collect()
    }
}

/// The model of all tasks; its threads end with the process, each at the latest when its connection does.
struct Model {
    base_url: String,
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
}

impl Model {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen for the tasks' requests")?;
        let base_url = format!("http://{}/v1", listener.local_addr()?);
        let seen = Arc::<Mutex<BTreeMap<String, Seen>>>::default();
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&shared);
                let serving = std::thread::Builder::new().stack_size(STACK_BYTES);
                let _ = serving.spawn(move || drop(serve(&stream, &seen)));
            }
        });
        Ok(Self { base_url, seen })
    }

    fn seen(&self) -> BTreeMap<String, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(stream: &TcpStream, seen: &Mutex<BTreeMap<String, Seen>>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse()?,
                Some(_) => {}
                None if line.trim().is_empty() => break,
                None => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let arrived = Instant::now();
        let body = String::from_utf8_lossy(&body);
        // The brief is the task's name in angle brackets.
        let names = ["<quiet-", "<noisy"].iter().find_map(|prefix| body.find(prefix));
        let name = names.and_then(|at| body[at + 1..].split('>').next()).context("a request of no task")?.to_owned();
        let step = body.matches(r#""role":"assistant""#).count() + 1;
        let noisy = name == "noisy";
        if !noisy {
            pause(THINKING);
        }
        let answer = answer(step, noisy);
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let seen = seen.entry(name).or_default();
            seen.arrived.push(arrived);
            seen.replied.push(Instant::now());
        }
        let mut stream = stream;
        stream.write_all(answer.as_bytes())?;
    }
}

fn answer(step: usize, noisy: bool) -> String {
    let command = if noisy { NOISE.to_owned() } else { format!("echo {step}") };
    let arguments = serde_json::json!({ "command": command }).to_string();
    let delta = if !noisy && step > STEPS {
        serde_json::json!({ "role": "assistant", "content": "done" })
    } else {
        let function = serde_json::json!({ "name": "shell_exec", "arguments": arguments });
        let call =
            serde_json::json!({ "index": 0, "id": format!("c{step}"), "type": "function", "function": function });
        serde_json::json!({ "role": "assistant", "tool_calls": [call] })
    };
    let finish = if delta.get("content").is_some() { "stop" } else { "tool_calls" };
    let chunk = serde_json::json!({ "model": "scripted", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 10 } });
    let events = format!("data: {chunk}\n\ndata: [DONE]\n\n");
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\n\r\n{events}", events.len())
}
