"""Bad input of every kind is refused by name, writes nothing, and leaves the services running."""

from __future__ import annotations

import asyncio
import base64
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import grpc
import orjson
import pytest
from google.protobuf.descriptor import FieldDescriptor

from refinery.ledger.v1 import ledger_service_pb2 as ledger
from refinery.resolver.v1 import resolver_service_pb2 as resolver
from refinery_local.postgres import EmbeddedPostgres
from tests.cases.bad_input import documents, names, numbers, schemas
from tests.cases.bad_input.fields import ENUMS, EVIL, GOOD, NUMBERS, STRINGS, filled, ways, written
from tests.cases.bad_input.rows import AUTHOR, Row, document, refine_schema, seeds
from tests.support.calls import LEDGER, METHODS, OPTIONS, Answer, call, check, raw
from tests.support.processes import ServiceProcess

ROWS = names.ROWS + documents.ROWS + schemas.ROWS + numbers.ROWS
GROWTH_BYTES = 256 << 20
RANDOM_MESSAGES = 40

Send = Callable[..., Awaitable[Answer]]


@dataclass(frozen=True)
class Services:
    """Both services as processes, and the database behind them."""

    ledger: ServiceProcess
    resolver: ServiceProcess
    owner_url: str
    resident_bytes: int
    """The memory of both services before."""

    @property
    def both(self) -> tuple[ServiceProcess, ServiceProcess]:
        return self.ledger, self.resolver


@pytest.fixture(scope="module")
def services(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("services")
    name = "bad_input"
    asyncio.run(_execute(postgres.url("postgres"), f"create database {name} template {template}"))
    both = [
        ServiceProcess(module, postgres.url(name, role), folder / f"{module}.log")
        for module, role in (("ledger_service", "refinery_app"), ("resolver_service", "refinery_reader"))
    ]
    try:
        for process in both:
            process.start()
        asyncio.run(_prepare(both))
        before = sum(process.resident_bytes for process in both)
        yield Services(both[0], both[1], postgres.url(name), before)
    finally:
        for process in both:
            process.kill()
        asyncio.run(_execute(postgres.url("postgres"), f"drop database {name} with (force)"))


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def _prepare(both: Sequence[ServiceProcess]) -> None:
    for process in both:
        await process.ready()
    async with grpc.aio.insecure_channel(both[0].address) as channel:
        branch = ledger.CreateBranchRequest(
            request_id="00000000-0000-4000-8000-0000000000bb", author_ref=AUTHOR, name="dev"
        )
        assert (await call(channel, "CreateBranch", raw(branch))).code == "OK"
        for request in seeds():
            answer = await call(channel, "Refine", raw(request))
            assert answer.code == "OK", answer


@pytest.fixture
async def send(services: Services) -> AsyncIterator[Send]:
    """Sends to whichever service has the method; afterwards it looks that nothing was written."""
    async with (
        grpc.aio.insecure_channel(services.ledger.address, OPTIONS) as to_ledger,
        grpc.aio.insecure_channel(services.resolver.address, OPTIONS) as to_resolver,
    ):
        before = await _last_position(services.owner_url)

        async def send(method: str, request: Any, sent: Sequence[tuple[str, str]] = ()) -> Answer:
            theirs = method in METHODS and METHODS[method].containing_service is not LEDGER
            return await call(to_resolver if theirs else to_ledger, method, raw(request), sent)

        yield send
        assert await _last_position(services.owner_url) == before


async def _last_position(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("select max(position) from refinery.refinements"))
    finally:
        await connection.close()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.claim}")
async def test_bad_input_is_refused_by_name(send: Send, row: Row) -> None:
    answer = await send(row.method, row.request, row.sent)
    check(answer)
    assert answer.name == row.expected, answer
    assert row.details.items() <= answer.metadata.items(), answer
    if isinstance(row.request, ledger.RefineRequest) and answer.reason:
        assert await send("RefineStream", ledger.RefineStreamRequest(refine=row.request)) == answer
        row.request.validate_only = True
        assert await send("Refine", row.request) == answer


def test_there_are_rows_enough() -> None:
    assert len(ROWS) >= 100
    assert {row.method for row in ROWS} | {"RefineStream"} >= METHODS.keys() == GOOD.keys()


# --- What no row can foresee: every field of the contract, and every byte ------------------


@pytest.mark.parametrize("method", METHODS)
async def test_good_requests_are_good(send: Send, method: str) -> None:
    expected = {"WatchVibes": "OUT_OF_RANGE", "CreateBranch": "ALREADY_EXISTS"}.get(method, "OK")
    assert (await send(method, GOOD[method])).code == expected


@pytest.mark.parametrize("method", METHODS)
async def test_every_text_field_takes_whatever_is_written_in_it(send: Send, method: str) -> None:
    for way in ways(GOOD[method].DESCRIPTOR, STRINGS):
        for evil in EVIL:
            check(await send(method, filled(GOOD[method], way, evil)), echo=evil)


@pytest.mark.parametrize("method", METHODS)
async def test_every_enum_refuses_a_number_that_is_not_in_it(send: Send, method: str) -> None:
    for way in ways(GOOD[method].DESCRIPTOR, ENUMS):
        for number in (99, -1, 2**31 - 1):
            answer = await send(method, filled(GOOD[method], way, number))
            check(answer)
            assert answer.name == "INVALID_ARGUMENT INVALID_FIELD", (written(way), number)
            assert answer.metadata["field"].startswith(way[-1].name) or len(way) > 1


@pytest.mark.parametrize("method", METHODS)
async def test_every_number_takes_the_smallest_and_the_largest(send: Send, method: str) -> None:
    for way in ways(GOOD[method].DESCRIPTOR, NUMBERS):
        bits = 31 if way[-1].type == FieldDescriptor.TYPE_INT32 else 63
        for number in (-(2**bits), -1, 0, 2**bits - 1):
            answer = await send(method, filled(GOOD[method], way, number))
            check(answer)
            assert number >= 0 or answer.name == "INVALID_ARGUMENT INVALID_FIELD", (written(way), answer)


@pytest.mark.parametrize("method", METHODS)
async def test_random_bytes_are_refused(send: Send, method: str) -> None:
    """Bytes of chance alone, and good messages with some bytes changed. Nothing can come of a Refine."""
    chance = random.Random(method)
    good = raw(GOOD[method])
    for _ in range(RANDOM_MESSAGES):
        message = chance.randbytes(chance.randrange(1, 200))
        if method not in {"Refine", "CreateBranch"} and good and chance.random() < 0.7:
            changed = bytearray(good)
            for _ in range(chance.randrange(1, 4)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            message = bytes(changed)
        answer = await send(method, message)
        check(answer, echo=answer.message)


# --- Page tokens that were given out, and then changed -------------------------------------

LISTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ListVibes": (ledger.ListVibesRequest(), {"type": 1}),
    "ListVibes under a prefix": (ledger.ListVibesRequest(id_prefix="deep/"), {"id_prefix": "large/"}),
    "ListVibes of a branch": (ledger.ListVibesRequest(branch="main", latest_only=True), {"branch": "dev"}),
    "ListVibes of an author": (ledger.ListVibesRequest(author_ref=AUTHOR), {"branch": "main"}),
    "ListRevisions": (ledger.ListRevisionsRequest(id="schemas/twice"), {"id": "schemas/user"}),
    "ListRefinements": (ledger.ListRefinementsRequest(), {"after_position": 1}),
    "ListBranches": (ledger.ListBranchesRequest(), {"name_prefix": "d"}),
    "ListDependencies": (
        resolver.ListDependenciesRequest(reference="aug:/deep/9", transitive=True),
        {"transitive": False},
    ),
    "ListDependents": (
        resolver.ListDependentsRequest(reference="aug:/deep/1", transitive=True),
        {"any_revision": True},
    ),
}


@pytest.mark.parametrize("name", LISTS)
async def test_a_page_token_that_was_changed_is_refused(services: Services, send: Send, name: str) -> None:
    request, other_filter = LISTS[name]
    request.page_size = 1
    method = name.partition(" ")[0]
    token = await _next_page_token(services, method, request)
    for forged in _forgeries(token):
        request.page_token = forged
        answer = await send(method, request)
        check(answer)
        assert answer.name in {"OK", "INVALID_ARGUMENT INVALID_PAGE_TOKEN"}, forged
    request.page_token = token
    assert (await send(method, request)).code == "OK"
    for field, value in other_filter.items():
        setattr(request, field, value)
    assert (await send(method, request)).name == "INVALID_ARGUMENT INVALID_PAGE_TOKEN"


async def _next_page_token(services: Services, method: str, request: Any) -> str:
    service = METHODS[method].containing_service
    process = services.ledger if service is LEDGER else services.resolver
    async with grpc.aio.insecure_channel(process.address) as channel:
        ask: Any = channel.unary_unary(f"/{service.full_name}/{method}")
        answer = await ask(request.SerializeToString())
    module = ledger if service is LEDGER else resolver
    token = getattr(module, f"{method}Response").FromString(answer).next_page_token
    assert token
    return str(token)


def _forgeries(token: str) -> Iterator[str]:
    """The token with each part of it replaced by a wrong one."""
    sealed = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    evils: list[Any] = [-1, 2**31, 2**62, 2**64 - 1, 1.5, None, "\0", "x" * 600, "\x7f", [], {}]
    for evil in evils:
        for place in range(len(sealed)):
            yield _sealed([evil if at == place else part for at, part in enumerate(sealed)])
        for place in range(len(sealed[2])):
            yield _sealed([*sealed[:2], [evil if at == place else part for at, part in enumerate(sealed[2])]])
    yield _sealed([*sealed[:2], sealed[2] * 2])


def _sealed(parts: list[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).rstrip(b"=").decode()


# --- Nothing is fetched, and nothing is the worse for it -----------------------------------


async def test_no_schema_makes_anybody_call_anywhere(send: Send) -> None:
    one = document({"a": 1})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        there = f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"
        for schema in (
            {"$ref": there},
            {"$ref": f"{there}#/$defs/a"},
            {"$dynamicRef": there},
            {"$schema": there},
            {"$id": there, "items": {"$ref": "other.json"}},
            {"$id": there, "$schema": there},
            {"properties": {"a": {"$ref": there.replace("http:", "")}}},
            {"$schema": "http://json-schema.org/draft-07/schema#", "$ref": there},
            {"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveRef": there},
        ):
            for method, request in (
                ("Refine", refine_schema(schema, solution=one)),
                ("ResolveSchema", resolver.ResolveSchemaRequest(schema=document(schema))),
                ("ValidateSolution", resolver.ValidateSolutionRequest(schema=document(schema), solution=one)),
                ("AnalyzeImpact", resolver.AnalyzeImpactRequest(id="schemas/user", schema=document(schema))),
            ):
                answer = await send(method, request)
                check(answer, echo=there)
                assert answer.reason == "INVALID_SCHEMA", (method, schema)
        with suppress(BlockingIOError):
            listener.accept()
            pytest.fail("somebody called")


async def test_afterwards_the_services_live_and_have_not_grown(services: Services) -> None:
    growth = sum(process.resident_bytes for process in services.both) - services.resident_bytes
    print(f"grown by {growth >> 20} MiB")
    assert growth < GROWTH_BYTES
    for process in services.both:
        await process.ready()
        assert "incident" not in process.log
        assert "Traceback" not in process.log
