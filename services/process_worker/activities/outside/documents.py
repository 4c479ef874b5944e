"""Reads and writes of executions in the ledger: processes, schemas, events, results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from process_worker.activities.outside.functions import Caller
from process_worker.engine.faults import standard
from process_worker.records.execution import ExecutionRecord, is_termination
from process_worker.records.record import check_result_id, invalid_input
from process_worker.workflow.keys import result_key
from process_worker.workflow.messages import WORKFLOW_ID_PREFIX
from process_worker.workflow.steps import Begin, Begun, Commit, Load, Loaded
from refinery_client import ABSENT, Draft, Refinery, Vibe
from refinery_core.errors import InvalidDocument, RefinementNotFound, SolutionInvalid
from refinery_core.kept import Kept
from refinery_core.process.checker import ProcessFault, read_capability, read_process
from refinery_core.process.interface import INPUT, RESULT, schema_of
from refinery_core.process.model import Process
from refinery_core.process.parts import ReferenceUse, Schema
from refinery_core.vibe.documents import Document, DocumentFault, from_value
from refinery_core.vibe.model import VibeType
from refinery_core.vibe.references import pin, read_schema
from refinery_core.vibe.refs import Ref

_KEPT_BYTES: Final = 8 << 20
"""The size of the cache of Vibes, as JSON; in Python they may be ten times as large."""

_SCHEMAS_BYTES: Final = 4 << 20
"""The size of all bundles of one process, each once: they travel to the workflow."""


class Documents:
    """The ledger and the resolver, as executions need them. All calls may raise their refusals."""

    def __init__(self, refinery: Refinery) -> None:
        self._refinery = refinery
        self._vibes: Kept[str, Vibe] = Kept(_KEPT_BYTES)

    async def vibe(self, ref: str) -> Vibe:
        """One Vibe. It never changes, so it is cached."""
        vibe = self._vibes.get(ref)
        if vibe is None:
            vibe = await self._refinery.get_vibe(ref)
            documents = [each for each in (vibe.context, vibe.schema, vibe.solution) if each is not ABSENT]
            self._vibes.keep(ref, vibe, len(orjson.dumps(documents)))
        return vibe

    async def solution(self, ref: str) -> Any:
        """The solution of a Vibe."""
        vibe = await self.vibe(ref)
        if vibe.solution is ABSENT:
            raise standard("configuration", f"'{ref}' has no solution")
        return vibe.solution

    async def load(self, load: Load, workflow: str) -> Loaded:
        """
        Read a process, its schemas, and the references of its capabilities.

        Raises:
            Fault: the execution was terminated before this run, and Temporal did not hear of it.
        """
        await self._check_goes_on(workflow)
        solution = await self.solution(load.process_ref)
        try:
            process = read_process(solution)
        except ProcessFault as fault:
            raise standard("configuration", f"the process is refused at {fault}") from None
        schema = (await self.vibe(load.process_ref)).schema
        bundles = await self.bundles(process.schemas, load.frozen)
        names = {text: str(number) for number, text in enumerate(dict.fromkeys(bundles.values()))}
        return Loaded(
            solution=solution,
            bundles={pointer: names[text] for pointer, text in bundles.items()},
            composed={name: text for text, name in names.items()},
            capabilities=await self._capabilities(process, load.frozen),
            input=None if load.input_ref is None else await self.solution(load.input_ref),
            result_schema=schema_of(RESULT, load.process_ref, schema),
        )

    async def _check_goes_on(self, workflow: str) -> None:
        try:
            end = await self._refinery.get_refinement(request_id=result_key(workflow))
        except RefinementNotFound:
            return
        if is_termination(end):
            raise standard("runtime", "The execution was terminated.", title="Terminated")

    async def bundles(self, schemas: Sequence[Schema], frozen: Mapping[str, str]) -> dict[str, str]:
        """
        The bundles of schemas that refer to Vibes, with the frozen refs, by their pointers.

        Raises:
            Fault: together they are too large.
        """
        composed: dict[str, str] = {}
        bundles: dict[str, str] = {}
        for schema in schemas:
            wanted = _pinned(schema, frozen)
            if wanted is None:
                continue
            key = from_value(wanted).text
            if key not in composed:
                composed[key] = (await self._refinery.resolve_schema(schema=wanted)).text
                if sum(map(len, composed.values())) > _SCHEMAS_BYTES:
                    detail = f"the schemas have more than {_SCHEMAS_BYTES} bytes together"
                    raise standard("configuration", detail, schema.pointer)
            bundles[schema.pointer] = composed[key]
        return bundles

    async def _capabilities(self, process: Process, frozen: Mapping[str, str]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for reference in process.references:
            if reference.use is not ReferenceUse.CAPABILITY:
                continue
            ref = frozen.get(str(reference.uri))
            if ref is None or ref in found:
                continue
            try:
                inside = read_capability(await self.solution(ref)).references
            except ProcessFault as fault:
                raise standard("configuration", f"the capability '{ref}' is refused at {fault}") from None
            written = {str(each.uri) for each in inside}
            written |= {str(each.uri.without_fragment) for each in inside}
            found[ref] = {uri: frozen[uri] for uri in sorted(written) if uri in frozen}
        return found

    async def begin(self, begin: Begin) -> Begun:
        """Record an execution that another one runs. Repeating it gives the same RECORD."""
        behalf, input_ = begin.behalf, _document(begin.input, "input")
        check_result_id(behalf.branch, begin.result_id)
        id_ = ExecutionRecord.id_of(UUID(begin.key))
        record = ExecutionRecord(
            process_ref=begin.process_ref,
            parent_ref=behalf.record_ref,
            author_ref=behalf.author_ref,
            branch=behalf.branch,
            result_id=begin.result_id,
            target_refs=[],
            budget_refs=[],
            frozen=begin.frozen,
        ).with_input(input_, id_)
        schema = (await self.vibe(begin.process_ref)).schema
        try:
            refined = await self._refinery.refine(
                request_id=UUID(begin.key),
                author_ref=behalf.author_ref,
                branch=behalf.branch,
                drafts=record.drafts(input_, id_, schema_of(INPUT, begin.process_ref, schema)),
                target_refs=[begin.process_ref, behalf.record_ref],
                instruction_refs=[behalf.process_ref],
                behalf_ref=behalf.record_ref,
            )
        except SolutionInvalid as refusal:
            raise invalid_input(refusal) from refusal
        time = "" if refined.refinement is None else refined.refinement.time.isoformat()
        apart = None if record.input_ref is ABSENT else record.input_ref
        return Begun(refined.vibes[0].ref, apart, time)

    async def commit(self, commit: Commit) -> str:
        """Commit the result of an execution, and return its ref. Repeating it gives the same ref."""
        draft = Draft(
            type=VibeType.RECORD,
            id=commit.result_id,
            schema=ABSENT if commit.schema is None else commit.schema,
            solution=commit.output,
        )
        refined = await self._refinery.refine(
            request_id=UUID(commit.key),
            author_ref=commit.behalf.author_ref,
            branch=commit.behalf.branch,
            drafts=[draft],
            target_refs=[ref for ref in commit.target_refs if ref],
            instruction_refs=commit.instruction_refs,
            budget_refs=commit.budget_refs,
            behalf_ref=commit.behalf.record_ref,
        )
        return refined.vibes[0].ref

    async def emit(self, event: dict[str, Any], caller: Caller) -> str:
        """Commit an event that a process sends; watchers of the ledger see it."""
        behalf = caller.behalf
        folder = Ref.parse(behalf.record_ref).id if behalf.record_ref else WORKFLOW_ID_PREFIX.rstrip("/")
        refined = await self._refinery.refine(
            request_id=caller.key,
            author_ref=behalf.author_ref,
            branch=behalf.branch,
            drafts=[Draft(type=VibeType.RECORD, id=f"{folder}/emitted/{caller.key}", solution=event)],
            target_refs=[ref for ref in [behalf.record_ref] if ref],
            instruction_refs=[behalf.process_ref],
            behalf_ref=behalf.record_ref,
        )
        return refined.vibes[0].ref


def _document(value: Any, field: str) -> Document:
    try:
        return from_value(value)
    except DocumentFault as fault:
        raise InvalidDocument(field=field, path=fault.path, problem=fault.problem) from None


def _pinned(schema: Schema, frozen: Mapping[str, str]) -> Any:
    """The schema with its references pinned; None where it has none."""
    if schema.reference is not None:
        written, hash_mark, fragment = str(schema.reference).partition("#")
        ref = frozen.get(str(schema.reference)) or frozen.get(written)
        if ref is None:
            raise standard("configuration", f"'{written}' was not frozen when the execution started")
        return {"$ref": f"aug:{ref}{hash_mark}{fragment}"}
    reading = read_schema(schema.document)
    if not reading.references:
        return None
    missing = [written for written in reading.unpinned if written not in frozen]
    if missing:
        raise standard("configuration", f"'{missing[0]}' was not frozen when the execution started")
    return pin(schema.document, reading, frozen)
