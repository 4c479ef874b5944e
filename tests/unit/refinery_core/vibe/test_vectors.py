"""The public formats: Python computes the stored vectors."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson

from refinery_core.vibe import digests, documents
from tests.cases.vectors import VECTORS, each

Vector = dict[str, Any]


def texts(vector: Vector) -> list[str | None]:
    return [vector.get(name) for name in ("context", "schema", "solution")]


def test_there_are_vectors_of_every_format() -> None:
    formats = {"canonical", "content", "vibe", "request", "origin", "refinement_id", "chain"}
    assert {name for name, vectors in VECTORS.items() if isinstance(vectors, list)} == formats
    assert sum(len(VECTORS[name]) for name in formats) >= 40


@each("canonical")
def test_a_document_has_this_canonical_form(vector: Vector) -> None:
    assert documents.parse(vector["json"]).text == vector["canonical"]
    assert documents.restore(vector["canonical"]).text == vector["canonical"]


@each("content")
def test_content_has_this_digest(vector: Vector) -> None:
    canonical = [None if text is None else documents.parse(text).text for text in texts(vector)]
    assert canonical == texts(vector)
    assert digests.content_digest(*canonical).hex() == vector["content_digest"]


@each("vibe")
def test_a_vibe_has_this_digest(vector: Vector) -> None:
    digest = digests.vibe_digest(
        type=vector["type"],
        ref=vector["ref"],
        branches=vector["branches"],
        author_ref=vector["author_ref"],
        prototype_ref=vector.get("prototype_ref"),
        target_refs=vector["target_refs"],
        instruction_refs=vector["instruction_refs"],
        budget_refs=vector["budget_refs"],
        content_digest=bytes.fromhex(vector["content_digest"]),
        referred={ref: bytes.fromhex(digest) for ref, digest in vector["referred"].items()},
    )
    assert digest.hex() == vector["digest"]


@each("request")
def test_a_request_has_this_digest(vector: Vector) -> None:
    canonical = documents.parse(orjson.dumps(vector["request"])).text
    assert digests.request_digest(canonical).hex() == vector["request_digest"]


@each("origin")
def test_a_ledger_has_this_origin(vector: Vector) -> None:
    assert digests.origin(UUID(vector["ledger_id"])).hex() == vector["origin"]


@each("refinement_id")
def test_a_refinement_has_this_id(vector: Vector) -> None:
    assert str(digests.refinement_id(UUID(vector["request_id"]))) == vector["refinement_id"]


@each("chain")
def test_the_chain_has_this_link(vector: Vector) -> None:
    link = digests.chain(
        previous=bytes.fromhex(vector["previous"]),
        position=vector["position"],
        time_us=vector["time_us"],
        principal=vector["principal"],
        request_id=UUID(vector["request_id"]),
        request_digest=bytes.fromhex(vector["request_digest"]),
        digests=[bytes.fromhex(digest) for digest in vector["digests"]],
    )
    assert link.hex() == vector["chain"]
