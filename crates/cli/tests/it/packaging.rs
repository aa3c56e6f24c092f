//! The files for a service and a container: what must stand in them, and what must never. Whether a live systemd or a
//! container runtime takes them is not tried here.

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
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "ProtectHome=yes",
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

/// Where systemd is installed, its own parser reads the unit.
#[test]
#[expect(clippy::disallowed_methods, reason = "the other reader of the file")]
fn systemd_knows_every_line_of_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let unit = text("systemd/thenar.service").replace("/usr/local/bin/thenar serve", "/bin/true serve");
    let file = folder.path().join("thenar.service");
    std::fs::write(&file, unit).unwrap();
    let Ok(said) = Command::new("systemd-analyze").arg("verify").arg(&file).output() else { return };
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let about_us: Vec<&str> = said.lines().filter(|line| line.contains("thenar.service:")).collect();
    assert!(about_us.is_empty(), "{about_us:#?}");
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
    let refused = seccomp["syscalls"][0]["names"].as_array().unwrap();
    for name in ["bpf", "kexec_load", "init_module", "keyctl", "ptrace", "io_uring_setup", "reboot"] {
        assert!(refused.iter().any(|known| known == name), "{name} is not refused");
    }
    for name in ["clone", "unshare", "mount", "pivot_root", "open_tree", "move_mount", "mount_setattr", "sethostname"] {
        assert!(refused.iter().all(|known| known != name), "{name} makes computers");
    }
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
