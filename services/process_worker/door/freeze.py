"""Freezing: reads all references of a request at one moment, and those that they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from process_worker.door.commands import CallCapability, ExecuteProcess
from process_worker.records.ledger import Ledger
from refinery_client import ABSENT, Vibe
from refinery_client.reading import reading_as
from refinery_core.errors import (
    AuthorNotAllowed,
    Contention,
    ProcessNotExecutable,
    UnknownReference,
    VibeNotFound,
)
from refinery_core.process.checker import read_capability, read_process
from refinery_core.process.faults import ProcessFault
from refinery_core.process.interface import INPUT, schema_of
from refinery_core.process.model import Capability, Process
from refinery_core.process.parts import Reference, ReferenceUse
from refinery_core.vibe.model import VibeType
from refinery_core.vibe.refs import parse_reference

MAX_INPUTS: Final = 400
"""The number of targets and budgets together."""
MAX_REFERENCES: Final = 500
_ROUNDS: Final = 32

_TYPES: Final = {
    ReferenceUse.CAPABILITY: VibeType.CAPABILITY,
    ReferenceUse.PROCESS: VibeType.PROCESS,
    ReferenceUse.ROLE: VibeType.ROLE,
}
"""The types that references have to have; others may have any."""
_OURS: Final = "system/capabilities/"
_AUTHORS: Final = (VibeType.ROLE, VibeType.PROCESS)


@dataclass(frozen=True, slots=True)
class Frozen:
    """The exact refs of an execution, frozen when it starts; `references` has them by the text as written."""

    process: Process
    process_ref: str
    author_ref: str
    target_refs: tuple[str, ...]
    budget_refs: tuple[str, ...]
    references: dict[str, str]
    input_schema: Any = None
    """A schema that refers to the input in the process's schema; None where that has none."""


@dataclass(frozen=True, slots=True)
class FrozenCapability:
    """The exact refs of a call; `references` has them by the text as written."""

    capability_ref: str
    author_ref: str
    references: dict[str, str]


async def freeze(ledger: Ledger, command: ExecuteProcess) -> Frozen:
    """
    Read all references at one moment: of the request, of the process, and of all that it runs and calls.

    Raises:
        VibeNotFound: there is no such process.
        UnknownReference: another reference leads to nothing.
        ProcessNotExecutable: it is no process, or one of its references has the wrong type.
        Contention: the references kept changing.
    """
    named = {"author_ref": command.author_ref}
    for name, references in (("target_refs", command.target_refs), ("budget_refs", command.budget_refs)):
        named |= {f"{name}[{at}]": reference for at, reference in enumerate(references)}
    found = await _find(
        ledger, _Question("process", command.process, VibeType.PROCESS, named, command.branch)
    )
    process_ref = found.ref(command.process)
    await _check_author_reads(ledger, command.author_ref, found, "process")
    return Frozen(
        process=cast("Process", found.document),
        process_ref=process_ref,
        author_ref=found.ref(command.author_ref),
        target_refs=tuple(map(found.ref, command.target_refs)),
        budget_refs=tuple(map(found.ref, command.budget_refs)),
        references=found.references,
        input_schema=schema_of(INPUT, process_ref, found.schema),
    )


async def freeze_capability(ledger: Ledger, command: CallCapability) -> FrozenCapability:
    """
    Read all references at one moment: those of the request, and of the capability.

    Raises:
        VibeNotFound: there is no such capability.
        UnknownReference: another reference leads to nothing.
        AuthorNotAllowed: the author is neither a Role nor a Process.
        ProcessNotExecutable: it is no capability.
        Contention: the references kept changing.
    """
    named = {"author_ref": command.author_ref}
    found = await _find(
        ledger, _Question("capability", command.capability, VibeType.CAPABILITY, named, command.branch)
    )
    author = found.meaning[command.author_ref]
    if author.type not in _AUTHORS:
        raise AuthorNotAllowed(ref=author.ref, type=author.type)
    await _check_author_reads(ledger, command.author_ref, found, "capability")
    return FrozenCapability(found.ref(command.capability), author.ref, found.references)


async def _check_author_reads(ledger: Ledger, author_ref: str, found: _Found, field: str) -> None:
    """
    Check that the author may read all that the execution reads; Roles and our own capabilities are no secret.

    Raises:
        UnknownReference: it may not read one, which is as if that did not exist.
    """
    read = [
        written
        for written, asked in found.wanted.items()
        if found.meaning[asked].type is not VibeType.ROLE and not found.meaning[asked].id.startswith(_OURS)
    ]
    if not read:
        return
    with reading_as(parse_reference(author_ref).id):
        refs = {found.references[written]: written for written in read}
        try:
            await ledger.vibes([f"aug:{ref}" for ref in refs], "main")
        except VibeNotFound as refusal:
            ref = refusal.metadata["reference"].removeprefix("aug:")
            raise UnknownReference(field=field, reference=refs[ref]) from refusal


@dataclass(frozen=True, slots=True)
class _Question:
    """The references of a request: `start`, which leads to more, and the others by their fields."""

    field: str
    start: str
    type: VibeType
    named: Mapping[str, str]
    branch: str


@dataclass(frozen=True, slots=True)
class _Found:
    """All references at one moment; `document` and `schema` are those of the start."""

    document: Process | Capability
    schema: Any
    meaning: Mapping[str, Vibe]
    wanted: Mapping[str, str]

    def ref(self, reference: str) -> str:
        return self.meaning[reference].ref

    @property
    def references(self) -> dict[str, str]:
        return {written: self.ref(self.wanted[written]) for written in sorted(self.wanted)}


async def _find(ledger: Ledger, question: _Question) -> _Found:
    """
    Ask for all references, until the answer leads to no new ones.

    Each answer is of one moment, so the last one has everything.
    """
    documents = _Documents(ledger)
    wanted: dict[str, str] = {}
    for _ in range(_ROUNDS):
        asked = list(dict.fromkeys((question.start, *question.named.values(), *wanted.values())))
        meaning = dict(zip(asked, await _vibes(ledger, asked, question), strict=True))
        start = meaning[question.start]
        if start.type is not question.type:
            raise ProcessNotExecutable(ref=start.ref, problem=f"it is a {start.type}, not a {question.type}")
        wanted = await documents.reach(start, meaning)
        if meaning.keys() >= set(wanted.values()):
            whole, document = await documents.of(start)
            return _Found(document, whole.schema, meaning, wanted)
        if len(wanted) > MAX_REFERENCES:
            problem = f"it leads to more than {MAX_REFERENCES} references"
            raise ProcessNotExecutable(ref=start.ref, problem=problem)
    raise Contention(attempts=_ROUNDS)


async def _vibes(ledger: Ledger, asked: list[str], question: _Question) -> list[Vibe]:
    try:
        return await ledger.vibes(asked, question.branch)
    except VibeNotFound as refusal:
        missing = refusal.metadata["reference"]
        if missing == question.start:
            raise
        fields = (field for field, reference in question.named.items() if reference == missing)
        raise UnknownReference(field=next(fields, question.field), reference=missing) from refusal


@dataclass(frozen=True)
class _Documents:
    """The documents behind references, each read once."""

    ledger: Ledger
    read: dict[str, tuple[Vibe, Process | Capability]] = field(default_factory=dict)

    async def reach(self, start: Vibe, meaning: Mapping[str, Vibe]) -> dict[str, str]:
        """
        All references that a Vibe leads to, as far as their refs are known.

        Each is given as written, with the reference to ask for: the same without its fragment.
        """
        reached: dict[str, str] = {}
        seen, ahead = {start.ref}, [start]
        while ahead:
            vibe = ahead.pop()
            _, document = await self.of(vibe)
            for reference in document.references:
                asked = str(reference.uri.without_fragment)
                reached[str(reference.uri)] = asked
                met = meaning.get(asked)
                if met is None:
                    continue
                _check_type(vibe, reference, met)
                if met.ref not in seen and reference.use in (ReferenceUse.CAPABILITY, ReferenceUse.PROCESS):
                    seen.add(met.ref)
                    ahead.append(met)
        return reached

    async def of(self, vibe: Vibe) -> tuple[Vibe, Process | Capability]:
        """A Vibe with its documents, and the process or capability in it."""
        if vibe.ref not in self.read:
            whole = await self.ledger.vibe(vibe.ref)
            self.read[vibe.ref] = whole, _read(whole)
        return self.read[vibe.ref]


def _read(vibe: Vibe) -> Process | Capability:
    if vibe.solution is ABSENT:
        raise ProcessNotExecutable(ref=vibe.ref, problem="it has no solution")
    try:
        return (read_process if vibe.type is VibeType.PROCESS else read_capability)(vibe.solution)
    except ProcessFault as fault:
        raise ProcessNotExecutable(ref=vibe.ref, problem=f"at {fault}") from fault


def _check_type(vibe: Vibe, reference: Reference, met: Vibe) -> None:
    expected = _TYPES.get(reference.use, met.type)
    if met.type is not expected:
        problem = f"at {reference.pointer}: '{reference.uri}' is a {met.type}, not a {expected}"
        raise ProcessNotExecutable(ref=vibe.ref, problem=problem)


def exact_refs(frozen: Frozen) -> list[str]:
    """The refs that an execution is made under, beside the process: each once."""
    return sorted(set(frozen.references.values()) - {frozen.process_ref})
