"""Bad calls are refused with a reason; no service is called, and nothing is written."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from refinery.process.v1 import process_service_pb2 as pb
from refinery.vibe.v1.vibe_pb2 import Document
from tests.cases.bad_input.fields import EVIL, STRINGS, filled, ways
from tests.cases.bad_input.rows import (
    DOCUMENT,
    FIELD,
    MALFORMED,
    NO_BRANCH,
    NO_VIBE,
    NOT_AN_AUTHOR,
    REFERENCE,
    REQUEST_ID,
    UNKNOWN_REFERENCE,
)
from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import Processes
from tests.support.calls import Answer, call, check, raw

PATH = "/refinery.process.v1.ProcessService/CallCapability"
GOOD: dict[str, Any] = {
    "request_id": REQUEST_ID,
    "capability": "aug:/capabilities/x",
    "author_ref": AUTHOR,
    "branch": "main",
    "input": Document(json='{"n": 1}'),
}
RANDOM_MESSAGES = 60

ROWS: list[tuple[dict[str, Any], str, dict[str, str]]] = [
    ({"request_id": ""}, FIELD, {"field": "request_id"}),
    ({"request_id": "1"}, FIELD, {"field": "request_id"}),
    ({"capability": ""}, FIELD, {"field": "capability"}),
    ({"capability": "capabilities/x"}, REFERENCE, {"field": "capability"}),
    ({"capability": "aug:/x?0"}, REFERENCE, {"field": "capability"}),
    ({"capability": "aug:/x#/call"}, REFERENCE, {"field": "capability"}),
    ({"capability": "aug:/" + "x" * 600}, REFERENCE, {"field": "capability"}),
    ({"capability": "main@capabilities/x?2"}, NO_VIBE, {"reference": "aug:main@capabilities/x?2"}),
    ({"author_ref": ""}, FIELD, {"field": "author_ref"}),
    ({"author_ref": "aug:roles/local"}, REFERENCE, {"field": "author_ref"}),
    ({"author_ref": "main@roles/nobody?1"}, UNKNOWN_REFERENCE, {"field": "author_ref"}),
    ({"author_ref": "aug:/capabilities/x"}, NOT_AN_AUTHOR, {"type": "CAPABILITY"}),
    ({"branch": "a//b"}, FIELD, {"field": "branch"}),
    ({"branch": "nowhere"}, NO_BRANCH, {"branch": "nowhere"}),
    ({"input": Document()}, DOCUMENT, {"field": "input"}),
    ({"input": Document(json="")}, DOCUMENT, {"field": "input"}),
    ({"input": Document(json="{")}, DOCUMENT, {"field": "input"}),
    ({"input": Document(json='{"a": 1, "a": 2}')}, DOCUMENT, {"field": "input"}),
    ({"input": Document(json='{"a": NaN}')}, DOCUMENT, {"field": "input"}),
    ({"input": Document(json='{"a": "\\u0000"}')}, DOCUMENT, {"field": "input"}),
    ({"input": Document(json='{"a": 18446744073709551616}')}, DOCUMENT, {"field": "input"}),
    ({"input": Document(json="[" * 65 + "]" * 65)}, DOCUMENT, {"field": "input"}),
    ({"input": Document(json=f'"{"x" * (1 << 20)}"')}, DOCUMENT, {"field": "input"}),
]


class Send:
    """Sends messages to the service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self.called: list[Any] = []

    async def __call__(self, request: Any) -> Answer:
        return await call(self._channel, PATH, raw(request))


@pytest.fixture
async def send(processes: Processes) -> AsyncIterator[Send]:
    """Sends; afterwards it looks that nothing was written."""
    await processes.capability({"call": "python", "with": {"function": "tests.note"}})
    before = await processes.services.rows("select max(position) from refinery.refinements")
    async with grpc.aio.insecure_channel(processes.address) as channel:
        send = Send(channel)
        processes.functions["tests.note"] = lambda arguments, _: send.called.append(arguments)
        yield send
    assert await processes.services.rows("select max(position) from refinery.refinements") == before


async def test_a_bad_call_is_refused_by_name(send: Send) -> None:
    assert (await send(pb.CallCapabilityRequest(**GOOD))).code == "OK"
    send.called.clear()
    for change, expected, details in ROWS:
        answer = await send(pb.CallCapabilityRequest(**GOOD | change))
        check(answer)
        assert answer.name == expected, (change, answer)
        assert details.items() <= answer.metadata.items(), answer
    assert (await send(b"\xff")).name == MALFORMED
    assert send.called == []


async def test_every_text_field_takes_whatever_is_written_in_it(send: Send) -> None:
    good = pb.CallCapabilityRequest(**GOOD)
    for way in ways(good.DESCRIPTOR, STRINGS):
        for evil in EVIL:
            answer = await send(filled(good, way, evil))
            check(answer, echo=evil)
            assert answer.code != "OK"
    assert send.called == []


async def test_random_bytes_are_refused(send: Send) -> None:
    chance, good = random.Random(PATH), raw(pb.CallCapabilityRequest(**GOOD))
    for _ in range(RANDOM_MESSAGES):
        changed = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        for message in (chance.randbytes(chance.randrange(1, 200)), bytes(changed)):
            answer = await send(message)
            check(answer, echo=answer.message)
