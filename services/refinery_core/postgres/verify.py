"""The ledger proves itself: everything that can be derived is derived again from the rows, and compared.

Digests and chain are computed here in Python, not by the SQL that wrote them. What is not found is a
tail cut off whole, unless somebody kept a position and its chain: that is what `expect` is for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from refinery_core.postgres.queries import QUERIES
from refinery_core.vibe import digests, documents
from refinery_core.vibe.refs import AugUri, Ref, RefFault

CHUNK = 500
_NEVER_US = 2**63 - 1

Row = Mapping[str, Any]
Progress = Callable[[int, int], None]
"""Is told how many refinements of how many are done."""

_WHOLE = (
    ("verify_stray_vibes", "vibe", "stands at a position without refinement"),
    ("verify_stray_edges", "edge", "comes from a Vibe that does not exist"),
    ("verify_branch_index", "branch index", "differs from the Vibe"),
    ("verify_numbers", "revision", "does not follow the number before it"),
    ("verify_types", "type", "changes from one version to another"),
    ("verify_branches", "branch", "differs from the Vibe that records it"),
)
"""What one query over everything finds: query, kind, sentence."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where the rows do not agree with themselves."""

    kind: str
    place: str
    sentence: str


@dataclass(slots=True)
class Report:
    """What was looked at, where the ledger ends, and what was found."""

    position: int = 0
    chain: bytes = digests.BEFORE_THE_FIRST
    vibes: int = 0
    edges: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def find(self, kind: str, place: object, sentence: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(kind, str(place), sentence))


async def verify(
    url: str, *, expect: tuple[int, bytes] | None = None, progress: Progress = lambda _done, _all: None
) -> Report:
    """
    Derive every digest, chain link, ref, edge and pin again from one snapshot of the rows, and compare.

    Args:
        url: postgresql://… of any role that may read; the reader's suffices.
        expect: A position and the chain that was answered for it once.
        progress: Is told how far it came.
    """
    connection = await asyncpg.connect(url, server_settings={"search_path": "pg_catalog", "jit": "off"})
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            report = Report()
            last = await connection.fetchval(QUERIES["last_position"]) or 0
            state = _State(report, expect)
            while rows := await connection.fetch(QUERIES["verify_refinements"], state.position, CHUNK):
                await _verify_chunk(connection, state, rows)
                progress(min(state.position, last), last)
            for query, kind, sentence in _WHOLE:
                for row in await connection.fetch(QUERIES[query]):
                    report.find(kind, row["place"], sentence)
            if expect is not None and not state.met:
                report.find(
                    "tail", f"position {expect[0]}", f"is missing: the ledger ends at {report.position}"
                )
            return report
    finally:
        await connection.close()


@dataclass(slots=True)
class _State:
    """Where the walk along the chain is, and whether it has met the position that is expected."""

    report: Report
    expect: tuple[int, bytes] | None
    met: bool = False
    position: int = 0
    time_us: int = -(2**62)


async def _verify_chunk(connection: asyncpg.Connection, state: _State, refinements: Sequence[Row]) -> None:
    first, last = refinements[0]["position"], refinements[-1]["position"]
    vibes = await connection.fetch(QUERIES["verify_vibes"], first, last)
    edges = await connection.fetch(QUERIES["verify_edges"], [vibe["ref"] for vibe in vibes])
    by_position = {
        at: list(group) for at, group in itertools.groupby(vibes, key=lambda vibe: vibe["position"])
    }
    inputs = {row["position"]: row for row in refinements}
    derived = {vibe["ref"]: _derive(vibe, inputs.get(vibe["position"])) for vibe in vibes}
    wanted = {edge[0] for expected in derived.values() for edge in expected}
    known = {row["ref"]: row for row in await connection.fetch(QUERIES["verify_digests"], list(wanted))}
    _compare_edges(state.report, vibes, derived, edges)
    for row in refinements:
        made = by_position.get(row["position"], [])
        _verify_refinement(state, row, made)
        for ordinal, vibe in enumerate(made):
            _verify_vibe(state.report, row, vibe, ordinal)
            _verify_digest(state.report, row, vibe, {edge[0] for edge in derived[vibe["ref"]]}, known)


# --- Refinements --------------------------------------------------------------------------


def _verify_refinement(state: _State, row: Row, made: Sequence[Row]) -> None:
    report, position = state.report, row["position"]
    place = f"position {position}"
    if position != state.position + 1:
        report.find("position", place, f"follows {state.position}: what was between is missing")
    time_us = _time_us(row["time"])
    if time_us < state.time_us:
        report.find("time", place, "is before the time of the position before it")
    if row["id"] != digests.refinement_id(row["request_id"]):
        report.find("refinement", place, "has an id that does not come from its request_id")
    if not made:
        report.find("refinement", place, "has no Vibes")
    chain = digests.chain(
        previous=report.chain,
        position=position,
        time_us=time_us,
        principal=row["principal"],
        request_id=row["request_id"],
        request_digest=row["request_digest"],
        digests=[vibe["digest"] for vibe in made],
    )
    if chain != row["chain"]:
        report.find("chain", place, "does not follow from the chain before it and the refinement")
    if state.expect is not None and state.expect[0] == position:
        state.met = True
        if state.expect[1] != row["chain"]:
            report.find("chain", place, "is not the chain that was expected: what is before it was changed")
    # The stored link is carried on, so that one edit is one finding.
    report.position, report.chain = position, row["chain"]
    state.position, state.time_us = position, time_us


def _time_us(time: datetime) -> int:
    # The driver's infinity is a time without an offset.
    return digests.time_us(time) if time.tzinfo else _NEVER_US


# --- Vibes --------------------------------------------------------------------------------


def _verify_vibe(report: Report, refinement: Row, vibe: Row, ordinal: int) -> None:
    ref = vibe["ref"]
    report.vibes += 1
    if vibe["refinement_id"] != refinement["id"] or vibe["ordinal"] != ordinal:
        report.find("vibe", ref, "does not belong to the refinement at its position")
    if vibe["author_ref"] != refinement["author_ref"]:
        report.find("author", ref, "has another author than its refinement")
    if not vibe["branches"] or ref != f"{vibe['branches'][0]}@{vibe['id']}?{vibe['revision']}":
        report.find("ref", ref, "is not made of the branch, id and revision")
    if _content_digest(vibe) != vibe["content_digest"]:
        report.find("content", ref, "does not have the content that its content_digest was made over")
    if sorted(vibe["schema_refs"]) != sorted({written for written, _ in _pins(vibe)}):
        report.find("schema_refs", ref, "does not list the references of its schema")
    for written, pin in _pins(vibe):
        if not _is_version_of(pin, written):
            report.find("pin", ref, f"pins '{written}' to '{pin}', which is not a version of it")


def _verify_digest(
    report: Report, refinement: Row, vibe: Row, named: set[str], known: Mapping[str, Row]
) -> None:
    ref = vibe["ref"]
    for name in named - {ref}:
        if name not in known:
            report.find("edge", ref, f"refers to '{name}', which does not exist")
            return
        if (known[name]["position"], known[name]["ordinal"]) >= (vibe["position"], vibe["ordinal"]):
            report.find("edge", ref, f"refers to '{name}', which is not older")
    author = known.get(vibe["author_ref"], vibe)
    if author["type"] not in ("ROLE", "PROCESS"):
        report.find("author", ref, f"was made by a {author['type']}")
    digest = digests.vibe_digest(
        type=vibe["type"],
        ref=ref,
        branches=vibe["branches"],
        author_ref=vibe["author_ref"],
        prototype_ref=vibe["prototype_ref"],
        target_refs=refinement["target_refs"],
        instruction_refs=refinement["instruction_refs"],
        budget_refs=refinement["budget_refs"],
        content_digest=vibe["content_digest"],
        referred={name: known[name]["digest"] for name in named - {ref}},
    )
    if digest != vibe["digest"]:
        report.find("digest", ref, "does not follow from the Vibe and what it refers to")


def _content_digest(vibe: Row) -> bytes | None:
    try:
        texts = [
            None if vibe[name] is None else documents.restore(vibe[name]).text
            for name in ("context", "schema", "solution")
        ]
    except documents.DocumentFault:
        return None
    return digests.content_digest(*texts)


# --- Edges and pins -----------------------------------------------------------------------


def _derive(vibe: Row, refinement: Row | None) -> set[tuple[Any, ...]]:
    """The edges that a Vibe must have: (to, type, floating)."""
    edges: set[tuple[Any, ...]] = {(vibe["author_ref"], "author", False)}
    if vibe["prototype_ref"] is not None:
        edges.add((vibe["prototype_ref"], "prototype", False))
    if refinement is not None:
        for kind in ("target", "instruction", "budget"):
            edges.update((ref, kind, False) for ref in refinement[f"{kind}_refs"])
    floating: dict[str, bool] = {}
    for written, pin in _pins(vibe):
        floating[pin] = floating.get(pin, False) or "?" not in written.partition("#")[0]
    edges.update((pin, "schema", floats) for pin, floats in floating.items())
    return edges


def _pins(vibe: Row) -> list[tuple[str, str]]:
    if vibe["schema"] is None or '"$refResolved"' not in vibe["schema"]:
        return []
    return list(_find_pins(orjson.loads(vibe["schema"])))


def _find_pins(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        pin = value.get("$refResolved")
        if isinstance(pin, str):
            yield str(value.get("$ref", value.get("$refOriginal"))), pin
        for part in value.values():
            yield from _find_pins(part)
    elif isinstance(value, list):
        for part in value:
            yield from _find_pins(part)


def _is_version_of(pin: str, written: str) -> bool:
    try:
        ref, uri = Ref.parse(pin), AugUri.parse(written)
    except RefFault:
        return False
    return ref.id == uri.id and uri.revision in (None, ref.revision)


def _compare_edges(
    report: Report, vibes: Sequence[Row], derived: Mapping[str, set[tuple[Any, ...]]], edges: Sequence[Row]
) -> None:
    expected = {
        (vibe["ref"], *edge, vibe["position"], *_edge_columns(vibe["ref"], edge[0]))
        for vibe in vibes
        for edge in derived[vibe["ref"]]
    }
    stored = {tuple(edge) for edge in edges}
    report.edges += len(stored)
    for edge in sorted(expected - stored):
        report.find(
            "edge", f"{edge[0]} → {edge[1]}", f"is missing, or is not the {edge[2]} edge that it must be"
        )
    for edge in sorted(stored - expected):
        report.find("edge", f"{edge[0]} → {edge[1]}", f"is no {edge[2]} edge of the Vibe")


def _edge_columns(from_: str, to: str) -> tuple[str, str, int, str, int]:
    try:
        source, target = Ref.parse(from_), Ref.parse(to)
    except RefFault:
        return ("", "", 0, "", 0)
    return (source.branch, source.id, source.revision, target.id, target.revision)
