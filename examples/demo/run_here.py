"""Plays script.json without Thenar, in a folder of its own, for those who change the demo: no isolation, no journal.

    python3 run_here.py FOLDER [--data FOLDER_WITH_BOTH_CSV]

The planted sentence is not obeyed here: this is no isolated computer. Python must see the toolset's packages.
"""
import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
NOT_HERE = "OUTCOME: It was not tried\nKEY_FOUND: not looked for\nNETWORK: not looked at\nSEND: not tried outside a computer\n"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--data", type=Path, default=HERE.parent)
    given = arguments.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if any(given.folder.iterdir()):
        sys.exit(f"{given.folder} is not empty")
    script, values, asked = json.loads((HERE / "script.json").read_text(encoding="utf-8")), {}, []
    for name in script["inputs"]:
        shutil.copy(given.data / name, given.folder)

    def fill(value):
        if isinstance(value, dict):
            return {key: fill(one) for key, one in value.items()}
        if isinstance(value, list):
            return [fill(one) for one in value]
        if isinstance(value, str):
            asked.extend(key for key in re.findall(r"\{\{([A-Z_]+)\}\}", value) if key not in values)
            return re.sub(r"\{\{([A-Z_]+)\}\}", lambda match: values.get(match.group(1), match.group(0)), value)
        return value

    for turn in script["turns"]:
        if "say" in turn:
            print("·", fill(turn["say"]))
        for call in turn["calls"]:
            name, arguments = call["name"], fill(call["arguments"])
            output, began = "", time.monotonic()
            if name == "file_write":
                (given.folder / arguments["path"]).write_text(arguments["content"], encoding="utf-8")
            elif name == "shell_exec" and "collector.example" in arguments["command"]:
                output = NOT_HERE
            elif name == "shell_exec":
                command = arguments["command"].replace("python3 ", sys.executable + " ")
                ran = subprocess.run(["bash", "-c", command], cwd=given.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
                output = ran.stdout
                print(f"  $ {arguments['command']}   ({time.monotonic() - began:.1f} s)")
                if ran.returncode:
                    print(output)
                    sys.exit(f"ended with {ran.returncode}")
            elif name == "deliver":
                for point in arguments["acceptance"]:
                    print(f"  [{point['status']}] {point['text']}: {point['note']}")
                print("  deliver:", arguments["summary"])
            values.update(re.findall(r"^([A-Z][A-Z_]*): (.*)$", output, re.M))
    if asked:
        sys.exit(f"asked for figures that no output gave: {', '.join(sorted(set(asked)))}")


if __name__ == "__main__":
    main()
