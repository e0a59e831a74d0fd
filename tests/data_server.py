"""A web server on this machine that hands out files, and misbehaves as told, request by request."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Asked(NamedTuple):
    """A request as it came."""

    path: str
    range: str | None
    if_range: str | None


@dataclass
class Host:
    """What is served, how, and what was asked.

    Attributes:
        files: bytes by path.
        manners: what each next request for a path gets; the last one, or "ok", for all after it.
            ok, no-range, cut:N, long, short, 404, 500, slow, redirect:PATH, wrong-piece, weak, no-tag, no-length
    """

    files: dict[str, bytes] = field(default_factory=dict)
    manners: dict[str, list[str]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    sent: int = 0
    url: str = ""

    def manner(self, path: str) -> str:
        queue = self.manners.get(path, [])
        return (queue.pop(0) if len(queue) > 1 else queue[0]) if queue else "ok"


def _handler(host: Host) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            host.asked.append(Asked(self.path, self.headers.get("Range"), self.headers.get("If-Range")))
            manner = host.manner(self.path)
            if self.path not in host.files and not manner.startswith("redirect"):
                manner = "404"
            if manner.isdigit():
                self.send_response(int(manner))
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif manner.startswith("redirect:"):
                self.send_response(302)
                self.send_header("Location", manner.partition(":")[2])
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self.serve(host.files[self.path], manner)

        def serve(self, data: bytes, manner: str) -> None:
            tag = '"' + hashlib.sha256(data).hexdigest()[:12] + '"'
            begin = 0
            asked, same = self.headers.get("Range"), self.headers.get("If-Range") in (None, tag)
            if asked and same and manner != "no-range":
                begin = int(asked.removeprefix("bytes=").removesuffix("-"))
                if begin >= len(data):
                    self.send_response(416)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                shown = begin + 1 if manner == "wrong-piece" else begin
                self.send_header("Content-Range", f"bytes {shown}-{len(data) - 1}/{len(data)}")
            else:
                self.send_response(200)
            if manner != "no-tag":
                self.send_header("ETag", f"W/{tag}" if manner == "weak" else tag)
            body = data[begin:]
            length = {"long": len(body) + 100, "short": max(0, len(body) - 100)}.get(manner, len(body))
            if manner != "no-length":
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.close_connection = True
            if manner.startswith("cut:"):
                body = body[: int(manner.partition(":")[2])]
            step = 4096 if manner == "slow" else 1 << 16
            try:
                for at in range(0, len(body), step):
                    host.sent += len(body[at : at + step])  # counted first: who has all may look at once
                    self.wfile.write(body[at : at + step])
                    if manner == "slow":
                        time.sleep(0.02)
            except OSError:  # the other side was killed
                pass

    return Handler


@contextmanager
def serving() -> Iterator[Host]:
    """A host on a free port of this machine; closed at the end."""
    host = Host()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(host))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    host.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
