"""Pages for the tests: what is asked for by name, and servers that behave badly."""
import http.server
import json
import sys
import time
import urllib.parse

PAGES = json.load(open(sys.argv[1]))
ASKED = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def give(self, body, kind="text/html; charset=utf-8", status=200, headers=()):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        ASKED.append(url.path)
        if url.path == "/asked":
            self.give("asked for: " + " ".join(ASKED))
        elif url.path == "/redirect":
            self.give("", status=302, headers=[("Location", "/redirect?n=%d" % (int(query.get("n", 0)) + 1))])
        elif url.path == "/never":
            time.sleep(600)
        elif url.path == "/slow-end":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>Slow</title><h1>The beginning</h1><script src=/never></script><h1>The end</h1>")
            self.wfile.flush()
        elif url.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"<h1>Broken off</h1><p>here")
            self.close_connection = True
        elif url.path == "/empty":
            self.close_connection = True
        elif url.path == "/file":
            name = query.get("name", "report.csv")
            body = b"x" * int(query.get("bytes", 9))
            self.give(body, "application/octet-stream", headers=[("Content-Disposition", 'attachment; filename="%s"' % name)])
        elif url.path == "/error":
            self.give("<h1>Oh no</h1>", status=500)
        elif url.path == "/later":
            time.sleep(float(query.get("s", 1)))
            self.give("later")
        elif url.path in PAGES:
            self.give(PAGES[url.path])
        else:
            self.give("<h1>Not here</h1>", status=404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.give(b"<title>Got</title><pre id=got>" + body[:4000].replace(b"<", b"&lt;") + b"</pre>")


server = http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler)
print("ready", flush=True)
server.serve_forever()
