"""The size of a refine in the ledger: counted before it takes the lock, refused where it is too much.

A request is bounded on the wire already. But a prototype brings in documents and references that were not
sent, a branch brings in those that it was forked from, and an answer names each input for each caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger_service.prepared import PreparedDraft
from refinery_core.errors import RefineTooLarge
from refinery_core.vibe.refs import AugUri

MAX_BYTES: Final = 8 << 20
"""The documents that are stored, taken over from prototypes or sent."""
MAX_EDGES: Final = 12_000
"""Rows of vibe_refs: author and inputs for each draft, prototypes, and the pins of each schema."""
MAX_LINES: Final = 10_000
"""For each draft and each of its branches: the branch, and those that it was forked from."""
MAX_MILLISECONDS: Final = 600
"""Time under the lock, as estimated: all other maxima together would hold it for more than a second."""
MAX_ANSWER_BYTES: Final = 3 << 20
"""A message holds 4 MiB; a floating input may be pinned to a longer name than it was written with."""

_BYTES_PER_VIBE: Final = 260
"""The rest of a Vibe in an answer: digests, ids, numbers, time, and the framing of a message."""
_BYTES_PER_TEXT: Final = 4
_BYTES_PER_REF: Final = 12
"""The revision and the framing of a ref."""


@dataclass(slots=True)
class Extent:
    """The size of one refine, draft by draft."""

    bytes: int = 0
    edges: int = 0
    lines: int = 0
    answer_bytes: int = 0
    drafts: int = 0

    @property
    def milliseconds(self) -> float:
        """The estimated time under the lock, measured on a quiet machine; it bounds the batches."""
        return 0.15 * self.drafts + 0.03 * self.lines + 0.02 * self.edges + 50e-6 * self.bytes

    def add_inputs(self, inputs: Sequence[AugUri], branch: str) -> None:
        """Count the inputs in the answer."""
        for uri in inputs:
            self.answer_bytes += len(uri.branch or branch) + len(uri.id) + _BYTES_PER_REF + _BYTES_PER_TEXT
        self._check("target_refs")

    def add_lines(self, field: str, levels: int) -> None:
        """Count the lookups of a draft: its branches, and those that they were forked from."""
        self.lines += levels
        self._check(field)

    def add_draft(self, field: str, prepared: PreparedDraft, *, inputs: int) -> None:
        """
        Count a draft; `field` names it in a refusal.

        Raises:
            RefineTooLarge: With it, the refine becomes too much.
        """
        self.drafts += 1
        documents = (prepared.context, prepared.schema, prepared.solution)
        self.bytes += sum(len(text) if text.isascii() else len(text.encode()) for text in documents if text)
        self.edges += inputs + len(prepared.schema_pins) + bool(prepared.prototype_ref)
        draft = prepared.draft
        texts = (*draft.branches, draft.id, prepared.prototype_ref or "", *prepared.schema_refs)
        # Its ref is in the answer twice: with the refinement, and with the Vibe.
        ref = len(draft.branches[0]) + len(draft.id) + _BYTES_PER_REF
        self.answer_bytes += sum(map(len, texts)) + _BYTES_PER_TEXT * len(texts) + 2 * ref + _BYTES_PER_VIBE
        self._check(field)

    def _check(self, field: str) -> None:
        for count, limit, what in (
            (self.bytes, MAX_BYTES, "bytes of documents"),
            (self.edges, MAX_EDGES, "references to other Vibes"),
            (self.lines, MAX_LINES, "lookups of drafts on branches and on those that they were forked from"),
            (self.answer_bytes, MAX_ANSWER_BYTES, "bytes of answer"),
            (self.milliseconds, MAX_MILLISECONDS, "milliseconds under the lock, as estimated for all of it"),
        ):
            if count > limit:
                raise RefineTooLarge(field=field, what=what, limit=limit)
