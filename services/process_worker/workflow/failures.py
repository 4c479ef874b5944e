"""Turns failures of Temporal into faults, or into the cancellation of an execution."""

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
    """Await work; its failure becomes a fault."""
    try:
        return await uncancelled(work)
    except FailureError as error:
        raise fault_of(error) from None


async def uncancelled(work: Awaitable[T]) -> T:
    """Await work; its failure becomes CancelledError if it was cancelled because we were."""
    try:
        return await work
    except FailureError as error:
        if is_cancelled_exception(error) and is_cancelled():
            raise asyncio.CancelledError from None
        raise


def fault_of(error: FailureError) -> Fault:
    """The fault that a failure carries, or a runtime error with its message."""
    cause = cause_of(error)
    if isinstance(cause, CancelledError):
        return cancelled("")  # The child was cancelled, and we were not.
    if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], dict):
        # A newer worker may send more; and the instance is a place in another process.
        said = {name: value for name, value in cause.details[0].items() if name in _SAID}
        return Fault(Problem(**said))
    return standard("runtime", cause.message)


def cause_of(error: FailureError) -> FailureError:
    """The inner failure: those of activities and children are wrapped, those of local activities are not."""
    wraps = isinstance(error, ActivityError | ChildWorkflowError)
    return error.cause if wraps and isinstance(error.cause, FailureError) else error
