"""The interpreter: carries out lists of tasks, and the steps that tasks of every kind share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from process_worker.engine import kinds
from process_worker.engine.calls import Call, RunProcess
from process_worker.engine.faults import Ended, Fault, Interrupted, standard
from process_worker.engine.keys import commit_key
from process_worker.engine.ports import Ports, Request
from process_worker.engine.run import Setting
from process_worker.engine.schemas import Schemas
from process_worker.engine.scope import Calculator, Scope, describe_time
from process_worker.engine.site import Site
from process_worker.engine.state import State
from process_worker.engine.together import Together, is_cancelled
from refinery_core.process.model import Process, Task
from refinery_core.process.parts import END, EXIT, Shape

RUNTIME = {"name": "refinery", "version": "1", "metadata": {}}


class Interpreter:
    """One execution of one process."""

    def __init__(self, process: Process, ports: Ports, setting: Setting, state: State | None = None) -> None:
        self.process = process
        self.ports = ports
        self.setting = setting
        self.state = state or State(started_us=ports.now_us())
        self.schemas = Schemas(setting.bundles)
        self.calculator = Calculator(
            ports,
            {
                "context": lambda: self.state.context,
                "workflow": self._describe,
                "runtime": lambda: RUNTIME,
            },
        )
        self.stopping = False
        """Whether the execution was cancelled: then catches compensate."""

    async def run(self) -> Any:
        """
        Carry the process out, or resume it from its state, and return the output.

        Raises:
            Fault: no task caught it.
            Interrupted: the ports are full; a new run goes on from its snapshot.
            CancelledError: it was cancelled, and has compensated.
        """
        strand = self.state.strand
        resumed = strand.resumes
        frame = strand.enter({})
        site = Site(strand)
        if not resumed:
            frame["x"] = await self.shape("input", self.process.input, self.setting.input, Scope(), "/input")
            frame["end"] = await self.deadline(self.process, frame["x"], site)
        try:
            work = self.sequence(self.process.tasks, frame["x"], site)
            output = await self.within(frame["end"], work, site)
        except Ended as ended:
            output = ended.output
        if self.stopping:  # The work under way did not notice.
            raise asyncio.CancelledError
        return await self.shape("output", self.process.output, output, Scope(), "/output")

    def stop(self, work: asyncio.Task[Any]) -> None:
        """Cancel the execution; its catches compensate from now on."""
        if not self.stopping:
            self.stopping = True
            work.cancel()

    # --- Lists of tasks -------------------------------------------------------------------

    async def sequence(self, tasks: Sequence[Task], data: Any, site: Site) -> Any:
        """Carry tasks out, in order or as `then` says, and return the last output."""
        resumed = site.strand.resumes
        frame = site.strand.enter({"i": 0, "d": data, "n": {}})
        try:
            while frame["i"] < len(tasks):
                if not site.compensating and is_cancelled():  # The task before did not notice.
                    raise asyncio.CancelledError
                task = tasks[frame["i"]]
                if not (resumed and site.strand.resumes):
                    if not resumed:  # Each run carries out one task, at least.
                        self._interrupt_if_full(site)
                    frame["n"][str(frame["i"])] = frame["n"].get(str(frame["i"]), 0) + 1
                resumed = False
                inside = site.task(task, frame["n"][str(frame["i"])])
                frame["d"], then = await self.task(task, frame["d"], inside)
                if then == EXIT:
                    break
                if then == END:
                    raise Ended(frame["d"])
                frame["i"] = _place(tasks, then, frame["i"])
            return frame["d"]
        finally:
            site.strand.leave()

    def _interrupt_if_full(self, site: Site) -> None:
        if site.strand.main and not self.stopping and self.ports.is_full():
            raise Interrupted(self.state.snapshot())

    # --- One task -------------------------------------------------------------------------

    async def task(self, task: Task, raw: Any, site: Site) -> tuple[Any, str]:
        """Carry one task out; return its output and its `then`."""
        trace, strand = self.state.trace, site.strand
        resumed = strand.resumes
        frame = strand.enter({"raw": raw, "at": self.ports.now_us()})
        trace.begin(site.shown)
        try:
            await self.calculator.step()
            if not resumed and not await self._start(task, frame, site):
                trace.note("TASK_SKIPPED", site.shown, self.ports.now_us())
                return raw, "continue"
            output, then = await self._carry_out(task, frame, site)
        except Fault as fault:
            fault = fault.at(task.pointer)
            trace.note("TASK_FAULTED", site.shown, self.ports.now_us(), fault)
            raise fault from None
        finally:
            trace.end(site.shown)
            strand.leave()
        trace.note("TASK_ENDED", site.shown, self.ports.now_us())
        return output, then

    async def _start(self, task: Task, frame: dict[str, Any], site: Site) -> bool:
        at, raw, scope = task.pointer, frame["raw"], self._scope(task, frame, site)
        if not await self.calculator.holds(task.condition, raw, scope, at):
            return False
        self.state.trace.note("TASK_STARTED", site.shown, self.ports.now_us())
        frame["x"] = await self.shape("input", task.input, raw, scope, at)
        frame["end"] = await self.deadline(task, frame["x"], site.reading(scope.with_input(frame["x"])))
        return True

    async def _carry_out(self, task: Task, frame: dict[str, Any], site: Site) -> tuple[Any, str]:
        x, at = frame["x"], task.pointer
        scope = self._scope(task, frame, site).with_input(x)
        work = kinds.carry_out(self, task, x, site.reading(scope))
        raw, then = await self.within(frame["end"], work, site)
        scope = scope.with_output(raw)
        output = await self.shape("output", task.output, raw, scope, at)
        await self.export(task.export, output, scope.with_output(raw, output), at)
        return output, then

    async def export(self, shape: Shape, output: Any, scope: Scope, at: str) -> None:
        """Set the context to what the task exports, and check it."""
        context = self.state.context
        if shape.template is not None:
            context = await self.calculator.fill(shape.template, output, scope, at)
        await self._check(shape, context, "context", at)
        self.state.context = context

    async def shape(self, what: str, shape: Shape, value: Any, scope: Scope, at: str) -> Any:
        """Check and transform a value: an input is checked before, an output after."""
        if what == "input":
            await self._check(shape, value, what, at)
        value = await self.calculator.fill(shape.template, value, scope, at)
        if what == "output":
            await self._check(shape, value, what, at)
        return value

    async def _check(self, shape: Shape, value: Any, what: str, at: str) -> None:
        if shape.schema is not None:
            await self.calculator.look(value, at)
            self.schemas.check(shape.schema, value, what, at)

    # --- Time -----------------------------------------------------------------------------

    async def deadline(self, timed: Process | Task, x: Any, site: Site) -> int | None:
        """The time of its timeout, in microseconds since the Unix epoch; None where it has no timeout."""
        if timed.timeout is None:
            return None
        length = await self.calculator.milliseconds(timed.timeout, x, site.scope, site.timed)
        return self.ports.now_us() + length * 1_000

    async def within(self, end: int | None, work: Coroutine[Any, Any, Any], site: Site) -> Any:
        """Do work, with a timeout.

        Raises:
            Fault: the time is up; the work is cancelled.
        """
        if end is None:
            return await work
        left = max((end - self.ports.now_us()) // 1_000, 0)
        async with Together((work, self.ports.pause(left, site.shown))) as both:
            if await both.next() == 0:
                return both.result(0)
        raise standard("timeout", "It took longer than its timeout.", site.timed, title="Timeout")

    # --- What kinds of tasks ask for ------------------------------------------------------------------

    def key(self, site: Site) -> str:
        """The idempotency key of the step at a place."""
        return str(commit_key(self.setting.workflow, site.key, site.visit))

    async def perform(self, call: Call | RunProcess, site: Site) -> Any:
        """Make a call, and return its output."""
        return await self.ports.perform(Request(site.shown, self.key(site), call))

    def frozen(self, uri: object, at: str) -> str:
        """The exact ref that a reference was frozen to."""
        text = str(uri)
        ref = self.setting.frozen.get(text) or self.setting.frozen.get(text.partition("#")[0])
        if ref is None:
            raise standard("configuration", f"'{text}' was not frozen when the execution started", at)
        return ref

    def _describe(self) -> dict[str, Any]:
        return {
            "id": self.setting.workflow,
            "definition": self.process.definition,
            "input": self.setting.input,
            "startedAt": describe_time(self.state.started_us),
        }

    def _scope(self, task: Task, frame: dict[str, Any], site: Site) -> Scope:
        described = {
            "name": task.name,
            "reference": task.pointer,
            "definition": task.definition,
            "input": frame["raw"],
            "startedAt": describe_time(frame["at"]),
        }
        return Scope(names=site.scope.names, task=described)


def _place(tasks: Sequence[Task], then: str, index: int) -> int:
    """The index of the next task; the checker made sure that a name is in the same list."""
    if then == "continue":
        return index + 1
    return next(place for place, task in enumerate(tasks) if task.name == then)
