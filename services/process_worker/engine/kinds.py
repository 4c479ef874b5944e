"""The kinds of tasks: each takes its input, and returns its raw output and its `then`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from process_worker.engine import calling, listening, trying
from process_worker.engine.faults import Ended, Fault, standard
from process_worker.engine.run import Run
from process_worker.engine.site import Site
from process_worker.engine.state import Strand
from process_worker.engine.together import Together
from refinery_core.process import model
from refinery_core.process.parts import END
from refinery_core.process.standard_errors import Problem


async def carry_out(run: Run, task: model.Task, x: Any, site: Site) -> tuple[Any, str]:
    """Carry a task out."""
    if isinstance(task, model.Switch):
        return x, await _switch(run, task, x, site)
    return await _KINDS[type(task)](run, task, x, site), task.then


async def _switch(run: Run, task: model.Switch, x: Any, site: Site) -> str:
    for case in task.cases:
        if case.when is not None and await run.calculator.holds(case.when, x, site.scope, task.pointer):
            return case.then
    return next((case.then for case in task.cases if case.when is None), task.then)


async def _for(run: Run, task: model.For, x: Any, site: Site) -> Any:
    strand = site.strand
    resumed = strand.resumes
    frame = strand.enter({"k": 0, "items": None, "d": x})
    try:
        if not resumed:
            frame["items"] = await _items(run, task, x, site)
        while frame["k"] < len(frame["items"]):
            k = frame["k"]
            scope = site.scope.adding(**{task.item: frame["items"][k], task.index: k})
            going_on = resumed and strand.resumes
            if not going_on and not await run.calculator.holds(task.while_, frame["d"], scope, task.pointer):
                break
            resumed = False
            frame["d"] = await run.sequence(task.tasks, frame["d"], site.item(k).reading(scope))
            frame["k"] += 1
        return frame["d"]
    finally:
        strand.leave()


async def _items(run: Run, task: model.For, x: Any, site: Site) -> list[Any]:
    items = await run.calculator.one(task.collection, x, site.scope, task.pointer)
    if not isinstance(items, list):
        detail = f"${{ {task.collection.source} }} needs to give a list to go through"
        raise standard("expression", detail, task.pointer)
    return items


async def _fork(run: Run, task: model.Fork, x: Any, site: Site) -> Any:
    branches = [run.task(branch, x, site.on(Strand()).task(branch, 1)) for branch in task.branches]
    outputs: dict[int, Any] = {}
    faults: list[Fault] = []
    async with Together(branches) as together:
        while len(outputs) + len(faults) < len(branches):
            index = await together.next()
            try:
                outputs[index] = _going_on(*together.result(index))
            except Fault as fault:
                if not task.compete:
                    raise
                faults.append(fault)
                continue
            if task.compete:
                return outputs[index]
    if task.compete:
        raise faults[0]
    joined = [outputs[index] for index in range(len(branches))]
    await run.calculator.look(joined, task.pointer)
    return joined


def _going_on(output: Any, then: str) -> Any:
    """The output of a branch, unless the branch ends the process."""
    if then == END:
        raise Ended(output)
    return output


async def _set(run: Run, task: model.Set, x: Any, site: Site) -> Any:
    return await run.calculator.fill(task.data, x, site.scope, task.pointer)


async def _do(run: Run, task: model.Do, x: Any, site: Site) -> Any:
    return await run.sequence(task.tasks, x, site)


async def _wait(run: Run, task: model.Wait, x: Any, site: Site) -> Any:
    length = await run.calculator.milliseconds(task.duration, x, site.scope, task.pointer)
    await run.ports.pause(length, site.shown)
    return x


async def _raise(run: Run, task: model.Raise, x: Any, site: Site) -> Any:
    raise await _problem(run, task, x, site)


async def _problem(run: Run, task: model.Raise, x: Any, site: Site) -> Fault:
    written = task.problem

    async def text(value: Any) -> str:
        return await run.calculator.text(value, x, site.scope, task.pointer)

    return Fault(
        Problem(
            type=await text(written.type),
            status=written.status,
            title=await text(written.title),
            detail=await text(written.detail),
            instance=await text(written.instance) or task.pointer,
        )
    )


_KINDS: dict[type[model.Task], Callable[[Run, Any, Any, Site], Awaitable[Any]]] = {
    model.Set: _set,
    model.Do: _do,
    model.For: _for,
    model.Fork: _fork,
    model.Try: trying.carry_out,
    model.Raise: _raise,
    model.Wait: _wait,
    model.Listen: listening.carry_out,
    model.Emit: calling.emit,
    model.Call: calling.call,
    model.Run: calling.run_process,
}
