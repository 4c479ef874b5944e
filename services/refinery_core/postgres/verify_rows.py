"""Derives what the rows of a ledger must say from each other: pure, apart from the SQL that wrote them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from refinery_core.vibe import digests, documents
from refinery_core.vibe.refs import AugUri, Ref, RefFault

KEPT = 1_000
"""Findings of one kind that a report lists; it counts them all."""

_NEVER_US = 2**63 - 1
_INPUTS = ("target", "instruction", "budget")

Row = Mapping[str, Any]
Edge = tuple[str, str, bool]
"""To, type, floating."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where the rows do not agree with themselves."""

    kind: str
    place: str
    sentence: str


@dataclass(slots=True)
class Report:
    """The rows looked at, the end of them, and the findings: `found` counts by kind, `findings` lists."""

    ledger: str = ""
    """Which ledger it was, as a UUID."""
    position: int = 0
    chain: bytes = b""
    vibes: int = 0
    edges: int = 0
    genesis: list[str] = field(default_factory=list)
    """The principals that acted as system/genesis: REFINERY_ROOT has to name them."""
    findings: list[Finding] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found."""
        return not self.found

    def find(self, kind: str, place: object, sentence: str) -> None:
        """Note a finding."""
        self.found[kind] += 1
        if self.found[kind] <= KEPT:
            self.findings.append(Finding(kind, str(place), sentence))

    def add(self, next_: Report) -> None:
        """Take over what the report on the stretch behind this one says."""
        self.position, self.chain = next_.position, next_.chain
        self.vibes += next_.vibes
        self.edges += next_.edges
        self.genesis = sorted({*self.genesis, *next_.genesis})
        for finding in next_.findings:
            self.find(finding.kind, finding.place, finding.sentence)
        for kind, count in next_.found.items():
            self.found[kind] += max(0, count - KEPT)


# --- Refinements --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Link:
    """The end of the chain so far, as it is stored: so one edit is one finding."""

    position: int
    chain: bytes
    time_us: int

    @classmethod
    def before_all(cls, ledger: UUID) -> Link:
        """The chain value before position 1."""
        return cls(0, digests.origin(ledger), -(2**62))

    @classmethod
    def of(cls, row: Row) -> Link:
        """The link that a refinement adds."""
        time_us = row["time_us"]
        return cls(row["position"], row["chain"], _NEVER_US if time_us is None else time_us)


def verify_refinement(report: Report, before: Link, row: Row, made: Sequence[bytes]) -> Link:
    """Compare a refinement with the link before it and the digests of the Vibes it made."""
    link = Link.of(row)
    place = f"position {link.position}"
    if link.position != before.position + 1:
        report.find("position", place, f"follows {before.position}: what was between is missing")
    if link.time_us < before.time_us:
        report.find("time", place, "is before the time of the position before it")
    if row["id"] != digests.refinement_id(row["request_id"]):
        report.find("refinement", place, "has an id that does not come from its request_id")
    if not made:
        report.find("refinement", place, "has no Vibes")
    chain = digests.chain(
        previous=before.chain,
        position=link.position,
        time_us=link.time_us,
        principal=row["principal"],
        request_id=row["request_id"],
        request_digest=row["request_digest"],
        digests=made,
    )
    if chain != link.chain:
        report.find("chain", place, "does not follow from the chain before it and the refinement")
    report.position, report.chain = link.position, link.chain
    return link


# --- Vibes --------------------------------------------------------------------------------


class Derived:
    """A Vibe, and what follows from it and the inputs of its refinement, if it has one."""

    __slots__ = ("edges", "inputs", "pins", "vibe")

    def __init__(self, vibe: Row, inputs: Row | None) -> None:
        self.vibe = vibe
        self.inputs = inputs
        self.pins = _pins(vibe["schema"])
        self.edges = set(self._edges())
        """Those that it must have."""

    @property
    def named(self) -> set[str]:
        """The refs of what it refers to, but for itself (genesis is its own author)."""
        return {to for to, _, _ in self.edges} - {self.vibe["ref"]}

    def _edges(self) -> Iterator[Edge]:
        yield self.vibe["author_ref"], "author", False
        if self.vibe["prototype_ref"] is not None:
            yield self.vibe["prototype_ref"], "prototype", False
        if self.inputs is not None:
            for kind in _INPUTS:
                yield from ((ref, kind, False) for ref in self.inputs[kind])
        floating: dict[str, bool] = {}
        for written, pin in self.pins:
            floating[pin] = floating.get(pin, False) or "?" not in written.partition("#")[0]
        yield from ((pin, "schema", floats) for pin, floats in floating.items())


def verify_vibe(report: Report, refinement: Row, derived: Derived, ordinal: int) -> None:
    """Compare a Vibe with its refinement and with itself."""
    vibe, ref = derived.vibe, derived.vibe["ref"]
    if vibe["refinement_id"] != refinement["id"] or vibe["ordinal"] != ordinal:
        report.find("vibe", ref, "does not belong to the refinement at its position")
    if vibe["author_ref"] != refinement["author_ref"]:
        report.find("author", ref, "has another author than its refinement")
    if not vibe["branches"] or ref != f"{vibe['branches'][0]}@{vibe['id']}?{vibe['revision']}":
        report.find("ref", ref, "is not made of the branch, id and revision")
    if _content_digest(vibe) != vibe["content_digest"]:
        report.find("content", ref, "does not have the content that its content_digest was made over")
    if sorted(vibe["schema_refs"]) != sorted({written for written, _ in derived.pins}):
        report.find("schema_refs", ref, "does not list the references of its schema")
    for written, pin in derived.pins:
        if not _is_version_of(pin, written):
            report.find("pin", ref, f"pins '{written}' to '{pin}', which is not a version of it")


def verify_digest(report: Report, derived: Derived, known: Mapping[str, Row]) -> None:
    """Compare a Vibe's digest with the Vibe and the digests of what it refers to, which must be older."""
    vibe, ref, named = derived.vibe, derived.vibe["ref"], derived.named
    assert derived.inputs is not None
    for name in named:
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
        target_refs=derived.inputs["target"],
        instruction_refs=derived.inputs["instruction"],
        budget_refs=derived.inputs["budget"],
        content_digest=vibe["content_digest"],
        referred={name: known[name]["digest"] for name in named},
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


def _pins(schema: str | None) -> list[tuple[str, str]]:
    """The references of a schema as (written, pin); none where it is no document."""
    if schema is None or '"$refResolved"' not in schema:
        return []
    try:
        return list(_find_pins(orjson.loads(schema)))
    except orjson.JSONDecodeError:
        return []


def _find_pins(document: Any) -> Iterator[tuple[str, str]]:
    parts = [document]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            pin = part.get("$refResolved")
            if isinstance(pin, str):
                yield str(part.get("$ref", part.get("$refOriginal"))), pin
            parts.extend(part.values())
        elif isinstance(part, list):
            parts.extend(part)


def _is_version_of(pin: str, written: str) -> bool:
    try:
        ref, uri = Ref.parse(pin), AugUri.parse(written)
    except RefFault:
        return False
    return ref.id == uri.id and uri.revision in (None, ref.revision)


# --- Edges --------------------------------------------------------------------------------


def compare_edges(report: Report, derived: Iterable[Derived], edges: Sequence[Row]) -> None:
    """Compare the edges that stand for some Vibes with those that must."""
    expected = {
        (each.vibe["ref"], *edge, each.vibe["position"], *_edge_columns(each.vibe["ref"], edge[0]))
        for each in derived
        for edge in each.edges
    }
    stored = {tuple(edge.values()) for edge in edges}
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
