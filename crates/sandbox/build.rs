//! Turns `seccomp/shell.json` and `seccomp/browser.json` into kernel instructions, so that a starting computer has nothing to compile. It adds no rule of its own.
//! And it links the keeper at a fixed address: see `docs/decisions/a-keeper-at-a-fixed-address.md`.

#[path = "build/tree.rs"]
mod tree;

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

use seccompiler::{BpfProgram, TargetArch};
use serde_json::{Value, json};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=seccomp/shell.json");
    println!("cargo::rerun-if-changed=seccomp/browser.json");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/tree.rs");
    if std::env::var("CARGO_CFG_TARGET_ENV")? == "gnu" {
        println!("cargo::rustc-link-arg-bin=thenar-keeper=-no-pie");
    }
    let machine = std::env::var("CARGO_CFG_TARGET_ARCH")?;
    let out = std::env::var("OUT_DIR")?;
    let rules: Value = serde_json::from_str(&std::fs::read_to_string("seccomp/shell.json")?)?;
    let browser: Value = serde_json::from_str(&std::fs::read_to_string("seccomp/browser.json")?)?;
    let old: Vec<&str> = names(&rules["only_x86_64"]);
    let exists = |name: &&str| machine == "x86_64" || !old.contains(name);

    let known = names(&rules["allow"]).into_iter().chain(old.iter().copied().filter(exists));
    // What is lifted for one box must exist; the other box's own filter goes on refusing it.
    let known: Vec<Value> = known.chain(names(&browser["lift"])).map(|name| json!({ "syscall": name })).collect();
    let refused = refusals(&rules, &exists, &[], &[])?;
    let lifted = (names(&browser["lift"]), names(&browser["lift_when"]));
    let refused_to_browsers = refusals(&rules, &exists, &lifted.0, &lifted.1)?;
    let pretended = when(&rules["pretend_when"], &exists, &[])?;
    let filters = json!({
        "known": { "mismatch_action": { "errno": ENOSYS }, "match_action": "allow", "filter": known },
        "refused": { "mismatch_action": "allow", "match_action": { "errno": EPERM }, "filter": refused },
        "refused_to_browsers": { "mismatch_action": "allow", "match_action": { "errno": EPERM }, "filter": refused_to_browsers },
        "pretended": { "mismatch_action": "allow", "match_action": { "errno": 0 }, "filter": pretended },
    });
    let target = TargetArch::try_from(machine.as_str())?;
    let programs: HashMap<String, BpfProgram> = seccompiler::compile_from_json(filters.to_string().as_bytes(), target)?;
    for (name, program) in programs {
        let bytes: Vec<u8> = tree::tree(&program)?
            .iter()
            .flat_map(|step| {
                let [code_low, code_high] = step.code.to_ne_bytes();
                let [a, b, c, d] = step.k.to_ne_bytes();
                [code_low, code_high, step.jt, step.jf, a, b, c, d]
            })
            .collect();
        std::fs::write(Path::new(&out).join(format!("{name}.bpf")), bytes)?;
    }
    Ok(())
}

/// What is refused, but for the calls and the rules (by their reason) that are lifted.
fn refusals(
    rules: &Value,
    exists: &impl Fn(&&str) -> bool,
    calls_lifted: &[&str],
    rules_lifted: &[&str],
) -> Result<Vec<Value>, Box<dyn Error>> {
    let calls = names(&rules["refuse"]).into_iter().filter(exists).filter(|name| !calls_lifted.contains(name));
    let mut refused: Vec<Value> = calls.map(|name| json!({ "syscall": name })).collect();
    refused.extend(when(&rules["refuse_when"], exists, rules_lifted)?);
    Ok(refused)
}

/// Calls with certain arguments, but for the rules (by their reason) that are lifted.
fn when(rules: &Value, exists: &impl Fn(&&str) -> bool, rules_lifted: &[&str]) -> Result<Vec<Value>, Box<dyn Error>> {
    let rules = rules.as_array().ok_or("what depends on arguments is no list")?;
    let reason = |rule: &Value| rule["why"].as_str().unwrap_or_default().to_owned();
    if let Some(unknown) = rules_lifted.iter().find(|lifted| !rules.iter().any(|rule| reason(rule) == **lifted)) {
        return Err(format!("browser.json lifts a rule that shell.json has not: {unknown}").into());
    }
    let mut all = Vec::new();
    for rule in rules.iter().filter(|rule| !rules_lifted.contains(&reason(rule).as_str())) {
        let args: Vec<Value> = rule["all"]
            .as_array()
            .ok_or("a rule without conditions")?
            .iter()
            .map(condition)
            .collect::<Result<_, _>>()?;
        let calls = names(&rule["calls"]).into_iter().filter(exists);
        all.extend(calls.map(|name| json!({ "syscall": name, "args": args })));
    }
    Ok(all)
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// One condition in the words of the compiler. All compared values fit into 32 bits, which is what the kernel reads; an address does not.
fn condition(rule: &Value) -> Result<Value, Box<dyn Error>> {
    let index = rule["argument"].as_u64().ok_or("a condition without argument")?;
    if let Some(value) = rule["not_wide"].as_str() {
        return Ok(json!({ "index": index, "type": "qword", "op": "ne", "val": number(value)? }));
    }
    let (op, val) = if let Some(bits) = rule["has"].as_str() {
        (json!({ "masked_eq": number(bits)? }), number(bits)?)
    } else if let Some(value) = rule["not"].as_str() {
        (json!("ne"), number(value)?)
    } else if let Some(value) = rule["is_masked"].as_str() {
        (json!({ "masked_eq": number(rule["mask"].as_str().ok_or("no mask")?)? }), number(value)?)
    } else {
        (json!("eq"), number(rule["is"].as_str().ok_or("a condition that says nothing")?)?)
    };
    Ok(json!({ "index": index, "type": "dword", "op": op, "val": val }))
}

fn number(text: &str) -> Result<u64, std::num::ParseIntError> {
    if let Some(digits) = text.strip_prefix("0o") {
        u64::from_str_radix(digits, 8)
    } else if let Some(digits) = text.strip_prefix("0x") {
        u64::from_str_radix(digits, 16)
    } else {
        text.parse()
    }
}
