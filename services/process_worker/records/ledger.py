"""The ledger, as the service uses it: its unavailability is a refusal of our own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from refinery_client import DeadlineExceeded, NoToken, Refinery, Unreachable, Vibe
from refinery_core.errors import AnotherLedger, LedgerUnavailable, RefinementNotFound, Unauthenticated
from refinery_core.vibe.model import Context, Refinement

_READY_SECONDS: Final = 2.0

_log = structlog.get_logger("refinery.ledger")


@dataclass(frozen=True)
class Ledger:
    """The ledger, through its contract. Every call may raise its refusals, and LedgerUnavailable."""

    refinery: Refinery

    async def is_ready(self) -> bool:
        """Whether the ledger serves; raises where it does not answer."""
        return await self.refinery.ledger_is_serving(timeout_seconds=_READY_SECONDS)

    async def committed(self, request_id: UUID) -> Refinement | None:
        """The refinement that was committed under a request_id, or None."""
        try:
            with answering():
                return await self.refinery.get_refinement(request_id=request_id)
        except RefinementNotFound:
            return None

    async def vibe(self, ref: str) -> Vibe:
        """One Vibe with its documents."""
        with answering():
            return await self.refinery.get_vibe(ref)

    async def vibes(self, references: Sequence[str], branch: str) -> list[Vibe]:
        """The Vibes of up to 1,000 references on a branch, all at one moment, without documents."""
        with answering():
            return await self.refinery.batch_get_vibes(references, context=Context(branch), full=False)


@contextmanager
def answering() -> Iterator[None]:
    """Turn the client's errors of an unreachable ledger into LedgerUnavailable."""
    try:
        yield
    except Unreachable as refusal:
        unavailable = LedgerUnavailable(problem=refusal.metadata["problem"])
        for hint in getattr(refusal, "__notes__", ()):
            unavailable.add_note(hint)
        raise unavailable from refusal
    except AnotherLedger as refusal:
        problem = (
            f"its address serves the ledger {refusal.metadata['ledger']}, and not {refusal.metadata['meant']}"
        )
        raise LedgerUnavailable(problem=problem) from refusal
    except DeadlineExceeded as refusal:
        raise LedgerUnavailable(problem="it did not answer in time") from refusal
    except (Unauthenticated, NoToken) as refusal:
        # Whoever called this worker is known, and would look for the fault in a token of their own.
        _log.error("the ledger does not know this worker", problem=refusal.metadata["problem"])
        raise LedgerUnavailable(problem="it does not know this worker; its log says more") from refusal
