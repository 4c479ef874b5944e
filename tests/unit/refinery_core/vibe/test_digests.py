from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any
from uuid import RFC_4122, UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from refinery_core.vibe.digests import (
    chain,
    content_digest,
    origin,
    refinement_id,
    request_digest,
    time_us,
    vibe_digest,
)

REQUEST_ID = UUID("00000000-0000-8000-8000-000000000001")
A, B = bytes([0xAA]) * 32, bytes([0xBB]) * 32

VIBE: dict[str, Any] = {
    "type": "RECORD",
    "ref": "main@orders/1?2",
    "branches": ["main", "dev/x"],
    "author_ref": "main@roles/buyer?1",
    "prototype_ref": "main@orders/1?1",
    "target_refs": ["main@quotes/7?1"],
    "instruction_refs": [],
    "budget_refs": [],
    "content_digest": bytes.fromhex("11") * 32,
    "referred": {"main@roles/buyer?1": A, "main@orders/1?1": B, "main@quotes/7?1": A, "main@Z?1": B},
}
CHAIN: dict[str, Any] = {
    "previous": bytes(32),
    "position": 1,
    "time_us": 1_767_225_600_000_001,
    "principal": "anonymous",
    "request_id": REQUEST_ID,
    "request_digest": A,
    "digests": [B, A],
}


# The vectors: the bytes as the documentation says, written out, and what SHA-256 makes of them.


def test_content_digest_vector() -> None:
    whole = b'{"context":{"a":1},"schema":true,"solution":"\xc3\xa9"}'
    digest = content_digest('{"a":1}', "true", '"é"')
    assert digest == sha256(whole).digest()
    assert digest.hex() == "c9c9dd5e9420db92aeb27120008e50344f79d04ccb0b38aefed4aa72b1c9b5b7"


def test_vibe_digest_vector() -> None:
    encoded = (
        b"\0\0\0\x10refinery:vibe:v1"
        b"\0\0\0\x06RECORD"
        b"\0\0\0\x0fmain@orders/1?2"
        b"\0\0\0\x02\0\0\0\x04main\0\0\0\x05dev/x"
        b"\0\0\0\x12main@roles/buyer?1"
        b"\0\0\0\x01\0\0\0\x0fmain@orders/1?1"
        b"\0\0\0\x01\0\0\0\x0fmain@quotes/7?1"
        b"\0\0\0\0"
        b"\0\0\0\0" + b"\0\0\0\x20" + b"\x11" * 32 + b"\0\0\0\x04"
        b"\0\0\0\x08main@Z?1\0\0\0\x20"
        + B
        + b"\0\0\0\x0fmain@orders/1?1\0\0\0\x20"
        + B
        + b"\0\0\0\x0fmain@quotes/7?1\0\0\0\x20"
        + A
        + b"\0\0\0\x12main@roles/buyer?1\0\0\0\x20"
        + A
    )
    digest = vibe_digest(**VIBE)
    assert digest == sha256(encoded).digest()
    assert digest.hex() == "52b69621421a4d51b7d10e99faa524bc2f4cc9ce49c7a244db4de9e5a5bbc8fb"


def test_genesis_vector() -> None:
    genesis = "main@system/genesis?1"
    digest = vibe_digest(
        type="ROLE",
        ref=genesis,
        branches=["main"],
        author_ref=genesis,
        prototype_ref=None,
        target_refs=[],
        instruction_refs=[],
        budget_refs=[],
        content_digest=content_digest(None, None, '{"title":"Genesis: the first Role, its own author"}'),
        referred={},
    )
    assert digest.hex() == "6675154176c4599fc58d749b352c1c88a0c210725d9c62cabad4d9304f163404"


def test_chain_vector() -> None:
    encoded = (
        b"\0\0\0\x11refinery:chain:v1"
        b"\0\0\0\x20" + bytes(32) + b"\0\0\0\0\0\0\0\x01"
        b"\x00\x06\x47\x48\x46\x20\x40\x01"
        b"\0\0\0\x09anonymous"
        b"\0\0\0\x10" + REQUEST_ID.bytes + b"\0\0\0\x20" + A + b"\0\0\0\x02\0\0\0\x20" + B + b"\0\0\0\x20" + A
    )
    link = chain(**CHAIN)
    assert link == sha256(encoded).digest()
    assert link.hex() == "dca9c92360167a1ffeaaf29a2b7ec523e1d1bd9824c2e4574045e01393ed42f6"


def test_origin_vector() -> None:
    encoded = b"\0\0\0\x12refinery:origin:v1\0\0\0\x10" + REQUEST_ID.bytes
    assert origin(REQUEST_ID) == sha256(encoded).digest()


def test_request_digest_vector() -> None:
    encoded = b'\0\0\0\x13refinery:request:v1\0\0\0\x0a{"a":"\xc3\xa9"}'
    assert request_digest('{"a":"é"}') == sha256(encoded).digest()


def test_refinement_id_vector() -> None:
    made = refinement_id(REQUEST_ID)
    hashed = sha256(b"\0\0\0\x16refinery:refinement:v1\0\0\0\x10" + REQUEST_ID.bytes).digest()
    assert (made.bytes[:6], made.bytes[7], made.bytes[9:]) == (hashed[:6], hashed[7], hashed[9:16])
    assert str(made) == "447965b4-72b4-81c3-8b6b-1fab355a993c"


@given(st.uuids())
def test_a_refinement_id_is_a_uuid_of_version_8(request_id: UUID) -> None:
    assert refinement_id(request_id).version == 8
    assert refinement_id(request_id).variant == RFC_4122


documents = st.none() | st.sampled_from(["null", "true", "1", '"é"', '{"a":{"\ue000":1},"b":[]}'])


@given(documents, documents, documents)
def test_content_digest_is_that_of_the_canonical_whole(
    context: str | None, schema: str | None, solution: str | None
) -> None:
    whole = {"solution": solution, "schema": schema, "context": context}
    present = {name: json.loads(text) for name, text in whole.items() if text is not None}
    assert content_digest(context, schema, solution) == sha256(rfc8785.dumps(present)).digest()


def test_an_absent_document_is_not_a_null() -> None:
    assert content_digest(None, None, None) != content_digest(None, None, "null")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "ROLE"},
        {"ref": "main@orders/1?3"},
        {"branches": ["dev/x", "main"]},
        {"author_ref": "main@roles/buyer?2"},
        {"prototype_ref": None},
        {"target_refs": [], "instruction_refs": ["main@quotes/7?1"]},
        {"target_refs": [], "budget_refs": ["main@quotes/7?1"]},
        {"content_digest": A},
        {"referred": VIBE["referred"] | {"main@Z?1": A}},
        {"referred": {}},
    ],
    ids=str,
)
def test_a_vibe_digest_commits_to_every_field(change: dict[str, Any]) -> None:
    assert vibe_digest(**VIBE | change) != vibe_digest(**VIBE)


@pytest.mark.parametrize(
    "change",
    [
        {"previous": A},
        {"position": 2},
        {"time_us": 1_767_225_600_000_002},
        {"principal": "ada"},
        {"request_id": UUID(int=2)},
        {"request_digest": B},
        {"digests": [A, B]},
        {"digests": [B]},
    ],
    ids=str,
)
def test_a_chain_commits_to_every_field(change: dict[str, Any]) -> None:
    assert chain(**CHAIN | change) != chain(**CHAIN)


def test_the_order_in_which_referred_vibes_are_found_does_not_matter() -> None:
    backwards = dict(reversed(VIBE["referred"].items()))
    assert vibe_digest(**VIBE | {"referred": backwards}) == vibe_digest(**VIBE)


def test_microseconds_are_exact() -> None:
    assert time_us(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert time_us(datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)) == 1_767_225_600_000_001
    assert (
        time_us(datetime(2026, 1, 1, 2, 0, 0, 1, tzinfo=timezone(timedelta(hours=2))))
        == 1_767_225_600_000_001
    )
    assert time_us(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1
    assert time_us(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == 253_402_300_799_999_999
