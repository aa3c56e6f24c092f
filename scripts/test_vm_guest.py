"""A task of the service, in the guest of test-vm.sh: begun, the server restarted in its midst, ended by the computer that was there before."""

import glob
import json
import subprocess
import sys
import time
import urllib.request

HOME = sys.argv[1]
COMPUTERS = "/system.slice/thenar-computers.service"
PATIENCE_SECONDS = 300


def until(what, found):
    deadline = time.time() + PATIENCE_SECONDS
    while time.time() < deadline:
        try:
            seen = found()
        except OSError:
            seen = None
        if seen:
            return seen
        time.sleep(0.2)
    sys.exit(f"waited in vain until {what}")


def ask(path, body=None):
    with open(f"{HOME}/access-token", encoding="utf-8") as file:
        token = file.read().strip()
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:7171{path}", data, headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def keepers():
    return subprocess.run(["pgrep", "-x", "thenar-keeper"], capture_output=True, text=True, check=False).stdout.split()


def groups_of_commands():
    """Of every process that the computer's command has started."""
    found = []
    for name in glob.glob("/proc/[0-9]*/comm"):
        try:
            with open(name, encoding="utf-8") as comm, open(name[: -len("comm")] + "cgroup", encoding="utf-8") as group:
                if comm.read() == "sleep\n":
                    found.append(group.read().strip())
        except OSError:
            continue  # It has ended.
    return [group for group in found if "/thenar/" in group]


def server():
    return subprocess.run(["systemctl", "show", "--property=MainPID", "--value", "thenar"], capture_output=True, text=True, check=True).stdout.strip()


def begun():
    """A task whose command waits, where it runs and who keeps its computer."""
    task = ask("/v1/tasks", {"task": "wait"})["id"]
    workspace = until("there is a workspace", lambda: glob.glob(f"{HOME}/tasks/{task}/**/workspace", recursive=True))[0]
    group = until("its command runs in a group", groups_of_commands)[0]
    # Not below the server's own, where before systemd 254 none could be started again now.
    assert group.startswith(f"0::{COMPUTERS}/thenar/"), group
    # Only now: what starts a keeper has its name, and leaves.
    return task, workspace, keepers()


def ended(task):
    state = until("the task ends", lambda: (seen := ask(f"/v1/tasks/{task}"))["state"] not in ("running", "working", "queued") and seen)
    print(json.dumps(state)[:2000])
    assert state["state"] == "done", state["state"]
    until("the computer is gone", lambda: not keepers())
    until("its groups are gone", lambda: not glob.glob(f"/sys/fs/cgroup{COMPUTERS}/thenar/*"))


until("the server answers", lambda: ask("/v1/tasks") is not None)
task, workspace, before = begun()
old = server()
subprocess.run(["systemctl", "restart", "thenar"], check=True)
until("the next server answers", lambda: server() != old and ask("/v1/tasks") is not None)
assert keepers() == before, (before, keepers())
with open(f"{workspace}/go", "w", encoding="utf-8"):
    pass
ended(task)

# An operator ends all computers: tasks go on in others.
task, workspace, before = begun()
subprocess.run(["systemctl", "restart", "thenar-computers"], check=True)
assert not set(keepers()) & set(before), (before, keepers())
ended(task)
