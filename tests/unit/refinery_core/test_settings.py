from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from ledger_service.settings import Settings as LedgerSettings
from process_worker.settings import Settings as WorkerSettings
from refinery_core.settings import CannotStart, Secret, from_environment, secret_variable, setting
from resolver_service.settings import Settings as ResolverSettings


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


# --- Secrets ------------------------------------------------------------------------------

CANARY = "canary-51b0d8"


@dataclass(frozen=True)
class Secrets:
    database_url: str = setting("where PostgreSQL is", secret=True)
    api_key: str | None = setting("a key", None, secret=True)
    password: Secret | None = setting("a password", None, secret=True)
    listen: str = setting("where to listen", "here")


def test_a_secret_is_a_variable_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{CANARY}\n")
    environ = {
        "REFINERY_DATABASE_URL": "x",
        "REFINERY_API_KEY_FILE": str(tmp_path / "key"),
        "REFINERY_PASSWORD": "y",
        "REFINERY_LISTEN_FILE": "/nowhere",
    }
    found = from_environment(Secrets, environ)
    assert (found.database_url, found.api_key, found.listen) == ("x", CANARY, "here")
    assert found.password is not None
    assert found.password.read() == "y"
    assert CANARY not in repr(found)


def test_a_secret_that_is_read_when_it_is_needed_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("first\n")
    environ = {"REFINERY_DATABASE_URL": "x", "REFINERY_PASSWORD_FILE": str(path)}
    password = from_environment(Secrets, environ).password
    assert password is not None
    assert password.read() == "first"
    path.write_text("second")
    assert password.read() == "second"
    path.unlink()
    assert password.read() == "second"
    path.write_text("")
    assert password.read() == "second"
    assert "second" not in repr(password)


@pytest.mark.parametrize(
    ("content", "also", "sentence"),
    [
        (
            CANARY.encode(),
            CANARY,
            "REFINERY_API_KEY and REFINERY_API_KEY_FILE are both set; set one of them.",
        ),
        (b"\n", "", "REFINERY_API_KEY cannot be read from PATH: it is empty."),
        (CANARY.encode() + b"\xff", "", "REFINERY_API_KEY cannot be read from PATH: it is not UTF-8."),
        (None, "", "REFINERY_API_KEY cannot be read from PATH: No such file or directory."),
    ],
)
def test_a_secret_that_cannot_be_read_is_refused_and_not_quoted(
    tmp_path: Path, content: bytes | None, also: str, sentence: str
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    environ = {"REFINERY_API_KEY": also, "REFINERY_API_KEY_FILE": str(path)}
    with pytest.raises(CannotStart) as caught:
        from_environment(Secrets, environ | {"REFINERY_DATABASE_URL": "x"})
    assert str(caught.value) == sentence.replace("PATH", str(path))
    with pytest.raises(CannotStart) as caught:
        secret_variable("REFINERY_API_KEY", environ)
    assert str(caught.value) == sentence.replace("PATH", str(path))


def test_a_secret_that_is_needed_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql:///x")
    assert from_environment(Secrets, {"REFINERY_DATABASE_URL_FILE": str(tmp_path / "url")}).database_url == (
        "postgresql:///x"
    )
    with pytest.raises(CannotStart, match="REFINERY_DATABASE_URL is not set"):
        from_environment(Secrets, {})


@pytest.mark.parametrize("kind", [LedgerSettings, ResolverSettings, WorkerSettings])
def test_each_setting_that_may_hold_a_secret_is_one(kind: type) -> None:
    likely = ("url", "password", "token", "secret", "api_key")
    for field in dataclasses.fields(kind):
        assert field.metadata["secret"] == field.name.endswith(likely), field.name
