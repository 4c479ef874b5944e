"""Python functions that capabilities call by name: the ledger's, and those of installed packages."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Final
from uuid import UUID

from process_worker.engine.faults import standard
from process_worker.records.record import check_folder
from process_worker.workflow.steps import Behalf
from refinery_client import ABSENT, Draft, LineageDirection, Refinery, SchemaForm, Vibe
from refinery_client.reading import reading_as
from refinery_core.vibe.model import Context, EdgeType, VibeType
from refinery_core.vibe.refs import Ref

GROUP: Final = "refinery.capabilities"
"""The group of entry points: their names are those of functions; `refinery.` names are ours."""


@dataclass(frozen=True)
class Caller:
    """The caller of a function, and the idempotency key, which all attempts of the call share."""

    key: UUID
    behalf: Behalf


Function = Callable[[Any, Caller], Awaitable[Any] | Any]


def installed() -> dict[str, Function]:
    """The functions that packages of this worker register."""
    return {point.name: point.load() for point in entry_points(group=GROUP)}


async def call(functions: Mapping[str, Function], name: str, arguments: Any, caller: Caller) -> Any:
    """
    Call a function by its name; a function that is not async may block, and is called in a thread.

    Raises:
        Fault: there is no such function.
    """
    function = functions.get(name)
    if function is None:
        raise standard("configuration", f"no Python function is registered with this worker as '{name}'")
    if inspect.iscoroutinefunction(function):
        return await function(arguments, caller)
    result = await asyncio.to_thread(function, arguments, caller)
    return await result if inspect.isawaitable(result) else result


@dataclass(frozen=True)
class LedgerFunctions:
    """The functions of the capabilities `system/capabilities/…`."""

    refinery: Refinery

    def by_name(self) -> dict[str, Function]:
        """The functions, by the names that the capabilities use."""
        return {
            "refinery.get_vibe": _reading(self.get_vibe),
            "refinery.refine": _reading(self.refine),
            "refinery.resolve_schema": _reading(self.resolve_schema),
            "refinery.trace_lineage": _reading(self.trace_lineage),
        }

    async def get_vibe(self, arguments: Any, caller: Caller) -> dict[str, Any]:
        """Read a Vibe by its reference."""
        context = _context(arguments, caller)
        return _shown(await self.refinery.get_vibe(arguments["reference"], context=context))

    async def refine(self, arguments: Any, caller: Caller) -> dict[str, Any]:
        """Refine as the author of the execution, with the process as an instruction."""
        behalf = caller.behalf
        for number, draft in enumerate(arguments["drafts"]):
            check_folder(draft["id"], f"drafts[{number}].id")
        refined = await self.refinery.refine(
            request_id=caller.key,
            author_ref=behalf.author_ref,
            branch=arguments.get("branch") or behalf.branch,
            drafts=[_draft(draft) for draft in arguments["drafts"]],
            target_refs=_joined([behalf.record_ref], arguments.get("target_refs")),
            instruction_refs=_joined([behalf.process_ref], arguments.get("instruction_refs")),
            budget_refs=arguments.get("budget_refs") or [],
            behalf_ref=behalf.record_ref,
        )
        return {"refs": [vibe.ref for vibe in refined.vibes]}

    async def resolve_schema(self, arguments: Any, caller: Caller) -> dict[str, Any]:
        """Compose the schema of a Vibe."""
        resolved = await self.refinery.resolve_schema(
            arguments["reference"],
            form=SchemaForm(arguments.get("form") or "bundled"),
            context=_context(arguments, caller),
        )
        return {"ref": resolved.ref, "schema": resolved.schema, "dependencies": list(resolved.dependencies)}

    async def trace_lineage(self, arguments: Any, caller: Caller) -> dict[str, Any]:
        """Walk the edges of a Vibe."""
        walk = self.refinery.trace_lineage(
            arguments["reference"],
            context=_context(arguments, caller),
            direction=LineageDirection(arguments.get("direction") or "up"),
            edge_types=[EdgeType(kind) for kind in arguments.get("edge_types") or ()],
            max_depth=arguments.get("max_depth") or 0,
            max_vibes=arguments.get("max_vibes") or 0,
        )
        steps = [
            {
                "ref": step.ref,
                "depth": step.depth,
                "type": None if step.type is None else step.type.value,
                "edges": [{"from": e.from_ref, "to": e.to_ref, "type": e.type.value} for e in step.edges],
            }
            async for step in walk
        ]
        return {"steps": steps, "truncated": bool(walk.truncated)}


def _reading(function: Callable[[Any, Caller], Awaitable[Any]]) -> Function:
    """Read as the author; turn errors of unfitting arguments, which a schema has let through, into faults."""

    async def call(arguments: Any, caller: Caller) -> Any:
        try:
            with reading_as(Ref.parse(caller.behalf.author_ref).id):
                return await function(arguments, caller)
        except KeyError as missing:
            raise standard("validation", f"the arguments lack {missing}") from None
        except (AttributeError, TypeError, ValueError) as fault:
            raise standard("validation", f"the arguments do not fit: {fault}") from None

    return call


def _context(arguments: Any, caller: Caller) -> Context:
    return Context(arguments.get("branch") or caller.behalf.branch)


def _draft(fields: Mapping[str, Any]) -> Draft:
    documents = {name: fields.get(name, ABSENT) for name in ("context", "schema", "solution")}
    return Draft(
        type=VibeType(fields["type"]),
        id=fields["id"],
        expected_revision=fields.get("expected_revision"),
        prototype_ref=fields.get("prototype_ref"),
        **documents,
    )


def _joined(own: list[str], given: list[str] | None) -> list[str]:
    return list(dict.fromkeys([*(ref for ref in own if ref), *(given or ())]))


def _shown(vibe: Vibe) -> dict[str, Any]:
    documents = {"context": vibe.context, "schema": vibe.schema, "solution": vibe.solution}
    return {
        "ref": vibe.ref,
        "id": vibe.id,
        "type": vibe.type.value,
        "revision": vibe.revision,
        "author_ref": vibe.author_ref,
        **{name: value for name, value in documents.items() if value is not ABSENT},
    }
