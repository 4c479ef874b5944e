"""Certificates and authorities are replaced while the ledger is refined and watched, and nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from refinery_client import Refine, Refined, Refinery, Tls
from refinery_core.certificates import Files
from refinery_core.serving.connections import Connections
from refinery_core.serving.tls import Tls as ServerTls
from tests.conftest import Database
from tests.support.ledger import AUTHOR, record, running
from tests.support.tls import Authority, replace
from tests.support.waiting import PATIENCE, until

SERVER, CLIENT = "127.0.0.1", "client@one.test"
AGE_SECONDS = 0.2
"""Of connections and streams: what was in force at the beginning does not last."""
REFINES = 20
"""That are answered after each step."""


@dataclass
class Rotated:
    """The files of both sides, which trust the same authorities."""

    folder: Path
    one: Authority
    other: Authority

    def __post_init__(self) -> None:
        self.trusted = self.folder / "trusted.pem"
        self.trust(self.one)
        self.server, self.client = self.one.certificate(SERVER), self.one.certificate(CLIENT)

    def trust(self, *authorities: Authority) -> None:
        replace(self.trusted, b"".join(Path(authority.file).read_bytes() for authority in authorities))

    def issue(self, authority: Authority) -> None:
        for (cert, key), name in ((self.server, SERVER), (self.client, CLIENT)):
            issued = authority.ca.issue_cert(name)
            replace(key, issued.private_key_pem.bytes())
            replace(cert, issued.cert_chain_pems[0].bytes())


@dataclass
class Traffic:
    """Refines one after the other and in a stream, and a watch that has to see each of them once."""

    refinery: Refinery
    answered: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    stopped: bool = False

    def is_beyond(self, count: int) -> bool:
        return min(len(self.answered), len(self.seen)) > count

    def _take(self, refined: Refined) -> None:
        assert refined.refinement is not None
        self.answered.append(refined.refinement.position)

    async def refine(self, id_: str) -> None:
        self._take(await self.refinery.refine(author_ref=AUTHOR, drafts=[record(id_)]))

    async def refine_on(self, id_: str) -> None:
        while not self.stopped:
            await self.refine(id_)

    async def _drafted(self) -> AsyncIterator[Refine]:
        while not self.stopped:
            yield Refine(author_ref=AUTHOR, drafts=[record("streamed")])

    async def stream_on(self) -> None:
        async with aclosing(self.refinery.refine_many(self._drafted(), in_flight=2)) as outcomes:
            async for outcome in outcomes:
                self._take(outcome.unwrap())

    async def watch_to(self, last_id: str, after: int) -> None:
        async with aclosing(self.refinery.watch(after_position=after)) as changes:
            async for change in changes:
                self.seen.append(change.position)
                if change.vibes[0].id == last_id:
                    return


async def test_refines_watches_and_streams_go_on_while_everything_is_rotated(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refinery_client.channels.LOOK_SECONDS", 0.02)
    (tmp_path / "other").mkdir()
    one, other = Authority(tmp_path), Authority(tmp_path / "other")
    files = Rotated(tmp_path, one, other)
    tls = ServerTls(Files(*files.server, str(files.trusted)))
    client = Tls(tls_ca=str(files.trusted), tls_cert=files.client[0], tls_key=files.client[1])
    young = Connections(age_seconds=AGE_SECONDS)
    async with running(database, tls=tls, client=client, connections=young) as ledger:
        ledger.drain._stream_age_seconds = AGE_SECONDS
        begun, traffic = await ledger.last_position(), Traffic(ledger.refinery)
        async with asyncio.timeout(PATIENCE):
            watching = asyncio.create_task(traffic.watch_to("end", begun))
            async with asyncio.TaskGroup() as group:
                for work in (traffic.refine_on("a"), traffic.refine_on("b"), traffic.stream_on()):
                    group.create_task(work)
                for old, new in ((one, other), (other, one)):
                    for step in (
                        partial(files.trust, old, new),
                        partial(files.issue, new),
                        partial(files.trust, new),
                    ):
                        count = len(traffic.answered) + REFINES
                        step()
                        await until(partial(traffic.is_beyond, count))
                traffic.stopped = True
            await traffic.refine("end")
            await watching
    last = begun + len(traffic.answered)
    assert sorted(traffic.answered) == traffic.seen == list(range(begun + 1, last + 1))
