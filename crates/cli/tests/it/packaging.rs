//! The files for a service and a container: what must stand in them, and what must never. A live systemd is `make test-vm`'s;
//! a container runtime is not tried.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Lines that say something.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn the_service_keeps_what_computers_need_and_gives_up_the_rest() {
    let unit = text("systemd/thenar.service");
    let lines = lines(&unit);
    for needed in [
        "KillMode=process",
        "Delegate=cpu memory pids",
        "DelegateSubgroup=thenar-engine",
        "OOMPolicy=continue",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateDevices=yes",
        "StateDirectoryMode=0700",
        "UMask=0077",
        "User=thenar",
    ] {
        assert!(lines.contains(&needed), "{needed} is missing");
    }
    // With any of these no computer can be made.
    for fatal in ["RestrictNamespaces", "ProtectHostname", "ProtectKernelTunables", "ProtectKernelLogs", "ProtectProc"]
    {
        assert!(lines.iter().all(|line| !line.starts_with(fatal)), "{fatal} forbids computers");
    }
    assert!(lines.iter().all(|line| !line.starts_with("ProtectControlGroups")), "it forbids limits per computer");
    assert!(lines.iter().any(|line| line.starts_with("ExecStart=/usr/local/bin/thenar serve --addr 127.0.0.1:")));
}

/// A keeper is put there only where both units are of one user and systemd leaves the group to it.
#[test]
fn the_unit_of_the_computers_is_of_the_same_user_and_is_left_to_it() {
    let unit = text("systemd/thenar-computers.service");
    let lines = lines(&unit);
    for needed in [
        "User=thenar",
        "Delegate=cpu memory pids",
        "DelegateSubgroup=thenar-engine",
        "OOMPolicy=continue",
        "ExecStart=/bin/sleep infinity",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
    ] {
        assert!(lines.contains(&needed), "{needed} is missing");
    }
    let service = text("systemd/thenar.service");
    for needed in ["Wants=", "After="] {
        let starts_it = |line: &&str| line.starts_with(needed) && line.ends_with(" thenar-computers.service");
        assert!(service.lines().any(|line| starts_it(&line)), "{needed} does not name it");
    }
}

/// Where systemd is installed, its own parser reads the unit.
#[test]
#[expect(clippy::disallowed_methods, reason = "the other reader of the file")]
fn systemd_knows_every_line_of_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let unit = text("systemd/thenar.service").replace("/usr/local/bin/thenar serve", "/bin/true serve");
    let file = folder.path().join("thenar.service");
    std::fs::write(&file, unit).unwrap();
    std::fs::write(folder.path().join("thenar-computers.service"), text("systemd/thenar-computers.service")).unwrap();
    let Ok(said) = Command::new("systemd-analyze").arg("verify").arg(&file).output() else { return };
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    // The one line that an older systemd ignores.
    let is_newer = |line: &&str| line.contains("DelegateSubgroup");
    let of_ours = |line: &&str| line.contains("thenar.service") || line.contains("thenar-computers.service");
    let about_us: Vec<&str> = said.lines().filter(|line| of_ours(line) && !is_newer(line)).collect();
    assert!(about_us.is_empty(), "{about_us:#?}");
}

/// What computers' own filter lets commands call, the service's filter must let them call, too: it holds for both.
#[test]
#[expect(clippy::disallowed_methods, reason = "the other reader of the file")]
fn the_service_refuses_no_call_that_computers_need() {
    let Ok(said) = Command::new("systemd-analyze").arg("syscall-filter").output() else { return };
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut group = String::new();
    for line in String::from_utf8(said.stdout).unwrap().lines() {
        let name = line.trim();
        if line.starts_with('@') {
            group = name.to_owned();
        } else if !name.is_empty() && !name.starts_with('#') {
            groups.entry(group.clone()).or_default().push(name.to_owned());
        }
    }
    fn resolve(name: &str, groups: &BTreeMap<String, Vec<String>>, out: &mut BTreeSet<String>) {
        match groups.get(name) {
            Some(members) => members.iter().for_each(|member| resolve(member, groups, out)),
            None => drop(out.insert(name.to_owned())),
        }
    }
    let unit = text("systemd/thenar.service");
    let mut permitted = BTreeSet::new();
    for names in lines(&unit).iter().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        assert!(!names.starts_with('~'), "a list of what is refused permits whatever comes to be");
        names.split_whitespace().for_each(|name| resolve(name, &groups, &mut permitted));
    }
    let known = &groups["@known"];
    // What this systemd does not know it can neither permit nor be asked to.
    permits_what_computers_need(&permitted, |name| known.iter().any(|known| known == name));
}

/// All that computers' own filter lets commands call, and what makes computers; nothing that loads, boots or traces.
#[track_caller]
fn permits_what_computers_need(permitted: &BTreeSet<String>, is_known: impl Fn(&str) -> bool) {
    let shell = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sandbox/seccomp/shell.json");
    let shell: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(shell).unwrap()).unwrap();
    let names = |list: &str| -> Vec<String> {
        shell[list].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let mut refused: BTreeSet<String> = names("refuse").into_iter().collect();
    // Only programs of the eighties call it.
    refused.insert("modify_ldt".to_owned());
    let needed = names("allow").into_iter().chain(names("only_x86_64")).filter(|name| !refused.contains(name));
    let missing: Vec<String> = needed.filter(|name| is_known(name) && !permitted.contains(name)).collect();
    assert!(missing.is_empty(), "commands in computers may call these, and are refused them: {missing:?}");
    for making in ["clone", "unshare", "mount", "pivot_root", "open_tree", "move_mount", "mount_setattr", "sethostname"]
    {
        assert!(permitted.contains(making), "{making} makes computers");
    }
    for never in ["reboot", "init_module", "kexec_load", "bpf", "swapon", "settimeofday", "ptrace", "perf_event_open"] {
        assert!(!permitted.contains(never), "{never}");
    }
}

#[test]
fn the_container_is_never_privileged() {
    let compose = text("compose.yaml");
    let lines = lines(&compose);
    for needed in ["cap_drop: [ALL]", "- no-new-privileges:true", "- systempaths=unconfined", "read_only: true"] {
        assert!(lines.contains(&needed), "{needed} is missing");
    }
    for fatal in ["privileged", "cap_add", "network_mode: host", "pid: host", "docker.sock", "seccomp:unconfined"] {
        assert!(lines.iter().all(|line| !line.contains(fatal)), "{fatal}");
    }
    assert!(lines.iter().any(|line| line.starts_with("ports:") && line.contains("127.0.0.1:")));
    let seccomp: serde_json::Value = serde_json::from_str(&text("container/seccomp.json")).unwrap();
    assert_eq!(seccomp["defaultAction"], "SCMP_ACT_ERRNO", "what is not named is refused");
    let permitted: BTreeSet<String> = seccomp["syscalls"][0]["names"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    assert!(seccomp["syscalls"].as_array().unwrap().len() == 1 && seccomp["syscalls"][0]["action"] == "SCMP_ACT_ALLOW");
    permits_what_computers_need(&permitted, |_| true);
    let dockerfile = text("container/Dockerfile");
    assert!(dockerfile.contains("\nUSER thenar\n"), "it runs as an ordinary user");
}

#[test]
fn the_profile_allows_namespaces_and_is_for_the_keeper_alone() {
    let profile = text("apparmor/thenar-keeper");
    let lines = lines(&profile);
    assert!(lines.contains(&"userns,"));
    assert!(lines.contains(&"profile thenar-keeper \"/usr/local/bin/thenar-keeper\" flags=(unconfined) {"));
}
