"""Ids and idempotency keys that follow from an execution or a schedule alone."""

from __future__ import annotations

import uuid
from typing import Final
from uuid import UUID

from process_worker.engine.keys import NAMESPACE, commit_key
from process_worker.workflow.messages import SCHEDULE_ID_PREFIX, WORKFLOW_ID_PREFIX

SOLUTION: Final = "/solution"
"""The pointer of the last commit, the result's; it is visited once."""


def workflow_id(execution_id: UUID) -> str:
    """The id of an execution's workflow."""
    return f"{WORKFLOW_ID_PREFIX}{execution_id}"


def execution_of(workflow: str) -> UUID | None:
    """The execution of a workflow; None where the id has another form."""
    return _named(workflow, WORKFLOW_ID_PREFIX)


def result_key(workflow: str) -> UUID:
    """The request_id of the result's commit, by which the result is found in the ledger."""
    return commit_key(workflow, SOLUTION)


def temporal_schedule_id(schedule_id: UUID) -> str:
    """The id of a schedule in Temporal."""
    return f"{SCHEDULE_ID_PREFIX}{schedule_id}"


def schedule_of(temporal_id: str) -> UUID | None:
    """The schedule with an id in Temporal; None where the id has another form."""
    return _named(temporal_id, SCHEDULE_ID_PREFIX)


def firing_key(workflow: str) -> UUID:
    """The execution that a firing starts. Temporal's id of its workflow contains the time that was due."""
    return uuid.uuid5(NAMESPACE, workflow)


def end_key(schedule_id: UUID) -> UUID:
    """The request_id of the commit that ends a schedule."""
    return uuid.uuid5(NAMESPACE, f"{temporal_schedule_id(schedule_id)}\nend")


def _named(name: str, prefix: str) -> UUID | None:
    try:
        id_ = UUID(name.removeprefix(prefix))
    except ValueError:
        return None
    return id_ if name == f"{prefix}{id_}" else None
