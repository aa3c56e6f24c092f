#!/usr/bin/env python3
"""Verifies bundles of a Thenar journal, offline, with nothing but Python's standard library.

usage: verify_journal.py BUNDLE...
       verify_journal.py --self-check

Prints one line for each bundle: what it holds, or the first place that does not hold and why.
Exit code: 0 all are whole, 1 one or more are not, 2 wrong usage or a file that cannot be read.
The self-check makes a small bundle, and expects that no cut and no flipped bit of it passes.

What a bundle is, line by line, each line one JSON object in canonical form (RFC 8785) that ends with a line feed:

  {"format":"thenar-journal-bundle","genesis":HEX,"task":ID,"v":1}
  {"envelope":{"kind":K,"payload":HEX,"prev":HEX,"seq":N,"time":MS,"v":1},"hash":HEX,"payload":BYTES,"salt":HEX}   per record
  {"blob":HEX,"content":BYTES}                                                                                      per blob
  {"head":{"blobs":N,"hash":HEX,"records":N}}

BYTES is {"text":...} if the bytes are valid UTF-8, else {"base64":...}. The hashes are SHA-256 over

  genesis           "thenar journal v1 genesis\\n" + task
  envelope.payload  "thenar journal v1 payload\\n" + salt + payload
  hash              "thenar journal v1 record\\n" + prev + envelope, prev being the hash of the record before, or genesis
  blob              the content

A whole bundle proves that nothing in it was altered after the head was made known. It does not prove that the holder
of the only copy did not make all of it anew: compare the head with one that was kept elsewhere.
"""

import base64
import hashlib
import json
import re
import sys

FORMAT = "thenar-journal-bundle"
VERSION = 1
INTEGER_MAX = 2**53 - 1
KIND = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
TASK = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
HASH = re.compile(r"[0-9a-f]{64}")
SALT = re.compile(r"[0-9a-f]{32}")
LATER_FORMAT = "it is of a later format than this program reads: update it"
NOT_CANONICAL = "the line is not canonical"
NOT_ENDED = "the line is not ended"


class Broken(Exception):
    """The first place that does not hold, and why."""

    def __init__(self, place, what):
        super().__init__(f"{place}: {what}")


def sha256(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest


def canonical(value):
    # Python escapes strings as RFC 8785 does; all keys are ASCII and all numbers are integers.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode("utf-8")


def parse(line, build):
    """What `build` makes of the object of a line, or None if the line is not the canonical form of exactly that."""
    try:
        value = json.loads(line.decode("utf-8"))
        form, result = build(value)
        return result if canonical(form) == line else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def matching(pattern, text):
    if type(text) is not str or not pattern.fullmatch(text):
        raise ValueError
    return text


def integer(value):
    if type(value) is not int or not 0 <= value <= INTEGER_MAX:
        raise ValueError
    return value


def exactly(value, keys):
    if type(value) is not dict or set(value) != set(keys.split()):
        raise ValueError
    return value


def build_bytes(value):
    if set(value) == {"text"}:
        content = value["text"].encode("utf-8")
    else:
        content = base64.b64decode(exactly(value, "base64")["base64"], validate=True)
    return form_of(content), content


def form_of(content):
    try:
        return {"text": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode("ascii")}


def is_later(line):
    """Whether the first line is that of a later format; whatever else stands there is for a later script."""
    try:
        value = json.loads(line)
        return value["format"] == FORMAT and type(value["v"]) is int and value["v"] > VERSION
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


def build_header(value):
    exactly(value, "format genesis task v")
    if value["format"] != FORMAT or integer(value["v"]) != VERSION or type(value["task"]) is not str:
        raise ValueError
    matching(HASH, value["genesis"])
    return value, value


def build_record(value):
    exactly(value, "envelope hash payload salt")
    envelope = exactly(value["envelope"], "kind payload prev seq time v")
    matching(KIND, envelope["kind"])
    matching(HASH, envelope["payload"])
    matching(HASH, envelope["prev"])
    integer(envelope["seq"])
    integer(envelope["time"])
    if integer(envelope["v"]) != VERSION:
        raise ValueError
    form, content = build_bytes(value["payload"])
    matching(HASH, value["hash"])
    matching(SALT, value["salt"])
    return dict(value, payload=form), (envelope, value["hash"], content, bytes.fromhex(value["salt"]))


def build_blob(value):
    exactly(value, "blob content")
    form, content = build_bytes(value["content"])
    return {"blob": matching(HASH, value["blob"]), "content": form}, (value["blob"], content)


def build_head(value):
    head = exactly(exactly(value, "head")["head"], "blobs hash records")
    integer(head["blobs"])
    integer(head["records"])
    matching(HASH, head["hash"])
    return value, head


class Bundle:
    """A bundle being verified. The order of the checks, and their words, are those of `thenar journal verify`."""

    def __init__(self, content):
        self.lines = content.split(b"\n")
        self.ended = [True] * (len(self.lines) - 1) + [False]
        if not self.lines[-1]:
            self.lines.pop()
            self.ended.pop()
        self.records = 0
        self.blobs = 0
        self.time = 0
        self.hash = None
        self.last_blob = ""

    def verify(self):
        if not self.lines:
            raise Broken("header", "it is missing")
        if not self.ended[0]:
            raise Broken("header", NOT_ENDED)
        if is_later(self.lines[0]):
            raise Broken("header", LATER_FORMAT)
        header = parse(self.lines[0], build_header)
        if header is None:
            raise Broken("header", NOT_CANONICAL)
        task = header["task"]
        genesis = sha256(b"thenar journal v1 genesis\n", task.encode("utf-8")).hexdigest()
        if not TASK.fullmatch(task) or genesis != header["genesis"]:
            raise Broken("header", "the task id does not match the genesis hash")
        self.hash = genesis
        for i in range(1, len(self.lines)):
            place, check = self.place(i)
            problem = check(self.lines[i]) if self.ended[i] else NOT_ENDED
            if problem:
                raise Broken(place, problem)
            if check == self.check_head:
                if i + 1 < len(self.lines):
                    raise Broken("head", "something stands after it")
                return f"whole: task {task}, {self.records} records, {self.blobs} blobs, head {self.hash}"
        raise Broken("head", "it is missing")

    def place(self, i):
        """What line `i` is by its first bytes, or, where those are damaged, by what must stand there."""
        line = self.lines[i]
        record = f"record {self.records + 1}", self.check_record
        blob = f"blob {self.blob_name(line)}", self.check_blob
        head = "head", self.check_head
        if line.startswith(b'{"envelope":'):
            return record
        if line.startswith(b'{"blob":"'):
            return blob
        if line.startswith(b'{"head":') or i + 1 == len(self.lines):
            return head
        said = parse(self.lines[-1], build_head) if self.ended[-1] else None
        if said is None:
            return head
        if self.records < said["records"]:
            return record
        return blob if self.blobs < said["blobs"] else head

    def blob_name(self, line):
        """The digest that stands at its place in the line, else the position among the blobs."""
        name = line[9:73].decode("latin-1")
        return name if HASH.fullmatch(name) else f"#{self.blobs + 1}"

    def check_record(self, line):
        if self.blobs:
            return "it stands after the blobs"
        record = parse(line, build_record)
        if record is None:
            return NOT_CANONICAL
        envelope, said, payload, salt = record
        if envelope["seq"] != self.records + 1:
            return "another record stands in its place"
        if sha256(b"thenar journal v1 payload\n", salt, payload).hexdigest() != envelope["payload"]:
            return "the payload does not match its digest"
        prev = bytes.fromhex(envelope["prev"])
        if sha256(b"thenar journal v1 record\n", prev, canonical(envelope)).hexdigest() != said:
            return "the envelope does not match its hash"
        if envelope["prev"] != self.hash:
            return "it does not follow the record before it"
        if envelope["time"] < self.time:
            return "its time lies before that of the record before it"
        self.records, self.hash, self.time = envelope["seq"], said, envelope["time"]
        return None

    def check_blob(self, line):
        blob = parse(line, build_blob)
        if blob is None:
            return NOT_CANONICAL
        name, content = blob
        if sha256(content).hexdigest() != name:
            return "the content does not match its name"
        if self.last_blob >= name:
            return "it does not stand in order"
        self.last_blob = name
        self.blobs += 1
        return None

    def check_head(self, line):
        head = parse(line, build_head)
        if head is None:
            return NOT_CANONICAL
        if head["records"] != self.records:
            return "it does not count the records that stand before it"
        if head["blobs"] != self.blobs:
            return "it does not count the blobs that stand before it"
        if head["hash"] != self.hash:
            return "its hash is not that of the last record"
        return None


def verdict(content):
    try:
        return Bundle(content).verify()
    except Broken as broken:
        return str(broken)


def sample():
    """A bundle with text, binary and empty payloads, and two blobs."""
    prev = sha256(b"thenar journal v1 genesis\n", b"sample").hexdigest()
    lines = [{"format": FORMAT, "genesis": prev, "task": "sample", "v": VERSION}]
    for seq, payload in enumerate([b"one", "\U0001f9ea \u2028 \x01 \x7f \" \\".encode(), b"\xff\x00", b""], start=1):
        salt = bytes([seq] * 16)
        digest = sha256(b"thenar journal v1 payload\n", salt, payload).hexdigest()
        envelope = {"kind": "tick", "payload": digest, "prev": prev, "seq": seq, "time": 1_700_000_000_000, "v": VERSION}
        prev = sha256(b"thenar journal v1 record\n", bytes.fromhex(prev), canonical(envelope)).hexdigest()
        lines.append({"envelope": envelope, "hash": prev, "payload": form_of(payload), "salt": salt.hex()})
    blobs = {sha256(content).hexdigest(): content for content in [b"text", b"\xfe"]}
    lines += [{"blob": name, "content": form_of(blobs[name])} for name in sorted(blobs)]
    lines.append({"head": {"blobs": len(blobs), "hash": prev, "records": 4}})
    return b"".join(canonical(line) + b"\n" for line in lines)


def self_check():
    whole = sample()
    altered = [whole[:length] for length in range(len(whole))]
    for at in range(len(whole)):
        altered += [whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :] for bit in range(8)]
    passed = sum(verdict(content).startswith("whole: ") for content in altered)
    if passed or not verdict(whole).startswith("whole: "):
        print(f"self-check failed: {verdict(whole)}; {passed} of {len(altered)} altered bundles passed")
        return 1
    print(f"self-check: a whole bundle passes, {len(altered)} altered ones do not")
    return 0


def main(paths):
    if paths == ["--self-check"]:
        return self_check()
    if not paths or any(path.startswith("-") for path in paths):
        print("usage: verify_journal.py BUNDLE... | --self-check", file=sys.stderr)
        return 2
    code = 0
    for path in paths:
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as error:
            print(f"{path}: cannot be read: {error.strerror}", file=sys.stderr)
            code = 2
            continue
        said = verdict(content)
        print(f"{path}: {said}")
        if not said.startswith("whole: "):
            code = max(code, 1)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
