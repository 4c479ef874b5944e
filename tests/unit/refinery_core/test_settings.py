from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

import pytest

from refinery_core.settings import CannotStart, from_environment, setting


@dataclass(frozen=True)
class Settings:
    database_url: str = setting("where PostgreSQL is")
    listen: str = setting("where to listen", "127.0.0.1:50051")
    pool_size: int = setting("connections", 8, at_least=1)
    grace_seconds: float = setting("how long", 25.0, at_least=0)
    uvloop: bool = setting("which loop", True)
    log_format: Literal["json", "console"] = setting("how logs look", "json")
    token: str | None = setting("a secret", None)
    limit: int | None = setting("a limit", None)


def test_what_is_not_set_has_its_default() -> None:
    found = from_environment(Settings, {"REFINERY_DATABASE_URL": "postgres:///x", "REFINERY_LISTEN": ""})

    assert found == Settings(database_url="postgres:///x")


def test_variables_are_read_as_their_types() -> None:
    found = from_environment(
        Settings,
        {
            "REFINERY_DATABASE_URL": "x",
            "REFINERY_POOL_SIZE": "3",
            "REFINERY_GRACE_SECONDS": "0.5",
            "REFINERY_UVLOOP": "off",
            "REFINERY_LOG_FORMAT": "Console",
            "REFINERY_TOKEN": "t",
            "REFINERY_LIMIT": "7",
        },
    )

    assert (found.pool_size, found.grace_seconds, found.uvloop) == (3, 0.5, False)
    assert (found.log_format, found.token, found.limit) == ("console", "t", 7)


def test_every_fault_is_named_at_once() -> None:
    environ = {"REFINERY_POOL_SIZE": "many", "REFINERY_UVLOOP": "maybe", "REFINERY_LOG_FORMAT": "xml"}

    with pytest.raises(CannotStart) as caught:
        from_environment(Settings, environ)

    assert str(caught.value) == (
        "REFINERY_DATABASE_URL is not set (where PostgreSQL is); "
        "REFINERY_POOL_SIZE is 'many', but must be a whole number; "
        "REFINERY_UVLOOP is 'maybe', but must be 1 or 0; "
        "REFINERY_LOG_FORMAT is 'xml', but must be one of json, console."
    )


@pytest.mark.parametrize(
    ("variable", "value", "least"),
    [
        ("POOL_SIZE", "0", "1"),
        ("POOL_SIZE", "-3", "1"),
        ("GRACE_SECONDS", "-0.5", "0"),
        ("GRACE_SECONDS", "nan", "0"),
    ],
)
def test_a_number_below_its_least_is_refused(variable: str, value: str, least: str) -> None:
    environ = {"REFINERY_DATABASE_URL": "x", f"REFINERY_{variable}": value}

    with pytest.raises(CannotStart, match=rf"^REFINERY_{variable} is '{value}', but .* at least {least}\.$"):
        from_environment(Settings, environ)


@pytest.mark.parametrize(
    ("service", "variable", "value"),
    [
        ("ledger_service", "LOG_LEVEL", "foo"),
        ("ledger_service", "POOL_SIZE", "1"),
        ("ledger_service", "CACHE_MIB", "-1"),
        ("ledger_service", "UVLOOP", "x"),
        ("resolver_service", "LOG_LEVEL", "foo"),
        ("resolver_service", "POOL_SIZE", "0"),
        ("resolver_service", "ANSWERS_MIB", "-1"),
        ("process_worker", "LOG_LEVEL", "foo"),
        ("process_worker", "START_SECONDS", "-1"),
    ],
)
def test_a_service_says_in_one_sentence_what_it_cannot_start_with(
    service: str, variable: str, value: str
) -> None:
    environ = {"REFINERY_DATABASE_URL": "postgresql:///x?host=/nowhere", f"REFINERY_{variable}": value}
    done = subprocess.run(
        [sys.executable, "-m", service],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith(f"REFINERY_{variable} is '{value}', but must be ")
    assert done.stderr.count("\n") == 1


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFINERY_DATABASE_URL", "from the process")

    assert from_environment(Settings).database_url == "from the process"
