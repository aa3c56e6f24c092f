//! The table of probes: what each attack from inside comes to. `probes.py` makes them, in every computer there can be: of both
//! drivers, as root and as an ordinary user, with the second lock and without. The same program run outside proves that a probe
//! can succeed at all. Those of a computer with a way out stand in `ways.rs`.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use sandbox::{Confinement, Driver, Exit, SecondLock};

use crate::desk::{self, Desk};

/// Who shows that a probe succeeds outside, and so means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Canary {
    Anybody,
    /// An ordinary user is refused outside, too.
    Root,
    /// Root, in a network of its own: in the machine's it would do harm.
    Apart,
    /// The probe, within the computer: it makes the same attack where it may succeed (`proved` in `probes.py`).
    Itself,
    /// Outside it would do harm, or depend on the machine; or nothing is refused.
    No,
}
use Canary::{Anybody, Apart, Itself, No, Root};

/// A probe, what it comes to in a computer, and who proves it.
const TABLE: &[(&str, &str, Canary)] = &[
    ("p01_shadow", "ENOENT", Root),
    ("p01_secrets_of_the_system", "ENOENT", Anybody),
    ("p01_planted_file", "ENOENT", Anybody),
    ("p02_folders_of_others", "ENOENT", Anybody),
    ("p02_home", "agent", Anybody),
    ("p02_top", "bin dev etc home mnt opt proc run sbin tmp usr var workspace", Anybody),
    ("p03_write_the_system", "refused", Root),
    ("p03_make_files_in_the_system", "EROFS", Itself),
    ("p03_write_what_commands_put_out", "refused", Itself),
    ("p04_mount_again_for_writing", "EPERM", Root),
    ("p04_move_the_mounts", "refused", Itself),
    ("p05_kernel_memory", "nothing", Itself),
    ("p05_sysrq", "nothing", No),
    ("p06_addresses_of_the_kernel", "none", No),
    ("p07_devices", "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero", Anybody),
    ("p07_device_nodes", "EPERM", Root),
    ("p08_kernels_own_trees", "ENOENT", Anybody),
    ("p09_processes", "only its own", Anybody),
    ("p10_doors_of_our_processes", "closed", Root),
    ("p10_up_and_out", "ENOENT", Anybody),
    ("p11_planted_variable", "not seen", Anybody),
    ("p12_inherited_descriptors", "none", Anybody),
    ("p13_paths_of_the_host", "none", Anybody),
    ("p13_mounts_that_can_be_written", "/dev/pts /dev/shm /home/agent /proc /tmp /workspace", Anybody),
    ("p14_signal_the_host", "ESRCH", Anybody),
    ("p14_end_the_computer", "stands", Itself),
    ("p14_signal_by_a_descriptor", "ESRCH", Anybody),
    ("p14_open_a_process_of_the_host", "ESRCH", Anybody),
    ("p15_look_into_others", "EPERM", Anybody),
    ("p16_forge_who_sends", "refused", Root),
    ("p17_new_namespaces", "EPERM", Root),
    ("p17_new_namespaces_by_clone", "EPERM", Root),
    ("p18_calls_that_hide_their_arguments", "ENOSYS", Anybody),
    ("p18_calls_newer_than_the_list", "ENOSYS", No),
    ("p18_the_other_table_of_calls", "ENOSYS", No),
    ("p18_the_door_of_32_bits", "killed", No),
    ("p19_mounts_and_roots", "EPERM", Root),
    ("p21_the_kernel_itself", "EPERM", No),
    ("p22_handles_of_files", "EPERM", Anybody),
    ("p24_rings", "EPERM", Anybody),
    ("p25_keys", "EPERM", Anybody),
    ("p27_clock_and_power", "EPERM", Root),
    ("p29_sockets", "EPERM", Itself),
    ("p29_every_family", "EPERM", Itself),
    ("p29_every_protocol", "EPERM", Itself),
    ("p29_code_of_the_kernel_on_a_connection", "EPERM", Anybody),
    ("p30_a_service_of_the_host", "ECONNREFUSED", Anybody),
    ("p30_by_other_spellings", "ECONNREFUSED", Anybody),
    ("p31_metadata_and_outside", "ENETUNREACH", Itself),
    ("p31_datagrams", "ENETUNREACH", Itself),
    ("p32_names", "no answer", Itself),
    ("p33_hidden_socket_of_the_host", "ECONNREFUSED", Anybody),
    ("p33_socket_file_of_the_host", "ENOENT", Anybody),
    ("p33_sockets_of_the_system", "ENOENT", Itself),
    ("p36_change_the_network", "EPERM", Apart),
    ("p36_routes", "EPERM", Apart),
    ("p36_interfaces", "lo", No),
    ("p43_programs_that_lend_rights", "refused", Root),
    ("p43_become_root", "EINVAL", Anybody),
    ("p43_groups", "EPERM", Root),
    ("p43_capabilities", "none", Anybody),
    ("p43_take_capabilities", "EPERM", Root),
    ("p43_switches_of_a_process", "refused", Root),
    ("p43_map_users", "refused", No),
    ("p44_bits_that_lend_rights", "EPERM", Anybody),
    ("p44_capabilities_of_a_file", "EPERM", Root),
    ("p44_files_that_cannot_go", "EPERM", Root),
    ("p44_where_files_lie_on_the_disk", "EPERM", Root),
    ("p44_marks_of_the_system", "refused", Root),
    ("p44_file_systems_within_the_workspace", "EPERM", Anybody),
    ("p44_keys_of_a_file_system", "EPERM", Anybody),
    ("p44_freeze_the_disk", "EPERM", Root),
    ("p44_give_files_away", "EINVAL", Anybody),
    ("p45_hard_links", "EXDEV", Itself),
    ("p50_priority", "refused", Root),
    ("p50_put_others_behind", "EPERM", Itself),
    ("p50_limits", "refused", Root),
    ("p50_limits_that_lend_rights", "RLIMIT_NICE=0 RLIMIT_RTPRIO=0 RLIMIT_SIGPENDING=16384", No),
    ("p50_go_last_when_memory_is_used_up", "EACCES", No),
    ("p50_core_files", "(1, 1)", Anybody),
    ("p51_locked_memory", "ENOMEM", Root),
    ("p57_segments_of_the_host", "ENOENT", Anybody),
    ("p57_queues_of_the_host", "ENOENT", Anybody),
    ("p57_what_the_machine_has_once", "ENOSYS", Anybody),
    ("p63_programs_of_the_computer", "refused", No),
    ("p63_read_the_launcher", "refused", Root),
    ("p68_type_into_a_terminal", "EPERM", Anybody),
    ("p68_what_drives_a_terminal", "EPERM", Anybody),
    ("p68_output_of_the_console", "EPERM", No),
    ("p69_weaker_layout", "EPERM", Anybody),
    ("p70_what_tells_about_the_machine", "nothing", Anybody),
    ("p70_folders_that_tell", "nothing", Anybody),
    ("p70_where_memory_lies", "not told", Root),
    // Known, and in the threat model: what of /usr is opened anywhere on the machine can be watched.
    ("p70_what_others_open", "seen", No),
    // Known, and in the threat model: every program that shows the load reads this file.
    ("p70_rhythm_of_the_keyboard", "stat", No),
    ("p80_settings_of_the_kernel", "closed", Root),
    ("p81_groups_of_control", "/", No),
    ("p82_filters_stay", "EPERM", Root),
    ("p83_work_goes_on", "works", No),
];

/// What bubblewrap does otherwise, and no worse.
const BY_BWRAP: &[(&str, &str)] = &[
    // A link to what is empty.
    ("p07_devices", "core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero"),
];

/// A program of the host's that is in every computer, too.
const OPENED: &str = "/usr/bin/env";

/// What is planted on the host, for the time of one run.
struct Bait {
    segment: i32,
    queue: CString,
    over: Arc<AtomicBool>,
    _listener: TcpListener,
    _hidden: UnixListener,
    _file: UnixListener,
    _other: Desk,
    facts: serde_json::Value,
}

impl Bait {
    fn new(desk: &Desk) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = format!("thenar-bait-{port}");
        let hidden = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let socket = desk.path().join("bait.sock");
        std::fs::write(desk.path().join("bait"), "bait-of-the-host").unwrap();
        let other = Desk::new();
        std::fs::create_dir(other.path().join("workspace")).unwrap();
        let (key, segment) = shared_segment();
        let queue = queue(&name);
        let over = Arc::new(AtomicBool::new(false));
        let seen_over = Arc::clone(&over);
        std::thread::spawn(move || {
            while !seen_over.load(Ordering::Relaxed) {
                let _ = std::fs::File::open(OPENED);
                std::thread::yield_now();
            }
        });
        let facts = serde_json::json!({
            "segment": key,
            "queue": name,
            "opened": OPENED,
            "bait": desk.path().join("bait"),
            "home": desk.path(),
            "other_workspace": other.path().join("workspace"),
            "computer": desk.path(),
            "secret": desk::PLANTED,
            "host_pid": std::process::id(),
            "port": port,
            "abstract": name,
            "socket": socket,
            "scratch": "/workspace",
        });
        Self {
            segment,
            queue,
            over,
            _listener: listener,
            _hidden: UnixListener::bind_addr(&hidden).unwrap(),
            _file: UnixListener::bind(&socket).unwrap(),
            _other: other,
            facts,
        }
    }

    fn write(&self, folder: &Path, scratch: &Path) {
        let mut facts = self.facts.clone();
        facts["scratch"] = scratch.display().to_string().into();
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("probes.py"), include_str!("probes.py")).unwrap();
        std::fs::write(folder.join("facts.json"), facts.to_string()).unwrap();
    }
}

impl Drop for Bait {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        #[expect(unsafe_code, reason = "no safe call removes it, and left over it would stay on the machine")]
        // SAFETY: the number is that of the segment made below, which nobody has in view.
        unsafe {
            libc::shmctl(self.segment, libc::IPC_RMID, std::ptr::null_mut());
        }
        #[expect(unsafe_code, reason = "no safe call removes it")]
        // SAFETY: it is a text with an end, and nothing else is passed.
        unsafe {
            libc::mq_unlink(self.queue.as_ptr());
        }
    }
}

/// A piece of memory that everybody on this machine may read who knows its key.
fn shared_segment() -> (i32, i32) {
    static NEXT: AtomicI32 = AtomicI32::new(1);
    let number = i32::try_from(std::process::id()).unwrap() << 4 | NEXT.fetch_add(1, Ordering::Relaxed) & 0xf;
    let key = 0x7000_0000 | number & 0xfff_ffff;
    #[expect(unsafe_code, reason = "no safe call makes one")]
    // SAFETY: nothing is passed but numbers.
    let segment = unsafe { libc::shmget(key, 4096, libc::IPC_CREAT | 0o444) };
    assert!(segment >= 0, "{}", std::io::Error::last_os_error());
    (key, segment)
}

/// A queue of messages that everybody on this machine may read who knows its name; the library's names begin with a slash.
fn queue(name: &str) -> CString {
    let name = CString::new(format!("/{name}")).unwrap();
    let none = std::ptr::null::<libc::mq_attr>();
    #[expect(unsafe_code, reason = "no safe call makes one")]
    // SAFETY: the name is a text with an end; no attributes are the usual ones.
    let made = unsafe { libc::mq_open(name.as_ptr(), libc::O_CREAT | libc::O_RDONLY, 0o444, none) };
    assert!(made >= 0, "{}", std::io::Error::last_os_error());
    #[expect(unsafe_code, reason = "a number of the library's")]
    // SAFETY: it was made above, and nobody else has it.
    unsafe {
        libc::mq_close(made);
    }
    name
}

fn said(text: &str) -> BTreeMap<String, String> {
    text.lines().filter_map(|line| line.split_once(": ")).map(|(name, said)| (name.into(), said.into())).collect()
}

fn expected(driver: Driver) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> =
        TABLE.iter().map(|(name, said, _)| ((*name).to_owned(), (*said).to_owned())).collect();
    if driver == Driver::Bwrap {
        all.extend(BY_BWRAP.iter().map(|(name, said)| ((*name).to_owned(), (*said).to_owned())));
    }
    all
}

/// Runs all probes in one computer and compares.
#[track_caller]
fn check(second_lock: SecondLock) {
    desk::plant_variable();
    desk::lend_priority();
    let mut desk = Desk::new();
    desk.spec.build.second_lock = second_lock;
    let bait = Bait::new(&desk);
    bait.write(&desk.path().join("workspace"), Path::new("/workspace"));
    let computer = desk.open();
    let proved = Confinement::of(&desk.spec.dir).unwrap();
    assert_eq!(proved.driver, desk.spec.build.driver, "another driver made it");
    if second_lock == SecondLock::Off {
        assert!(!proved.second_lock, "the second lock is on");
    }
    let (exit, text) = desk::run(&computer, "python3 probes.py facts.json");
    assert_eq!(exit, Exit::Code(0), "{text}");
    let (seen, expected) = (said(&text), expected(desk.spec.build.driver));
    let differ: Vec<_> = expected
        .iter()
        .filter(|(name, wanted)| seen.get(*name) != Some(wanted))
        .map(|(name, wanted)| format!("{name}: {:?}, not {wanted:?}", seen.get(name)))
        .collect();
    assert!(differ.is_empty(), "\n{}\n", differ.join("\n"));
    let unknown: Vec<_> = seen.keys().filter(|name| !expected.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "probes that nothing is expected of: {unknown:?}");
}

#[test]
fn no_probe_finds_a_way_out() {
    check(SecondLock::WhereKnown);
}

#[test]
fn no_probe_finds_a_way_out_with_one_lock_only() {
    check(SecondLock::Off);
}

/// Runs those probes outside of any computer, and gives the ones that found nothing there either. Root's go in these namespaces of
/// their own, so that none can touch the machine's by a mistake.
#[expect(clippy::disallowed_methods, reason = "the probes once more, outside of any computer")]
fn blind(canaries: &[Canary], apart: &[&str]) -> Vec<String> {
    let desk = Desk::new();
    let bait = Bait::new(&desk);
    let scratch = desk.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    bait.write(desk.path(), &scratch);
    let rows = TABLE.iter().filter(|(_, _, canary)| canaries.contains(canary));
    let output = std::process::Command::new(if apart.is_empty() { "/usr/bin/env" } else { "/usr/bin/unshare" })
        .args(apart)
        // A descriptor that nobody closed.
        .args(["/bin/sh", "-c", "exec 7</dev/zero; exec \"$@\"", "sh", "/usr/bin/python3"])
        .arg(desk.path().join("probes.py"))
        .arg(desk.path().join("facts.json"))
        .args(rows.clone().map(|(name, _, _)| name))
        .env("THENAR_BAIT", desk::PLANTED)
        .current_dir(&scratch)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let seen = said(&text);
    // One that was held up until its alarm has found nothing either.
    let found =
        |seen: &str, inside: &str| seen != inside && !seen.starts_with("broke") && !seen.starts_with("ended with");
    rows.filter(|(name, inside, _)| !seen.get(*name).is_some_and(|seen| found(seen, inside)))
        .map(|(name, _, _)| format!("{name}: {:?}", seen.get(*name)))
        .collect()
}

/// Without this a green run of the others would mean nothing: each probe that can be run here safely finds something.
#[test]
fn outside_the_probes_find_something() {
    let found_nothing = if rustix::process::geteuid().is_root() {
        [blind(&[Anybody, Root], &["--mount"]), blind(&[Apart], &["--mount", "--net"])].concat()
    } else {
        blind(&[Anybody], &[])
    };
    assert!(found_nothing.is_empty(), "outside these found nothing either:\n{}\n", found_nothing.join("\n"));
}
