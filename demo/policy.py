"""The licence policy of a company, as an unreliable service on loopback: it fails before it answers."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAILURES = 2
_PERMISSIVE = re.compile(r"MIT|0BSD|ISC|Apache|BSD|PSF|Python-2|Python Software Foundation|Zlib|Unlicense")
_OTHERS = re.compile(r"GPL|MPL|Mozilla|EPL|CDDL|Proprietary", re.IGNORECASE)


class Policy(ThreadingHTTPServer):
    """Returns the allowed licences; it counts its requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self._lock = threading.Lock()
        self.asked = 0

    @classmethod
    @contextmanager
    def serving(cls) -> Iterator[Policy]:
        """Serve until the block is left."""
        with cls() as policy:
            thread = threading.Thread(target=policy.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield policy
            finally:
                policy.shutdown()
                thread.join()

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.server_port}"

    def number_of_question(self) -> int:
        """Count one more request."""
        with self._lock:
            self.asked += 1
            return self.asked


class _Answer(BaseHTTPRequestHandler):
    server: Policy

    def do_POST(self) -> None:
        licences = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["licences"]
        if self.server.number_of_question() <= FAILURES:
            self._send(503, {"title": "The lawyer is at lunch"})
        else:
            self._send(200, {"name": "permissive licences only", "allowed": [*filter(_allows, licences)]})

    def _send(self, status: int, answer: object) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's word
        """Log nothing: the demo shows the requests that matter."""


def _allows(licence: str) -> bool:
    return _PERMISSIVE.search(licence) is not None and _OTHERS.search(licence) is None
