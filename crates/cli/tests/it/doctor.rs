//! `thenar doctor` on machines that lack something, made for the test: what it says is for somebody who has never heard of namespaces.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::desk::Desk;

/// Goes on as an ordinary user, whose files are those of whoever runs the test. That must not be root: to the kernel root stays root
/// under any name, and is held to no number of processes.
const AS_A_USER: &str = "exec unshare --user --map-user=1000 --map-group=1000 \"$@\"";
const AS_ROOT: &str = "exec \"$@\"";

/// What the doctor finds there, and how it ends.
#[track_caller]
fn examined(desk: &Desk, machine: &str, code: i32) -> Vec<Value> {
    let report = desk.run_where(machine, &["doctor", "--json"]).code(code).json();
    report["findings"].as_array().unwrap().clone()
}

/// Finding and fix of one name, as one text.
#[track_caller]
fn told(findings: &[Value], name: &str) -> String {
    let found = findings.iter().find(|finding| finding["name"] == name);
    let found = found.unwrap_or_else(|| panic!("nothing is said of {name}: {findings:?}"));
    assert_eq!(found["works"], false, "{found}");
    format!("{} -> {}", found["finding"].as_str().unwrap(), found["fix"].as_str().unwrap())
}

#[test]
fn where_no_more_namespaces_can_be_made_no_full_disk_is_blamed_and_no_browser() {
    let desk = Desk::new().of_ordinary_user();
    // The namespace that the user comes into is the last one.
    let found = examined(&desk, &format!("echo 2 > /proc/sys/user/max_user_namespaces; {AS_A_USER}"), 5);
    let computer = told(&found, "computer");
    assert!(
        computer.contains("whatever its word for it") && computer.contains("'^user.max_.*_namespaces'"),
        "{computer}"
    );
    for name in ["browser", "toolset"] {
        assert_eq!(told(&found, name), "not tried: there is no computer to try it in -> ");
    }
}

#[test]
fn root_of_a_few_users_is_told_to_be_an_ordinary_one() {
    let desk = Desk::new();
    let found = examined(&desk, AS_ROOT, 5);
    let computer = told(&found, "computer");
    assert!(computer.contains("root of a few users only") && computer.contains("as an ordinary user"), "{computer}");
}

#[test]
fn a_bubblewrap_that_makes_no_box_is_named_and_nobody_steps_in() {
    let desk = Desk::new().with("THENAR_COMPUTER", "bwrap").of_ordinary_user();
    let instead = |program: &str| {
        let places = "/usr/bin/bwrap /usr/local/bin/bwrap";
        let machine = format!("for b in {places}; do [ ! -e $b ] || mount --bind {program} $b; done; {AS_A_USER}");
        told(&examined(&desk, &machine, 5), "computer")
    };
    let silent = instead("/bin/false");
    assert!(silent.contains("ended without a box") && silent.contains("--reinstall bubblewrap"), "{silent}");
    // One that does not know our options, as an old one does not.
    let old = instead("/bin/ls");
    assert!(old.contains("option") && old.contains("too old: 0.8.0 or newer"), "{old}");
    let lends = instead("$(command -v su)");
    assert!(lends.contains("lends its owner's rights to everybody") && lends.contains("sudo chmod a-s"), "{lends}");
    let empty = instead("/dev/null");
    assert!(empty.contains("run bubblewrap") && empty.contains("--reinstall bubblewrap"), "{empty}");
}

#[test]
fn a_browser_that_is_missing_or_broken_is_told_with_what_to_install() {
    let desk = Desk::new().of_ordinary_user();
    let none = "for b in /usr/lib/chromium /usr/bin/chromium; do [ -d $b ] && mount -t tmpfs t $b || mount --bind /dev/null $b; done; true";
    let found = examined(&desk, &format!("{none}; {AS_A_USER}"), 0);
    let browser = told(&found, "browser");
    assert!(
        browser.contains("there is none") && browser.contains("apt-get install chromium-headless-shell"),
        "{browser}"
    );
    let broken = "for b in /usr/lib/chromium/chromium-headless-shell /usr/lib/chromium/chromium; do [ -e $b ] && mount --bind /bin/false $b; done; true";
    let found = examined(&desk, &format!("{broken}; {AS_A_USER}"), 0);
    let browser = told(&found, "browser");
    assert!(browser.contains("does not start") && browser.contains("--reinstall chromium-headless-shell"), "{browser}");
}

#[test]
fn who_holds_the_limits_and_why_is_one_line() {
    let desk = Desk::new().of_ordinary_user();
    let report = desk.run(&["doctor", "--json"]).code(0).json();
    let findings = report["findings"].as_array().unwrap();
    if findings.iter().any(|finding| finding["name"] == "limits" && finding["works"] == true) {
        return;
    }
    let limits = told(findings, "limits");
    assert!(
        limits.contains("memory by a watcher that looks twice a second") && !limits.contains("os error"),
        "{limits}"
    );
    assert!(limits.contains("thenar serve"), "{limits}");
}

/// The app says each finding in its reader's language: by its name, and by the code of what was seen.
#[test]
fn every_finding_has_a_name_and_a_code_that_the_app_has_words_for() {
    let desk = Desk::new();
    let words: Value = serde_json::from_str(include_str!("../../../../web/src/i18n/en.json")).unwrap();
    let report = desk.run(&["doctor", "--json"]).json();
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.len() > 20, "{findings:?}");
    for found in findings {
        let name = format!("doctor.name.{}", found["name"].as_str().unwrap());
        assert!(words[&name].is_string(), "the app has no words for {name}");
        assert!(found["seen"]["code"].is_string(), "{found}");
    }
}

#[test]
fn a_policy_that_does_not_load_is_told_before_a_task_meets_it() {
    let desk = Desk::new();
    let policy = desk.write("rules/broken.cedar", "permit(");
    desk.config(&format!("policy = {policy:?}\n"));
    let configuration = told(&examined(&desk, AS_ROOT, 5), "configuration");
    assert!(
        configuration.contains("load the policy") && configuration.ends_with("rules/broken.cedar'"),
        "{configuration}"
    );
}

#[test]
fn a_key_that_everybody_can_read_is_refused_with_what_closes_it() {
    let desk = Desk::new();
    let file = desk.write("config/thenar/config.toml", "[models.\"openai:little\"]\napi_key = \"a-key\"\n");
    let desk = desk.with("XDG_CONFIG_HOME", file.parent().unwrap().parent().unwrap().to_str().unwrap());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    desk.run(&["models"]).code(5).says("everybody on this machine can read it").says("chmod o-rwx");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    desk.run(&["models"]).code(0);
}

#[test]
fn a_server_of_models_that_is_not_there_is_named_whole() {
    let nowhere = "http://127.0.0.1:9/v1";
    let desk = Desk::new().with("OPENAI_BASE_URL", nowhere);
    let report = desk.run(&["doctor", "--json"]).json();
    let model = told(report["findings"].as_array().unwrap(), "model");
    assert!(model.contains(nowhere) && model.contains("start the server"), "{model}");
}
