//! A computer with a browser, and in it a server of pages. Nothing here is a fake.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use browser::{Browser, Destination, Spot, Start};
use sandbox::{Computer, ComputerSpec, Limits, Request, Workspace};

/// More than any page here shows.
pub(crate) const CHARS: usize = 9_000;

pub(crate) struct Desk {
    pub(crate) browser: Browser,
    pub(crate) computer: Computer,
    pub(crate) cancel: Arc<AtomicBool>,
    pub(crate) folder: tempfile::TempDir,
}

impl Desk {
    /// A browser before these pages, by path.
    pub(crate) fn with(pages: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("thenar-").tempdir().unwrap();
        let spec = ComputerSpec {
            dir: folder.path().join("computer"),
            workspace: Workspace::Own(folder.path().join("workspace")),
            toolset: None,
            limits: Limits::default(),
            deadline_unix_ms: None,
            env: BTreeMap::new(),
            keeper: sandbox::find_keeper().unwrap(),
            forbidden: Vec::new(),
            build: Default::default(),
            egress: false,
        };
        std::fs::create_dir(folder.path().join("workspace")).unwrap();
        let pages: BTreeMap<&str, &str> = pages.iter().copied().collect();
        let at = |name: &str| folder.path().join("workspace").join(name);
        std::fs::write(at("pages.json"), serde_json::to_vec(&pages).unwrap()).unwrap();
        std::fs::write(at("site.py"), include_str!("site.py")).unwrap();
        let computer = Computer::open(&spec).unwrap();
        let argv = ["python3", "/workspace/site.py", "/workspace/pages.json"].map(str::to_owned).to_vec();
        computer.start("site", &Request::Exec { argv, cwd: None, env: BTreeMap::new() }).unwrap();
        let cancel = Arc::new(AtomicBool::new(false));
        let browser = attach(&computer, &cancel);
        while !computer.output("site", 0, 100).unwrap().starts_with(b"ready") {
            let status = computer.wait("site", Duration::from_millis(20)).unwrap();
            assert!(matches!(status, sandbox::Status::Running { .. }), "the server of pages has ended");
        }
        Self { browser, computer, cancel, folder }
    }

    /// A browser before one page, which is open.
    pub(crate) fn at(page: &str) -> (Self, String) {
        let desk = Self::with(&[("/", page)]);
        let text = desk.open("/");
        (desk, text)
    }

    pub(crate) fn open(&self, path: &str) -> String {
        self.browser.navigate(&Destination::Address(format!("http://127.0.0.1:8000{path}"))).unwrap()
    }

    pub(crate) fn view(&self) -> String {
        self.browser.view(None, CHARS).unwrap()
    }

    /// The number of the element whose text in the view begins so.
    #[track_caller]
    pub(crate) fn number(&self, element: &str) -> u32 {
        let view = self.view();
        find(&view, element).unwrap_or_else(|| panic!("no {element:?} in:\n{view}"))
    }

    #[track_caller]
    pub(crate) fn click(&self, element: &str) -> String {
        let number = self.number(element);
        self.browser.click(Spot::Element(number), browser::Click::Once).unwrap()
    }

    /// What a script gives, its quotation marks taken off.
    pub(crate) fn script(&self, script: &str) -> String {
        let text = self.browser.exec(script, CHARS).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("| "));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What the next engine has that comes after this one died.
    pub(crate) fn restarted(&mut self) {
        self.browser = attach(&self.computer, &self.cancel);
    }
}

/// The number of the first element that is told so.
pub(crate) fn find(view: &str, element: &str) -> Option<u32> {
    let mut rest = view;
    while let Some(at) = rest.find('[') {
        rest = &rest[at + 1..];
        let (number, after) = rest.split_once(' ')?;
        if after.starts_with(element)
            && let Ok(number) = number.parse()
        {
            return Some(number);
        }
    }
    None
}

fn attach(computer: &Computer, cancel: &Arc<AtomicBool>) -> Browser {
    let line = computer.browser(sandbox::Browser::Lean).unwrap();
    let writer = line.stream.try_clone().unwrap();
    let start = Start {
        generation: line.generation,
        fresh: line.fresh,
        standing: line.standing.clone(),
        downloads: "/downloads".to_owned(),
        cancel: Arc::clone(cancel),
    };
    Browser::attach(line.stream, writer, start).unwrap_or_else(|error| panic!("{error} ({})", line.last_words))
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.computer.shutdown();
    }
}
