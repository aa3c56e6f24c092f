"""The probes, run inside a computer and, as proof that they can succeed at all, outside of one. One line each: `name: what came of it`.

usage: probes.py FACTS.json [NAME ...]     with names, only those are run

It judges nothing: what is right stands in `probes.rs`, by the same names.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import signal
import socket
import stat
import struct
import sys
import traceback

SECONDS_MAX = 60
FACTS = {}
PROBES = {}
libc = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"


def probe(function):
    PROBES[function.__name__] = function
    return function


def named(error):
    return errno.errorcode.get(error, str(error))


def attempt(function, *arguments, said="works"):
    """What came of it: a word of ours, or the name of the error."""
    try:
        outcome = function(*arguments)
    except OSError as error:
        return named(error.errno)
    return outcome if isinstance(outcome, str) else said


def call(number, *arguments):
    """A system call by its number, so that no library's fallback hides what the kernel says."""
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return "works" if result >= 0 else named(ctypes.get_errno())


def calls_of(table):
    return {name: call(number, *arguments) for name, (number, *arguments) in table.items()}


def calls(table):
    """All that are not refused, or how all are."""
    seen = calls_of(table)
    if len(set(seen.values())) == 1:
        return next(iter(seen.values()))
    return " ".join(f"{name}={said}" for name, said in seen.items())


def all_of(seen):
    """One word where all came to the same, else which came to what."""
    if len(set(seen.values())) == 1:
        return next(iter(seen.values()))
    return " ".join(f"{name}={said}" for name, said in sorted(seen.items()))


def opened(path, flags=os.O_RDONLY):
    def work():
        os.close(os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK))
    return attempt(work, said="opened")


def content(path):
    """Whether anything is to be read there: nothing at all, only zeroes, or something."""
    def work():
        with open(path, "rb") as file:
            seen = file.read(65536)
        return "empty" if not seen else "something"
    return attempt(work)


def none_of(paths, look):
    return all_of({path: look(path) for path in paths})


def refused(seen):
    """`refused`, by whatever lock came first, or what was not."""
    loud = {name: said for name, said in seen.items() if not said.startswith("E")}
    return listed(loud) if loud else "refused"


def listed(seen):
    return " ".join(f"{name}={said}" for name, said in sorted(seen.items()))


def proved(control, wanted, said):
    """What came of it, if the same attack, made where it may succeed, does; else the probe proves nothing."""
    return said if control == wanted else f"proves nothing: {control}"


def sleeper():
    child = os.fork()
    if child == 0:
        while True:
            signal.pause()
    return child


def at_once(said):
    """Tells it and ends: memory whose address was taken cannot be closed in the ordinary way."""
    os.write(FACTS["told"], said.encode())
    os._exit(0)


# Files of the host.


@probe
def p01_shadow():
    return none_of(["/etc/shadow", "/etc/gshadow"], opened)


@probe
def p01_secrets_of_the_system():
    paths = ["/etc/sudoers", "/etc/ssh", "/etc/ssl/private", "/etc/machine-id", "/etc/fstab", "/etc/crontab", "/var/log",
             "/var/lib", "/boot", "/srv", "/media", "/sys", "/root", "/lost+found", "/initrd"]
    return none_of(paths, opened)


@probe
def p01_planted_file():
    return opened(FACTS["bait"])


@probe
def p02_folders_of_others():
    return none_of([os.path.dirname(FACTS["bait"]), FACTS["other_workspace"], FACTS["computer"]], opened)


@probe
def p02_home():
    return " ".join(sorted(os.listdir("/home")))


@probe
def p02_top():
    return " ".join(sorted(name for name in os.listdir("/") if not name.startswith("lib")))


@probe
def p03_write_the_system():
    paths = ["/usr/bin/env", "/etc/passwd", "/etc/ld.so.cache", "/etc/resolv.conf"]
    return refused({path: opened(path, os.O_WRONLY) for path in paths})


@probe
def p03_make_files_in_the_system():
    def make(folder):
        path = os.path.join(folder, "thenar-probe")
        said = opened(path, os.O_WRONLY | os.O_CREAT)
        if said == "opened":
            os.unlink(path)
        return said
    folders = ["/", "/usr", "/usr/bin", "/etc", "/dev", "/run", "/var", "/opt", "/mnt", "/home"]
    return proved(make(FACTS["scratch"]), "opened", none_of(folders, make))


@probe
def p03_write_what_commands_put_out():
    outputs = [os.path.join("/run/thenar/output", name) for name in os.listdir("/run/thenar/output")]
    own = os.path.join(FACTS["scratch"], "output")
    os.close(os.open(own, os.O_WRONLY | os.O_CREAT, 0o600))
    seen = refused({path: opened(path, os.O_WRONLY) for path in outputs}) if outputs else "there are none"
    return proved(opened(own, os.O_WRONLY), "opened", seen)


@probe
def p04_mount_again_for_writing():
    return attempt(lambda: check(libc.mount(None, b"/", None, ctypes.c_ulong(0x20 | 0x1000), None)))


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


@probe
def p04_move_the_mounts():
    seen = {}
    own = os.path.join(FACTS["scratch"], "folder")
    os.makedirs(own)
    control = all_of({"renamed": attempt(os.rename, own, own + "-moved"), "removed": attempt(os.rmdir, own + "-moved")})
    for path in ["/workspace", "/tmp", "/proc", "/usr"]:
        seen[path + " renamed"] = attempt(os.rename, path, path + "-moved")
        seen[path + " removed"] = attempt(os.rmdir, path)
    return proved(control, "works", "refused" if "works" not in seen.values() else all_of(seen))


# What the kernel tells.


def tells(paths):
    """Which of these tell anything; a device that swallows all is as good as none."""
    loud = []
    for path in paths:
        said = content(path)
        if said == "something":
            loud.append(path)
    return " ".join(loud) or "nothing"


@probe
def p05_kernel_memory():
    seen = tells(["/proc/kcore", "/proc/kmsg", "/dev/mem", "/dev/kmem", "/dev/port"])
    return proved(tells(["/proc/self/status"]), "/proc/self/status", seen)


@probe
def p05_sysrq():
    try:
        about = os.stat("/proc/sysrq-trigger")
    except OSError:
        return "nothing"
    if stat.S_ISCHR(about.st_mode) and about.st_rdev == os.makedev(1, 3):
        return "nothing"
    return opened("/proc/sysrq-trigger", os.O_WRONLY)


@probe
def p06_addresses_of_the_kernel():
    def look(path):
        def work():
            with open(path) as file:
                for line in file:
                    first = line.split()[0]
                    if first.strip("0"):
                        return "addresses"
            return "none"
        return attempt(work)
    said = look("/proc/kallsyms")
    return "none" if said in ("ENOENT", "EACCES") else said


@probe
def p07_devices():
    return " ".join(sorted(os.listdir("/dev")))


@probe
def p07_device_nodes():
    kinds = {"disk": (stat.S_IFBLK, os.makedev(254, 0)), "sda": (stat.S_IFBLK, os.makedev(8, 0)),
             "mem": (stat.S_IFCHR, os.makedev(1, 1)), "kvm": (stat.S_IFCHR, os.makedev(10, 232)),
             "null": (stat.S_IFCHR, os.makedev(1, 3))}
    seen = {}
    for name, (kind, device) in kinds.items():
        path = os.path.join(FACTS["scratch"], "node-" + name)
        seen[name] = attempt(os.mknod, path, kind | 0o600, device)
        if seen[name] == "works":
            os.unlink(path)
    return all_of(seen)


@probe
def p08_kernels_own_trees():
    return none_of(["/sys/kernel", "/sys/fs/cgroup", "/sys/firmware", "/sys/class/net", "/proc/sys/fs/binfmt_misc/register",
                    "/sys/kernel/debug", "/sys/kernel/tracing", "/dev/hugepages", "/dev/mqueue", "/dev/shm/../mapper"], opened)


@probe
def p09_processes():
    numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return "only its own" if len(numbers) < 12 else f"{len(numbers)} processes"


def pids():
    return [name for name in os.listdir("/proc") if name.isdigit()]


def ours():
    """Processes of the computer itself: PID 1, and whoever watches over a call."""
    found = []
    for pid in pids():
        try:
            with open(f"/proc/{pid}/comm") as file:
                if file.read().startswith("thenar"):
                    found.append(pid)
        except OSError:
            pass
    # Outside, where the bait is, others' come and go while this looks: whoever started this stays as long as this does.
    return found + ([str(os.getppid())] if "THENAR_BAIT" in os.environ else [])


@probe
def p10_doors_of_our_processes():
    loud = {}
    for pid in ours() or ["1"]:
        for door in ["root", "cwd", "exe", "fd", "mem", "map_files", "environ", "ns/mnt", "fdinfo", "auxv", "maps", "syscall", "stack"]:
            if opened(f"/proc/{pid}/{door}") == "opened":
                loud[f"{pid}/{door}"] = "opened"
    return listed(loud) if loud else "closed"


@probe
def p10_up_and_out():
    return none_of(["/workspace/../../../../../.." + FACTS["bait"], "/proc/self/root/../.." + FACTS["bait"],
                    "/proc/self/cwd/../../.." + FACTS["bait"]], opened)


@probe
def p11_planted_variable():
    for pid in pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if FACTS["secret"].encode() in file.read():
                    return "seen"
        except OSError:
            pass
    return "not seen"


@probe
def p12_inherited_descriptors():
    held = []
    for number in os.listdir("/proc/self/fd"):
        try:
            held.append((int(number), os.readlink(f"/proc/self/fd/{number}")))
        except OSError:
            pass  # the one by which the folder was read
    strange = [to for number, to in held if number > 2 and not to.startswith("pipe:")]
    strange += [to for number, to in held if FACTS["secret"] in to or to.startswith("anon_inode:[io_uring]")]
    return "none" if not strange else " ".join(sorted(strange))


@probe
def p13_paths_of_the_host():
    where = FACTS["home"].encode()
    seen = set()
    for pid in pids():
        for name in ["cmdline", "environ", "comm"]:
            try:
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    if where in file.read():
                        seen.add(name)
            except OSError:
                pass
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            # The kernel names the source of a bind; these two are known to be the person's.
            if where in line and line.split()[4] not in (b"/workspace", b"/run/thenar/output"):
                seen.add("mountinfo")
    return " ".join(sorted(seen)) or "none"


@probe
def p13_mounts_that_can_be_written():
    found = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            fields = line.split()
            place, options = fields[4], fields[5].split(",")
            if "rw" in options and os.path.isdir(place):
                found.append(place)
            if "nosuid" not in options:
                found.append(place + "!suid")
    return " ".join(sorted(set(found)))


# Processes.


@probe
def p14_signal_the_host():
    return attempt(os.kill, FACTS["host_pid"], 0)


@probe
def p14_end_the_computer():
    """PID 1 is our own, and takes no signal from what it started."""
    ends = (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP)
    for number in ends:
        attempt(os.kill, 1, number)
    control = set()
    for number in ends[:3]:
        child = sleeper()
        attempt(os.kill, child, number)
        control.add(os.WIFSIGNALED(os.waitpid(child, 0)[1]))
    with open("/proc/1/status") as file:
        state = next(line.split()[1] for line in file if line.startswith("State:"))
    return proved(control, {True}, "stands" if state in "SR" else state)


@probe
def p14_signal_by_a_descriptor():
    def work():
        with open(os.path.join(FACTS["scratch"], "own"), "w") as file:
            fcntl.fcntl(file, fcntl.F_SETOWN, FACTS["host_pid"])
    return attempt(work)


@probe
def p14_open_a_process_of_the_host():
    return attempt(lambda: os.close(os.pidfd_open(FACTS["host_pid"])))


@probe
def p15_look_into_others():
    if not X86:
        return "EPERM"
    inside = FACTS["scratch"] == "/workspace"
    # Outside, PID 1 is the machine's, and must not be held up: a child stands in for it.
    other = 1 if inside else sleeper()
    attacks = {"attach": (101, 16, other, 0, 0), "seize": (101, 0x4206, other, 0, 0), "read": (310, other, 0, 0, 0, 0, 0),
               "write": (311, other, 0, 0, 0, 0, 0), "pidfd_getfd": (438, 0, 0, 0), "kcmp": (312, other, other, 0, 0, 0)}
    seen = {name: call(number, *arguments) for name, (number, *arguments) in attacks.items()}
    if not inside:
        os.kill(other, signal.SIGKILL)
        # What it was stopped by is told first, and its end must not come after the line below.
        while not os.WIFSIGNALED(os.waitpid(other, 0)[1]):
            pass
    # Last: from then on every signal would stop this process until its parent looks.
    return all_of(seen | {"traceme": call(101, 0, 0, 0, 0)})


@probe
def p16_forge_who_sends():
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    forged = struct.pack("iii", 1, 0, 0)
    return refused({"sender": attempt(lambda: one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, forged)]) and None)})


NAMESPACES = {"time": 0x80, "mount": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000,
              "pid": 0x20000000, "net": 0x40000000}


@probe
def p17_new_namespaces():
    return all_of({name: unshared(flag) for name, flag in NAMESPACES.items()})


def unshared(flag):
    """In a process of its own: what works here is not undone."""
    child = os.fork()
    if child == 0:
        said = call(272 if X86 else 97, flag)
        os._exit(0 if said == "works" else getattr(errno, said, 250))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "works" if code == 0 else named(code)


@probe
def p17_new_namespaces_by_clone():
    if not X86:
        return "EPERM"
    seen = {}
    for name, flag in NAMESPACES.items():
        if name == "time":
            continue
        ctypes.set_errno(0)
        child = libc.syscall(ctypes.c_long(56), ctypes.c_long(flag | signal.SIGCHLD), *[ctypes.c_long(0)] * 4)
        if child == 0:
            libc._exit(0)
        seen[name] = "works" if child > 0 else named(ctypes.get_errno())
        if child > 0:
            os.waitpid(child, 0)
    return all_of(seen)


@probe
def p18_calls_that_hide_their_arguments():
    return calls({"clone3": (435, 0, 0), "openat2": (437, -100, b"x", 0, 24), "memfd_secret": (447, 0), "future": (1000,)})


@probe
def p18_calls_newer_than_the_list():
    return calls({"statmount": (457, 0, 0, 0, 0), "listmount": (458, 0, 0, 0, 0), "lsm_get_self_attr": (459, 0, 0, 0, 0),
                  "mseal": (462, 0, 0, 0), "open_tree_attr": (467, -100, b"/", 1, 0, 0), "quotactl_fd": (1443, 0)})


@probe
def p18_the_other_table_of_calls():
    return call(0x40000000 | 39) if X86 else "ENOSYS"


@probe
def p18_the_door_of_32_bits():
    """int 0x80 with the number of getpid: a filter that forgets it has a second, unguarded table of calls."""
    if not X86:
        return "killed"
    child = os.fork()
    if child == 0:
        code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
        function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
        os._exit(0 if function() == os.getpid() else 3)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {0: "works", 3: "refused"}.get(code, "killed" if code < 0 else str(code))


def number(of_x86, of_others):
    return of_x86 if X86 else of_others


@probe
def p19_mounts_and_roots():
    return calls({"mount": (number(165, 40), 0, 0, 0, 0, 0), "umount2": (number(166, 39), b"/thenar-nowhere", 2),
                  "pivot_root": (number(155, 41), 0, 0), "chroot": (number(161, 51), b"/tmp"), "open_tree": (428, -100, b"/", 1),
                  "move_mount": (429, -100, b"/", -100, b"/", 0), "fsopen": (430, b"tmpfs", 0), "fsconfig": (431, -1, 0, 0, 0, 0),
                  "fsmount": (432, -1, 0, 0), "fspick": (433, -100, b"/", 0), "mount_setattr": (442, -100, b"/", 0, 0, 0),
                  "setns": (number(308, 268), 0, 0)})


@probe
def p21_the_kernel_itself():
    table = {"init_module": (number(175, 105), 0, 0, 0), "finit_module": (number(313, 273), -1, 0, 0),
             "delete_module": (number(176, 106), b"x", 0), "bpf": (number(321, 280), 0, 0, 0),
             "perf_event_open": (number(298, 241), 0, 0, -1, -1, 0), "userfaultfd": (number(323, 282), 0),
             "kexec_load": (number(246, 104), 0, 0, 0, 0), "kexec_file_load": (number(320, 294), -1, -1, 0, 0, 0),
             "syslog": (number(103, 116), 3, 0, 0), "acct": (number(163, 89), 0), "swapon": (number(167, 224), b"x", 0),
             "quotactl": (number(179, 60), 0, 0, 0, 0), "lookup_dcookie": (number(212, 18), 0, 0, 0),
             "fanotify_init": (number(300, 262), 0, 0), "vhangup": (number(153, 58),)}
    if X86:
        # Others have no such calls.
        table |= {"iopl": (172, 3), "ioperm": (173, 0, 1, 1), "modify_ldt": (154, 0, 0, 0)}
    return calls(table)


@probe
def p22_handles_of_files():
    return calls({"name_to_handle_at": (number(303, 264), -100, b"/", 0, 0, 0), "open_by_handle_at": (number(304, 265), -1, 0, 0)})


@probe
def p24_rings():
    return calls({"setup": (425, 1, 0), "enter": (426, -1, 0, 0, 0, 0), "register": (427, -1, 0, 0, 0)})


@probe
def p25_keys():
    return calls({"add_key": (number(248, 217), 0, 0, 0, 0, 0), "request_key": (number(249, 218), 0, 0, 0, 0),
                  "keyctl": (number(250, 219), 0, 0, 0, 0, 0)})


@probe
def p27_clock_and_power():
    return calls({"settimeofday": (number(164, 170), 0, 0), "clock_settime": (number(227, 112), 0, 0), "adjtimex": (number(159, 171), 0),
                  "clock_adjtime": (number(305, 266), 0, 0), "reboot": (number(169, 142), 0, 0, 0, 0),
                  "sethostname": (number(170, 161), b"x", -1), "setdomainname": (number(171, 162), b"x", -1)})


# Network.


@probe
def p29_sockets():
    kinds = {"packet": (17, 3, 3), "raw": (2, 3, 1), "raw6": (10, 3, 58), "old packet": (2, 10, 3), "vsock": (40, 1, 0), "alg": (38, 5, 0),
             "xdp": (44, 3, 0), "bluetooth": (31, 3, 0), "can": (29, 3, 1), "tipc": (30, 1, 0), "rds": (21, 5, 0), "smc": (43, 1, 0),
             "netfilter": (16, 3, 12), "audit": (16, 3, 9), "uevent": (16, 2, 15), "diagnosis": (16, 3, 4), "crypto": (16, 3, 21),
             "sctp": (2, 1, 132), "mptcp": (2, 1, 262), "dccp": (2, 6, 33), "udplite": (2, 2, 136),
             "wide number": ((1 << 32) | 17, 3, 3)}
    return proved(plain_sockets(), "works", all_of({name: call(41 if X86 else 198, *arguments) for name, arguments in kinds.items()}))


def plain_sockets():
    """What programs need, by the same call."""
    return all_of({str(one): call(41 if X86 else 198, *one) for one in [(1, 1, 0), (2, 1, 0), (2, 2, 0), (10, 1, 0), (16, 3, 0)]})


def connected(family, address, kind=socket.SOCK_STREAM):
    def work():
        with socket.socket(family, kind) as one:
            one.settimeout(3)
            try:
                one.connect(address)
            except TimeoutError:
                return "no answer"
    return attempt(work, said="connected")


@probe
def p29_every_family():
    """No kind of socket but local, INET, INET6 and netlink; most others load a module of the kernel's."""
    left = [family for family in range(64) if family not in (1, 2, 10, 16)]
    seen = {f"{family}.{kind}": call(41 if X86 else 198, family, kind, 0) for family in left for kind in (1, 2, 3, 5)}
    pairs = {f"{family} pair": call(53 if X86 else 199, family, 1, 0, ctypes.create_string_buffer(8)) for family in left + [2, 10, 16]}
    control = {"pair": call(53 if X86 else 199, 1, 1, 0, ctypes.create_string_buffer(8)), "socket": plain_sockets()}
    return proved(all_of(control), "works", all_of(seen | pairs))


@probe
def p29_every_protocol():
    asked = [(2, 1, other) for other in range(1, 300) if other != 6] + [(2, 2, other) for other in range(2, 300) if other != 17]
    asked += [(10, 1, other) for other in range(1, 300) if other != 6] + [(10, 2, other) for other in range(1, 300) if other not in (17, 58)]
    asked += [(16, kind, other) for kind in (2, 3) for other in range(1, 32)]
    seen = {str(one): call(41 if X86 else 198, *one) for one in asked}
    # A socket of streams for a protocol of datagrams and the like, which the kernel itself does not know.
    said = {name: said for name, said in seen.items() if said not in ("EPROTONOSUPPORT", "EPROTOTYPE", "ESOCKTNOSUPPORT")}
    return proved(plain_sockets(), "works", all_of(said))


@probe
def p29_code_of_the_kernel_on_a_connection():
    with socket.socket() as one:
        return attempt(one.setsockopt, socket.IPPROTO_TCP, 31, b"tls")


@probe
def p30_a_service_of_the_host():
    return connected(socket.AF_INET, ("127.0.0.1", FACTS["port"]))


@probe
def p30_by_other_spellings():
    return all_of({address: connected(family, (address, FACTS["port"])) for family, address in [
        (socket.AF_INET, "127.0.0.2"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::ffff:127.0.0.1"), (socket.AF_INET6, "::1")]})


@probe
def p31_metadata_and_outside():
    with socket.create_server(("127.0.0.1", 0)) as own:
        control = connected(socket.AF_INET, own.getsockname())
    return proved(control, "connected", all_of({address: connected(family, (address, 80)) for family, address in [
        (socket.AF_INET, "169.254.169.254"), (socket.AF_INET, "100.100.100.200"), (socket.AF_INET6, "fd00:ec2::254"),
        (socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"), (socket.AF_INET, "10.0.0.1")]}))


@probe
def p31_datagrams():
    def work(address):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"x", address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))
        control = attempt(work, own.getsockname())
    return proved(control, "works", attempt(work, ("192.0.2.1", 53)))


@probe
def p32_names():
    def look(name):
        try:
            socket.getaddrinfo(name, 80)
            return "resolved"
        except socket.gaierror:
            return "no answer"
    return proved(look("localhost"), "resolved", look("example.com"))


@probe
def p33_hidden_socket_of_the_host():
    return connected(socket.AF_UNIX, "\0" + FACTS["abstract"])


@probe
def p33_socket_file_of_the_host():
    return connected(socket.AF_UNIX, FACTS["socket"])


@probe
def p33_sockets_of_the_system():
    path = os.path.join(FACTS["scratch"], "own.sock")
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(path)
        own.listen()
        control = connected(socket.AF_UNIX, path)
    paths = ["/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/run/systemd/private", "/run/containerd/containerd.sock",
             "/run/udev/control", "/tmp/.X11-unix/X0"]
    return proved(control, "connected", none_of(paths, lambda path: connected(socket.AF_UNIX, path)))


@probe
def p36_change_the_network():
    def work():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            request = struct.pack("16sh14x", b"lo", 0)
            fcntl.ioctl(one, 0x8914, request)
    return attempt(work)


@probe
def p36_interfaces():
    return " ".join(sorted(name for _, name in socket.if_nameindex()))


@probe
def p36_routes():
    """A new route by netlink, which may be asked and not told."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as one:
        route = struct.pack("BBBBBBBBI", 2, 0, 0, 0, 254, 4, 0, 6, 0)
        one.send(struct.pack("IHHII", 16 + len(route), 24, 0x405, 1, 0) + route)
        answer = one.recv(4096)
        code = -struct.unpack_from("i", answer, 16)[0]
    return named(code) if code else "works"


# Rights.


@probe
def p43_programs_that_lend_rights():
    import subprocess
    said = ""
    for command in (["su", "-c", "id -u"], ["sudo", "-n", "id", "-u"], ["pkexec", "id", "-u"]):
        try:
            said += subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10).stdout
        except (OSError, subprocess.TimeoutExpired):
            pass
    return "root" if "0" in said.split() else "refused"


@probe
def p43_become_root():
    seen = {"setuid": attempt(os.setuid, 0), "setgid": attempt(os.setgid, 0), "setresuid": attempt(os.setresuid, 0, 0, 0),
            "host's user": attempt(os.setuid, 65534)}
    return all_of(seen)


@probe
def p43_groups():
    return attempt(os.setgroups, [0])


@probe
def p43_capabilities():
    with open("/proc/self/status") as file:
        told = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    held = [name for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] if told[name].strip("0")]
    return " ".join(held + ([] if told["NoNewPrivs"] == "1" else ["new rights"])) or "none"


@probe
def p43_take_capabilities():
    header = struct.pack("Ii", 0x20080522, 0)
    want = struct.pack("IIIIII", 1 << 21, 1 << 21, 0, 0, 0, 0)
    return call(126 if X86 else 91, header, want)


@probe
def p43_switches_of_a_process():
    seen = {"new rights again": libc.prctl(38, 0, 0, 0, 0), "ambient": libc.prctl(47, 2, 21, 0, 0), "securebits": libc.prctl(28, 0x2F, 0, 0, 0),
            "keep": libc.prctl(22, 0, 0, 0, 0)}
    return "refused" if all(result < 0 for result in seen.values()) else all_of({name: str(result) for name, result in seen.items()})


@probe
def p43_map_users():
    return refused({path: attempt(written, path, b"0 0 1\n") for path in ["/proc/self/uid_map", "/proc/self/gid_map", "/proc/self/setgroups"]})


def written(path, what):
    file = os.open(path, os.O_WRONLY)
    try:
        os.write(file, what)
    finally:
        os.close(file)


@probe
def p44_bits_that_lend_rights():
    path = os.path.join(FACTS["scratch"], "bits")
    open(path, "w").close()
    return all_of({oct(bits): attempt(os.chmod, path, bits) for bits in (0o4755, 0o2755)})


@probe
def p44_capabilities_of_a_file():
    path = os.path.join(FACTS["scratch"], "bits")
    open(path, "w").close()
    said = attempt(os.setxattr, path, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 21, 0, 0, 0))
    return said


@probe
def p44_files_that_cannot_go():
    """A file that is made unchangeable could not be removed with its workspace."""
    path = os.path.join(FACTS["scratch"], "fixed")
    def work():
        with open(path, "w") as file:
            fcntl.ioctl(file, 0x40086602, struct.pack("l", 0x10))
            fcntl.ioctl(file, 0x40086602, struct.pack("l", 0))
    return attempt(work)


@probe
def p44_where_files_lie_on_the_disk():
    def work():
        with open(os.path.join(FACTS["scratch"], "lies"), "w") as file:
            file.write("x")
            file.flush()
            os.fsync(file.fileno())
            fcntl.ioctl(file, 1, struct.pack("i", 0))
    return attempt(work)


@probe
def p44_marks_of_the_system():
    path = os.path.join(FACTS["scratch"], "marked")
    open(path, "w").close()
    return refused({name: attempt(os.setxattr, path, name, b"1") for name in ("trusted.thenar", "security.ima", "security.evm")})


def asked_of_a_folder(requests):
    """With nothing in it that a file system could do; one that does not know it says so in another way."""
    folder = os.open(FACTS["scratch"], os.O_RDONLY | os.O_DIRECTORY)
    nothing = ctypes.create_string_buffer(4096)
    return all_of({name: call(16 if X86 else 29, folder, number, nothing) for name, number in requests.items()})


@probe
def p44_file_systems_within_the_workspace():
    """Those of btrfs, which anybody may make there: what is in them would not be counted, and a read-only one could not be removed."""
    return asked_of_a_folder({"volume": 0x5000940E, "volume, newer": 0x50009418, "picture": 0x50009401, "picture, newer": 0x50009417,
                              "closed": 0x4008941A, "wide number": (1 << 32) | 0x5000940E})


@probe
def p44_keys_of_a_file_system():
    return asked_of_a_folder({"key": 0xC0506617, "policy": 0x800C6613})


@probe
def p44_freeze_the_disk():
    def work():
        folder = os.open(FACTS["scratch"], os.O_RDONLY)
        # FITRIM with nothing to trim: whoever may not do that may not freeze (FIFREEZE) either, and outside nothing stands still.
        # Where files are in memory only, there is nothing to trim, and freezing does nothing even to whoever may.
        about = (ctypes.c_long * 32)()
        in_memory = libc.statfs(FACTS["scratch"].encode(), about) == 0 and about[0] == 0x01021994
        try:
            if in_memory:
                fcntl.ioctl(folder, 0xC0045877, 0)
            else:
                fcntl.ioctl(folder, 0xC0185879, struct.pack("QQQ", 0, 0, 0))
        except OSError as error:
            if not in_memory or error.errno != errno.EOPNOTSUPP:
                raise
        finally:
            os.close(folder)
    return attempt(work)


@probe
def p44_give_files_away():
    path = os.path.join(FACTS["scratch"], "gift")
    open(path, "w").close()
    return attempt(os.chown, path, 12345, -1)


@probe
def p45_hard_links():
    def link(to):
        path = os.path.join(FACTS["scratch"], "hard")
        said = attempt(os.link, to, path)
        if said == "works":
            os.unlink(path)
        return said
    own = os.path.join(FACTS["scratch"], "linked")
    with open(own, "w"):
        return proved(link(own), "works", link("/etc/passwd"))


@probe
def p50_priority():
    parameter = os.sched_param(1)
    seen = {"fifo": attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, parameter), "rr": attempt(os.sched_setscheduler, 0, os.SCHED_RR, parameter),
            "deadline": call(314 if X86 else 274, 0, struct.pack("IIQiIQQQ", 48, 6, 0, 0, 0, 10**7, 10**8, 10**8), 0),
            "nice": attempt(os.setpriority, os.PRIO_PROCESS, 0, -20), "real-time disk": call(251 if X86 else 30, 1, 0, 1 << 13)}
    return "refused" if set(seen.values()) <= {"EPERM", "EACCES"} else all_of(seen)


def put_behind(which):
    """The ways for one process to be put behind all others."""
    parameter, attributes = struct.pack("i", 0), struct.pack("IIQiIQQQ", 48, 3, 0, 19, 0, 0, 0, 0)
    mask = (1 << min(os.sched_getaffinity(0))).to_bytes(128, "little")
    return calls_of({"scheduler": (144 if X86 else 119, which, 3, parameter), "parameter": (142 if X86 else 118, which, parameter),
                     "attributes": (314 if X86 else 274, which, attributes, 0), "processors": (203 if X86 else 122, which, 128, mask),
                     "priority": (141 if X86 else 140, 0, which, 19), "of a group": (141 if X86 else 140, 1, which, 19),
                     "disk": (251 if X86 else 30, 1, which, 3 << 13), "of a group's": (251 if X86 else 30, 2, which, 3 << 13)})


@probe
def p50_put_others_behind():
    """PID 1 is of the same user: on a full machine, whoever gets no time ends nothing. The same is done to a child of one's own."""
    child = sleeper()
    os.setpgid(child, child)
    own = put_behind(child)
    os.kill(child, signal.SIGKILL)
    everybody = calls_of({"user": (141 if X86 else 140, 2, 0, 19), "user's disk": (251 if X86 else 30, 3, 0, 3 << 13)})
    return proved(all_of(own), "works", all_of(put_behind(1) | everybody))


@probe
def p50_limits():
    import resource
    seen = {}
    for name in ["RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_MEMLOCK", "RLIMIT_RTPRIO", "RLIMIT_MSGQUEUE"]:
        which = getattr(resource, name, 12)
        now = resource.getrlimit(which)
        # A group may hold the memory instead.
        if name == "RLIMIT_DATA" and now[1] == resource.RLIM_INFINITY:
            continue
        more = now[1] + 1 if now[1] != resource.RLIM_INFINITY else resource.RLIM_INFINITY
        try:
            resource.setrlimit(which, (now[0], more))
            seen[name] = "raised"
        except (ValueError, OSError):
            seen[name] = "refused"
    return all_of(seen)


@probe
def p50_limits_that_lend_rights():
    """What whoever started it may (to go before everybody, as some desktops allow) is not handed on."""
    import resource
    numbers = {"RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_SIGPENDING": 11}
    return listed({name: str(resource.getrlimit(number)[1]) for name, number in numbers.items()})


@probe
def p50_go_last_when_memory_is_used_up():
    return attempt(written, "/proc/self/oom_score_adj", b"-1000")


@probe
def p50_core_files():
    """With a limit of nought the kernel runs a handler of the host's as root, where there is one; with one byte it runs none."""
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # By an address whose lower half is nought, for filters that look at no more.
    libc.mmap.restype = ctypes.c_void_p
    low = libc.mmap(ctypes.c_void_p(1 << 32), ctypes.c_size_t(4096), 3, 0x100032, -1, ctypes.c_long(0))
    if low == 1 << 32:
        ctypes.memset(low, 0, 16)
        call(302 if X86 else 261, 0, 4, low, 0)
    return str(resource.getrlimit(resource.RLIMIT_CORE))


@probe
def p51_locked_memory():
    room = mmap.mmap(-1, 64 << 20)
    ctypes.set_errno(0)
    result = libc.mlock(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(room))), ctypes.c_size_t(64 << 20))
    at_once("works" if result >= 0 else named(ctypes.get_errno()))


@probe
def p57_segments_of_the_host():
    return call(29 if X86 else 194, FACTS["segment"], 0, 0)


@probe
def p57_queues_of_the_host():
    """POSIX queues, by a name that the host has made one of."""
    return call(number(240, 180), FACTS["queue"].encode(), os.O_RDONLY, 0, 0)


@probe
def p57_what_the_machine_has_once():
    """Contexts of requests to the disk: one count for everybody, which one computer could use up."""
    context = ctypes.c_ulong(0)
    return call(206 if X86 else 0, 1, ctypes.addressof(context))


@probe
def p63_programs_of_the_computer():
    paths = [f"/proc/{pid}/exe" for pid in ours() or ["1"]] + ["/proc/self/exe"]
    seen = {opened(path, os.O_RDWR) for path in paths}
    return "refused" if "opened" not in seen else "opened"


@probe
def p63_read_the_launcher():
    seen = {opened(f"/proc/{pid}/exe") for pid in ours() or ["1"]}
    return "refused" if "opened" not in seen else "opened"


@probe
def p68_type_into_a_terminal():
    import pty
    child, master = pty.fork()
    if child == 0:
        seen = set()
        for request in [0x5412, 0x541C, (1 << 32) | 0x5412]:
            ctypes.set_errno(0)
            result = libc.syscall(ctypes.c_long(16 if X86 else 29), ctypes.c_long(0), ctypes.c_long(request), b"x")
            seen.add("works" if result >= 0 else named(ctypes.get_errno()))
        os.write(1, (" ".join(sorted(seen)) + "\n").encode())
        os._exit(0)
    said = b""
    while not said.endswith(b"\n"):
        try:
            piece = os.read(master, 1024)
        except OSError:
            break
        if not piece:
            break
        said += piece
    os.waitpid(child, 0)
    return "works" if b"works" in said else said.decode().strip()


@probe
def p68_what_drives_a_terminal():
    """Another line discipline would load a module of the kernel's; here the one is asked for that is there."""
    master, line = os.openpty()
    return attempt(lambda: fcntl.ioctl(line, 0x5423, struct.pack("i", 0)) and None)


@probe
def p68_output_of_the_console():
    master, line = os.openpty()
    return call(16 if X86 else 29, line, 0x541D, 0)


@probe
def p69_weaker_layout():
    return all_of({hex(what): call(135 if X86 else 92, what) for what in [0x0040000, 0x0100000, 0x0400000, 0x0008]})


@probe
def p70_what_tells_about_the_machine():
    return tells(["/proc/cmdline", "/proc/config.gz", "/proc/bootconfig", "/proc/modules", "/proc/keys", "/proc/key-users", "/proc/timer_list",
                  "/proc/sched_debug", "/proc/latency_stats", "/proc/vmallocinfo", "/proc/slabinfo", "/proc/pagetypeinfo", "/proc/buddyinfo",
                  "/proc/zoneinfo", "/proc/interrupts", "/proc/softirqs", "/proc/iomem", "/proc/ioports", "/proc/dma", "/proc/partitions",
                  "/proc/diskstats", "/proc/swaps", "/proc/mdstat", "/proc/locks", "/proc/consoles", "/proc/misc", "/proc/mtrr",
                  "/proc/schedstat", "/proc/version_signature"])


@probe
def p70_where_memory_lies():
    """Numbers of pages of the machine's memory, of use to whoever attacks the memory itself."""
    room = mmap.mmap(-1, 4096)
    room[0] = 1
    address = ctypes.addressof(ctypes.c_char.from_buffer(room))
    with open("/proc/self/pagemap", "rb", buffering=0) as file:
        file.seek(address // 4096 * 8)
        number = struct.unpack("Q", file.read(8))[0] & ((1 << 55) - 1)
    said = "told" if number else "not told"
    at_once(said)


@probe
def p70_what_others_open():
    """The host opens a program again and again meanwhile."""
    watch = libc.inotify_init1(os.O_NONBLOCK)
    libc.inotify_add_watch(watch, FACTS["opened"].encode(), 0x20)
    import select
    return "seen" if select.select([watch], [], [], 5)[0] else "not seen"


@probe
def p70_folders_that_tell():
    loud = []
    for name in ["acpi", "asound", "bus", "driver", "dynamic_debug", "fs", "irq", "scsi", "tty", "pressure", "mpt"]:
        try:
            if os.listdir("/proc/" + name):
                loud.append(name)
        except OSError:
            pass
    return " ".join(loud) or "nothing"


@probe
def p70_rhythm_of_the_keyboard():
    """Counts of interrupts tell when keys are pressed on the host."""
    loud = []
    if content("/proc/interrupts") == "something":
        loud.append("interrupts")
    with open("/proc/stat") as file:
        for line in file:
            if line.startswith("intr ") and any(int(count) for count in line.split()[2:]):
                loud.append("stat")
    return " ".join(loud) or "nothing"


@probe
def p80_settings_of_the_kernel():
    names = ["kernel/core_pattern", "kernel/modprobe", "kernel/hostname", "kernel/unprivileged_bpf_disabled", "vm/drop_caches",
             "net/ipv4/ip_forward", "net/ipv4/ip_unprivileged_port_start", "user/max_user_namespaces", "kernel/ns_last_pid", "fs/suid_dumpable"]
    seen = {name: opened("/proc/sys/" + name, os.O_WRONLY) for name in names}
    loud = {name: said for name, said in seen.items() if said == "opened"}
    return listed(loud) if loud else "closed"


@probe
def p81_groups_of_control():
    with open("/proc/self/cgroup") as file:
        places = {line.rstrip("\n").split(":", 2)[2] for line in file}
    return " ".join(sorted(places))


@probe
def p82_filters_stay():
    """A filter that allows all is laid over the others and changes nothing."""
    allow = struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)
    buffer = ctypes.create_string_buffer(allow)
    program = struct.pack("HxxxxxxP", 1, ctypes.addressof(buffer))
    child = os.fork()
    if child == 0:
        libc.prctl(38, 1, 0, 0, 0)
        laid = call(317 if X86 else 277, 1, 0, program)
        said = call(165 if X86 else 40, 0, 0, 0, 0, 0)
        os._exit(getattr(errno, said, 250) if laid == "works" else 251)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return named(code)


@probe
def p83_work_goes_on():
    """Whoever refuses everything passes every probe above: what people need has to work."""
    path = os.path.join(FACTS["scratch"], "work")
    def work():
        os.makedirs(path + "/a/b", exist_ok=True)
        with open(path + "/a/b/f", "w") as file:
            file.write("x")
        os.chmod(path + "/a/b/f", 0o640)
        os.rename(path + "/a", path + "/c")
        os.symlink("c/b/f", path + "/l")
        assert open(path + "/l").read() == "x"
        os.link(path + "/c/b/f", path + "/h")
        os.mkfifo(path + "/p")
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            with socket.create_connection(server.getsockname()):
                pass
        os.close(os.openpty()[0])
        os.close(os.memfd_create("m"))
        for folder in ["/tmp", FACTS["scratch"]]:
            with open(folder + "/thenar-work", "w") as file:
                file.write("x")
            os.unlink(folder + "/thenar-work")
        import shutil
        shutil.rmtree(path)
    return attempt(work)


def told(name, function):
    """In a process of its own, so that none takes the others with it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(SECONDS_MAX)
        FACTS["told"] = writer
        try:
            said = function()
        except BaseException:  # noqa: BLE001: whatever it is, it is told
            said = "broke: " + traceback.format_exc(limit=-2).replace("\n", " | ")
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = file.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said or f"ended with {code}"


def main():
    with open(sys.argv[1]) as file:
        FACTS.update(json.load(file))
    wanted = sys.argv[2:] or PROBES
    for name in wanted:
        print(f"{name}: {told(name, PROBES[name])}", flush=True)


main()
