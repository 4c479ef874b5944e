"""The rights of callers: where callers are authenticated, the door asks the ledger before it acts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from process_worker.door.commands import CallCapability, ExecuteProcess
from process_worker.door.executions import Executions
from process_worker.door.schedules import Schedules
from process_worker.records.execution import ExecutionRecord
from process_worker.records.ledger import answering
from process_worker.records.schedule import ScheduleRecord
from refinery_client import Access, Execution, Schedule
from refinery_core.errors import ExecutionNotFound, ScheduleNotFound, UnknownReference, VibeNotFound
from refinery_core.serving.principal import current_caller
from refinery_core.vibe.refs import Ref, parse_reference
from refinery_core.vibe.roles import Verb

T = TypeVar("T", Execution, Schedule)

_AT_ONCE: Final = 16
"""Concurrent questions for one call."""


@dataclass(frozen=True)
class Rights:
    """The rights of the current caller; all of them where nobody is authenticated."""

    executions: Executions
    schedules: Schedules

    async def check_execute(self, command: ExecuteProcess) -> None:
        """
        Check that the caller may execute a process as its author, and read what it is given.

        Raises:
            PermissionDenied: it may not execute it.
            VibeNotFound, UnknownReference: it may not read the process, a target or a budget.
        """
        if not current_caller().authenticated:
            return
        named = {
            f"{name}[{at}]": reference
            for name, references in (
                ("target_refs", command.target_refs),
                ("budget_refs", command.budget_refs),
            )
            for at, reference in enumerate(references)
        }
        await self._check_readable(command.process, named, command.branch)
        await self._check(Verb.EXECUTE, _id_of(command.process), command.branch, command.author_ref)

    async def check_call(self, command: CallCapability) -> None:
        """
        Check that the caller may call a capability alone, and read it.

        Raises:
            PermissionDenied: it may not call it.
            VibeNotFound: it may not read it.
        """
        if not current_caller().authenticated:
            return
        await self._check_readable(command.capability, {}, command.branch)
        await self._check(Verb.CALL, _id_of(command.capability), command.branch, command.author_ref)

    async def check_execution(
        self, execution_id: UUID, verb: Verb | None = None, author_ref: str = ""
    ) -> None:
        """
        Check that the caller may read an execution, and do something with it, by the id of its process.

        Raises:
            ExecutionNotFound: it may not read it, or there is none.
            PermissionDenied: it may not do that.
        """
        if not current_caller().authenticated:
            return
        execution = await self.executions.stands(execution_id)
        if not await self._reads(execution):
            raise ExecutionNotFound(id=execution_id)
        await self._check_process(verb, execution, author_ref)

    async def check_schedule(self, schedule_id: UUID, verb: Verb | None = None, author_ref: str = "") -> None:
        """
        Check that the caller may read a schedule, and do something with it, by the id of its process.

        Raises:
            ScheduleNotFound: it may not read it, or there is none.
            PermissionDenied: it may not do that.
        """
        if not current_caller().authenticated:
            return
        schedule = await self.schedules.get(schedule_id)
        if not await self._reads(schedule):
            raise ScheduleNotFound(id=schedule_id)
        await self._check_process(verb, schedule, author_ref)

    async def readable(self, items: Iterable[T]) -> tuple[T, ...]:
        """The executions or schedules that the caller may read."""
        items = tuple(items)
        if not current_caller().authenticated:
            return items
        places = asyncio.Semaphore(_AT_ONCE)

        async def reads(item: T) -> bool:
            async with places:
                return await self._reads(item)

        seen = await asyncio.gather(*map(reads, items))
        return tuple(item for item, is_seen in zip(items, seen, strict=True) if is_seen)

    async def _reads(self, item: Execution | Schedule) -> bool:
        kind = ExecutionRecord if isinstance(item, Execution) else ScheduleRecord
        branch = Ref.parse(item.record_ref).branch if item.record_ref else "main"
        return (await self._access(Verb.READ, kind.id_of(item.id), branch)).allowed

    async def _check_process(self, verb: Verb | None, item: Execution | Schedule, author_ref: str) -> None:
        if verb is not None:
            process = Ref.parse(item.process_ref)
            await self._check(verb, process.id, process.branch, author_ref)

    async def _check_readable(self, start: str, named: Mapping[str, str], branch: str) -> None:
        places = asyncio.Semaphore(_AT_ONCE)

        async def reads(reference: str) -> bool:
            async with places:
                return (await self._access(Verb.READ, _id_of(reference), branch)).allowed

        is_start_seen, *seen = await asyncio.gather(reads(start), *map(reads, named.values()))
        if not is_start_seen:
            raise VibeNotFound(reference=start)
        for (field, reference), is_seen in zip(named.items(), seen, strict=True):
            if not is_seen:
                raise UnknownReference(field=field, reference=reference)

    async def _check(self, verb: Verb, id_: str, branch: str, author_ref: str) -> None:
        await self._access(verb, id_, branch, author_ref=author_ref, refuse=True)

    async def _access(
        self, verb: Verb, id_: str, branch: str, *, author_ref: str = "", refuse: bool = False
    ) -> Access:
        caller = current_caller()
        with answering():
            return await self.executions.ledger.refinery.check_access(
                verb,
                id_,
                branch=branch,
                principal=caller.principal,
                groups=caller.groups,
                author_ref=author_ref,
                refuse=refuse,
            )


def _id_of(reference: str) -> str:
    return parse_reference(reference).id
