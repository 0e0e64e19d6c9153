"""A small Google Cloud Storage in memory, on loopback: as much of its JSON API as Arrow asks for."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class _Objects(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.buckets: dict[str, dict[str, tuple[bytes, str]]] = {}
        self.uploads: dict[str, tuple[str, str, bytes]] = {}


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Objects

    def log_message(self, *_: object) -> None:
        pass

    def _asked(self) -> tuple[list[str], dict[str, str], bytes]:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        return [unquote(part) for part in url.path.strip("/").split("/")], query, body

    def _answer(self, status: int, body: Any = None, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        self.send_response(status)
        for name, value in {"content-length": str(len(raw)), "content-type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)

    def _missing(self, what: str) -> None:
        self._answer(404, {"error": {"code": 404, "message": f"{what} isn't here", "errors": []}})

    def _told(self, bucket: str, name: str) -> dict[str, Any]:
        content, changed = self.server.buckets[bucket][name]
        times = dict.fromkeys(("timeCreated", "updated", "timeStorageClassUpdated"), changed)
        return {"kind": "storage#object", "bucket": bucket, "name": name, "size": str(len(content)), "generation": "1", **times}

    def _keep(self, bucket: str, name: str, content: bytes) -> None:
        if bucket not in self.server.buckets:
            self._missing(bucket)
            return
        self.server.buckets[bucket][name] = (content, datetime.now(UTC).isoformat())
        self._answer(200, self._told(bucket, name))

    def do_GET(self) -> None:
        # /storage/v1/b/BUCKET or /storage/v1/b/BUCKET/o or /storage/v1/b/BUCKET/o/NAME
        path, query, _ = self._asked()
        bucket, name = path[3], path[5] if len(path) > 5 else None
        there = self.server.buckets.get(bucket)
        if there is None:
            self._missing(bucket)
        elif len(path) == 4:
            self._answer(200, {"kind": "storage#bucket", "name": bucket})
        elif name is None:
            found = [self._told(bucket, each) for each in sorted(there) if each.startswith(query.get("prefix", ""))]
            self._answer(200, {"kind": "storage#objects", "items": found})
        elif name not in there:
            self._missing(name)
        elif query.get("alt") == "media":
            self._answer(200, there[name][0])
        else:
            self._answer(200, self._told(bucket, name))

    def do_DELETE(self) -> None:
        path, _, _ = self._asked()
        there = self.server.buckets.get(path[3], {})
        if path[5] in there:
            del there[path[5]]
            self._answer(204, b"")
        else:
            self._missing(path[5])

    def do_POST(self) -> None:
        # /upload/storage/v1/b/BUCKET/o
        path, query, body = self._asked()
        if query.get("uploadType") == "resumable":
            number = str(len(self.server.uploads))
            self.server.uploads[number] = (path[4], query["name"], b"")
            self._answer(200, location=f"http://{self.headers['host']}/resume/{number}")
        else:
            boundary = self.headers["content-type"].split("boundary=")[1].strip('"').encode()
            about, content = (part.split(b"\r\n\r\n", 1)[1] for part in body.split(b"--" + boundary)[1:3])
            name = query.get("name") or json.loads(about)["name"]
            self._keep(path[4], name, content.removesuffix(b"\r\n"))

    def do_PUT(self) -> None:
        # /resume/NUMBER, with Content-Range: bytes 0-99/* or bytes 100-199/200
        path, _, body = self._asked()
        bucket, name, before = self.server.uploads[path[1]]
        whole = before + body
        self.server.uploads[path[1]] = (bucket, name, whole)
        if self.headers["content-range"].endswith("/*"):
            self._answer(308, b"", range=f"bytes=0-{len(whole) - 1}")
        else:
            self._keep(bucket, name, whole)


@contextmanager
def storage(*buckets: str) -> Iterator[str]:
    """A storage with these buckets; gives its address, for STORAGE_EMULATOR_HOST."""
    server = _Objects()
    server.buckets = {bucket: {} for bucket in buckets}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
