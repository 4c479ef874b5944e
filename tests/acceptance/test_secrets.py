"""Secrets come from files too, and show up nowhere: in no log line, in no sentence of a failed start."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest

from refinery_cli.__main__ import run
from refinery_client import Refinery
from refinery_core.postgres.pool import open_pool, reading
from refinery_core.settings import CannotStart, Secret
from refinery_local.postgres import EmbeddedPostgres
from tests.conftest import Database
from tests.support.issuing import AUDIENCE, Issuing
from tests.support.ledger import AUTHOR
from tests.support.ports import free_port
from tests.support.processes import ServiceProcess
from tests.support.waiting import PATIENCE

CANARY = "canary-7d1f20c9"
LOGIN = "login_with_a_password"


@pytest.fixture
async def login(postgres: EmbeddedPostgres, database: Database) -> AsyncIterator[str]:
    """The address of the database for a login that has to give its password, CANARY."""
    rules = postgres.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"local all {LOGIN} scram-sha-256\n{before}")
    connection = await asyncpg.connect(database.owner_url)
    try:
        await connection.execute("select pg_reload_conf()")
        await connection.execute(f"create role {LOGIN} login password '{CANARY}' in role refinery_app")
        yield postgres.url(database.name, LOGIN)
    finally:
        await connection.execute(f"drop role {LOGIN}")
        rules.write_text(before)
        await connection.execute("select pg_reload_conf()")
        await connection.close()


def with_password(url: str, password: str) -> str:
    return url.replace(f"{LOGIN}@", f"{LOGIN}:{password}@")


async def test_the_password_is_read_again_for_new_connections(
    login: str, database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_text(f"{CANARY}\n")
    owner = await asyncpg.connect(database.owner_url)
    pool = await open_pool(
        login,
        password=Secret(path=str(path)),
        application_name="t",
        min_size=1,
        max_size=1,
        patience=PATIENCE,
    )
    async with pool:
        async with reading(pool) as connection:
            assert await connection.fetchval("select session_user") == LOGIN
        await owner.execute(f"alter role {LOGIN} password 'second'")
        path.write_text("second")
        await pool.expire()
        async with reading(pool) as connection:
            assert await connection.fetchval("select session_user") == LOGIN
    await owner.close()


async def test_two_passwords_are_refused(login: str) -> None:
    with pytest.raises(CannotStart, match="has a password, and another one is set") as caught:
        await open_pool(with_password(login, CANARY), password=Secret("x"), application_name="t")
    assert CANARY not in str(caught.value)


def ended(module: str, environment: dict[str, str]) -> tuple[int, str]:
    """Start a service that cannot start; its exit code, and all that it said."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        env=os.environ
        | {"REFINERY_LOG_LEVEL": "debug", "REFINERY_LISTEN": f"127.0.0.1:{free_port()}"}
        | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


BAD_ADDRESSES = (
    CANARY,
    f"postgresql://ada:{CANARY}/x@127.0.0.1/x",
    f"postgresql://ada@127.0.0.1:{CANARY}/x",
    f"postgresql://ada:x@{CANARY}@127.0.0.1/x",
    f"host=127.0.0.1 password={CANARY}",
)


@pytest.mark.parametrize("module", ["ledger_service", "resolver_service"])
def test_a_bad_address_is_not_quoted(module: str) -> None:
    code, said = ended(module, {"REFINERY_DATABASE_URL": BAD_ADDRESSES[1]})
    assert (code, CANARY in said) == (1, False), said
    assert "The address of the database cannot be read" in said


@pytest.mark.parametrize("verb", ["migrate", "verify"])
@pytest.mark.parametrize("url", BAD_ADDRESSES)
def test_the_command_does_not_quote_it_either(
    verb: str, url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    name = "REFINERY_MIGRATE_URL" if verb == "migrate" else "REFINERY_DATABASE_URL"
    monkeypatch.setenv(name, url)
    assert run([verb]) == 1
    said = "".join(capfd.readouterr())
    assert CANARY not in said
    assert "The address of the database cannot be read" in said


@pytest.mark.parametrize("module", ["ledger_service", "resolver_service"])
@pytest.mark.parametrize(
    "form", ["wrong in the address", "wrong in a variable", "wrong in a file", "right, no port"]
)
async def test_a_start_that_fails_shows_no_password(
    module: str, form: str, login: str, tmp_path: Path
) -> None:
    wrong = f"{CANARY}-wrong"
    (tmp_path / "wrong").write_text(wrong)
    environment = {
        "wrong in the address": {"REFINERY_DATABASE_URL": with_password(login, wrong)},
        "wrong in a variable": {"REFINERY_DATABASE_URL": login, "REFINERY_DATABASE_PASSWORD": wrong},
        "wrong in a file": {
            "REFINERY_DATABASE_URL": login,
            "REFINERY_DATABASE_PASSWORD_FILE": str(tmp_path / "wrong"),
        },
        "right, no port": {
            "REFINERY_DATABASE_URL": with_password(login, CANARY),
            "REFINERY_LISTEN": "127.0.0.1:99999",
        },
    }[form]
    code, said = await asyncio.to_thread(ended, module, environment)
    assert (code, CANARY in said) == (1, False), said
    assert "Cannot listen" in said or "password authentication failed" in said


@pytest.mark.parametrize(
    ("secret", "value"),
    [
        ("REFINERY_TOKEN", f"{CANARY} {CANARY}"),
        ("REFINERY_TEMPORAL_API_KEY", CANARY),
        ("REFINERY_TEMPORAL_API_KEY", f"{CANARY}\nx"),
    ],
)
async def test_a_worker_that_cannot_start_shows_no_secret(
    secret: str, value: str, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(value)
    ledger = ServiceProcess("ledger_service", database.app_url, tmp_path / "ledger.log")
    ledger.start()
    try:
        await ledger.ready()
        environment = {
            f"{secret}_FILE": str(tmp_path / "secret"),
            "REFINERY_LEDGER": ledger.address,
            "REFINERY_TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
            "REFINERY_START_SECONDS": "0",
        }
        code, said = await asyncio.to_thread(ended, "process_worker", environment)
        assert (code, CANARY in said) == (1, False), said
        assert CANARY not in ledger.log
    finally:
        ledger.kill()


async def test_a_service_that_serves_logs_neither_password_nor_token(login: str, tmp_path: Path) -> None:
    issuing = Issuing()
    (tmp_path / "jwks.json").write_bytes(issuing.jwks)
    (tmp_path / "url").write_text(with_password(login, CANARY))
    token = issuing.token(note=CANARY)
    settings: dict[str, Any] = {
        "REFINERY_DATABASE_URL": "",
        "REFINERY_DATABASE_URL_FILE": str(tmp_path / "url"),
        "REFINERY_AUTH": "jwt",
        "REFINERY_JWT_ISSUER": issuing.name,
        "REFINERY_JWT_AUDIENCE": AUDIENCE,
        "REFINERY_JWT_JWKS": str(tmp_path / "jwks.json"),
        "REFINERY_ROOT": f"jwt:{issuing.name}#ada",
        "REFINERY_LOG_LEVEL": "debug",
    }
    ledger = ServiceProcess("ledger_service", "", tmp_path / "ledger.log", **settings)
    ledger.start()
    try:
        await ledger.ready()
        async with Refinery.connect(ledger=ledger.address, token=token) as ada:
            await ada.get_vibe(AUTHOR)
        async with grpc.aio.insecure_channel(ledger.address) as channel:
            call: Any = channel.unary_unary("/refinery.ledger.v1.LedgerService/GetVibe")
            for value in (f"Bearer {CANARY}", f"Basic {CANARY}", CANARY, f"Bearer {token}{CANARY}"):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call(b"", metadata=(("authorization", value),))
                assert CANARY not in str(caught.value)
        ledger.terminate()
        assert await asyncio.to_thread(ledger.exit_code, PATIENCE) == 0
        assert '"principal":"unknown"' in ledger.log
        assert CANARY not in ledger.log
        assert all(part not in ledger.log for part in token.split("."))
    finally:
        ledger.kill()
