"""The public formats: PostgreSQL computes the stored vectors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.cases.vectors import each
from tests.support.store import Store

Vector = dict[str, Any]


def answered(store: Store, sql: str, *arguments: Any) -> Any:
    (answer,) = store.ask({}, (sql, arguments))
    return answer


@each("vibe")
def test_a_vibe_has_this_digest(store: Store, vector: Vector) -> None:
    digest = answered(
        store,
        "select refinery.vibe_digest($1, $2, $3, $4, $5, refinery.lp($6::text[]) || refinery.lp($7::text[])"
        " || refinery.lp($8::text[]), $9, refinery.referred($10, $11))",
        *(vector[name] for name in ("type", "ref", "branches", "author_ref")),
        vector.get("prototype_ref"),
        *(vector[name] for name in ("target_refs", "instruction_refs", "budget_refs")),
        bytes.fromhex(vector["content_digest"]),
        [*vector["referred"]],
        [bytes.fromhex(digest) for digest in vector["referred"].values()],
    )
    assert digest.hex() == vector["digest"]


@each("origin")
def test_a_ledger_has_this_origin(store: Store, vector: Vector) -> None:
    origin = answered(store, "select refinery.origin($1)", UUID(vector["ledger_id"]))
    assert origin.hex() == vector["origin"]


@each("refinement_id")
def test_a_refinement_has_this_id(store: Store, vector: Vector) -> None:
    made = answered(store, "select refinery.refinement_id($1)", UUID(vector["request_id"]))
    assert str(made) == vector["refinement_id"]


@each("chain")
def test_the_chain_has_this_link(store: Store, vector: Vector) -> None:
    link = answered(
        store,
        "select refinery.chain($1, $2, $3, $4, $5, $6, $7)",
        bytes.fromhex(vector["previous"]),
        vector["position"],
        datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=vector["time_us"]),
        vector["principal"],
        UUID(vector["request_id"]),
        bytes.fromhex(vector["request_digest"]),
        [bytes.fromhex(digest) for digest in vector["digests"]],
    )
    assert link.hex() == vector["chain"]
