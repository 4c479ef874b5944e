from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from process_worker.temporal.codec import Codec, Keys
from process_worker.temporal.codec_server import Application

PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"text"')
PAGE = "http://localhost:8233"


@pytest.fixture
def application(tmp_path: Path) -> Application:
    (tmp_path / "one").write_bytes(b"k" * 32)
    return Application(Codec(Keys(str(tmp_path), "one")), PAGE)


def ask(application: Application, path: str, body: bytes, **more: str) -> tuple[str, bytes, dict[str, str]]:
    asked: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_TYPE": "application/json",
        "HTTP_HOST": "localhost:8234",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **more,
    }
    told: list[Any] = []
    answer = b"".join(application(asked, lambda *what: told.extend(what)))
    return told[0], answer, dict(told[1])


def as_json(*payloads: Payload) -> bytes:
    return json_format.MessageToJson(Payloads(payloads=payloads)).encode()


def test_payloads_are_encrypted_and_decrypted(application: Application) -> None:
    status, encrypted, _ = ask(application, "/encode", as_json(PLAIN))
    assert status == "200 OK"
    assert b"b25l" in encrypted, "the name of the key, in base64"
    status, plain, _ = ask(application, "/decode", encrypted)
    assert (status, json.loads(plain)) == ("200 OK", json.loads(as_json(PLAIN)))


def test_a_payload_of_another_key_is_told(application: Application) -> None:
    foreign = Payload(metadata={"encoding": b"binary/encrypted", "encryption-key-id": b"two"}, data=b"x" * 40)
    status, why, _ = ask(application, "/decode", as_json(foreign))
    assert status == "400 Bad Request"
    assert b"The key 'two' of a payload of Temporal is not known" in why


def test_one_web_page_may_ask(application: Application) -> None:
    status, _, headers = ask(application, "/decode", b"", REQUEST_METHOD="OPTIONS")
    assert status == "204 No Content"
    assert headers["Access-Control-Allow-Origin"] == PAGE
    nobody = Application(application.codec, None)
    assert "Access-Control-Allow-Origin" not in ask(nobody, "/decode", as_json(PLAIN))[2]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"HTTP_HOST": "evil.example:8234"}, "403 Forbidden"),
        ({"PATH_INFO": "/"}, "404 Not Found"),
        ({"REQUEST_METHOD": "GET"}, "405 Method Not Allowed"),
        ({"CONTENT_TYPE": "text/plain"}, "405 Method Not Allowed"),
        ({"CONTENT_LENGTH": str(1 << 40)}, "413 Content Too Large"),
        ({"CONTENT_LENGTH": "x"}, "400 Bad Request"),
        ({"wsgi.input": io.BytesIO(b"no json")}, "400 Bad Request"),
        ({"wsgi.input": io.BytesIO(b"\xff")}, "400 Bad Request"),
    ],
)
def test_other_requests_are_refused(application: Application, more: dict[str, Any], status: str) -> None:
    assert ask(application, "/decode", as_json(PLAIN), **more)[0] == status


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({"REFINERY_CODEC_LISTEN": "0.0.0.0:0"}, "REFINERY_CODEC_LISTEN is '0.0.0.0:0', but must be"),
        ({"REFINERY_CODEC_LISTEN": "127.0.0.1"}, "REFINERY_CODEC_LISTEN is '127.0.0.1', but must be"),
        ({"REFINERY_CODEC_LISTEN": "127.0.0.1:99999"}, "Cannot serve on 127.0.0.1:99999"),
        ({"REFINERY_TEMPORAL_KEYS": ""}, "REFINERY_TEMPORAL_KEYS is not set"),
    ],
)
def test_it_does_not_start_beyond_loopback_or_without_keys(
    tmp_path: Path, setting: dict[str, str], why: str
) -> None:
    (tmp_path / "one").write_bytes(b"k" * 32)
    keys = {"REFINERY_TEMPORAL_KEYS": str(tmp_path), "REFINERY_TEMPORAL_KEY": "one"}
    server = [sys.executable, "-m", "process_worker.temporal.codec_server"]
    done = subprocess.run(
        server, env={**os.environ, **keys, **setting}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(why)
    assert done.stderr.count("\n") == 1
