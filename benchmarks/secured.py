"""Measures the price of mTLS, tokens and Roles: the same calls to a ledger with them and to one without."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import grpc
import orjson

from benchmarks.load import free_port, rate, refine_request
from benchmarks.processes import running
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.ledger.v1 import ledger_service_pb2_grpc as pb_grpc
from refinery.vibe.v1 import vibe_pb2
from refinery_local.authority import HERE
from refinery_local.issuer import ISSUER, not_asked
from refinery_local.secured import Secured, in_the_clear

RULES: Final = 50
PAGE: Final = 1_000
PAGES: Final = 20
"""Pages that are read in a round."""
START_SECONDS: Final = 60.0
_TOKEN_SECONDS: Final = 12 * 3_600
_ROOT: Final = "root"
_NARROW: Final = {"types": ["RECORD"], "branches": ["main"]}
"""A rule that names types and branches takes longer to ask than one of ids alone."""

Rule = dict[str, Any]
Measured = Callable[[], Awaitable[float]]


class Table(Protocol):
    """A place to print figures, and the rounds of a pair."""

    def rates(self, what: str, ours: float, against: str, theirs: float, target: str) -> None: ...
    def times(self, what: str, ours: float, against: str, theirs: float, target: str) -> None: ...
    async def pair(self, ours: Measured, theirs: Measured) -> tuple[float, float]: ...


@dataclass(frozen=True)
class Caller:
    """Somebody who calls a ledger, with a token or without."""

    ledger: pb_grpc.LedgerServiceStub
    token: str | None = None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return () if self.token is None else (("authorization", f"Bearer {self.token}"),)

    async def refine(self, request: pb.RefineRequest) -> pb.RefineResponse:
        return await self.ledger.Refine(request, metadata=self.metadata)

    async def gets(self, ref: str, seconds: float) -> float:
        """GetVibe of one Vibe, answers a second."""
        request, metadata = pb.GetVibeRequest(reference=ref), self.metadata
        return await rate(lambda: self.ledger.GetVibe(request, metadata=metadata), seconds)

    async def refines(self, author: str, seconds: float) -> float:
        """Refine in the name of a Role, answers a second."""
        metadata = self.metadata
        return await rate(lambda: self.ledger.Refine(_small(author), metadata=metadata), seconds)

    async def page(self, after: int) -> float:
        """Seconds of a full page of Vibes with their documents, the median of a few."""
        request = pb.ListVibesRequest(after_position=after, page_size=PAGE, view=vibe_pb2.VIBE_VIEW_FULL)
        times = []
        for _ in range(PAGES):
            start = time.perf_counter()
            answer = await self.ledger.ListVibes(request, metadata=self.metadata)
            times.append(time.perf_counter() - start)
            assert len(answer.vibes) == PAGE, len(answer.vibes)
        return statistics.median(times)


@dataclass(frozen=True)
class Ledgers:
    """Two ledgers of one database: one without authentication, one with mTLS, tokens and Roles."""

    clear: pb_grpc.LedgerServiceStub
    secured: pb_grpc.LedgerServiceStub
    certificates: Secured

    def caller(self, name: str) -> Caller:
        """A caller of the secured one, by its certificate and with a token of its own."""
        return Caller(self.secured, self.certificates.issuer.token(name, (), _TOKEN_SECONDS))

    async def holder(self, name: str, *rules: Rule) -> tuple[Caller, str]:
        """A caller who holds a Role of its own, and the ref of that Role, whose last rules these are."""
        others = [rule(f"desks/{number}/**", "read", "refine") for number in range(RULES - len(rules))]
        solution = {"title": name, "members": [f"jwt:{ISSUER}#{name}"], "may": [*others, *rules]}
        request = refine_request()
        (draft,) = request.drafts
        draft.type, draft.id = vibe_pb2.VIBE_TYPE_ROLE, f"roles/{name}"
        draft.solution.json = orjson.dumps(solution).decode()
        made = await self.caller(_ROOT).refine(request)
        return self.caller(name), made.vibes[0].ref


async def measure(table: Table, database_url: str, seconds: float) -> None:
    """Everything about the secured ledger."""
    async with _serving(database_url) as ledgers:
        await calls(ledgers, table, seconds)
        await pages(ledgers, table)


async def calls(ledgers: Ledgers, table: Table, seconds: float) -> None:
    """GetVibe and Refine by the holder of a Role, against the same calls in the clear."""
    clear = Caller(ledgers.clear)
    holder, role = await ledgers.holder("writer", rule("bench/**", "read", "refine"))
    ref = (await holder.refine(_small(role))).vibes[0].ref
    ours, theirs = await table.pair(lambda: holder.gets(ref, seconds), lambda: clear.gets(ref, seconds))
    table.rates("GetVibe with mTLS, token and Role, 32 callers", ours, "without", theirs, "≥ 0.75")
    ours, theirs = await table.pair(
        lambda: holder.refines(role, seconds), lambda: clear.refines(role, seconds)
    )
    table.rates("Refine with mTLS, token and Role, 32 callers", ours, "without", theirs, "≥ 0.9")


async def pages(ledgers: Ledgers, table: Table) -> None:
    """Pages of a caller whose Role has many rules, against those of one who may read everything."""
    root = ledgers.caller(_ROOT)
    whole, _ = await ledgers.holder("reader", rule("paged/**", "read"))
    half, _ = await ledgers.holder("half-reader", rule("paged/seen/**", "read"))
    after = await _paged(root)
    for who, which in ((whole, "all readable"), (half, "every other one hidden")):
        ours, theirs = await table.pair(partial(who.page, after), partial(root.page, after))
        what = f"ListVibes, {PAGE:,} whole, a Role of {RULES} rules, {which}"
        table.times(what, ours, "who may read everything", theirs, "≥ 0.77")


async def _paged(root: Caller) -> int:
    """Refine two pages of RECORDs, under two prefixes in turn; give the position in front of them."""
    first = 0
    for page in range(2):
        request = refine_request()
        draft = request.drafts.pop()
        for number in range(PAGE):
            draft.id = f"paged/{('seen', 'hidden')[number % 2]}/{page}/{number}"
            request.drafts.add().CopyFrom(draft)
        made = await root.refine(request)
        first = first or made.refinement.position
    return first - 1


@contextlib.asynccontextmanager
async def _serving(database_url: str) -> AsyncIterator[Ledgers]:
    """Both ledgers, each a process of its own."""
    with tempfile.TemporaryDirectory(prefix="refinery-bench-") as folder:
        certificates = Secured.prepared(Path(folder), HERE[0])
        clear, secured = (f"127.0.0.1:{free_port()}" for _ in range(2))
        database = {"REFINERY_DATABASE_URL": database_url}
        of_clear = in_the_clear() | not_asked() | {"REFINERY_AUTH": "none", "REFINERY_ROOT": ""}
        of_secured = certificates.of_services() | {"REFINERY_ROOT": f"jwt:{ISSUER}#{_ROOT}"}
        with (
            running("ledger_service", database | of_clear | {"REFINERY_LISTEN": clear}),
            running("ledger_service", database | of_secured | {"REFINERY_LISTEN": secured}),
        ):
            options = (("grpc.max_receive_message_length", 8 << 20),)
            async with (
                grpc.aio.insecure_channel(clear, options=options) as first,
                grpc.aio.secure_channel(secured, certificates.credentials(), options=options) as second,
            ):
                async with asyncio.timeout(START_SECONDS):
                    await first.channel_ready()
                    await second.channel_ready()
                yield Ledgers(
                    pb_grpc.LedgerServiceStub(first), pb_grpc.LedgerServiceStub(second), certificates
                )


def rule(ids: str, *verbs: str) -> Rule:
    return {"do": [*verbs], "ids": [ids], **_NARROW}


def _small(author: str) -> pb.RefineRequest:
    request = refine_request()
    request.author_ref = author
    return request
