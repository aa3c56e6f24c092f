//! Whether a computer can be given a way out to hosts that somebody allows, proved with a gate that allows none.

use std::path::Path;
use std::sync::Arc;

use super::{Capability, TRIAL_WAIT, trial};
use crate::egress::{Admitted, Attempt, Closed, EgressGate, Refusal};
use crate::{Build, Computer, ComputerSpec, Request, Result};

const NAME: &str = "allowed hosts";
/// What the proxy is asked from inside, and the first line of its answer.
const ASK: &str = r"exec 3<>/dev/tcp/127.0.0.1/3128 && printf 'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n' >&3 && IFS= read -r line <&3 && echo $line";

#[derive(Debug)]
struct Nobody;

impl EgressGate for Nobody {
    fn admit(&self, _: &Attempt, _: &dyn Fn() -> bool) -> std::result::Result<Admitted, Refusal> {
        Err(Refusal::new("trial", "nothing is allowed in a trial"))
    }

    fn refused(&self, _: &Attempt, _: &Refusal) {}

    fn closed(&self, _: Closed) {}
}

/// Makes a computer with a way out, if the driver can, and asks for a host from inside.
pub(super) fn look(scratch: &Path, keeper: &Path, build: Build) -> Result<Capability> {
    let finding = |works, finding: String, fix: &str| Capability {
        name: NAME,
        works,
        needed: false,
        finding,
        fix: fix.to_owned(),
    };
    if !build.driver.has_way_out() {
        let text =
            format!("the driver {} makes no way out: a task that names hosts or secrets is refused", build.driver);
        let fix = "unset THENAR_COMPUTER    # and take `driver` out of config.toml: the driver native makes one";
        return Ok(finding(false, text, fix));
    }
    let mut spec = ComputerSpec { egress: true, ..trial(scratch, keeper, build) };
    spec.dir.set_extension("out");
    let computer = Computer::open(&spec)?;
    let asked = ask(&computer);
    computer.shutdown()?;
    let said = asked?;
    Ok(if said.contains(" 403") {
        let text = "a host that was not allowed was refused at the only way out; allowed ones go through it";
        finding(true, text.to_owned(), "")
    } else {
        finding(
            false,
            format!("the way out does not answer (seen: {said:?})"),
            "report this: tasks cannot reach a host",
        )
    })
}

fn ask(computer: &Computer) -> Result<String> {
    let _served = computer.egress(Arc::new(Nobody))?;
    let argv = ["bash", "-c", ASK].map(str::to_owned).to_vec();
    computer.start("ask", &Request::Exec { argv, cwd: None, env: Default::default() })?;
    computer.wait("ask", TRIAL_WAIT)?;
    Ok(String::from_utf8_lossy(&computer.output("ask", 0, 256)?).trim().to_owned())
}
