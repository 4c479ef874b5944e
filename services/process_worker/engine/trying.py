"""The task `try`: tries tasks, catches their errors, retries them, or carries other tasks out instead."""

from __future__ import annotations

import asyncio
from typing import Any

from process_worker.engine.faults import CANCELLED, Fault, as_data, cancelled
from process_worker.engine.run import Run
from process_worker.engine.site import Site
from refinery_core.process.model import Try
from refinery_core.process.parts import Backoff, ErrorFilter, RetryPolicy
from refinery_core.process.standard_errors import Problem, same_error_type

_LONGEST_DELAY = 365 * 24 * 60 * 60 * 1_000


async def carry_out(run: Run, task: Try, x: Any, site: Site) -> Any:
    """Carry out a `try`; its frame has the number of the attempt, or the caught error."""
    strand = site.strand
    frame = strand.enter({"n": 1, "error": None, "end": None, "since": run.ports.now_us()})
    try:
        while frame["error"] is None:
            try:
                try:
                    return await _attempt(run, task, x, site.attempt(frame["n"]), frame)
                except Fault as fault:
                    frame["error"] = await _caught(run, task, x, site, fault.at(task.pointer))
            except asyncio.CancelledError:
                if not run.stopping:
                    raise
                await _compensate(run, task, x, site)
                raise
        return await _instead(run, task, x, site, frame["error"])
    finally:
        strand.leave()


async def _attempt(run: Run, task: Try, x: Any, site: Site, frame: dict[str, Any]) -> Any:
    policy = task.catch.retry
    if policy is not None and policy.attempt_duration is not None and not site.strand.resumes:
        length = await run.calculator.milliseconds(policy.attempt_duration, x, site.scope, task.pointer)
        frame["end"] = run.ports.now_us() + length * 1_000
    return await run.within(frame["end"], run.sequence(task.tasks, x, site), site)


async def _caught(run: Run, task: Try, x: Any, site: Site, fault: Fault) -> dict[str, Any] | None:
    """Return the error that `catch.do` handles, or None to retry; raise the fault if it is not caught."""
    frame = site.strand.frames[-1]
    error = as_data(fault.problem)
    inside = site.reading(site.scope.adding(**{task.catch.name: error}))
    if not await _catches(run, task, x, inside, fault.problem):
        raise fault
    policy = task.catch.retry
    if policy is None:
        return error
    delay = await _delay(run, policy, x, inside)
    if delay is None:
        if not task.catch_tasks:
            raise fault
        return error
    run.state.trace.note("TASK_RETRIED", site.shown, run.ports.now_us(), fault)
    if delay:
        await run.ports.pause(delay, site.shown)
    frame["n"] += 1
    return None


async def _instead(run: Run, task: Try, x: Any, site: Site, error: dict[str, Any]) -> Any:
    scope = site.scope.adding(**{task.catch.name: error})
    return await run.sequence(task.catch_tasks, x, site.reading(scope))


async def _compensate(run: Run, task: Try, x: Any, site: Site) -> None:
    """The execution was cancelled: carry `catch.do` out, if it catches that."""
    fault = cancelled(task.pointer)
    error = as_data(fault.problem)
    site = site.to_compensate()
    inside = site.reading(site.scope.adding(**{task.catch.name: error}))
    if await _catches(run, task, x, inside, fault.problem):
        await _instead(run, task, x, site, error)


async def _catches(run: Run, task: Try, x: Any, site: Site, problem: Problem) -> bool:
    if not _matches(task.catch.errors, problem):
        return False
    holds = run.calculator.holds
    if not await holds(task.catch.when, x, site.scope, task.pointer):
        return False
    except_when = task.catch.except_when
    return except_when is None or not await holds(except_when, x, site.scope, task.pointer)


def _matches(wanted: ErrorFilter, problem: Problem) -> bool:
    pairs = (
        (wanted.status, problem.status),
        (wanted.instance, problem.instance),
        (wanted.title, problem.title),
        (wanted.detail, problem.detail),
    )
    if any(want is not None and want != is_ for want, is_ in pairs):
        return False
    return (
        wanted.type is None
        or wanted.type == CANCELLED == problem.type
        or same_error_type(wanted.type, problem.type)
    )


async def _delay(run: Run, policy: RetryPolicy, x: Any, site: Site) -> int | None:
    """The milliseconds until the next attempt; None if there is none."""
    frame, at = site.strand.frames[-1], site.document
    calculator, scope, n = run.calculator, site.scope, frame["n"]
    if policy.max_attempts is not None and n > policy.max_attempts:
        return None
    if not await calculator.holds(policy.when, x, scope, at):
        return None
    if policy.except_when is not None and await calculator.holds(policy.except_when, x, scope, at):
        return None
    delay = 0
    if policy.delay is not None:
        delay = await calculator.milliseconds(policy.delay, x, scope, at)
    if policy.backoff is Backoff.LINEAR:
        delay = min(delay * n, _LONGEST_DELAY)
    elif policy.backoff is Backoff.EXPONENTIAL:
        delay = min(delay << min(n - 1, 40), _LONGEST_DELAY)
    if policy.jitter is not None:
        low, high = [await calculator.milliseconds(part, x, scope, at) for part in policy.jitter]
        delay += low + int((high - low) * run.ports.random())
    if policy.max_duration is not None:
        limit = await calculator.milliseconds(policy.max_duration, x, scope, at)
        if run.ports.now_us() + delay * 1_000 > frame["since"] + limit * 1_000:
            return None
    return delay
