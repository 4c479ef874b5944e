"""Commits the RECORD that starts an execution or makes a schedule."""

from __future__ import annotations

from typing import Any

from process_worker.door.commands import ExecuteProcess
from process_worker.door.freeze import Frozen, exact_refs
from process_worker.records import execution as records
from process_worker.records.ledger import Ledger
from refinery_client import Refined
from refinery_core.errors import RequestIdReused, RevisionConflict, SolutionInvalid


async def commit_record(
    ledger: Ledger, command: ExecuteProcess, frozen: Frozen, content: dict[str, Any], record_id: str
) -> Refined | None:
    """
    Commit the RECORD, once for each request_id; None where another request with that id came first.

    Raises:
        SolutionInvalid: the input does not satisfy the schema of the process.
    """
    try:
        return await ledger.refine(
            request_id=command.request_id,
            author_ref=frozen.author_ref,
            branch=command.branch,
            drafts=records.drafts(command.input, content, record_id, frozen.input_schema),
            target_refs=(frozen.process_ref, *frozen.target_refs),
            instruction_refs=exact_refs(frozen),
            budget_refs=frozen.budget_refs,
        )
    except SolutionInvalid as refusal:
        raise records.invalid_input(refusal) from refusal
    except (RequestIdReused, RevisionConflict):
        # Two of the same came at once, and read the floating references at two moments.
        return None
