"""What the failures of Temporal mean to an execution: faults, or that it was cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    is_cancelled_exception,
)

from process_worker.engine.faults import Fault, cancelled, standard
from process_worker.engine.together import is_cancelled
from refinery_core.process.standard_errors import Problem

T = TypeVar("T")

_SAID: Final = {"type", "status", "title", "detail"}


async def faulting(work: Awaitable[T]) -> T:
    """Wait for it; what it failed with is a fault."""
    try:
        return await uncancelled(work)
    except FailureError as error:
        raise fault_of(error) from None


async def uncancelled(work: Awaitable[T]) -> T:
    """Wait for it; that it was cancelled because we were is no failure of its own."""
    try:
        return await work
    except FailureError as error:
        if is_cancelled_exception(error) and is_cancelled():
            raise asyncio.CancelledError from None
        raise


def fault_of(error: FailureError) -> Fault:
    """The fault that a failure carries, or else one that says what it was."""
    cause = cause_of(error)
    if isinstance(cause, CancelledError):
        return cancelled("")  # Somebody stopped what we ran, not us.
    if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], dict):
        # Of a newer worker there may be more; where in another process it was says nothing here.
        said = {name: value for name, value in cause.details[0].items() if name in _SAID}
        return Fault(Problem(**said))
    return standard("runtime", cause.message)


def cause_of(error: FailureError) -> FailureError:
    """What failed inside; a local activity's failure comes as it is, and another's wrapped."""
    wraps = isinstance(error, ActivityError | ChildWorkflowError)
    return error.cause if wraps and isinstance(error.cause, FailureError) else error
