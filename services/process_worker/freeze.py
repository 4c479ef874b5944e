"""Freezing: every reference of an execution is read at one moment, through all that it leads to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from process_worker.commands import ExecuteProcess
from process_worker.ledger import Ledger
from refinery_client import ABSENT, Vibe
from refinery_core.errors import Contention, ProcessNotExecutable, UnknownReference, VibeNotFound
from refinery_core.process.checker import read_capability, read_process
from refinery_core.process.faults import ProcessFault
from refinery_core.process.interface import INPUT, schema_of
from refinery_core.process.model import Capability, Process
from refinery_core.process.parts import Reference, ReferenceUse
from refinery_core.vibe.model import VibeType

MAX_INPUTS: Final = 400
"""Targets and budgets together."""
MAX_REFERENCES: Final = 500
_ROUNDS: Final = 32

_TYPES: Final = {
    ReferenceUse.CAPABILITY: VibeType.CAPABILITY,
    ReferenceUse.PROCESS: VibeType.PROCESS,
    ReferenceUse.ROLE: VibeType.ROLE,
}
"""What has to stand where; elsewhere anything may."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """What the references of an execution meant when it was started; `references` has them as written."""

    process: Process
    process_ref: str
    author_ref: str
    target_refs: tuple[str, ...]
    budget_refs: tuple[str, ...]
    references: dict[str, str]
    input_schema: Any = None
    """What the process's schema says of its input, by reference; None where it says nothing."""


async def freeze(ledger: Ledger, command: ExecuteProcess) -> Frozen:
    """
    Read all references at one moment: those of the request, of the process, and of what it runs and calls.

    One question is answered at one moment, so the last question asks for everything, and what it finds
    leads to nothing new.

    Raises:
        VibeNotFound: there is no such process.
        UnknownReference: something else that is named does not exist.
        ProcessNotExecutable: it is no process, or something that it needs is not what it needs to be.
        Contention: what is referred to kept changing.
    """
    named = (command.process, command.author_ref, *command.target_refs, *command.budget_refs)
    documents = _Documents(ledger)
    wanted: dict[str, str] = {}
    for _ in range(_ROUNDS):
        asked = list(dict.fromkeys((*named, *wanted.values())))
        meaning = dict(zip(asked, await _vibes(ledger, asked, command), strict=True))
        process, wanted = await documents.reach(meaning[command.process], meaning)
        if meaning.keys() >= set(wanted.values()):
            schema = (await ledger.vibe(meaning[command.process].ref)).schema
            return _frozen(command, process, meaning, wanted, schema)
        if len(wanted) > MAX_REFERENCES:
            problem = f"it leads to more than {MAX_REFERENCES} references"
            raise ProcessNotExecutable(ref=meaning[command.process].ref, problem=problem)
    raise Contention(attempts=_ROUNDS)


def _frozen(
    command: ExecuteProcess,
    process: Process,
    meaning: dict[str, Vibe],
    references: dict[str, str],
    schema: Any,
) -> Frozen:
    process_ref = meaning[command.process].ref
    return Frozen(
        process=process,
        process_ref=process_ref,
        author_ref=meaning[command.author_ref].ref,
        target_refs=tuple(meaning[reference].ref for reference in command.target_refs),
        budget_refs=tuple(meaning[reference].ref for reference in command.budget_refs),
        references={written: meaning[references[written]].ref for written in sorted(references)},
        input_schema=schema_of(INPUT, process_ref, schema),
    )


async def _vibes(ledger: Ledger, asked: list[str], command: ExecuteProcess) -> list[Vibe]:
    try:
        return await ledger.vibes(asked, command.branch)
    except VibeNotFound as refusal:
        missing = refusal.metadata["reference"]
        if missing == command.process:
            raise
        raise UnknownReference(field=_field(command, missing), reference=missing) from refusal


def _field(command: ExecuteProcess, reference: str) -> str:
    if reference == command.author_ref:
        return "author_ref"
    for name, references in (("target_refs", command.target_refs), ("budget_refs", command.budget_refs)):
        if reference in references:
            return f"{name}[{references.index(reference)}]"
    return "process"


@dataclass(frozen=True)
class _Documents:
    """The documents that references lead to. A ref always means the same, so each is read once."""

    ledger: Ledger
    read: dict[str, Process | Capability] = field(default_factory=dict)

    async def reach(self, start: Vibe, meaning: dict[str, Vibe]) -> tuple[Process, dict[str, str]]:
        """
        The process, and all references that it leads to as far as their meaning is known.

        They are given as written, each with what is to be asked for: the same without its fragment.
        """
        process = await self._document(start)
        if not isinstance(process, Process):
            raise ProcessNotExecutable(ref=start.ref, problem=f"it is a {start.type}, not a PROCESS")
        reached: dict[str, str] = {}
        seen, ahead = {start.ref}, [start]
        while ahead:
            vibe = ahead.pop()
            for reference in (await self._document(vibe)).references:
                asked = str(reference.uri.without_fragment)
                reached[str(reference.uri)] = asked
                met = meaning.get(asked)
                if met is None:
                    continue
                _check_type(vibe, reference, met)
                if met.ref not in seen and reference.use in (ReferenceUse.CAPABILITY, ReferenceUse.PROCESS):
                    seen.add(met.ref)
                    ahead.append(met)
        return process, reached

    async def _document(self, vibe: Vibe) -> Process | Capability:
        if vibe.ref not in self.read:
            self.read[vibe.ref] = _read(await self.ledger.vibe(vibe.ref))
        return self.read[vibe.ref]


def _read(vibe: Vibe) -> Process | Capability:
    if vibe.type not in (VibeType.PROCESS, VibeType.CAPABILITY):
        raise ProcessNotExecutable(ref=vibe.ref, problem=f"it is a {vibe.type}, not a PROCESS")
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
    """What a process is carried out under, beside itself: each once."""
    return sorted(set(frozen.references.values()) - {frozen.process_ref})
