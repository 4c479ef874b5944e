"""Idempotency keys: a commit that is sent twice under one key happens once."""

from __future__ import annotations

import uuid
from typing import Final
from uuid import UUID

NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "refinery:process")


def commit_key(workflow: str, pointer: str, visit: int = 1) -> UUID:
    """
    The request_id of one commit.

    Args:
        workflow: The workflow's id; never a run's, which changes when history is continued or reset.
        pointer: The JSON pointer of the task, with the indices of loops.
        visit: The number of times that the execution came to that pointer, this one included.
    """
    return uuid.uuid5(NAMESPACE, f"{workflow}\n{pointer}\n{visit}")
