"""Turns refusals of the ledger and the resolver into errors of the language."""

from __future__ import annotations

from typing import Final

from process_worker.engine.faults import Fault, standard
from refinery_core.errors import AnotherLedger, Code, Overloaded, RefineryError, StorageFull

# UNAUTHENTICATED is about the worker itself: nothing that a process says can mend it, and an operator can.
_FOR_NOW: Final = {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED, Code.UNAUTHENTICATED}
_MENDABLE: Final = {Overloaded.reason, StorageFull.reason, AnotherLedger.reason}
"""Reasons that pass, or that an operator mends; others with the same codes are final."""
_KINDS: Final = {
    Code.INVALID_ARGUMENT: ("validation", 400),
    Code.OUT_OF_RANGE: ("validation", 400),
    Code.NOT_FOUND: ("runtime", 404),
    Code.ALREADY_EXISTS: ("runtime", 409),
    Code.ABORTED: ("runtime", 409),
    Code.FAILED_PRECONDITION: ("runtime", 412),
    Code.RESOURCE_EXHAUSTED: ("runtime", 413),
    Code.PERMISSION_DENIED: ("authorization", 403),
}
_VIOLATIONS: Final = 5


def is_for_now(refusal: RefineryError) -> bool:
    """Whether the refusal is temporary, so that a retry may succeed."""
    return refusal.code in _FOR_NOW or refusal.reason in _MENDABLE


def as_fault(refusal: RefineryError) -> Fault:
    """A refusal as a process sees it, with the first violations."""
    kind, status = _KINDS.get(refusal.code, ("runtime", 500))
    detail = refusal.message
    violations = getattr(refusal, "violations", ())[1:_VIOLATIONS]
    for violation in violations:
        detail += f" {violation.instance_path or '(root)'}: {violation.message}."
    return standard(kind, detail, title=refusal.reason, status=status)
