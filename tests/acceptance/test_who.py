"""The services as processes that ask who calls, and what they say where they cannot start."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from refinery_cli.__main__ import run
from refinery_client import Draft, Refinery
from refinery_core.errors import Unauthenticated
from refinery_core.vibe.model import VibeType
from tests.conftest import Database
from tests.support.issuing import AUDIENCE, Issuing
from tests.support.ledger import AUTHOR
from tests.support.processes import ServiceProcess
from tests.support.waiting import PATIENCE

SERVICES = ("ledger_service", "resolver_service", "process_worker")


def settings(issuing: Issuing, jwks: Path) -> dict[str, str]:
    jwks.write_bytes(issuing.jwks)
    return {
        "REFINERY_AUTH": "jwt",
        "REFINERY_JWT_ISSUER": issuing.name,
        "REFINERY_JWT_AUDIENCE": AUDIENCE,
        "REFINERY_JWT_JWKS": str(jwks),
        "REFINERY_ROOT": f"jwt:{issuing.name}#ada",
        "REFINERY_LOG_LEVEL": "info",
    }


@asynccontextmanager
async def asking(
    module: str, database: Database, folder: Path, issuing: Issuing
) -> AsyncIterator[ServiceProcess]:
    log = folder / f"{module}.log"
    service = ServiceProcess(module, database.app_url, log, **settings(issuing, folder / "jwks.json"))
    service.start()
    try:
        await service.ready()
        yield service
    finally:
        service.kill()


async def test_a_refinement_has_the_principal_of_its_token(database: Database, tmp_path: Path) -> None:
    issuing = Issuing()
    async with asking("ledger_service", database, tmp_path, issuing) as ledger:
        async with Refinery.connect(ledger=ledger.address) as stranger:
            with pytest.raises(Unauthenticated, match="no token came"):
                await stranger.get_vibe(AUTHOR)
        async with Refinery.connect(ledger=ledger.address, token=issuing.token()) as ada:
            drafts = [Draft(type=VibeType.RECORD, id="a", solution=1)]
            refined = await ada.refine(author_ref=AUTHOR, drafts=drafts)
            assert refined.refinement is not None
            assert refined.refinement.principal == f"jwt:{issuing.name}#ada"
            (change,) = [change async for change in _first(ada)]
            assert change.refinement.principal == f"jwt:{issuing.name}#ada"
        lines = [json.loads(line) for line in ledger.log.splitlines()]
        calls = [
            line["principal"] for line in lines if line["event"] == "call" and "Health" not in line["method"]
        ]
        assert calls[:2] == ["unknown", f"jwt:{issuing.name}#ada"]


async def _first(refinery: Refinery) -> AsyncIterator[Any]:
    position = (await refinery.get_ledger()).position
    watch = refinery.watch(after_position=position - 1)
    try:
        yield await anext(watch)
    finally:
        await watch.aclose()


async def test_the_resolver_asks_as_well(database: Database, tmp_path: Path) -> None:
    issuing = Issuing()
    async with asking("resolver_service", database, tmp_path, issuing) as resolver:
        async with Refinery.connect(resolver=resolver.address) as stranger:
            with pytest.raises(Unauthenticated):
                await stranger.resolve_reference(AUTHOR)
        async with Refinery.connect(resolver=resolver.address, token=issuing.token()) as ada:
            assert (await ada.resolve_reference(AUTHOR)).vibe.ref == AUTHOR


@pytest.mark.parametrize("way", ["none", "file", "command", "variable", "expired"])
async def test_the_command_carries_a_token(
    database: Database,
    tmp_path: Path,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    issuing = Issuing()
    token = issuing.token(exp=int(time.time()) + (-60 if way == "expired" else 600))
    (tmp_path / "token").write_text(token)
    options = {
        "file": ["--token-file", str(tmp_path / "token")],
        "command": ["--token-command", f"cat {tmp_path / 'token'}"],
    }
    if way in {"variable", "expired"}:
        monkeypatch.setenv("REFINERY_TOKEN", token)
    async with asking("ledger_service", database, tmp_path, issuing) as ledger:
        command = ["get", AUTHOR, "--ledger", ledger.address, *options.get(way, [])]
        code = await asyncio.to_thread(run, command)
    said = capfd.readouterr()
    if way in {"none", "expired"}:
        assert code == 1
        assert "(UNAUTHENTICATED)" in said.err
        assert "--token-file, --token-command or the variable REFINERY_TOKEN" in said.err
    else:
        assert code == 0, said
    assert token.rpartition(".")[2] not in said.out + said.err


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"AUTH": "jwt"}, "set REFINERY_JWT_ISSUER, REFINERY_JWT_AUDIENCE, REFINERY_JWT_JWKS too"),
        ({"AUTH": "jwt,x"}, "REFINERY_AUTH is 'jwt,x', but must be one of"),
        ({"JWT_AUDIENCE": "refinery"}, "REFINERY_JWT_AUDIENCE is set, but REFINERY_AUTH is none"),
    ],
    ids=str,
)
def test_what_would_let_in_others_does_not_start(
    service: str, changes: dict[str, str], sentence: str
) -> None:
    environment = {f"REFINERY_{name}": value for name, value in changes.items()}
    ended = subprocess.run(
        [sys.executable, "-m", service],
        env=os.environ | {"REFINERY_DATABASE_URL": "postgresql:///x?host=/nowhere"} | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert sentence in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
