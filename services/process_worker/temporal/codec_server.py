"""Decrypts payloads for Temporal's command and web page: `python -m process_worker.temporal.codec_server`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from wsgiref.simple_server import make_server

from google.protobuf import json_format
from prometheus_client.exposition import ThreadingWSGIServer
from temporalio.api.common.v1 import Payloads

from process_worker.temporal.codec import CannotDecode, Codec, keys_of
from refinery_core.addresses import is_loopback
from refinery_core.settings import CannotStart, from_environment, setting

_MOST_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class Settings:
    """The settings of the codec server."""

    temporal_keys: str = setting("folder: each file a key of 32 bytes, for payloads")
    temporal_key: str = setting("the name of the file whose key encrypts payloads")
    codec_listen: str = setting("where to serve, HOST:PORT, on loopback", "127.0.0.1:8234")
    codec_origin: str | None = setting("the web page that may ask, as http://HOST:PORT", None)


@dataclass(frozen=True)
class Application:
    """The WSGI application: POST /decode and /encode, with payloads as JSON in and out."""

    codec: Codec
    origin: str | None

    def __call__(self, asked: dict[str, Any], start: Any) -> Iterable[bytes]:
        """Answer a request."""
        status, body = self._answer(asked)
        headers = [("Content-Type", "application/json" if status == "200 OK" else "text/plain")]
        if self.origin is not None:
            headers += [
                ("Access-Control-Allow-Origin", self.origin),
                ("Access-Control-Allow-Methods", "POST"),
                ("Access-Control-Allow-Headers", "content-type, x-namespace"),
                ("Access-Control-Allow-Credentials", "true"),
            ]
        start(status, headers)
        return [body.encode()]

    def _answer(self, asked: dict[str, Any]) -> tuple[str, str]:
        if not is_loopback(_name(asked.get("HTTP_HOST", ""))):
            return "403 Forbidden", "Ask for localhost.\n"  # A page may point a name of its own at us.
        work = {"/decode": self.codec.decode, "/encode": self.codec.encode}.get(asked["PATH_INFO"])
        if work is None:
            return "404 Not Found", "There are /decode and /encode.\n"
        if asked["REQUEST_METHOD"] == "OPTIONS":
            return "204 No Content", ""
        if (
            asked["REQUEST_METHOD"] != "POST"
            or asked.get("CONTENT_TYPE", "").split(";")[0] != "application/json"
        ):
            return "405 Method Not Allowed", "POST JSON.\n"
        try:
            length = int(asked.get("CONTENT_LENGTH") or 0)
            if length > _MOST_BYTES:
                return "413 Content Too Large", f"At most {_MOST_BYTES >> 20} MiB.\n"
            given = json_format.Parse(asked["wsgi.input"].read(length), Payloads())
            done = Payloads(payloads=asyncio.run(work(given.payloads)))
        except (ValueError, json_format.ParseError):
            return "400 Bad Request", "These are no payloads.\n"
        except CannotDecode as fault:
            return "400 Bad Request", f"{fault}\n"
        return "200 OK", json_format.MessageToJson(done)


def main() -> None:
    """
    Serve until the process is stopped.

    Raises:
        CannotStart: the settings cannot be used.
    """
    settings = from_environment(Settings)
    host, _, port = settings.codec_listen.rpartition(":")
    if not is_loopback(host) or not port.isdigit():
        # It decrypts for everybody who reaches it.
        raise CannotStart(
            f"REFINERY_CODEC_LISTEN is '{settings.codec_listen}', but must be a PORT of loopback."
        )
    application = Application(
        Codec(keys_of(settings.temporal_keys, settings.temporal_key)), settings.codec_origin
    )
    try:
        server = make_server(host, int(port), application, ThreadingWSGIServer)
    except (OSError, OverflowError) as fault:
        raise CannotStart(f"Cannot serve on {settings.codec_listen}: {fault}.") from fault
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


def _name(host: str) -> str:
    """The name in a Host header."""
    return host.partition("]")[0] if host.startswith("[") else host.partition(":")[0]


if __name__ == "__main__":
    try:
        main()
    except CannotStart as refusal:
        sys.exit(str(refusal))
