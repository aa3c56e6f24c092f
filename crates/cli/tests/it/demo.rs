//! `thenar demo`, whole: a script over real data, killed and resumed, and its three promises.

use std::path::PathBuf;

use crate::desk::Desk;

/// The toolset as `make setup` and `make test` build it.
fn toolset() -> PathBuf {
    let named = std::env::var_os("THENAR_TOOLSET").filter(|named| !named.is_empty()).map(PathBuf::from);
    named.or_else(built).unwrap_or_else(|| panic!("the toolset is missing: sh toolset/setup.sh"))
}

fn built() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let mut sets = std::fs::read_dir(cache.join("thenar/toolset")).ok()?.flatten().map(|entry| entry.path());
    sets.find(|set| set.join("COMPLETE").is_file())
}

#[test]
fn the_demo_keeps_its_promises() {
    let desk = Desk::new();
    desk.run(&["demo"]).code(5).says("the demo needs the toolset").says("thenar setup");
    let desk = desk.with("THENAR_TOOLSET", toolset().to_str().unwrap());
    let ran = desk.run(&["demo"]).code(0).says("The steps come from a SCRIPT, not from a model");
    let promises: Vec<_> = ran.out.lines().collect();
    assert_eq!(promises.len(), 3, "{}", ran.out);
    for (promise, part) in promises.iter().zip(["0 stages lost, 0 repeated", "sent: failed", "verify names record"]) {
        assert!(promise.starts_with('✓') && promise.contains(part), "{promise}");
    }
    let task = &desk.run(&["task", "list", "--json"]).code(0).json()[0];
    assert_eq!((&task["state"], &task["scripted"]), (&"done".into(), &true.into()));
    let id = task["id"].as_str().unwrap();
    for name in ["report.html", "report.pdf", "report.xlsx"] {
        assert!(desk.here.join("thenar-out").join(id).join(name).is_file(), "{name}");
    }
    assert!(!desk.has_computer(id));
}
