from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import asyncio, logging, sys, structlog
from refinery_core import logs

logs.configure(service="ledger", form=sys.argv[1], level="info")
log = structlog.get_logger()
log.debug("hidden")
log.info("seen", count=3)
logging.getLogger("asyncpg").warning("from %s", "a library")
logging.getLogger("asyncpg").info("hidden")
try:
    raise asyncio.CancelledError
except asyncio.CancelledError:
    logging.getLogger("grpc._cython.cygrpc").exception("hidden")
try:
    raise LookupError("why")
except LookupError:
    log.exception("failed", raw=b"bytes", when={1: object})
"""


def _lines(form: str) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, check=True, timeout=20
    )
    assert ended.stdout == ""
    return ended.stderr.splitlines()


def test_json_is_one_object_a_line_on_stderr_also_of_libraries() -> None:
    seen, library, failed = (json.loads(line) for line in _lines("json"))

    assert (seen["event"], seen["count"], seen["level"], seen["service"]) == ("seen", 3, "info", "ledger")
    assert (library["event"], library["logger"]) == ("from a library", "asyncpg")
    assert "LookupError: why" in failed["exception"]
    assert {"timestamp", "service"} <= seen.keys() & library.keys()


def test_the_console_is_for_people() -> None:
    text = "\n".join(_lines("console"))

    assert "seen" in text
    assert "from a library" in text
    assert "LookupError: why" in text
    assert "hidden" not in text
    assert "\x1b" not in text
