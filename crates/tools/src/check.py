"""Opens files with a parser of their type and says what it found: one line of JSON a file. Nobody vouches for the files:
each is opened in a process of its own with bounds on time and memory, and nothing that they name is ever loaded.

It needs only Python for text, Markdown, HTML, JSON, CSV, SVG, PNG and ZIP, and the toolset for the rest. It does not
judge whether a file is good work, only whether it is whole and holds something.

    python3 check.py NAME...   ->   {"name", "ok", "checked", "kind", "finding", "problem"}
"""
import codecs
import csv
import io
import json
import os
import resource
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile
import zlib
from html.parser import HTMLParser
from xml.parsers import expat

SECONDS_MAX = 45                        # for one file
MEMORY_BYTES_MAX = 2 << 30
TEXT_BYTES_MAX = 1 << 30                # read in pieces
WHOLE_BYTES_MAX = 128 << 20             # read at once: JSON, HTML, source
PIECE_BYTES = 1 << 20
PIXELS_MAX = 200_000_000
UNPACKED_BYTES_MAX = 1 << 30            # of an archive, all entries
UNPACKED_RATIO_MAX = 400                # deflate reaches 1032; honest documents stay under 100
RATIO_FROM_BYTES = 8 << 20              # small files may compress as they like
ENTRIES_MAX = 20_000
DEPTH_MAX = 1_000                       # of nested elements
CELLS_MAX = 3_000_000                   # of a workbook, looked at
PAGES_MAX = 5_000
PAGES_READ_MAX = 300                    # pages whose text is looked for
FIELD_BYTES_MAX = 16 << 20              # of one field of a CSV
CELLS_OF_NOTEBOOK_MAX = 20_000
SYNTAX_SECONDS_MAX = 20                 # for another program that reads source
# The operators of a PDF that put something on the page.
PDF_PAINTS = set(b"Tj TJ ' \" Do EI sh f F f* S s B B* b b*".split())


class Broken(Exception):
    """The file is not what its name says. The text goes to the model."""


class Missing(Exception):
    """A parser that only the toolset has is not there."""


def counted(number, one, many=None):
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def looks_like(head):
    """What the first bytes say, for the message about a wrong name."""
    for magic, kind in ((b"%PDF-", "a PDF"), (b"\x89PNG", "a PNG"), (b"\xff\xd8\xff", "a JPEG"), (b"GIF8", "a GIF"), (b"PK\x03\x04", "a ZIP archive"),
                        (b"\x1f\x8b", "a gzip file"), (b"\xd0\xcf\x11\xe0", "an old Office file"), (b"\x7fELF", "a program"), (b"{\\rtf", "an RTF file")):
        if head.startswith(magic):
            return f" (it looks like {kind})"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return " (it looks like HTML)"
    return ""


def need(head, magic, kind):
    if not head.startswith(magic):
        raise Broken(f"does not begin as a {kind} does{looks_like(head)}")


def whole(file, kind):
    data = file.read(WHOLE_BYTES_MAX + 1)
    if len(data) > WHOLE_BYTES_MAX:
        raise Broken(f"is larger than the {WHOLE_BYTES_MAX >> 20} MiB that a {kind} file may have")
    return data


def decoded(data):
    if b"\0" in data:
        raise Broken(f"holds NUL bytes: it is not text{looks_like(data)}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Broken(f"is not UTF-8: byte {error.start} cannot be read{looks_like(data)}") from None


# --- text -----------------------------------------------------------------------------------------------------------

def text_pieces(file):
    """The text in pieces; NUL bytes and anything but UTF-8 refuse it."""
    decoder, read = codecs.getincrementaldecoder("utf-8-sig")(), 0
    while True:
        piece = file.read(PIECE_BYTES)
        if b"\0" in piece:
            raise Broken(f"holds NUL bytes: it is not text{looks_like(piece) if not read else ''}")
        try:
            yield decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            place = "it ends in the middle of a character" if not piece else f"byte {read + error.start} cannot be read"
            raise Broken(f"is not UTF-8: {place}{looks_like(piece) if not read else ''}") from None
        read += len(piece)
        if read > TEXT_BYTES_MAX:
            raise Broken(f"is larger than {TEXT_BYTES_MAX >> 30} GiB")
        if not piece:
            return


def check_text(file, head, kind="text"):
    lines, blank, last = 0, True, "\n"
    for piece in text_pieces(file):
        lines += piece.count("\n")
        blank = blank and not piece.strip()
        last = piece[-1:] or last
    if blank:
        raise Broken("holds nothing but white space")
    return f"{kind}, {counted(lines + (last != chr(10)), 'line')}"


def check_markdown(file, head):
    text = decoded(whole(file, "Markdown"))
    if not text.strip():
        raise Broken("holds nothing but white space")
    headings, links, fence = 0, 0, None
    for line in text.splitlines():
        start = line.lstrip(" ")
        mark = start[:3] if start[:3] in ("```", "~~~") else None
        if mark and (fence is None or fence == mark):
            fence = None if fence else mark
        elif not fence:
            level = len(start) - len(start.lstrip("#"))
            headings += 1 <= level <= 6 and start[level:level + 1] in (" ", "")
            links += line.count("](")
    parts = [counted(len(text.splitlines()), "line")] + ([counted(headings, "heading")] if headings else []) + ([counted(links, "link")] if links else [])
    return "Markdown, " + ", ".join(parts) + (", a code block is not closed" if fence else "")


def check_source(file, head, kind="source"):
    data = whole(file, kind)
    text = decoded(data)
    if not text.strip():
        raise Broken("holds nothing but white space")
    if kind == "Python":
        try:
            compile(text, "file", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise Broken(f"is not Python {sys.version_info[0]}.{sys.version_info[1]}: {error}") from None
    if kind == "TOML":
        try:
            import tomllib
            tomllib.loads(text)
        except ImportError:
            pass
        except (ValueError, RecursionError) as error:
            raise Broken(f"is not TOML: {error}") from None
    lines = f"{kind}, {counted(len(text.splitlines()), 'line')}"
    if kind in SYNTAX and not syntax(kind, data):
        return f"{lines}, read as text: its syntax was not checked"
    return lines


def said_by(command, data, endings):
    """Has a program read the text, once under each ending; None if it takes one of them, else its first complaint."""
    complaints = []
    with tempfile.TemporaryDirectory() as folder:
        for ending in endings:
            path = os.path.join(folder, "file" + ending)
            with open(path, "wb") as copy:
                copy.write(data)
            try:
                ran = subprocess.run([*command, path], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                     timeout=SYNTAX_SECONDS_MAX, check=False, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
            except subprocess.TimeoutExpired:
                raise Broken(f"takes more than {SYNTAX_SECONDS_MAX} s to read") from None
            if ran.returncode == 0:
                return None
            said = ran.stderr.decode("utf-8", "replace").replace(path, "the file")
            lines = [line.strip() for line in said.splitlines() if line.strip()]
            place = lines[0] if lines else f"ended with {ran.returncode}"
            complaints.append(place + "".join(f": {line}" for line in lines[1:] if "SyntaxError" in line))
    return next((one for one in complaints if "SyntaxError" in one and "outside a module" not in one), complaints[0])


# Languages that another program may know: it reads, and runs nothing.
SYNTAX = {"shell": (("bash", "-n"), (".sh",)), "JavaScript": (("node", "--check"), (".cjs", ".mjs"))}


def syntax(kind, data):
    """Whether there was a program to read it; broken if that refuses it."""
    (program, *options), endings = SYNTAX[kind]
    first = data[:64].split(b"\n", 1)[0]
    if kind == "shell" and first.startswith(b"#!") and not first.rstrip().endswith((b"sh", b"bash")):
        return False
    found = next((place for place in (f"/usr/bin/{program}", f"/bin/{program}") if os.access(place, os.X_OK)), None)
    # A program that cannot even read a good text here says nothing about this one.
    if found is None or said_by([found, *options], b"true;\n", endings) is not None:
        return False
    complaint = said_by([found, *options], data, endings)
    if complaint is not None:
        raise Broken(f"is not {kind}: {complaint[:300]}")
    return True


def check_unparsed(file, head, kind):
    """Source of which no parser is at hand: whole and readable, and that is said."""
    return check_text(file, head, kind) + ", read as text: its syntax was not checked"


def check_json(file, head, kind="JSON"):
    text = decoded(whole(file, "JSON"))

    def refuse(word):
        raise Broken(f"holds {word}, which JSON has not")

    try:
        value = json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        end = " (it ends too early)" if error.pos >= len(text.rstrip()) else ""
        raise Broken(f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}{end}") from None
    except RecursionError:
        raise Broken("is nested too deeply") from None
    if kind == "Jupyter notebook":
        return notebook(value)
    if isinstance(value, dict):
        return f"{kind}, an object with {counted(len(value), 'key')}"
    if isinstance(value, list):
        return f"{kind}, a list of {len(value):,}"
    return f"{kind}, one value"


def notebook(value):
    """The parts that every program needs that opens one (nbformat 4); nothing in it is run."""
    if not (isinstance(value, dict) and isinstance(value.get("cells"), list)):
        raise Broken("is JSON, but no notebook: it has no cells")
    if value.get("nbformat") != 4 or not isinstance(value.get("metadata"), dict):
        raise Broken("is no notebook of format 4: it needs \"nbformat\": 4, \"nbformat_minor\" and \"metadata\"")
    cells, code, faults = value["cells"], 0, 0
    if len(cells) > CELLS_OF_NOTEBOOK_MAX:
        raise Broken(f"has {len(cells):,} cells; {CELLS_OF_NOTEBOOK_MAX:,} is the most that is opened")
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
            raise Broken(f"cell {number} is neither code, nor markdown, nor raw")
        text = cell.get("source")
        if not isinstance(text, str) and not (isinstance(text, list) and all(isinstance(line, str) for line in text)):
            raise Broken(f"cell {number} has no source: a text or a list of lines")
        if cell["cell_type"] == "code":
            code += 1
            if not isinstance(cell.get("outputs"), list) or any(not isinstance(one, dict) for one in cell["outputs"]):
                raise Broken(f"cell {number} is code without a list of outputs (it may be empty)")
            faults += any(one.get("output_type") == "error" for one in cell["outputs"])
    if not any("".join(cell["source"]).strip() for cell in cells):
        raise Broken("has no cell with anything in it")
    return f"Jupyter notebook, {counted(len(cells), 'cell')}, {code:,} of code" + (f", {counted(faults, 'cell')} ended in an error" if faults else "")


def check_json_lines(file, head):
    number = 0
    for number, line in enumerate(filter(str.strip, decoded(whole(file, "JSON Lines")).split("\n")), 1):
        try:
            json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Broken(f"line {number} is not JSON: {error}") from None
    if not number:
        raise Broken("holds nothing but white space")
    return f"JSON Lines, {counted(number, 'value')}"


def lines_of(pieces):
    rest = ""
    for piece in pieces:
        lines = (rest + piece).split("\n")
        rest = lines.pop()
        if len(rest) > FIELD_BYTES_MAX:
            raise Broken("has a line that is too long for a table")
        for line in lines:
            yield line + "\n"
    if rest:
        yield rest


def check_csv(file, head, separators=",;\t|"):
    csv.field_size_limit(FIELD_BYTES_MAX)
    first = head.split(b"\n", 1)[0].decode("utf-8", "replace")
    separator = max(separators, key=first.count)
    rows, columns = 0, None
    try:
        for row in csv.reader(lines_of(text_pieces(file)), delimiter=separator, strict=True):
            if not row:
                continue
            if columns is None:
                columns = len(row)
            elif len(row) != columns:
                raise Broken(f"row {rows + 1} has {counted(len(row), 'field')}, the first row {columns}")
            rows += 1
    except csv.Error as error:
        raise Broken(f"is not CSV: {error} (near row {rows + 1})") from None
    if not columns or rows == 0:
        raise Broken("holds nothing but white space")
    if rows < 2:
        raise Broken("has a first row and no data under it")
    return f"CSV, {counted(rows - 1, 'row')} of {counted(columns, 'column')} under the header"


# --- pages and pictures as text -------------------------------------------------------------------------------------

class Page(HTMLParser):
    VOID = set("area base br col embed hr img input link meta param source track wbr".split())
    # Elements whose end tag may be left out.
    LOOSE = set("html head body p li dt dd option optgroup tr td th thead tbody tfoot caption colgroup rp rt".split())
    UNSEEN = {"style", "script", "template", "noscript", "title", "head"}
    SEEN = {"img", "svg", "canvas", "video", "iframe", "object", "picture", "embed"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.words, self.pictures, self.ended, self.began, self.deepest = [], 0, 0, 0, False, False, 0

    def handle_starttag(self, tag, attributes):
        self.elements += 1
        self.began |= tag == "html"
        self.pictures += tag in self.SEEN
        if tag not in self.VOID:
            self.open.append(tag)
            if len(self.open) > DEPTH_MAX:
                raise Broken(f"nests more than {DEPTH_MAX} elements")

    def handle_startendtag(self, tag, attributes):
        self.elements += 1
        self.pictures += tag in self.SEEN

    def handle_endtag(self, tag):
        self.ended |= tag == "html"
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if not self.UNSEEN.intersection(self.open):
            self.words += len(data.split())


def check_html(file, head):
    text = decoded(whole(file, "HTML"))
    if not text.strip():
        raise Broken("holds nothing but white space")
    page = Page()
    page.feed(text)
    if page.rawdata.lstrip().startswith("<") and len(page.rawdata.strip()) > 1:
        raise Broken("ends in the middle of a tag or a comment")
    page.close()
    if not page.elements:
        raise Broken(f"has no element of HTML{looks_like(head)}")
    for tag in ("script", "style", "title", "textarea"):
        if tag in page.open:
            raise Broken(f"ends inside <{tag}>: it is cut off")
    strict = [tag for tag in page.open if tag not in Page.LOOSE]
    if page.began and not page.ended and strict or not page.began and strict:
        raise Broken(f"ends with <{strict[-1]}> still open: it is cut off")
    if page.began and not page.ended:
        raise Broken("has no </html>: it is cut off")
    if not page.words and not page.pictures:
        raise Broken("shows nothing: no words and no picture")
    return "HTML, " + counted(page.words, "word") + (f", {counted(page.pictures, 'picture')}" if page.pictures else "")


def parse_xml(data, on_element):
    """Through expat, which opens nothing from outside; a document that declares entities is refused before they grow."""
    parser, depth = expat.ParserCreate(namespace_separator=" "), 0

    def refuse(*_):
        raise Broken("declares entities of its own: refused, they can grow without end")

    def doctype(name, system, public, internal):
        if internal:
            refuse()

    def start(name, attributes):
        nonlocal depth
        depth += 1
        if depth > DEPTH_MAX:
            raise Broken(f"nests more than {DEPTH_MAX} elements")
        on_element(name, attributes, depth)

    def end(_):
        nonlocal depth
        depth -= 1

    parser.StartDoctypeDeclHandler, parser.EntityDeclHandler, parser.StartElementHandler, parser.EndElementHandler = doctype, refuse, start, end
    try:
        if hasattr(data, "read"):
            parser.ParseFile(data)
        else:
            parser.Parse(data, True)
    except expat.ExpatError as error:
        early = " (it ends too early)" if error.code in (3, 5) else ""          # no element found, unclosed token
        raise Broken(f"is not well-formed XML: {expat.ErrorString(error.code)} at line {error.lineno}{early}") from None


def check_svg(file, head):
    drawn, root = 0, []
    svg = "http://www.w3.org/2000/svg "
    shapes = {svg + name for name in ("path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "image", "use", "foreignObject")}

    def element(name, attributes, depth):
        nonlocal drawn
        drawn += name in shapes
        if depth == 1:
            root.append(name)
            if name != svg + "svg":
                what = "its <svg> lacks xmlns=\"http://www.w3.org/2000/svg\"" if name == "svg" else f"its root is <{name.split()[-1]}>"
                raise Broken(f"is XML, but no SVG that a program would show: {what}")

    parse_xml(io.BytesIO(whole(file, "SVG")), element)
    if not drawn:
        raise Broken("draws nothing")
    return f"SVG, {counted(drawn, 'shape')}"


def check_xml(file, head):
    names = []
    parse_xml(io.BytesIO(whole(file, "XML")), lambda name, attributes, depth: names.append(name) if depth == 1 else None)
    return f"XML, root {names[0].split()[-1][:60]}"


# --- pictures -------------------------------------------------------------------------------------------------------

def png_bytes(width, height, bits, interlaced):
    """How many bytes the picture has when unpacked."""
    def size(columns, rows):
        return rows * (1 + (columns * bits + 7) // 8) if columns and rows else 0
    if not interlaced:
        return size(width, height)
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    return sum(size(-(-max(0, width - x) // dx), -(-max(0, height - y) // dy)) for x, y, dx, dy in passes)


def check_png(file, head):
    need(head, b"\x89PNG\r\n\x1a\n", "PNG")
    file.seek(8)
    wanted = unpacked = 0
    width = height = None
    inflate = zlib.decompressobj()
    while True:
        start = file.read(8)
        if len(start) < 8:
            raise Broken("is cut off: its last piece is missing")
        length, kind = struct.unpack(">I4s", start)
        if length > 1 << 31:
            raise Broken("is damaged: a piece of it has an impossible length")
        crc, left, body = zlib.crc32(kind), length, b""
        while left:
            piece = file.read(min(left, PIECE_BYTES))
            if not piece:
                raise Broken("is cut off in the middle of the picture" if kind == b"IDAT" else "is cut off")
            crc, left = zlib.crc32(piece, crc), left - len(piece)
            if kind == b"IHDR":
                body += piece
            while kind == b"IDAT" and piece:
                try:
                    unpacked += len(inflate.decompress(piece, PIECE_BYTES))
                except zlib.error:
                    raise Broken("is damaged: the picture does not unpack") from None
                piece = inflate.unconsumed_tail
                if unpacked > wanted:
                    raise Broken("is damaged: it holds more than its picture")
        if file.read(4) != struct.pack(">I", crc):
            raise Broken(f"is damaged: the checksum of its piece {kind.decode('latin-1')!r} is wrong, or it is cut off there")
        if width is None:
            if kind != b"IHDR" or len(body) != 13:
                raise Broken("is damaged: it does not say its size first")
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour)
            if not width or not height or not channels or depth not in (1, 2, 4, 8, 16):
                raise Broken("is damaged: it says an impossible size or colour")
            if width * height > PIXELS_MAX:
                raise Broken(f"has {width:,} x {height:,} pixels; {PIXELS_MAX:,} is the most that is opened")
            wanted = png_bytes(width, height, depth * channels, interlaced)
        if kind == b"IEND":
            break
    if unpacked + len(inflate.flush(1)) < wanted:
        raise Broken("is cut off: part of the picture is missing")
    return f"PNG, {width:,} x {height:,} pixels"


def check_picture(file, head, kind):
    try:
        from PIL import Image
    except ImportError:
        raise Missing() from None
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        with Image.open(file, formats=(kind,)) as picture:
            width, height = picture.size
            if width * height > PIXELS_MAX:
                raise Broken(f"has {width:,} x {height:,} pixels; {PIXELS_MAX:,} is the most that is opened")
            frames = getattr(picture, "n_frames", 1)
            picture.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Broken(f"has more than the {PIXELS_MAX:,} pixels that are opened") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise Broken(f"is no whole {kind}: {error}{looks_like(head)}" if "cannot identify" not in str(error) else f"is no {kind}{looks_like(head)}") from None
    return f"{kind}, {width:,} x {height:,} pixels" + (f", {counted(frames, 'frame')}" if frames > 1 else "")


# --- archives and what is made of them ------------------------------------------------------------------------------

def archive(file, head, kind):
    """The archive after every entry was unpacked once, within bounds, and its checksum compared."""
    need(head, b"PK", kind)
    try:
        packed = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Broken(f"is no whole archive: {error}") from None
    entries = packed.infolist()
    if len(entries) > ENTRIES_MAX:
        raise Broken(f"has {len(entries):,} entries; {ENTRIES_MAX:,} is the most that is opened")
    unpacked, size = 0, max(1, os.fstat(file.fileno()).st_size)
    for entry in entries:
        if entry.filename.startswith("/") or ".." in entry.filename.split("/") or "\\" in entry.filename or entry.filename[1:2] == ":":
            raise Broken(f"has an entry that would leave its folder: {entry.filename[:80]!r}")
        if entry.flag_bits & 1:
            raise Broken(f"is locked with a password at {entry.filename[:80]!r}")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise Broken(f"has an entry that is a symbolic link: {entry.filename[:80]!r}")
        if entry.is_dir():
            continue
        declares = entry.filename.endswith((".xml", ".rels")) and kind != "ZIP"
        tail = b""
        try:
            with packed.open(entry) as content:
                while piece := content.read(PIECE_BYTES):
                    unpacked += len(piece)
                    if unpacked > UNPACKED_BYTES_MAX or (unpacked > RATIO_FROM_BYTES and unpacked > size * UNPACKED_RATIO_MAX):
                        raise Broken(f"unpacks to more than {unpacked >> 20:,} MiB from {size:,} bytes: refused, it would not end")
                    if declares and (b"<!DOCTYPE" in tail + piece or b"<!ENTITY" in tail + piece):
                        raise Broken(f"declares entities of its own in {entry.filename[:80]!r}: refused")
                    tail = piece[-16:]
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise Broken(f"is damaged at {entry.filename[:80]!r}: {error}") from None
    return packed, entries


def check_zip(file, head):
    _, entries = archive(file, head, "ZIP")
    files = sum(not entry.is_dir() for entry in entries)
    if not files:
        raise Broken("holds no file")
    unpacked = sum(entry.file_size for entry in entries)
    return f"ZIP, {counted(files, 'file')}, {unpacked:,} bytes unpacked"


def part(packed, name, kind):
    if name not in packed.namelist():
        raise Broken(f"is an archive, but no {kind}: {name} is missing")


def check_xlsx(file, head):
    packed, _ = archive(file, head, "spreadsheet")
    part(packed, "xl/workbook.xml", "spreadsheet")
    try:
        import openpyxl
    except ImportError:
        raise Missing() from None
    filled = seen = 0
    file.seek(0)
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=False, keep_links=False)
        for sheet in book.worksheets:
            for row in sheet.iter_rows(values_only=True):
                seen += len(row)
                filled += sum(value not in (None, "") for value in row)
                if seen > CELLS_MAX:
                    break
        sheets, charts = len(book.sheetnames), len(book.chartsheets)
    except Broken:
        raise
    except Exception as error:                   # a parser fed with anything fails with anything
        raise Broken(f"cannot be read as a spreadsheet: {type(error).__name__}: {error}") from None
    if not filled and not charts:
        raise Broken("has no cell with anything in it")
    drawn = sum(name.startswith("xl/charts/chart") for name in packed.namelist())
    return f"spreadsheet, {counted(sheets, 'sheet')}, {counted(filled, 'filled cell')}" + (" or more" if seen > CELLS_MAX else "") + (f", {counted(drawn, 'chart')}" if drawn else "")


def check_docx(file, head):
    packed, _ = archive(file, head, "document")
    part(packed, "word/document.xml", "document")
    try:
        import docx
    except ImportError:
        raise Missing() from None
    file.seek(0)
    try:
        document = docx.Document(file)
        texts = [paragraph.text.split() for paragraph in document.paragraphs]
        paragraphs, words = sum(map(bool, texts)), sum(map(len, texts))
        words += sum(len(cell.text.split()) for table in document.tables[:200] for row in table.rows for cell in row.cells)
        pictures = len(document.inline_shapes)
    except Exception as error:
        raise Broken(f"cannot be read as a document: {type(error).__name__}: {error}") from None
    if not words and not pictures:
        raise Broken("has no words and no picture")
    return f"document, {counted(paragraphs, 'paragraph')}, {counted(words, 'word')}" + (f", {counted(pictures, 'picture')}" if pictures else "")


def check_pptx(file, head):
    packed, _ = archive(file, head, "presentation")
    part(packed, "ppt/presentation.xml", "presentation")
    try:
        import pptx
    except ImportError:
        raise Missing() from None
    file.seek(0)
    try:
        slides = pptx.Presentation(file).slides
        shapes = sum(len(slide.shapes) for slide in slides)
        number = len(slides)
    except Exception as error:
        raise Broken(f"cannot be read as a presentation: {type(error).__name__}: {error}") from None
    if not number:
        raise Broken("has no slide")
    if not shapes:
        raise Broken("has only empty slides")
    return f"presentation, {counted(number, 'slide')}"


def check_pdf(file, head):
    if b"%PDF-" not in head[:1024]:
        raise Broken(f"does not begin as a PDF does{looks_like(head)}")
    file.seek(max(0, os.fstat(file.fileno()).st_size - 2048))
    if b"%%EOF" not in file.read():
        raise Broken("is cut off: its end is missing")
    try:
        import pypdf
    except ImportError:
        raise Missing() from None
    import logging
    logging.disable(logging.CRITICAL)
    file.seek(0)
    try:
        reader = pypdf.PdfReader(file)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Broken("is locked with a password")
        pages = len(reader.pages)
        if pages > PAGES_MAX:
            raise Broken(f"has {pages:,} pages; {PAGES_MAX:,} is the most that is opened")
        written = shown = False
        for number, page in enumerate(reader.pages):
            content = page.get_contents()
            shown = shown or content is not None and not PDF_PAINTS.isdisjoint(content.get_data().split())
            if not written and number < PAGES_READ_MAX:
                written = bool(page.extract_text().strip())
    except Broken:
        raise
    except Exception as error:
        raise Broken(f"cannot be read as a PDF: {type(error).__name__}: {error}") from None
    if not pages:
        raise Broken("has no page")
    if not shown:
        raise Broken("has only blank pages")
    for program in ("/usr/bin/pdftotext",):      # a second opinion, where there is one
        if os.access(program, os.X_OK):
            ran = subprocess.run([program, "-q", "-l", "20", f"/proc/self/fd/{file.fileno()}", "-"], pass_fds=(file.fileno(),), check=False,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=SECONDS_MAX)
            if ran.returncode:
                raise Broken("is opened by one PDF program and refused by another")
    return f"PDF, {counted(pages, 'page')}" + ("" if written else ", without text that can be searched")


# --- one file -------------------------------------------------------------------------------------------------------

def source(kind):
    return kind, lambda file, head: check_source(file, head, kind)


def picture(kind):
    return kind, lambda file, head: check_picture(file, head, kind)


KINDS = {
    "txt": ("text", check_text), "log": ("text", check_text), "md": ("Markdown", check_markdown), "markdown": ("Markdown", check_markdown),
    "html": ("HTML", check_html), "htm": ("HTML", check_html), "json": ("JSON", check_json), "geojson": ("GeoJSON", check_json),
    "ipynb": ("Jupyter notebook", lambda file, head: check_json(file, head, "Jupyter notebook")), "jsonl": ("JSON Lines", check_json_lines),
    "csv": ("CSV", check_csv), "tsv": ("CSV", lambda file, head: check_csv(file, head, "\t")), "svg": ("SVG", check_svg), "xml": ("XML", check_xml),
    "png": ("PNG", check_png), "jpg": picture("JPEG"), "jpeg": picture("JPEG"), "gif": picture("GIF"), "webp": picture("WEBP"), "bmp": picture("BMP"),
    "tif": picture("TIFF"), "tiff": picture("TIFF"), "zip": ("ZIP", check_zip), "xlsx": ("spreadsheet", check_xlsx), "docx": ("document", check_docx),
    "pptx": ("presentation", check_pptx), "pdf": ("PDF", check_pdf), "py": source("Python"), "toml": source("TOML"),
    "js": source("JavaScript"), "mjs": source("JavaScript"), "cjs": source("JavaScript"), "sh": source("shell"), "bash": source("shell"),
}
for extension, language in (("ts", "TypeScript"), ("css", "CSS"), ("rs", "Rust"), ("go", "Go"),
                            ("c", "C"), ("h", "C"), ("cpp", "C++"), ("java", "Java"), ("rb", "Ruby"), ("sql", "SQL"), ("yaml", "YAML"), ("yml", "YAML"),
                            ("ini", "INI"), ("tex", "TeX"), ("r", "R"), ("lua", "Lua"), ("ics", "calendar"), ("srt", "subtitles"), ("vtt", "subtitles")):
    KINDS[extension] = (language, lambda file, head, language=language: check_unparsed(file, head, language))


def check(name):
    line = {"name": name, "ok": False, "checked": True, "kind": None, "finding": None, "problem": None}
    base = name.rsplit("/", 1)[-1]
    extension = base.rsplit(".", 1)[-1].lower() if "." in base.lstrip(".") else ""
    line["kind"], parser = KINDS.get(extension, (f".{extension} file" if extension else "file", None))
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                raise Broken("is no plain file")
            if about.st_size == 0:
                raise Broken("is empty")
            if parser is None:
                line.update(ok=True, checked=False, finding=f"{line['kind']}, {about.st_size:,} bytes; not checked: no parser for "
                            + (f".{extension}" if extension else "a file without an ending"))
                return line
            head = file.read(4096)
            file.seek(0)
            line.update(finding=parser(file, head), ok=True)
    except Broken as broken:
        line["problem"] = str(broken)
    except Missing:
        line.update(checked=False, problem=f"could not be checked: a {line['kind']} needs the toolset: run thenar setup")
    except MemoryError:
        line["problem"] = f"takes more than {MEMORY_BYTES_MAX >> 30} GiB of memory to open"
    except RecursionError:
        line["problem"] = "is nested too deeply"
    except OSError as error:
        line["problem"] = f"cannot be opened: {error.strerror or error}"
    except Exception as error:                   # a parser fed with anything fails with anything
        line["problem"] = f"cannot be read as {line['kind']}: {type(error).__name__}: {error}"
    return line


def apart(work):
    """What work() gives, made in a child, so that a file that kills its parser costs one line and not the report; beside
    it, None or what became of the child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            nothing = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(nothing, number)
            for limit, value in ((resource.RLIMIT_AS, MEMORY_BYTES_MAX), (resource.RLIMIT_CPU, SECONDS_MAX), (resource.RLIMIT_CORE, 0)):
                hard = resource.getrlimit(limit)[1]
                value = value if hard == resource.RLIM_INFINITY else min(value, hard)
                resource.setrlimit(limit, (value, value))
            signal.alarm(SECONDS_MAX)
            data = json.dumps(work()).encode()
            while data:
                data = data[os.write(writer, data):]
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        return json.loads(data), None
    except ValueError:
        slow = ended in (-signal.SIGALRM, -signal.SIGXCPU, -signal.SIGKILL)
        return None, f"takes more than {SECONDS_MAX} s to open" if slow else f"makes its parser fall over (ended with {ended})"


def bounded(name):
    line, problem = apart(lambda: check(name))
    return line or {"name": name, "ok": False, "checked": True, "kind": None, "finding": None, "problem": problem}


def main(names):
    os.environ["OPENBLAS_NUM_THREADS"] = "1"     # a library's threads would count against the memory bound
    lines = []
    for name in names:
        line = bounded(name)
        print(json.dumps(line), flush=True)
        lines.append(line)
    return 0 if lines and all(line["ok"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
