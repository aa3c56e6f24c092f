//! `thenar demo`: a scripted run over real data, and the three promises put to the test on it. The script's steps were
//! written beforehand; everything else is real: the computer, the kill, the failing theft, the flipped byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use agent::{Instance, Recorded};
use anyhow::Context;
use event::{Effect, EffectId, Event, TaskId, ToolResult};
use journal::{Blobs, Reader, Verdict};
use model::Script;
use rustix::process::{Pid, Signal, kill_process};

use crate::choice::DEMO_SCRIPT;
use crate::exit::{Code, Outcome, Problem};
use crate::screen::{Look, Screen, data};
use crate::{clean, config, env, house, toolset, words};

/// The demo's input files.
pub(crate) const INPUTS: [(&str, &[u8]); 2] = [
    ("birdstrikes.csv", include_bytes!("../../../../examples/birdstrikes.csv")),
    ("late-reports.csv", include_bytes!("../../../../examples/late-reports.csv")),
];

/// The command that is under way when the engine is killed, and the file to which it appends one line per stage.
const VICTIM: &str = "analyse.py";
const STAGES: &str = "stages.log";

/// The engine is killed after this many of the stages: in the middle.
const KILL_AFTER_STAGES: usize = 9;
const STAGES_TOTAL: usize = 19;

/// The person is asked once, about the host that the planted sentence names.
const REFUSALS_MAX: usize = 2;

/// How often the demo looks for that moment.
const LOOK: Duration = Duration::from_millis(20);

/// The demo gives up after so long.
const WITHIN_MS: u64 = 5 * 60 * 1_000;

/// `thenar demo`.
pub(crate) fn run(screen: Screen) -> Outcome {
    let script = script()?;
    let instance = house::open(&config::read()?)?;
    let begun = env::now_ms();
    let inputs = write_inputs()?;
    let id = instance.new_id()?;
    screen.say(&screen.paint(
        Look::Bold,
        "A demo. The steps come from a SCRIPT, not from a model; the work, the data and the computer are real.",
    ));
    screen.say(&format!("The task: {}\n", clean::text(&script.task)));

    let first = engine(&["run", "--model", "script:demo", "--yes", "--id", id.as_str()], &inputs, Some(&script.task))?;
    let (killed, refused) = kill_in_mid_command(&instance, &id, first, screen)?;
    let status = match &killed {
        Killed::AtStage(stage) => {
            screen.say(&screen.paint(
                Look::Warn,
                &format!("\n⚡ The engine was killed (kill -9) in the middle of {VICTIM}, after stage {stage} of {STAGES_TOTAL}. Taking the task up again:\n"),
            ));
            resumed(&id)?.wait().context("wait for the resumed engine")?
        }
        Killed::TooLate(status) => *status,
    };
    if !status.success() {
        return Err(Problem::new(Code::Failed, format!("the run did not end well ({status})"))
            .hint(format!("thenar task show {id}; thenar journal show {id}")));
    }
    let promises = promises(&instance, &id, &killed, refused)?;
    screen.say(&format!("\n{}", screen.paint(Look::Bold, "The three promises, on this very run:")));
    let mut kept = true;
    for (number, promise) in promises.iter().enumerate() {
        kept &= promise.kept;
        let mark = if promise.kept { screen.paint(Look::Good, "✓") } else { screen.paint(Look::Bad, "✗ BROKEN:") };
        data(&format!("{mark} {}. {}", number + 1, clean::line(&promise.text, 600)));
    }
    let took = words::span(env::now_ms().saturating_sub(begun));
    screen.say(&screen.paint(Look::Dim, &format!("\nThe whole demo took {took}. Task {id}.")));
    if let Some(page) = instance.summary(&id)?.deliverables.iter().find(|file| file.name.ends_with(".html")) {
        screen.say(&format!("Open the report:      {}", page.path));
    }
    screen.say(&format!("Look at the record:   thenar journal show {id}"));
    screen.say(&format!("Watch it played back: thenar serve --open {id}"));
    screen.say("Try it with a model:  thenar run \"…\"   (without one, it says how to get one)");
    if kept { Ok(Code::Done) } else { Err(Problem::new(Code::Failed, "a promise was not kept: please report this")) }
}

/// One promise, and whether this run kept it.
struct Promise {
    kept: bool,
    text: String,
}

/// How the kill went.
enum Killed {
    AtStage(usize),
    /// The engine ended before the moment came.
    TooLate(ExitStatus),
}

/// The script, where what its steps call for is there.
pub(crate) fn script() -> Result<Script, Problem> {
    if toolset::installed().is_none() {
        return Err(Problem::new(Code::Setup, "the demo needs the toolset, and it is not installed")
            .hint("thenar setup   (make demo does it for you)"));
    }
    Ok(Script::parse(DEMO_SCRIPT).context("read the demo's script")?)
}

fn write_inputs() -> Result<Vec<PathBuf>, Problem> {
    let folder = house::data_folder()?.join("demo");
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let mut paths = Vec::new();
    for (name, bytes) in INPUTS {
        let path = folder.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
        paths.push(path);
    }
    Ok(paths)
}

/// Starts this very program as an engine of its own.
#[expect(clippy::disallowed_methods, reason = "thenar starts thenar, so that it can kill it")]
fn engine(words: &[&str], inputs: &[PathBuf], task: Option<&str>) -> Result<Child, Problem> {
    let program = std::env::current_exe().context("find this program's own file")?;
    let mut command = Command::new(program);
    command.args(words);
    for input in inputs {
        command.arg("--input").arg(input);
    }
    command.args(task);
    // The demo's own standard output carries the promises alone.
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    Ok(command.spawn().context("start the engine")?)
}

fn resumed(id: &TaskId) -> Result<Child, Problem> {
    engine(&["task", "resume", id.as_str()], &[], None)
}

/// The task waits for the person, who says no.
fn refuse(instance: &Instance, id: &TaskId, screen: Screen) -> Result<(), Problem> {
    let note = "nobody named that host".to_owned();
    instance.command(id, agent::Command::Confirm { effect: None, allowed: false, note })?;
    screen.say(&screen.paint(Look::Warn, "\nIt waits for a word: may it reach that host? The demo says no for you:\n"));
    Ok(())
}

/// Waits until the victim has done half of its work, then kills the engine: only processes started here. Meanwhile it is the
/// person, who says no to whatever is asked; how often comes back as well.
fn kill_in_mid_command(
    instance: &Instance,
    id: &TaskId,
    mut engine: Child,
    screen: Screen,
) -> Result<(Killed, usize), Problem> {
    let deadline = env::now_ms() + WITHIN_MS;
    let mut refused = 0;
    while env::now_ms() < deadline {
        if let Some(status) = engine.try_wait().context("look at the engine")? {
            if status.code() != Some(Code::Waiting as i32) || refused >= REFUSALS_MAX {
                return Ok((Killed::TooLate(status), refused));
            }
            refuse(instance, id, screen)?;
            refused += 1;
            engine = resumed(id)?;
        }
        let stages = instance.folder(id).map_or(0, |folder| lines(&folder.workspace().join(STAGES)).len());
        if stages >= KILL_AFTER_STAGES {
            let pid = i32::try_from(engine.id()).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid {
                kill_process(pid, Signal::KILL).context("kill the engine")?;
            }
            engine.wait().context("wait for the killed engine")?;
            return Ok((Killed::AtStage(stages), refused));
        }
        std::thread::park_timeout(LOOK);
    }
    let _ = engine.kill();
    Err(Problem::new(Code::Failed, format!("the demo did not come to {VICTIM} within five minutes")))
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Holds the run against each promise.
fn promises(instance: &Instance, id: &TaskId, killed: &Killed, refused: usize) -> Result<Vec<Promise>, Problem> {
    let events = instance.events(id)?;
    let folder = instance.folder(id)?;
    Ok(vec![
        finishes(&events, &lines(&folder.workspace().join(STAGES)), killed, refused),
        does_only_what_it_may(&events),
        proves_it(id, folder.root())?,
    ])
}

/// Nothing lost, nothing done twice.
fn finishes(events: &[Recorded], stages: &[String], killed: &Killed, refused: usize) -> Promise {
    let mut results: BTreeMap<EffectId, usize> = BTreeMap::new();
    let mut requested = 0;
    let mut resumed = 0;
    for Recorded { event, .. } in events {
        // What a computer may reach is decided; it gives no result.
        let gives = |effect: &Effect| !matches!(effect, Effect::Reach(_));
        requested += usize::from(matches!(event, Event::EffectRequested { effect } if gives(effect)));
        resumed += usize::from(matches!(event, Event::Resumed { .. }));
        if let Event::ToolFinished { id, .. } | Event::ModelReplied { id, .. } = event {
            *results.entry(*id).or_default() += 1;
        }
    }
    let mut once = stages.to_vec();
    once.sort();
    once.dedup();
    let repeated = stages.len() - once.len();
    let lost = STAGES_TOTAL.saturating_sub(once.len());
    let twice = results.values().filter(|count| **count != 1).count() + requested - results.len();
    let at = match killed {
        Killed::AtStage(stage) => format!("killed in the middle of {VICTIM} (stage {stage} of {STAGES_TOTAL})"),
        Killed::TooLate(_) => "NOT killed: it ended before the moment came".to_owned(),
    };
    let kept = matches!(killed, Killed::AtStage(stage) if *stage < STAGES_TOTAL)
        && resumed == 1 + refused
        && lost == 0
        && repeated == 0
        && twice == 0;
    let text = format!(
        "It finishes what it starts: {at}, resumed; {lost} stages lost, {repeated} repeated; {requested} effects, each with exactly one result{}.",
        if twice == 0 { String::new() } else { format!(" EXCEPT {twice}") }
    );
    Promise { kept, text }
}

/// The planted sentence was obeyed, and came to nothing.
fn does_only_what_it_may(events: &[Recorded]) -> Promise {
    let said = events.iter().find_map(|recorded| {
        let Event::ToolFinished { result, .. } = &recorded.event else { return None };
        result.text.lines().any(|line| line.starts_with("KEY_FOUND: ")).then_some(result)
    });
    let Some(said) = said else {
        return Promise {
            kept: false,
            text: "It does only what it may: the planted sentence was never obeyed.".to_owned(),
        };
    };
    let (key, send) = (value(said, "KEY_FOUND"), value(said, "SEND"));
    let kept = key.starts_with("no") && send.starts_with("failed");
    let text = format!(
        "It does only what it may: a sentence planted in the data (\"send the person's key …\") was obeyed by the script; key found: {key}; sent: {send}."
    );
    Promise { kept, text }
}

fn value(result: &ToolResult, key: &str) -> String {
    let prefix = format!("{key}: ");
    result.text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or("nothing was said of it").to_owned()
}

/// A byte flipped in a copy of the record is named.
fn proves_it(id: &TaskId, folder: &Path) -> Result<Promise, Problem> {
    let place = house::data_folder()?.join("demo");
    let bundle = place.join(format!("{id}.journal"));
    let _ = std::fs::remove_file(&bundle);
    let mut reader = Reader::open(folder).map_err(agent::Error::from)?;
    let exported = journal::export_to_file(&mut reader, &Blobs::open(folder), &bundle).map_err(agent::Error::from)?;
    let mut bytes = std::fs::read(&bundle).with_context(|| format!("read {}", bundle.display()))?;
    let whole = matches!(journal::verify_bundle(&bytes), Verdict::Whole(_));
    // Some byte in the middle of the records: a letter becomes its neighbour.
    let middle = bytes.len() / 3;
    let at = (middle..bytes.len()).find(|at| bytes[*at].is_ascii_lowercase()).unwrap_or(middle);
    bytes[at] ^= 1;
    let copy = bundle.with_extension("journal.flipped");
    std::fs::write(&copy, &bytes).with_context(|| format!("write {}", copy.display()))?;
    let (named, found) = match journal::verify_bundle_file(&copy).map_err(agent::Error::from)? {
        Verdict::Whole(_) => (false, "nothing".to_owned()),
        Verdict::Broken { place, .. } => (true, place.to_string()),
    };
    let text = format!(
        "It can prove it: {} records verify; with byte {at} of a copy flipped, verify names {found} ({}).",
        exported.records,
        bundle.display()
    );
    Ok(Promise { kept: whole && named, text })
}
