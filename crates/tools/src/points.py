"""Checks points of the acceptance list against the files of a delivery: one line of JSON a point. The files have passed
check.py, which stands beside this one and lends its bounds; nothing here asks the network or runs what it reads.

    python3 points.py ASKED.json   ->   {"at", "outcome": passed | failed | unchecked, "note"}
"""
import bisect
import html
import json
import os
import posixpath
import re
import sys
import unicodedata
import urllib.parse
import zipfile
from html.parser import HTMLParser

import check
from check import Broken, Missing, counted

TEXT_CHARS_MAX = 20_000_000             # of one file, read
LINKS_MAX = 20_000                      # of one file
NUMBERS_MAX = 100_000                   # of one report
VALUES_MAX = 3_000_000                  # of the data
NAMED_MAX = 12                          # of what is wrong, named in a note
SHOWN_CHARS_MAX = 60                    # of one such
SOURCE = set("py js mjs cjs ts sh bash rs go c h cpp java rb sql css r lua json jsonl yaml yml toml ini tex svg xml".split())


class Unable(Exception):
    """There is no way to check this here. The text says why."""


def ending(name):
    return name.rsplit(".", 1)[-1].lower() if "." in name.rsplit("/", 1)[-1] else ""


def named(things):
    """What is wrong, the first of it by name."""
    things = list(dict.fromkeys(things))
    more = f" and {len(things) - NAMED_MAX:,} more" if len(things) > NAMED_MAX else ""
    return ", ".join(things[:NAMED_MAX]) + more


def short(text):
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "..."


# --- what a file says ------------------------------------------------------------------------------------------------

class Seen(HTMLParser):
    """The words of a page that a reader sees, its links, and the places that a link can lead to."""
    HIDDEN = {"style", "script", "template", "noscript"}
    INLINE = set("a abbr b bdi bdo cite code em i kbd mark q s small span strong sub sup u var".split())

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts, self.links, self.places, self.hidden = [], [], set(), []

    def handle_starttag(self, tag, attributes):
        if tag in self.HIDDEN:
            self.hidden.append(tag)
        if tag not in self.INLINE:
            self.parts.append("\n")
        for name, value in attributes:
            if name == "id" or name == "name" and tag == "a":
                self.places.add(value or "")
            elif name in ("href", "src", "poster") and value is not None:
                self.links.append(value)
            elif name in ("alt", "title", "placeholder") and value and not self.hidden:
                self.parts.append(f"\n{value}\n")

    def handle_endtag(self, tag):
        if tag in self.hidden:
            while self.hidden.pop() != tag:
                pass
        if tag not in self.INLINE:
            self.parts.append("\n")

    def handle_data(self, data):
        if not self.hidden:
            self.parts.append(data)


def page(text):
    seen = Seen()
    seen.feed(text)
    seen.close()
    return seen


def read(name):
    with open(name, "rb") as file:
        return check.decoded(check.whole(file, "text"))


def office_text(elements, paragraph, run):
    for element in elements:
        for one in element.iter(paragraph):
            yield "".join(text.text or "" for text in one.iter(run))


def docx_pieces(name):
    import docx
    document, space = docx.Document(name), "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
    parts = [document.element.body]
    for section in list(document.sections)[:100]:
        parts += [one._element for one in (section.header, section.footer) if not one.is_linked_to_previous]
    yield "", "\n".join(office_text(parts, space + "p", space + "t"))


def pptx_pieces(name):
    import pptx
    space = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
    for number, slide in enumerate(pptx.Presentation(name).slides, 1):
        parts = [slide._element] + ([slide.notes_slide._element] if slide.has_notes_slide else [])
        yield f"slide {number}", "\n".join(office_text(parts, space + "p", space + "t"))


def pdf_pieces(name):
    import logging

    import pypdf
    logging.disable(logging.CRITICAL)
    for number, one in enumerate(pypdf.PdfReader(name).pages, 1):
        yield f"page {number}", one.extract_text()


def sheets(name):
    """Each sheet's title and its rows with anything in them, values as they were last computed."""
    import openpyxl
    book, seen = openpyxl.load_workbook(name, read_only=True, data_only=True, keep_links=False), 0
    for sheet in book.worksheets:
        rows = []
        for row in sheet.iter_rows(values_only=True):
            seen += len(row)
            if seen > check.CELLS_MAX:
                raise Unable(f"{name} has more than the {check.CELLS_MAX:,} cells that are looked at")
            row = [value for value in row if value not in (None, "")]
            if row:
                rows.append(row)
        yield sheet.title, rows


def notebook_pieces(name):
    for number, cell in enumerate(json.loads(read(name))["cells"], 1):
        texts = ["".join(cell["source"])]
        for output in cell.get("outputs", []):
            data = output.get("data") if isinstance(output.get("data"), dict) else {}
            for text in (output.get("text"), data.get("text/plain")):
                texts.append(text if isinstance(text, str) else "".join(text) if isinstance(text, list) else "")
        yield f"cell {number}", "\n".join(texts)


def pieces(name):
    """The text of a file by place: [("page 1", text)]."""
    kind = ending(name)
    if kind == "docx":
        found = docx_pieces(name)
    elif kind == "pptx":
        found = pptx_pieces(name)
    elif kind == "pdf":
        found = pdf_pieces(name)
    elif kind == "xlsx":
        found = ((f"sheet {title}", "\n".join("\t".join(map(str, row)) for row in rows)) for title, rows in sheets(name))
    elif kind == "ipynb":
        found = notebook_pieces(name)
    elif kind in ("html", "htm", "svg"):
        found = [("", "".join(page(read(name)).parts))]
    elif kind in check.KINDS and kind not in ("zip", "png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff"):
        found = [("", read(name))]
    else:
        raise Unable(f"no text can be read from {name}")
    texts, left = [], TEXT_CHARS_MAX
    for place, text in found:
        left -= len(text)
        if left < 0:
            raise Unable(f"{name} has more than the {TEXT_CHARS_MAX:,} characters that are read")
        texts.append((place, unicodedata.normalize("NFKC", text)))
    return texts


# --- counts ----------------------------------------------------------------------------------------------------------

def count_rows(name):
    kind = ending(name)
    if kind in ("csv", "tsv"):
        text = read(name)
        first = text.split("\n", 1)[0]
        separator = "\t" if kind == "tsv" else max(",;\t|", key=first.count)
        check.csv.field_size_limit(check.FIELD_BYTES_MAX)
        return sum(map(bool, check.csv.reader(text.splitlines(keepends=True), delimiter=separator))) - 1, "row under the header", "rows under the header"
    if kind == "xlsx":
        return max((len(rows) for _, rows in sheets(name)), default=1) - 1, "row under the header", "rows under the header"
    if kind == "jsonl":
        return sum(map(bool, map(str.strip, read(name).split("\n")))), "row", "rows"
    if kind == "json" and isinstance(value := json.loads(read(name)), list):
        return len(value), "row", "rows"
    raise Unable(f"{name} has no rows that can be counted: csv, tsv, xlsx, jsonl and a JSON list have")


def count_pages(name):
    if ending(name) != "pdf":
        raise Unable(f"{name} has no fixed pages: only a PDF has")
    import pypdf
    return len(pypdf.PdfReader(name).pages), "page", "pages"


def count_slides(name):
    if ending(name) == "pdf":
        return count_pages(name)
    if ending(name) != "pptx":
        raise Unable(f"{name} has no slides: a pptx has, and the pages of a PDF count")
    import pptx
    return len(pptx.Presentation(name).slides), "slide", "slides"


def count_sheets(name):
    if ending(name) != "xlsx":
        raise Unable(f"{name} has no sheets: an xlsx has")
    import openpyxl
    return len(openpyxl.load_workbook(name, read_only=True).sheetnames), "sheet", "sheets"


def count_words(name):
    return sum(any(map(str.isalnum, word)) for _, text in pieces(name) for word in text.split()), "word", "words"


COUNTS = {"rows": count_rows, "pages": count_pages, "slides": count_slides, "sheets": count_sheets, "words": count_words}


def at_least(point, files):
    number, one, many = COUNTS[point["kind"]](files[0])
    has = f"{files[0]} has {counted(max(0, number), one, many)}"
    return (True, has) if number >= point["at_least"] else (False, f"{has}, {point['at_least']:,} are wanted")


# --- words -----------------------------------------------------------------------------------------------------------

def plain(text):
    return " ".join(unicodedata.normalize("NFKC", text).replace("\u00ad", "").casefold().split())


def contains(point, files):
    wanted, whole = plain(point["text"]), "\n".join(text for _, text in pieces(files[0]))
    # A word may be broken at the end of a line.
    if wanted in plain(whole) or wanted in plain(re.sub(r"(?<=\w)-\n(?=\w)", "", whole)):
        return True, f"{files[0]} contains it"
    return False, f"{files[0]} does not contain {json.dumps(short(point['text']), ensure_ascii=False)}"


PLACEHOLDERS = (re.compile(r"\blorem ipsum\b|\[\s*(?:insert|your|placeholder|fill in|add)\b[^\]\n]{0,80}\]|<\s*insert\b[^>\n]{0,80}>", re.IGNORECASE),
                re.compile(r"\b(?:TODO|TBD|FIXME|XXX+)\b"))
BRACES = re.compile(r"\{\{[^{}\n]{0,80}\}\}")   # of a template; in source code they mean something


def no_placeholders(point, files):
    found, read_, unread = [], 0, []
    for name in files:
        try:
            texts = pieces(name)
        except Unable:
            unread.append(name)
            continue
        read_ += 1
        for pattern in PLACEHOLDERS + (() if ending(name) in SOURCE else (BRACES,)):
            for place, text in texts:
                found += [f"{short(match.group())} ({', '.join(filter(None, (name, place)))})" for _, match in zip(range(1_000), pattern.finditer(text))]
    if found:
        return False, f"placeholder text: {named(found)}"
    if not read_:
        raise Unable(f"no text can be read from {named(unread)}")
    return True, f"none in {counted(read_, 'file')}" + (f"; no text to read in {named(unread)}" if unread else "")


# --- links -----------------------------------------------------------------------------------------------------------

FENCED = re.compile(r"^ {0,3}(```|~~~).*?^ {0,3}\1[^\n]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
MARKED = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'(][^)]*)?\)|^ {0,3}\[[^\]\n]+\]:\s*<?([^\s>]+)", re.MULTILINE)
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
WEB = re.compile(r"(?:https?|ftp):|//", re.IGNORECASE)
OTHER = re.compile(r"(?:mailto|tel|sms|data|javascript|about|blob):", re.IGNORECASE)


def slug(heading):
    """A heading's name as the common Markdown programs make it."""
    text = re.sub(r"[^\w\- ]", "", re.sub(r"[*`]|\[|\]\([^)]*\)", "", heading).casefold())
    return text.replace(" ", "-")


def links_of(name):
    """The links of a file, and the places in it that a link can lead to; None where links are not looked for."""
    kind = ending(name)
    if kind in ("html", "htm", "svg"):
        seen = page(read(name))
        return seen.links, seen.places
    if kind in ("md", "markdown"):
        text = CODE.sub("", FENCED.sub("", read(name)))
        seen, places, times = page(text), set(), {}
        for heading in HEADING.findall(text):
            base = slug(heading)
            times[base] = times.get(base, -1) + 1
            places.add(base if not times[base] else f"{base}-{times[base]}")
        return [html.unescape(one or other) for one, other in MARKED.findall(text)] + seen.links, places | seen.places
    if kind in ("docx", "pptx", "xlsx"):
        links = []

        def element(tag, attributes, depth):
            if attributes.get("TargetMode") == "External":
                links.append(attributes.get("Target", ""))

        with zipfile.ZipFile(name) as packed:
            for entry in packed.namelist():
                if entry.endswith(".rels"):
                    check.parse_xml(packed.read(entry), element)
        return links, None
    if kind == "pdf":
        import pypdf
        links = []
        for one in pypdf.PdfReader(name).pages:
            for note in one.get("/Annots") or []:
                action = note.get_object().get("/A")
                target = action.get_object().get("/URI") if action is not None else None
                links += [str(target)] if target is not None else []
        return links, None
    return None


def broken_link(link, name, delivered, places):
    """Why a link leads nowhere; None if it leads somewhere in the delivered set."""
    try:
        parts = urllib.parse.urlsplit(link)
    except ValueError:
        return "is no address"
    if parts.scheme or link.startswith(("/", "\\")):
        return "leads to one machine, not into the delivery"
    target = name
    if parts.path:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), urllib.parse.unquote(parts.path)))
        if target not in delivered:
            inside = any(other.startswith(target.rstrip("/") + "/") for other in delivered)
            return None if inside and not parts.fragment else "is not in the delivery"
    anchor = urllib.parse.unquote(parts.fragment)
    if anchor and anchor != "top" and ending(target) in ("html", "htm", "svg", "md", "markdown"):
        known = places(target)
        if anchor not in known and not (ending(target) in ("md", "markdown") and anchor.casefold() in known):
            return f"there is no place named {short(anchor)}"
    return None


def links(point, files, delivered):
    known, wrong, web, good, looked = {}, [], [], 0, 0

    def places(name):
        if name not in known:
            known[name] = links_of(name)[1]
        return known[name]

    for name in files:
        found = links_of(name)
        if found is None:
            continue
        looked += 1
        if len(found[0]) > LINKS_MAX:
            raise Unable(f"{name} has more than the {LINKS_MAX:,} links that are looked at")
        for link in map(str.strip, found[0]):
            if WEB.match(link):
                web.append(short(link))
            elif not OTHER.match(link) and link:
                why = broken_link(link, name, delivered, places)
                good += why is None
                wrong += [f"{short(link)} in {name} ({why})"] if why else []
    if wrong:
        return False, f"links that lead nowhere: {named(wrong)}"
    outside = f"{counted(len(set(web)), 'link')} to the web not checked, as there is no network: {named(web)}" if web else ""
    if not looked:
        raise Unable(f"links are not looked for in {named(files)}")
    if web and not good:
        raise Unable(outside)
    return True, f"{counted(good, 'link')} resolved" + (f"; {outside}" if outside else "")


# --- numbers ---------------------------------------------------------------------------------------------------------

SPACES = "\u00a0\u202f\u2009 "
NUMBER = re.compile(rf"(?<![\w.,])[-+\u2212]?[$€£¥]?(\d{{1,3}}(?:[{SPACES}'’]\d{{3}})+(?:[.,]\d+)?|\d+(?:[.,]\d+)*)(?:e([-+]?\d{{1,3}}))?"
                    r"(?:\s?(%|per ?cent|thousand|million|billion|trillion|bn|mn|k|m|b)(?!\w))?(?!(?:st|nd|rd|th)\b)(?!\w*\d)", re.IGNORECASE)
SCALES = {"thousand": 1e3, "k": 1e3, "million": 1e6, "mn": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9, "b": 1e9, "trillion": 1e12}
# Numbers that count parts of the text itself.
ORDER = re.compile(r"^[ \t]*(?:#{1,6}\s+)?\d{1,3}(?:\.\d{1,2})*[.)]?(?=\s+[^\W\d])", re.MULTILINE)
NAMED = re.compile(r"\b(?:figure|fig|table|section|chapter|page|slide|step|appendix|footnote|note|sheet|part|no)\.?\s+\d{1,3}(?:\.\d{1,2})*(?:\s*(?:of|/)\s*\d{1,4})?", re.IGNORECASE)
LINK = re.compile(r"\]\([^)\n]*\)")
ADDRESS = re.compile(r"\bhttps?://\S+", re.IGNORECASE)


def readings(digits):
    """(value, decimals) in each way that the digits may be meant: 1,234 is a thousand here and little more than one there."""
    digits = re.sub(rf"[{SPACES}'’]", "", digits)
    found = set()
    for point, group in ((".", ","), (",", ".")):
        number, _, decimals = digits.partition(point)
        groups = number.split(group)
        if point in decimals or group in decimals or len(groups) > 1 and not (1 <= len(groups[0]) <= 3 and all(len(one) == 3 for one in groups[1:])):
            continue
        found.add((float("".join(groups) + "." + (decimals or "0")), len(decimals)))
    # A version, a date with points: each part is a number of its own.
    return found or {(float(one), 0) for one in re.findall(r"\d+", digits)}


def parts(digits):
    """The numbers that a row may hold where a thousand is also written with a space."""
    return digits.split() if re.search(r"\d \d", digits) else []


def values_of(name):
    """The numbers that stand in a file of data."""
    kind = ending(name)
    if kind == "xlsx":
        cells = [value for _, rows in sheets(name) for row in rows for value in row]
    elif kind in ("json", "geojson"):
        cells, todo = [], [json.loads(read(name))]
        while todo:
            value = todo.pop()
            todo += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
            cells += list(value) if isinstance(value, dict) else [] if isinstance(value, list) else [value]
    elif kind in ("csv", "tsv"):
        # Cell by cell: the commas between them are no part of a number.
        text = read(name)
        separator = "\t" if kind == "tsv" else max(",;\t|", key=text.split("\n", 1)[0].count)
        check.csv.field_size_limit(check.FIELD_BYTES_MAX)
        cells = [cell for row in check.csv.reader(text.splitlines(keepends=True), delimiter=separator) for cell in row]
    else:
        cells = [text for _, text in pieces(name)]
    values = []
    for cell in cells:
        if isinstance(cell, (int, float)) and not isinstance(cell, bool):
            values.append(abs(float(cell)))
        elif cell is not None:
            # A date's parts, a figure in a sentence: what follows a sign or stands between two is a number too.
            for match in NUMBER.finditer(re.sub(r"(?<=\d)[-/:T](?=\d)", " ; ", str(cell))):
                values += [value * factor for value, _ in readings(match.group(1)) for factor in {scale(match), 1.0}]
                values += [value for part in parts(match.group(1)) for value, _ in readings(part)]
    if len(values) > VALUES_MAX:
        raise Unable(f"{name} has more than the {VALUES_MAX:,} values that are looked at")
    return values


def scale(match):
    factor = SCALES.get((match.group(3) or "").lower(), 1.0)
    return factor * 10.0 ** int(match.group(2) or 0)


def stands(values, value, decimals, factor, percent):
    """Whether some value of the data, rounded as the report writes it, is this one."""
    # Of `2 million`, `5 m` and `40 %` the data may hold the figure as it is written, or what it comes to.
    for unit in {1.0, factor, 0.01 if percent else factor}:
        half = 0.5 * 10.0 ** -decimals * unit
        low = value * unit - half
        at = bisect.bisect_left(values, low - abs(low) * 1e-9 - 1e-12)
        high = value * unit + half
        if at < len(values) and values[at] <= high + abs(high) * 1e-9 + 1e-12:
            return True
    return False


def numbers(point, files):
    values = []
    for data in point["data"]:
        line = check.check(data["name"])
        if not line["ok"]:
            return False, f"the data {data['source']} {line['problem']}"
        values += values_of(data["name"])
    values.sort()
    missing, total = [], 0
    for place, text in pieces(files[0]):
        text = re.sub(r"^\s*\d{1,4}\s*$", "", text, flags=re.MULTILINE) if ending(files[0]) == "pdf" else text
        text = ADDRESS.sub(" ", LINK.sub("]", text) if ending(files[0]) in ("md", "markdown") else text)
        text = NAMED.sub(" ", ORDER.sub(" ", text))
        text = re.sub(r"(?<=\d)[-\u2013/:T](?=\d)", " ; ", text)
        for match in NUMBER.finditer(text):
            total += 1
            if total > NUMBERS_MAX:
                raise Unable(f"{files[0]} has more than the {NUMBERS_MAX:,} numbers that are looked up")
            percent = (match.group(3) or "").lower().startswith(("%", "per"))
            def known(digits):
                return any(stands(values, value, decimals, scale(match), percent) for value, decimals in readings(digits))

            row = parts(match.group(1))
            if not known(match.group(1)) and not (row and all(map(known, row))):
                missing.append(match.group().strip() + (f" ({place})" if place else ""))
    source = named([data["source"] for data in point["data"]])
    if missing:
        return False, f"of {counted(total, 'number')} in {files[0]}, these do not stand in {source}: {named(missing)}"
    if not total:
        raise Unable(f"{files[0]} has no number")
    return True, f"all {counted(total, 'number')} of {files[0]} stand in {source}"


# --- one point -------------------------------------------------------------------------------------------------------

def exists(point, files):
    return True, f"{files[0]} is delivered, {os.stat(files[0]).st_size:,} bytes"


def opens(point, files):
    lines = [check.check(name) for name in files]
    broken = [f"{line['name']} {line['problem']}" for line in lines if not line["ok"]]
    if broken:
        return False, named(broken)
    unknown = [line["finding"] for line in lines if not line["checked"]]
    if unknown:
        raise Unable(named(unknown))
    return True, named(f"{line['name']}: {line['finding']}" for line in lines)


KINDS = {"exists": exists, "opens": opens, "contains": contains, "no_placeholders": no_placeholders, "numbers": numbers, **dict.fromkeys(COUNTS, at_least)}


def judge(point, delivered):
    try:
        passed, note = links(point, point["files"], delivered) if point["kind"] == "links" else KINDS[point["kind"]](point, point["files"])
        return {"outcome": "passed" if passed else "failed", "note": note}
    except Unable as why:
        return {"outcome": "unchecked", "note": str(why)}
    except (Missing, ImportError):
        return {"outcome": "unchecked", "note": "needs the toolset: run thenar setup"}
    except Broken as broken:
        return {"outcome": "failed", "note": f"{named(point['files'])} {broken}"}
    except MemoryError:
        return {"outcome": "unchecked", "note": f"takes more than {check.MEMORY_BYTES_MAX >> 30} GiB of memory to check"}
    except Exception as error:                   # a parser fed with anything fails with anything
        return {"outcome": "unchecked", "note": f"could not be checked: {type(error).__name__}: {error}"}


def main(asked):
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with open(asked, encoding="utf-8") as file:
        asked = json.load(file)
    for at, point in enumerate(asked["points"]):
        line, problem = check.apart(lambda: judge(point, set(asked["delivered"])))
        line = line or {"outcome": "unchecked", "note": f"the check {problem}"}
        print(json.dumps({"at": at, **line}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
