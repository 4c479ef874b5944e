from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from refinery_core.serving.door import Door
from refinery_core.serving.exposure import is_beyond_loopback
from refinery_core.settings import CannotStart, from_environment
from tests.support.ports import free_port
from tests.support.tls import Authority

OPEN = "0.0.0.0:50051"


@pytest.mark.parametrize(
    ("listen", "beyond"),
    [
        ("127.0.0.1:50051", False),
        ("127.8.8.8:50051", False),
        ("[::1]:50051", False),
        ("[::ffff:127.0.0.1]:50051", False),
        ("localhost:50051", False),
        ("unix:/run/refinery", False),
        (OPEN, True),
        ("[::]:50051", True),
        ("10.1.2.3:50051", True),
        ("[::ffff:10.1.2.3]:50051", True),
        ("vsock:3:50051", True),
        ("no-such-name.invalid:50051", True),
        (":50051", True),
        ("50051", True),
    ],
)
def test_what_others_can_reach_is_beyond_loopback(listen: str, beyond: bool) -> None:
    assert is_beyond_loopback(listen) is beyond


TLS = "REFINERY_TLS_CERT and REFINERY_TLS_KEY (or REFINERY_TLS=off where a mesh encrypts)"
AUTH = "REFINERY_AUTH (none, tls, jwt or tls,jwt)"
FILES = "CERT, KEY"
REFUSED = {
    "nothing": ({}, f"Others can reach {OPEN}: set {TLS}, and {AUTH}."),
    "no TLS": ({"AUTH": "none"}, f"Others can reach {OPEN}: set {TLS}."),
    "TLS without AUTH": ({FILES: ""}, f"Others can reach {OPEN}: set {AUTH}."),
    "off without AUTH": ({"TLS": "off"}, f"Others can reach {OPEN}: set {AUTH}."),
    "an empty AUTH": ({FILES: "", "AUTH": ""}, f"Others can reach {OPEN}: set {AUTH}."),
    "AUTH=tls without a client CA": (
        {FILES: "", "AUTH": "tls,jwt"},
        "REFINERY_AUTH says tls: set REFINERY_TLS_CLIENT_CA, whom to trust as callers.",
    ),
    "AUTH=tls behind a mesh": (
        {"TLS": "off", "AUTH": "tls"},
        "REFINERY_AUTH says tls: set REFINERY_TLS_CLIENT_CA, whom to trust as callers.",
    ),
    "on without files": (
        {"TLS": "on", "AUTH": "none"},
        "To serve with TLS, set both REFINERY_TLS_CERT and REFINERY_TLS_KEY.",
    ),
    "callers without a certificate of our own": (
        {"TLS_CLIENT_CA": "ca", "AUTH": "none"},
        "To serve with TLS, set both REFINERY_TLS_CERT and REFINERY_TLS_KEY.",
    ),
    "off and files": (
        {FILES: "", "TLS": "off", "AUTH": "none"},
        "REFINERY_TLS is off, but there are REFINERY_TLS_… files: say one of them.",
    ),
    "a word that is none": (
        {"TLS": "maybe", "AUTH": "none"},
        "REFINERY_TLS is 'maybe', but must be one of on, off.",
    ),
}
ACCEPTED = {
    "TLS and AUTH": {FILES: "", "AUTH": "none"},
    "mTLS": {FILES: "", "TLS_CLIENT_CA": "ca", "AUTH": "tls"},
    "mTLS and tokens": {FILES: "", "TLS_CLIENT_CA": "ca", "AUTH": "tls,jwt"},
    "tokens": {FILES: "", "TLS": "on", "AUTH": "jwt"},
    "a mesh": {"TLS": "off", "AUTH": "jwt"},
    "a mesh that knows nobody": {"TLS": "off", "AUTH": "none"},
}


def environment(written: dict[str, str], folder: Path) -> dict[str, str]:
    """Variables as they are written, with files where they are asked for."""
    authority = Authority(folder)
    said = {f"REFINERY_{name}": text for name, text in written.items() if name != FILES}
    if FILES in written:
        cert, key = authority.certificate("localhost")
        said |= {"REFINERY_TLS_CERT": cert, "REFINERY_TLS_KEY": key}
    if "TLS_CLIENT_CA" in written:
        said["REFINERY_TLS_CLIENT_CA"] = authority.file
    return said


@pytest.mark.parametrize("case", REFUSED)
def test_a_door_that_would_stand_open_by_oversight_is_refused(case: str, tmp_path: Path) -> None:
    written, sentence = REFUSED[case]
    with pytest.raises(CannotStart) as refused:
        from_environment(Door, environment(written, tmp_path) | {"REFINERY_LISTEN": OPEN}).opened()
    assert str(refused.value) == sentence


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_door_that_was_meant_to_be_open_opens(case: str, tmp_path: Path) -> None:
    written = ACCEPTED[case]
    tls = from_environment(Door, environment(written, tmp_path) | {"REFINERY_LISTEN": OPEN}).opened()
    assert (tls is not None) == (FILES in written)
    assert bool(tls and tls.asks_back) == ("TLS_CLIENT_CA" in written)


@pytest.mark.parametrize("written", [{}, {"AUTH": "none"}, {"AUTH": "jwt"}, {FILES: ""}])
def test_on_this_machine_nothing_has_to_be_written(written: dict[str, str], tmp_path: Path) -> None:
    said = environment(written, tmp_path) | {"REFINERY_LISTEN": "127.0.0.1:50051"}
    from_environment(Door, said).opened()


@pytest.mark.parametrize("service", ["ledger_service", "resolver_service", "process_worker"])
def test_every_service_says_what_to_set_and_does_not_start(service: str) -> None:
    listen = f"0.0.0.0:{free_port()}"
    said = {"REFINERY_LISTEN": listen, "REFINERY_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    done = subprocess.run(
        [sys.executable, "-m", service],
        env={**os.environ, **said},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, f"Others can reach {listen}: set {TLS}, and {AUTH}.\n")


def test_metrics_with_tls_need_certificates() -> None:
    said = {"REFINERY_METRICS_LISTEN": f"127.0.0.1:{free_port()}", "REFINERY_METRICS_TLS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "ledger_service"],
        env={**os.environ, **said},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = "REFINERY_METRICS_TLS needs REFINERY_TLS_CERT and REFINERY_TLS_KEY.\n"
    assert (done.returncode, done.stderr) == (1, told)
