from __future__ import annotations

import os
import subprocess
import sys

import pytest

from process_worker.connect import connect
from process_worker.settings import Settings
from refinery_core.settings import CannotStart

NOBODY = "127.0.0.1:9"


def test_without_a_ledger_the_worker_says_so_in_one_sentence() -> None:
    environment = {
        **os.environ,
        "REFINERY_LEDGER": NOBODY,
        "REFINERY_TEMPORAL_ADDRESS": NOBODY,
        "REFINERY_START_SECONDS": "0.1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "process_worker"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"The ledger at {NOBODY} does not answer: ")
    assert done.stderr.count("\n") == 1


async def test_without_temporal_the_worker_says_so() -> None:
    with pytest.raises(CannotStart, match=f"Temporal at {NOBODY} does not answer"):
        await connect(Settings(temporal_address=NOBODY, start_seconds=0))


async def test_a_certificate_that_cannot_be_read_is_told_at_once() -> None:
    with pytest.raises(CannotStart, match=r"none\.pem cannot be read"):
        await connect(Settings(temporal_address=NOBODY, temporal_tls_ca="/none.pem"))


async def test_a_namespace_that_is_not_there_is_told(temporal_address: str) -> None:
    settings = Settings(temporal_address=temporal_address, temporal_namespace="nowhere", start_seconds=0)
    with pytest.raises(CannotStart, match="nowhere"):
        await connect(settings)
