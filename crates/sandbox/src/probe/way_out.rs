//! Whether a computer can be given a way out to hosts that somebody allows, proved with a gate that allows one: a site of this
//! program's own on loopback, so that nothing leaves the machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Capability, Seen, TRIAL_WAIT, trial};
use crate::egress::{Admitted, Attempt, Ceilings, Closed, EgressGate, Grant, Host, Refusal};
use crate::{Build, Computer, ComputerSpec, Error, Request, Result};

const NAME: &str = "allowed hosts";
/// The one host that is allowed. No name below `invalid` is anybody's.
const ALLOWED: &str = "allowed.invalid";
/// What the proxy is asked from inside, once for each host, and the first and the last line of its answer.
const ASK: &str = r"for host in other.invalid allowed.invalid; do exec 3<>/dev/tcp/127.0.0.1/3128 && printf 'GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n' $host $host >&3 && IFS= read -r line <&3 && echo $host $line; while IFS= read -r line <&3; do last=$line; done; echo $host says $last; done";
/// What the site answers.
const SAYS: &str = "it was reached";

const CEILINGS: Ceilings =
    Ceilings { bytes_up: 4096, bytes_down: 4096, connections: 1, holds: Duration::from_secs(60) };

/// Lets programs reach the site by its name, and nothing else.
#[derive(Debug)]
struct Trial {
    site: SocketAddr,
}

impl EgressGate for Trial {
    fn admit(&self, attempt: &Attempt, _: &dyn Fn() -> bool) -> std::result::Result<Admitted, Refusal> {
        if attempt.host == Host::Name(ALLOWED.to_owned()) && attempt.port == 80 {
            return Ok(Admitted { number: 1, grant: Arc::new(Grant::new(1, Some(self.site), CEILINGS)) });
        }
        Err(Refusal::new("trial", "it is not allowed in a trial"))
    }

    fn refused(&self, _: &Attempt, _: &Refusal) {}

    fn closed(&self, _: Closed) {}
}

/// Makes a computer with a way out, if the driver can, and asks from inside for a host that is allowed and for one that is not.
pub(super) fn look(scratch: &Path, keeper: &Path, build: Build) -> Result<Capability> {
    let finding = |seen: Seen, finding: String, fix: &str| Capability {
        name: NAME,
        works: seen == Seen::WayOutWorks,
        needed: false,
        finding,
        seen,
        fix: fix.to_owned(),
    };
    if !build.driver.has_way_out() {
        let text =
            format!("the driver {} makes no way out: a task that names hosts or secrets is refused", build.driver);
        let fix = "unset THENAR_COMPUTER    # and take `driver` out of config.toml: the driver native makes one";
        return Ok(finding(Seen::WayOutNone { driver: build.driver.to_string() }, text, fix));
    }
    let mut spec = ComputerSpec { egress: true, ..trial(scratch, keeper, build) };
    spec.dir.set_extension("out");
    let computer = Computer::open(&spec)?;
    let asked = ask(&computer);
    computer.shutdown()?;
    Ok(match what_holds(&asked?) {
        Ok(()) => {
            let text = "a host that was allowed was reached from inside, and one that was not was refused, at the only way out";
            finding(Seen::WayOutWorks, text.to_owned(), "")
        }
        Err(wrong) => {
            finding(Seen::WayOutWrong { error: wrong.clone() }, wrong, "report this: tasks cannot reach a host")
        }
    })
}

/// Judges what the program inside has seen.
fn what_holds(said: &str) -> std::result::Result<(), String> {
    let has = |start: &str, part: &str| said.lines().any(|line| line.starts_with(start) && line.contains(part));
    if !has("other.invalid HTTP", " 403 ") {
        return Err(format!("a host that was not allowed was not refused (seen: {said:?})"));
    }
    if !has("allowed.invalid HTTP", " 200 ") || !has("allowed.invalid says", SAYS) {
        return Err(format!("a host that was allowed was not reached (seen: {said:?})"));
    }
    Ok(())
}

fn ask(computer: &Computer) -> Result<String> {
    let failed = |source| Error::io("make a site for a trial on 127.0.0.1")(source);
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let site = listener.local_addr().map_err(failed)?;
    let _served = computer.egress(Arc::new(Trial { site }))?;
    std::thread::scope(|threads| {
        let serving = std::thread::Builder::new().name("trial site".into()).spawn_scoped(threads, || serve(&listener));
        serving.map_err(failed)?;
        let said = ask_for_both(computer);
        // Nobody comes any more: the thread that waits for them is let go.
        let _ = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both);
        said
    })
}

fn ask_for_both(computer: &Computer) -> Result<String> {
    let argv = ["bash", "-c", ASK].map(str::to_owned).to_vec();
    computer.start("ask", &Request::Exec { argv, cwd: None, env: Default::default() })?;
    computer.wait("ask", TRIAL_WAIT)?;
    Ok(String::from_utf8_lossy(&computer.output("ask", 0, 1024)?).trim().to_owned())
}

/// Answers one request, and whoever comes after it, until the listener is shut.
fn serve(listener: &TcpListener) {
    while let Ok((stream, _)) = listener.accept() {
        // Whoever says nothing is not waited for.
        let _ = stream.set_read_timeout(Some(TRIAL_WAIT));
        let mut lines = BufReader::new(&stream).lines();
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{SAYS}\n", SAYS.len() + 1);
        let _ = (&stream).write_all(answer.as_bytes());
        let _ = stream.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_are_needed() {
        let (refused, reached) =
            ("other.invalid HTTP/1.1 403 no\n", "allowed.invalid HTTP/1.1 200 OK\nallowed.invalid says it was reached");
        assert_eq!(what_holds(&format!("{refused}{reached}")), Ok(()));
        assert!(what_holds(reached).is_err_and(|why| why.contains("not refused")));
        assert!(what_holds(refused).is_err_and(|why| why.contains("not reached")));
        let open = "other.invalid HTTP/1.1 200 OK\n";
        assert!(what_holds(&format!("{open}{reached}")).is_err());
    }
}
