"""Feeds the checker of deliverables good, empty, truncated, wrongly named and hostile samples of each type.

    python3 crates/tools/tests/check_samples.py        samples that need the toolset are skipped where it is not there,
                                                       and then the checker has to say so itself
"""
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile
import zlib
from pathlib import Path

CHECKER = Path(__file__).resolve().parent.parent / "src" / "check.py"
try:
    import docx
    import openpyxl
    import pptx
    from PIL import Image
    from reportlab.pdfgen.canvas import Canvas
    TOOLSET = True
except ImportError:
    TOOLSET = False
needs_toolset = unittest.skipUnless(TOOLSET, "the toolset is not on PYTHONPATH")


def check(name, data, without_toolset=False):
    """The checker's line about one file with these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        environment = {key: value for key, value in os.environ.items() if not (without_toolset and key == "PYTHONPATH")}
        command = [sys.executable, "-S" if without_toolset else "-B", "-c", CHECKER.read_text(), name]
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(lines) == 1, ran.stdout + ran.stderr
    assert ran.returncode == (0 if lines[0]["ok"] else 1), ran.stderr
    assert lines[0]["name"] == name and bool(lines[0]["problem"]) != lines[0]["ok"], lines
    return lines[0]


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width=40, height=30, rows=None, declared=None):
    picture = b"".join(b"\0" + bytes((x * 7 + y * 13) % 256 for x in range(width * 3)) for y in range(height if rows is None else rows))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *(declared or (width, height)), 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(picture)) + chunk(b"IEND", b""))


def archive(entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in entries:
            packed.writestr(name, data)
    return out.getvalue()


def saved(save):
    out = io.BytesIO()
    save(out)
    return out.getvalue()


def spreadsheet(filled=True):
    book = openpyxl.Workbook()
    if filled:
        for row in range(50):
            book.active.append([f"row {row}", row, row * 1.5])
    return saved(book.save)


def pdf(pages=2, words=True):
    def save(out):
        canvas = Canvas(out)
        for page in range(pages):
            if words:
                canvas.drawString(72, 700, f"Page {page + 1} of the report")
            canvas.showPage()
        canvas.save()
    return saved(save)


def document(words=True):
    made = docx.Document()
    if words:
        made.add_paragraph("A letter with some words in it.")
    return saved(made.save)


def slides(number=1):
    made = pptx.Presentation()
    for _ in range(number):
        made.slides.add_slide(made.slide_layouts[5]).shapes.title.text = "A slide"
    return saved(made.save)


def picture(kind):
    image = Image.new("RGB", (60, 40))
    image.putdata([(x % 256, x * 3 % 256, x * 7 % 256) for x in range(2400)])
    return saved(lambda out: image.save(out, kind))


def notebook(**changes):
    code = {"cell_type": "code", "source": "print(1)", "outputs": [], "execution_count": None, "metadata": {}} | changes
    cells = [{"cell_type": "markdown", "source": ["# A\n", "text"], "metadata": {}}, code]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


def linked():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        link = zipfile.ZipInfo("a")
        link.external_attr = 0o120777 << 16
        packed.writestr(link, "/etc/passwd")
    return out.getvalue()


def locked():
    """An archive whose entry says that it is locked."""
    data = bytearray(archive([("a.txt", "x")]))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def huge_jpeg():
    """A whole picture that says it is far larger."""
    data = bytearray(picture("JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5:frame + 9] = struct.pack(">HH", 65_000, 65_000)
    return bytes(data)


HTML = "<!DOCTYPE html><html><head><title>t</title></head><body><h1>A report</h1><p>One <p>two<div>three</div></body></html>"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9"/></svg>'
LAUGHS = '<!DOCTYPE svg [<!ENTITY a "ha">' + "".join(f'<!ENTITY {chr(98 + n)} "{("&" + chr(97 + n) + ";") * 10}">' for n in range(9)) + "]>"


class Good(unittest.TestCase):
    def passes(self, name, data, finding):
        line = check(name, data)
        self.assertTrue(line["ok"], line)
        self.assertTrue(line["checked"], line)
        self.assertIn(finding, line["finding"])

    def test_text(self):
        self.passes("a.txt", "one\ntwo", "text, 2 lines")
        self.passes("a.txt", "\ufeffgrüße 谢谢\n", "text, 1 line")
        self.passes("a.txt", "grüße " * 400_000, "text, 1 line")               # characters across the pieces that are read
        self.passes("a.md", "# A\n\n[b](c)\n\n```\n# no heading\n```\n", "1 heading, 1 link")

    def test_html(self):
        self.passes("a.html", HTML, "HTML")
        self.passes("a.html", "<p>a fragment<br>of a page", "HTML, 5 words")
        self.passes("a.html", "<html><body><svg viewBox='0 0 1 1'><path d='M0 0'/></svg></body></html>", "1 picture")

    def test_data(self):
        self.passes("a.json", '{"a": 1, "a": 2, "b": [null]}', "an object with 2 keys")
        self.passes("a.jsonl", '{"a": 1}\n[2]\n', "2 values")
        self.passes("a.csv", 'a,b\n1,"x\ny, z"\n3,4\n', "2 rows of 2 columns")
        self.passes("a.csv", "a;b;c\r\n1;2;3\r\n", "1 row of 3 columns")
        self.passes("a.tsv", "a\tb\n1\t2\n", "1 row of 2 columns")

    def test_pictures(self):
        self.passes("a.svg", SVG, "SVG, 1 shape")
        self.passes("a.svg", '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">' + SVG, "SVG")
        self.passes("a.png", png(), "PNG, 40 x 30 pixels")

    def test_code_and_archives(self):
        self.passes("a.py", "print('x')\n", "Python, 1 line")
        self.passes("a.sh", "#!/bin/sh\nif true; then echo x; fi\n", "shell, 2 lines")
        self.passes("a.js", "import x from 'y';\nexport const z = x;\n", "JavaScript, 2 lines")
        self.passes("a.js", "const x = require('y');\nwith (x) { z = 1; }\n", "JavaScript, 2 lines")
        self.passes("a.rs", "fn main() {}\n", "Rust, 1 line, read as text: its syntax was not checked")
        self.passes("a.zip", archive([("a/b.txt", "x")]), "ZIP, 1 file, 1 bytes unpacked")
        self.passes("a.ipynb", notebook(), "Jupyter notebook, 2 cells, 1 of code")

    @needs_toolset
    def test_with_the_toolset(self):
        self.passes("a.xlsx", spreadsheet(), "1 sheet, 150 filled cells")
        self.passes("a.pdf", pdf(), "PDF, 2 pages")
        self.passes("a.docx", document(), "document, 1 paragraph, 7 words")
        self.passes("a.pptx", slides(), "presentation, 1 slide")
        for name, kind in (("a.jpg", "JPEG"), ("a.gif", "GIF"), ("a.webp", "WEBP")):
            self.passes(name, picture(kind), f"{kind}, 60 x 40 pixels")
        self.passes("a.png", saved(lambda out: Image.new("RGBA", (33, 21), "#123456").save(out, "PNG", optimize=True)), "33 x 21")

    def test_not_checked_is_said(self):
        line = check("a.xyz", "what")
        self.assertEqual((line["ok"], line["checked"]), (True, False), line)
        self.assertIn("no parser for .xyz", line["finding"])

    def test_the_toolset_is_asked_for(self):
        line = check("a.pdf", b"%PDF-1.4\nx\n%%EOF\n", without_toolset=True)
        self.assertEqual((line["ok"], line["checked"]), (False, False), line)
        self.assertIn("run thenar setup", line["problem"])


class Broken(unittest.TestCase):
    def refused(self, name, data, why):
        line = check(name, data)
        self.assertFalse(line["ok"], (name, line))
        self.assertIn(why, line["problem"])

    def test_empty(self):
        for name in "a.txt a.md a.html a.json a.csv a.xlsx a.pdf a.png a.svg a.zip a.py a.docx a.xyz".split():
            self.refused(name, b"", "is empty")
        for name in "a.txt a.md a.html".split():
            self.refused(name, b" \n\t\n", "white space")

    def test_wrong_name(self):
        for name in "a.txt a.md a.html a.json a.csv".split():
            self.refused(name, png(), "looks like a PNG")
        for name in "a.png a.pdf a.zip a.xlsx".split():
            self.refused(name, HTML, "looks like HTML")
        self.refused("a.svg", png(), "not well-formed")
        self.refused("a.txt", "grüße".encode("latin-1"), "not UTF-8")
        self.refused("a.html", "just words", "no element")
        self.refused("a.xlsx", archive([("a.txt", "x")]), "no spreadsheet")

    def test_truncated(self):
        self.refused("a.txt", "grüße".encode()[:3], "not UTF-8")
        self.refused("a.json", '{"a": [1, 2', "ends too early")
        self.refused("a.html", HTML[:-20], "cut off")
        self.refused("a.html", "<html><body><p>x<div class=", "middle of a tag")
        self.refused("a.html", "<p>x</p><script>let a = 1", "cut off")
        self.refused("a.svg", SVG[:-5], "not well-formed")
        self.refused("a.csv", 'a,b\n1,"x', "not CSV")
        for cut in (20, 60, -4, -13, -30):
            self.refused("a.png", png()[:cut], "is cut off" if cut != -4 else "checksum")
        self.refused("a.png", png(rows=12), "part of the picture is missing")
        whole = archive([("a.txt", os.urandom(2000))])
        for cut in (100, -10):
            self.refused("a.zip", whole[:cut], "no whole archive")

    def test_wrong_inside(self):
        self.refused("a.json", '{"a": NaN}', "NaN")
        self.refused("a.json", "[1,]", "not JSON")
        self.refused("a.jsonl", "{}\n{", "line 2")
        self.refused("a.csv", "a,b\n1,2\n3\n", "row 3 has 1 field")
        self.refused("a.csv", "a,b\n", "no data")
        self.refused("a.html", "<html><head><title>x</title></head><body></body></html>", "shows nothing")
        self.refused("a.svg", "<svg viewBox='0 0 1 1'><rect/></svg>", "lacks xmlns")
        self.refused("a.svg", '<svg xmlns="http://www.w3.org/2000/svg"></svg>', "draws nothing")
        self.refused("a.py", "def (:\n", "is not Python")
        self.refused("a.sh", "if true; then echo x\n", "is not shell")
        if os.access("/usr/bin/node", os.X_OK):
            self.refused("a.js", "let a = {;\n", "is not JavaScript: the file:1: SyntaxError")
        self.refused("a.ipynb", "{}", "has no cells")
        self.refused("a.ipynb", '{"cells": []}', "no notebook of format 4")
        self.refused("a.ipynb", notebook(cell_type="chart"), "cell 2 is neither")
        self.refused("a.ipynb", notebook(source=None), "cell 2 has no source")
        self.refused("a.ipynb", notebook(outputs=None), "cell 2 is code without")
        self.refused("a.ipynb", notebook()[:-9], "is not JSON")
        flipped = bytearray(png())
        flipped[80] ^= 1
        self.refused("a.png", bytes(flipped), "is damaged")
        stored = io.BytesIO()
        with zipfile.ZipFile(stored, "w") as packed:
            packed.writestr("a.txt", "hello hello")
        self.refused("a.zip", stored.getvalue().replace(b"hello hello", b"hello jello", 1), "is damaged")

    @needs_toolset
    def test_with_the_toolset(self):
        self.refused("a.xlsx", spreadsheet(filled=False), "no cell")
        self.refused("a.xlsx", spreadsheet()[:-200], "no whole archive")
        self.refused("a.pdf", pdf(words=False), "blank pages")
        self.refused("a.pdf", pdf()[:-300], "cut off")
        self.refused("a.pdf", b"%PDF-1.7\n" + os.urandom(500) + b"\n%%EOF\n", "cannot be read")
        self.refused("a.docx", document(words=False), "no words")
        self.refused("a.docx", spreadsheet(), "no document")
        self.refused("a.pptx", slides(0), "no slide")
        for name, kind in (("a.jpg", "JPEG"), ("a.gif", "GIF"), ("a.webp", "WEBP")):
            self.refused(name, picture(kind)[:-300], "no whole")
            self.refused(name, png(), "looks like a PNG")


class Hostile(unittest.TestCase):
    refused = Broken.refused

    def test_bombs(self):
        self.refused("a.svg", LAUGHS + SVG.replace("<rect", "<text>&j;</text><rect"), "entities")
        self.refused("a.xml", LAUGHS.replace("svg", "x") + "<x>&j;</x>", "entities")
        self.refused("a.svg", '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + SVG, "entities")
        self.refused("a.svg", SVG.replace("<rect", "<g>" * 5000 + "<rect").replace("</svg>", "</g>" * 5000 + "</svg>"), "nests more")
        self.refused("a.html", "<div>" * 5000 + "x" + "</div>" * 5000, "nests more")
        self.refused("a.json", "[" * 200_000 + "]" * 200_000, "nested too deeply")
        self.refused("a.png", png(declared=(60_000, 60_000)), "pixels")
        many = zlib.compress(b"\0" * (64 << 20))
        bomb = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 10, 10, 8, 2, 0, 0, 0)) + chunk(b"IDAT", many) + chunk(b"IEND", b""))
        self.refused("a.png", bomb, "more than its picture")
        self.refused("a.zip", archive([("a", b"\0" * (64 << 20))]), "would not end")
        self.refused("a.xlsx", archive([("xl/workbook.xml", b" " * (64 << 20))]), "would not end")
        self.refused("a.xlsx", archive([("xl/workbook.xml", LAUGHS + "<x/>")]), "declares entities")
        self.refused("a.zip", archive([("../../etc/cron.d/x", "x")]), "leave its folder")
        self.refused("a.zip", archive([("C:/x", "x")]), "leave its folder")
        self.refused("a.zip", archive([("/etc/x", "x")]), "leave its folder")
        self.refused("a.zip", linked(), "symbolic link: 'a'")
        self.refused("a.zip", locked(), "locked with a password at 'a.txt'")
        self.refused("a.docx", archive([]), "word/document.xml is missing")

    @needs_toolset
    def test_hostile_with_the_toolset(self):
        self.refused("a.jpg", huge_jpeg(), "pixels")
        self.refused("a.docx", archive([("word/document.xml", "<x/>")]), "cannot be read as a document")
        self.refused("a.pptx", archive([("ppt/presentation.xml", "<x/>")]), "cannot be read as a presentation")
        webp = bytearray(picture("WEBP"))
        self.refused("a.webp", bytes(webp[:12]) + b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\xff\xff\xff\xff\xff\xff" + bytes(webp[12:]), "")

    def test_links_and_folders(self):
        with tempfile.TemporaryDirectory() as folder:
            os.symlink("/etc/hostname", Path(folder) / "a.txt")
            os.mkdir(Path(folder) / "b.txt")
            os.mkfifo(Path(folder) / "c.txt")
            names = ["a.txt", "b.txt", "c.txt", "d.txt"]
            ran = subprocess.run([sys.executable, str(CHECKER), *names], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
            lines = [json.loads(line) for line in ran.stdout.splitlines()]
            self.assertEqual([line["name"] for line in lines], names)
            self.assertFalse(any(line["ok"] for line in lines), lines)

    @needs_toolset
    def test_a_page_that_eats_memory_costs_one_line(self):
        data = zlib.compress(b"BT (x) Tj ET " * (40 << 20), 9)
        body = b"%PDF-1.4\n"
        objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>",
                   b"<</Filter/FlateDecode/Length %d>>stream\n" % len(data) + data + b"\nendstream"]
        places = []
        for number, one in enumerate(objects, 1):
            places.append(len(body))
            body += b"%d 0 obj" % number + one + b"endobj\n"
        xref = len(body)
        body += b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
        body += b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % xref
        line = check("a.pdf", body)
        self.assertFalse(line["ok"], line)


if __name__ == "__main__":
    unittest.main()
