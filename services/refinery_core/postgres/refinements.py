"""Refinements and branches from rows of queries/refinements.sql and queries/branches.sql."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refinery_core.vibe.model import Branch, Refinement


def refinement_from_row(row: Mapping[str, Any]) -> Refinement:
    """A refinement from a row of the view judged_refinements."""
    return Refinement(
        id=row["id"],
        position=row["position"],
        request_id=row["request_id"],
        principal=row["principal"],
        time=row["time"],
        author_ref=row["author_ref"],
        target_refs=tuple(row["target_refs"]),
        instruction_refs=tuple(row["instruction_refs"]),
        budget_refs=tuple(row["budget_refs"]),
        vibe_refs=tuple(row["vibe_refs"]),
        chain=row["chain"],
        request_digest=row["request_digest"],
        held_as=row["held_as"],
        behalf_ref=row["behalf_ref"],
    )


def branch_from_row(row: Mapping[str, Any]) -> Branch:
    """A branch from a row of the table branches."""
    return Branch(row["name"], row["parent"], row["fork_position"], row["ref"])
