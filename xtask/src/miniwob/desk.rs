//! A computer that serves the pages to its own browser, and calls of tools in it, each under a permit of the default policy.
//! Nothing of the browser is reached past the tools.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, anyhow, bail};
use event::{EffectId, Label, TaskId, ToolCall, ToolStatus};
use policy::{Engine, Facts};
use sandbox::{ComputerSpec, Limits, Workspace};
use serde_json::{Value, json};
use tools::{Place, World};

/// Where the pages are, seen from the computer's browser.
const SITE: &str = "http://localhost:8000";
/// Characters of a tool's words in a reason.
const REASON_CHARS_MAX: usize = 200;

/// The computer and what its calls are numbered with.
pub(super) struct Desk {
    world: World,
    policy: Engine,
    next: u64,
    // Last: the computer is ended before its folder goes.
    _folder: tempfile::TempDir,
}

impl Desk {
    pub(super) fn open(keeper: &Path, pages: &Path) -> Result<Self> {
        let folder = tempfile::TempDir::with_prefix("thenar-miniwob-").context("make a folder for a computer")?;
        let workspace = folder.path().join("workspace");
        std::fs::create_dir(&workspace).context("make a workspace")?;
        sandbox::copy_tree(pages, &workspace.join("html")).context("copy the pages")?;
        let spec = ComputerSpec {
            dir: folder.path().join("computer"),
            workspace: Workspace::Own(workspace),
            toolset: None,
            limits: Limits::default(),
            deadline_unix_ms: None,
            env: BTreeMap::new(),
            keeper: keeper.to_owned(),
            forbidden: Vec::new(),
            egress: false,
            build: Default::default(),
        };
        let place = Place::new(folder.path().to_owned(), spec, None, Arc::new(AtomicBool::new(false)));
        let (processes, acceptance, delivered) = (BTreeMap::new(), Vec::new(), Vec::new());
        let cancel = Arc::default();
        let world = World { place: Arc::new(place), processes, acceptance, delivered, pages_bytes: 0, cancel };
        let policy = Engine::load(Engine::default_policy()).map_err(|error| anyhow!("load the policy: {error}"))?;
        let mut desk = Self { world, policy, next: 1, _folder: folder };
        let listens =
            "until python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8000))' 2>/dev/null; do :; done";
        let serve = "python3 -m http.server --directory html --bind 127.0.0.1 8000 >/dev/null 2>&1 &";
        let told = desk.call("shell_exec", json!({ "command": format!("{serve} {listens}") }))?;
        if !told.starts_with("exit code 0") {
            bail!("serve the pages: {told}");
        }
        Ok(desk)
    }

    /// Makes a call, and gives what the tool tells; whatever is not done is an error.
    pub(super) fn call(&mut self, tool: &str, arguments: Value) -> Result<String> {
        let Value::Object(arguments) = arguments else { bail!("arguments of {tool} are an object") };
        let arguments = tools::admit(tool, &arguments).map_err(|problem| anyhow!("{problem}"))?;
        let labels = arguments.keys().map(|name| (name.clone(), Label::system())).collect();
        let (id, call_id) = (EffectId(self.next), format!("call-{}", self.next));
        self.next += 1;
        let call = ToolCall { id, turn: 1, call_id, tool: tool.to_owned(), arguments, labels };
        let facts = Facts {
            task: TaskId::new("miniwob").map_err(|error| anyhow!("{error}"))?,
            model: "none".to_owned(),
            tool: tools::facts(tool),
            yes: false,
            declared: false,
            budget_left: None,
        };
        let verdict = self.policy.authorize_tool(call, &facts, None);
        let permit = verdict.permit.with_context(|| format!("{tool}: {}", verdict.decision.reason))?;
        let result = tools::run(permit, &self.world);
        if result.status != ToolStatus::Ok {
            let told: String = result.text.chars().take(REASON_CHARS_MAX).collect();
            bail!("{tool}: {}", told.replace('\n', " "));
        }
        Ok(result.text)
    }

    /// Opens a task's page.
    pub(super) fn open_page(&mut self, task: &str) -> Result<()> {
        self.call("browser_navigate", json!({ "url": format!("{SITE}/miniwob/{task}.html") })).map(drop)
    }

    /// What a script gives that ends in a value; the page's own words for it, as JSON.
    pub(super) fn value(&mut self, script: &str) -> Result<Value> {
        let told = self.exec(&format!("JSON.stringify(await (async () => {{ {script} }})())"))?;
        serde_json::from_str(&told).with_context(|| format!("a script gave {told:?}"))
    }

    /// The numbers of the elements that an expression gives.
    pub(super) fn elements(&mut self, expression: &str) -> Result<Vec<u64>> {
        let told = self.exec(expression)?;
        let number = |line: &str| line.strip_prefix('[')?.split([' ', ']']).next()?.parse().ok();
        Ok(told.lines().filter_map(number).collect())
    }

    /// What a script gives, without the marks of whose words it is.
    fn exec(&mut self, javascript: &str) -> Result<String> {
        let told = self.call("browser_console_exec", json!({ "javascript": javascript }))?;
        let lines = told.lines().skip_while(|line| *line != "Result:").filter_map(|line| line.strip_prefix("| "));
        let given = lines.collect::<Vec<_>>().join("\n");
        if given.starts_with("Error: ") {
            bail!("{given}");
        }
        Ok(given)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(computer) = self.world.place.opened() {
            // Left alone, it ends by itself with its folder.
            let _ = computer.shutdown();
        }
        self.world.place.forget();
    }
}
