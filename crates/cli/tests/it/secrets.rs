//! Secrets: kept outside, put in on the way, and to be found nowhere else.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;

use serde_json::json;

use crate::desk::{Desk, call, exec, say, until};

const VALUE: &str = "sk-4f1e9c77d0aa";

/// A site that answers and tells what it was asked with.
fn site() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, heads) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let _ = sender.send(head.join("\n"));
            let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
        }
    });
    (port, heads)
}

/// Every file below that holds the value.
fn holding(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            holding(&entry.path(), found);
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            if bytes.windows(VALUE.len()).any(|part| part == VALUE.as_bytes()) {
                found.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
}

#[test]
fn a_secret_reaches_its_host_and_nothing_else() {
    it_reaches_its_host_and_nothing_else(Desk::new());
}

#[test]
fn a_secret_of_an_ordinary_users_reaches_its_host_and_nothing_else() {
    // Only root can become somebody else; anybody else is one already.
    if rustix::process::geteuid().is_root() {
        it_reaches_its_host_and_nothing_else(Desk::new().owned_by_user(64_323));
    }
}

fn it_reaches_its_host_and_nothing_else(desk: Desk) {
    let desk = desk.with("THENAR_LOG", "trace").with("THENAR_TELEMETRY_CONTENT", "yes");
    let (port, heads) = site();
    let host = format!("api.test:80=127.0.0.1:{port}");
    desk.run_reading(&["secret", "set", "API_KEY", "--host", &host], format!("{VALUE}\n").as_bytes()).code(0);
    let store = desk.path("home/secrets.json");
    assert_eq!(std::fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = desk.run(&["secret", "list"]).code(0);
    assert!(listed.seen().contains(&format!("API_KEY  {host}")) && !listed.seen().contains(VALUE), "{}", listed.seen());

    let command = "curl -s -H \"Authorization: Bearer $API_KEY\" http://api.test/ | tee got; env > variables; \
                   cat /proc/*/environ > processes 2>/dev/null; echo \"the variable holds $API_KEY\"";
    let script = desk.script(&[exec(command), say("done")]);
    let ran = desk.run(&["run", "--model", &script, "--id", "t-one", "--secret", "API_KEY", "use it"]).code(0);
    assert!(heads.recv().unwrap().contains(&format!("Authorization: Bearer {VALUE}")), "the host gets the value");
    let result = &desk.results("t-one")[0];
    assert!(result.contains("hello") && result.contains("the variable holds thenar-secret-api_key-"), "{result}");
    let mut found = Vec::new();
    holding(&desk.path(""), &mut found);
    assert_eq!(found, ["secrets.json"], "in no other file: workspace, outputs, record");
    assert!(!ran.seen().contains(VALUE), "nor in any stream or log");

    let copy = desk.path("copy");
    desk.run(&["backup", copy.to_str().unwrap()]).code(0);
    let mut copied = Vec::new();
    holding(&copy, &mut copied);
    assert!(copied.is_empty() && copy.join("tasks/t-one").is_dir(), "a backup holds no secrets: {copied:?}");

    // Who was not given it has nothing.
    let script = desk.script(&[exec("echo \"it is [$API_KEY]\""), say("done")]);
    desk.run(&["run", "--model", &script, "--id", "t-two", "without"]).code(0);
    assert!(desk.results("t-two")[0].contains("it is []"));
    desk.run(&["secret", "remove", "API_KEY"]).code(0);
    desk.run(&["run", "--model", &script, "--secret", "API_KEY", "gone"]).code(2).says("there is no secret API_KEY");
    holding(&desk.path("home"), &mut found);
    assert_eq!(found, ["secrets.json"], "and when it is removed, in none");
}

#[test]
fn a_secret_that_is_replaced_or_removed_is_so_for_a_task_that_runs() {
    let desk = Desk::new();
    let (port, heads) = site();
    let host = format!("api.test:80=127.0.0.1:{port}");
    let set = |value: &str| {
        desk.run_reading(&["secret", "set", "API_KEY", "--host", &host], format!("{value}\n").as_bytes()).code(0);
    };
    set(VALUE);
    let command = "for round in 1 2 3; do until [ -e go$round ]; do sleep 0.1; done; \
                   curl -s -H \"Authorization: Bearer $API_KEY\" http://api.test/; done";
    let wait = call("shell_wait", json!({ "id": "e2", "seconds": 60 }));
    let script = desk.script(&[exec(command), wait, say("done")]);
    let running = desk.start(&["run", "--model", &script, "--id", "t-one", "--secret", "API_KEY", "use it"]);
    let workspace = desk.path("home/tasks/t-one/workspace");
    until("there is a workspace", || workspace.exists());
    let came = |round: u8| {
        std::fs::write(workspace.join(format!("go{round}")), "").unwrap();
        heads.recv_timeout(std::time::Duration::from_secs(60)).expect("a request comes")
    };
    let first = came(1);
    assert!(first.contains(&format!("Authorization: Bearer {VALUE}")), "{first}");
    set("another-value");
    let second = came(2);
    assert!(second.contains("Authorization: Bearer another-value"), "{second}");
    desk.run(&["secret", "remove", "API_KEY"]).code(0);
    let third = came(3);
    assert!(third.contains("Authorization: Bearer thenar-secret-api_key-"), "{third}");
    running.end().code(0);
}

/// A site over TLS that writes down who came; its first argument is its certificate with the key, its second where it writes.
const TLS_SITE: &str = "
import http.server, ssl, sys
class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(sys.argv[2], 'a') as came:
            came.write(self.headers.get('Authorization', '-') + '\\n')
        self.send_response(200)
        self.send_header('Content-Length', '6')
        self.end_headers()
        self.wfile.write(b'hello\\n')
    def log_message(self, *_):
        pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
server = http.server.HTTPServer(('127.0.0.1', 0), Site)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
";

/// Ended with the test.
struct Site(std::process::Child);

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a site on loopback; no task has a part in it")]
fn programs_use_a_secret_over_https_without_settings_of_their_own() {
    let desk = Desk::new();
    let made = rcgen::generate_simple_self_signed(["api.test".to_owned()]).unwrap();
    let trusted = desk.write("site/cert.pem", &made.cert.pem());
    let own = desk.write("site/own.pem", &format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem()));
    let came = desk.path("site/came");
    let mut site = std::process::Command::new("python3");
    site.args(["-c", TLS_SITE]).arg(&own).arg(&came).stdout(std::process::Stdio::piped());
    let mut site = Site(site.spawn().unwrap());
    let mut port = String::new();
    BufReader::new(site.0.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();

    // The machine believes the site; what is inside believes the task's own authority.
    let desk = desk.with("SSL_CERT_FILE", trusted.to_str().unwrap());
    let host = format!("api.test:443=127.0.0.1:{}", port.trim());
    desk.run_reading(&["secret", "set", "API_KEY", "--host", &host], format!("{VALUE}\n").as_bytes()).code(0);
    let command = "curl -sS -H \"Authorization: Bearer $API_KEY\" https://api.test/\npython3 - <<'END'\n\
                   import os, urllib.request\n\
                   headers = {'Authorization': 'Bearer ' + os.environ['API_KEY']}\n\
                   print(urllib.request.urlopen(urllib.request.Request('https://api.test/', headers=headers)).read())\n\
                   END";
    let script = desk.script(&[exec(command), say("done")]);
    desk.run(&["run", "--model", &script, "--id", "t-one", "--secret", "API_KEY", "use it"]).code(0);
    let result = &desk.results("t-one")[0];
    assert!(result.contains("hello\nb'hello\\n'"), "{result}");
    let came = std::fs::read_to_string(came).unwrap();
    assert_eq!(came, format!("Bearer {VALUE}\nBearer {VALUE}\n"));
}

#[test]
fn what_is_no_secret_is_not_kept() {
    let desk = Desk::new();
    let set = |arguments: &[&str], value: &str| {
        let all = [&["secret", "set"], arguments].concat();
        desk.run_reading(&all, value.as_bytes()).code(2)
    };
    set(&["KEY", "--host", "*"], VALUE).says("a secret for every host would be none");
    set(&["1KEY", "--host", "api.test"], VALUE).says("no name of a variable");
    set(&["KEY", "--host", "api.test"], "two\nlines").says("one line");
    set(&["KEY", "--host", "api.test"], "").says("one line");
    desk.run(&["secret", "remove", "KEY"]).code(2).says("there is no secret KEY");
}

#[test]
fn whoever_gives_up_typing_a_secret_has_the_terminal_back_and_nothing_is_kept() {
    let desk = Desk::new();
    // A terminal whose other end waits for the question, says Ctrl-C once nothing typed is shown, and looks how it is left.
    let terminal = r#"exec python3 -c '
import os, pty, sys, termios
child, end = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
shown = lambda: termios.tcgetattr(end)[3] & termios.ECHO != 0
said = b""
while b"Value of KEY" not in said:
    said += os.read(end, 1024)
while shown():
    pass
os.write(end, b"half of it\x03")
try:
    while True:
        said += os.read(end, 1024)
except OSError:
    pass
ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(ended, shown(), b"half" in said)
' "$@""#;
    let arguments = ["secret", "set", "KEY", "--host", "api.test"];
    desk.run_as_it_is(terminal, &arguments).code(0).puts_out("130 True False\n");
    desk.run(&["secret", "list"]).code(0).puts_out("");
}
