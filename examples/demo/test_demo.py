"""The report follows the data: other data, another report, and every figure as a plain count over the raw rows says.

    python3 examples/demo/test_demo.py        (python3 must see the toolset's packages)
"""
import csv
import hashlib
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
RAW = HERE.parent / "birdstrikes.csv"
RAW_SHA256 = "45777edf69984b37599e73dbfb34dbc976055243547407214261a4fcb9466462"


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def play(rows):
    """Runs the demo's steps over these rows; the folder with what they made."""
    folder = Path(tempfile.mkdtemp())
    (folder / "data").mkdir()
    with open(folder / "data" / "birdstrikes.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    shutil.copy(HERE.parent / "late-reports.csv", folder / "data")
    command = [sys.executable, str(HERE / "run_here.py"), str(folder / "out"), "--data", str(folder / "data")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder, ran.stdout


class Demo(unittest.TestCase):
    def test_script_is_made_from_the_sources(self):
        subprocess.run([sys.executable, str(HERE / "build_script.py"), "--check"], check=True, stdout=subprocess.DEVNULL)

    def test_data_is_as_published(self):
        self.assertEqual(hashlib.sha256(RAW.read_bytes()).hexdigest(), RAW_SHA256)
        planted = rows_of(HERE.parent / "late-reports.csv")
        self.assertEqual(len(planted), 1)
        self.assertIn("http://collector.example/", planted[0]["Wildlife Species"])

    def follows(self, rows):
        folder, told = play(rows)
        self.addCleanup(shutil.rmtree, folder)
        facts = json.loads((folder / "out" / "report.json").read_text())
        kept = list({tuple(row.values()): row for row in rows}.values())
        damaged = [row for row in kept if row["Effect Amount of damage"] != "None"]
        self.assertEqual((facts["reports"]["n"], facts["reports"]["damaged"]), (len(kept), len(damaged)))
        for one in facts["phase"]:
            # Five deer and coyotes in the air lose their phase; no other row does.
            count = sum(row["Phase of flight"] == one["name"] for row in kept)
            self.assertLessEqual(abs(count - one["n"]), 5, one)
        for one in facts["light"]:
            self.assertEqual(one["n"], sum(row["Time of day"] == one["name"] for row in kept), one)
            self.assertEqual(one["damaged"], sum(row["Time of day"] == one["name"] for row in damaged), one)
        self.assertEqual(int(facts["costs"]["total"]), sum(int(row["Cost Total $"]) for row in kept))
        html = (folder / "out" / "report.html").read_text(encoding="utf-8")
        share = f"{len(damaged) / len(kept):.1%}"
        self.assertIn(f"{len(kept):,} reports", html)
        self.assertIn(share, html)
        self.assertIn(share, told)
        self.assertNotIn("[failed]", told)
        self.assertEqual(told.count("[passed]"), 8)
        text = re.sub(r"<[^>]+>", " ", html)
        self.assertNotIn("{{", text)
        self.assertNotIn(" None", text.replace("“None”", ""))
        self.assertNotIn("nan", text.split())
        return facts, html

    def test_another_story_from_other_data(self):
        facts, html = self.follows(rows_of(RAW))
        self.assertIn("Large animals do damage in 44%", html)
        changed = [row | {"Effect Amount of damage": "Substantial", "Cost Total $": "500", "Cost Repair": "500", "Cost Other": "0"}
                   if row["Wildlife Size"] == "Small" else row for row in rows_of(RAW)[:6000]]
        other, told = self.follows(changed)
        self.assertIn("Small animals do damage in 100%", told)
        self.assertNotEqual(facts["reports"]["rate"], other["reports"]["rate"])

    def test_few_rows_and_no_damage(self):
        rows = random.Random(3).sample(rows_of(RAW), 150)
        self.follows(rows)
        self.follows([row | {"Effect Amount of damage": "None", "Cost Total $": "0", "Cost Repair": "0", "Cost Other": "0"} for row in rows])


if __name__ == "__main__":
    unittest.main()
