//! The other makers of boxes that are installed, in the same run as ours: one command in a box of its own.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use sandbox::{Computer, Driver};
use serde_json::json;
use tempfile::TempDir;

use super::computer::{echo, spec};
use super::statistics::{median, percentile};
use super::{Figure, Target, figure, left_out};
use crate::rig::Programs;

const ROUNDS: usize = 30;

/// What bubblewrap makes a small box of: the system read-only, its own `/proc`, `/dev` and `/tmp`, all namespaces.
pub(super) const BWRAP_BOX: &[&str] = &[
    "--unshare-all",
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "usr/lib",
    "/lib",
    "--symlink",
    "usr/lib64",
    "/lib64",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--tmpfs",
    "/tmp",
];

/// The same first output from a box of each other maker that is installed.
pub(super) fn boxes(programs: &Programs) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    if let Some(times) = ours_by_bwrap(programs)? {
        figures.push(told("computer made by bubblewrap: create to first output, median", &times));
    }
    if let Some(times) = program("bwrap", &[BWRAP_BOX, &["--", "/usr/bin/echo", "here"]].concat())? {
        figures.push(told("bwrap alone, one command in a box of its own, median", &times));
    }
    let unshare = ["-Urmpinf", "--mount-proc", "/usr/bin/echo", "here"];
    if let Some(times) = program("unshare", &unshare)? {
        figures.push(told("unshare alone, with all namespaces, median", &times));
    }
    figures.push(runc()?);
    Ok(figures)
}

/// Where administrators' programs are; not all have it in their path.
const RUNC: &[&str] = &["runc", "/usr/sbin/runc", "/usr/bin/runc"];

/// runc with a bundle as small as the other boxes: the system read-only, its own `/proc`, `/dev` and `/tmp`, all namespaces but
/// that of users, which as root it does not need.
fn runc() -> Result<Figure> {
    const NAME: &str = "runc alone, one command in a container of its own, median";
    let bundle = TempDir::with_prefix("thenar-bench-").context("make a folder for a container")?;
    write_bundle(bundle.path()).context("write a container's bundle")?;
    let folder = bundle.path().to_str().context("a path that is not UTF-8")?;
    let state = format!("{folder}/state");
    let arguments = ["--root", &state, "run", "--bundle", folder, "thenar-bench"];
    for program_name in RUNC {
        if let Some(times) = program(program_name, &arguments)? {
            return Ok(told(NAME, &times));
        }
    }
    Ok(left_out(
        NAME,
        "runc is not installed, or may not make a container here: `make bench` installs it on a Debian, and it runs as root",
    ))
}

fn write_bundle(folder: &Path) -> Result<()> {
    let root = folder.join("rootfs");
    for name in ["usr", "proc", "dev", "tmp"] {
        std::fs::create_dir_all(root.join(name))?;
    }
    for name in ["lib", "lib64"] {
        symlink(format!("usr/{name}"), root.join(name))?;
    }
    let memory = |to: &str| json!({ "destination": to, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"] });
    let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
    let config = json!({
        "ociVersion": "1.0.2",
        "root": { "path": "rootfs", "readonly": true },
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": ["/usr/bin/echo", "here"],
            "env": ["PATH=/usr/bin"],
            "cwd": "/",
            "noNewPrivileges": true,
        },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            memory("/dev"),
            memory("/tmp"),
            { "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"] },
        ],
        "linux": { "namespaces": namespaces },
    });
    Ok(std::fs::write(folder.join("config.json"), config.to_string())?)
}

fn told(name: &str, times: &[f64]) -> Figure {
    let note = format!("p95 {:.1} ms of {}", percentile(times, 95.0), times.len());
    figure(name, median(times), "ms", Target::None).note(note)
}

/// Nothing where bubblewrap is not installed.
fn ours_by_bwrap(programs: &Programs) -> Result<Option<Vec<f64>>> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let folder = TempDir::with_prefix("thenar-bench-").context("make a folder for a computer")?;
        let mut spec = spec(programs, folder.path())?;
        spec.build = Driver::Bwrap.into();
        let start = Instant::now();
        let Ok(computer) = Computer::open(&spec) else { return Ok(None) };
        echo(&computer, "first")?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        computer.shutdown().context("end the computer")?;
    }
    Ok(Some(times))
}

/// Nothing where the program is not installed or may not do it.
#[expect(clippy::disallowed_methods, reason = "another program, to compare with")]
fn program(name: &str, arguments: &[&str]) -> Result<Option<Vec<f64>>> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let output = Command::new(name).args(arguments).env_clear().current_dir("/").stdin(Stdio::null()).output();
        match output {
            Ok(output) if output.stdout == b"here\n" => times.push(start.elapsed().as_secs_f64() * 1000.0),
            Ok(_) | Err(_) => return Ok(None),
        }
    }
    Ok(Some(times))
}
