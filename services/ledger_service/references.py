"""What the references of one request mean: drafts of its own, remembered heads, and else the database."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from ledger_service.commands import Refine
from ledger_service.heads import Heads, Line
from refinery_core.errors import BranchNotFound
from refinery_core.postgres.database import NOW
from refinery_core.postgres.vibes import Vibes
from refinery_core.vibe.model import Context
from refinery_core.vibe.refs import AugUri, RefFault

_WRITTEN: Final = re.compile(r'"\$ref(?:Original)?":"(aug:[^"\\]*)"')
"""A reference in the canonical text of a schema; also what only looks like one, in data."""
_READ_AT_ONCE: Final = 64
_READ_BYTES: Final = 16 << 20
"""Of Vibes that are read in advance; the cache may be no larger than that."""


class References:
    """
    The references of one request, all from the position of its commit, or the commit says so.

    `pins` has each floating reference that was resolved, for the commit to check. `foretold` has the ref that
    a draft will have, by its index, where another draft counts on it; `extra` its schema, by that ref.
    `remembered` says that a head was used that may be stale.
    """

    def __init__(self, command: Refine, vibes: Vibes, heads: Heads, *, trust: bool) -> None:
        self.remembered = False
        self.pins: dict[Line, str] = {}
        self.foretold: dict[int, str] = {}
        self.extra: dict[str, str] = {}
        self._command = command
        self._vibes = vibes
        self._heads = heads
        self._trust = trust
        self._drafted: dict[Line, int] = {}
        self._schemas: list[str | None] = []
        self._numbered: list[str] = []

    def drafted(self, schema: str | None) -> None:
        """Note that the next draft is ready: later ones may refer to it, and to its pinned schema."""
        index = len(self._schemas)
        self._schemas.append(schema)
        draft = self._command.drafts[index]
        for branch in draft.branches:
            self._drafted[branch, draft.id] = index

    async def resolve(self, uris: Sequence[AugUri]) -> Mapping[AugUri, str | None]:
        """The refs of references without fragment; None where there is none."""
        answers: dict[AugUri, str | None] = {}
        asked: list[AugUri] = []
        for uri in uris:
            line = self._line(uri)
            if uri.floats and line in self._drafted:
                answers[uri] = await self._foretell(self._drafted[line])
            elif uri.floats and line in self.pins:
                answers[uri] = self.pins[line]
            elif uri.floats and self._trust and (known := self._heads.get(line)) is not None:
                answers[uri] = self.pins[line] = known
                self.remembered = True
            else:
                asked.append(uri)
        if asked:
            answers |= await self._ask(asked)
        return answers

    async def read_in_advance(self) -> None:
        """
        Resolve what the drafts refer to, and read it, all together instead of draft by draft.

        A reference to an id that the request drafts itself is left alone: it means the draft, or does not,
        by its place.
        """
        own = {(branch, draft.id) for draft in self._command.drafts for branch in draft.branches}
        written = {
            text
            for draft in self._command.drafts
            if draft.schema is not None
            for text in _WRITTEN.findall(draft.schema.text)
        }
        uris = [uri for text in written if (uri := _uri(text)) is not None]
        uris += [draft.prototype for draft in self._command.drafts if draft.prototype is not None]
        wanted = [uri for uri in dict.fromkeys(uris) if self._line(uri) not in own]
        try:
            refs = [ref for ref in (await self.resolve(wanted)).values() if ref is not None]
        except BranchNotFound:
            return  # The draft that names the branch is refused, if it is a reference.
        size = 0
        for start in range(0, len(refs), _READ_AT_ONCE):
            found = await self._vibes.by_names(refs[start : start + _READ_AT_ONCE])
            size += sum(len(vibe.schema or "") + len(vibe.solution or "") for vibe in found.values())
            if size > _READ_BYTES:
                return

    def _line(self, uri: AugUri) -> Line:
        return uri.branch or self._command.branch, uri.id

    async def _ask(self, uris: Sequence[AugUri]) -> dict[AugUri, str | None]:
        refs = await self._vibes.resolve(uris, Context(self._command.branch), NOW)
        for uri, ref in zip(uris, refs, strict=True):
            if uri.floats and ref is not None:
                self.pins[self._line(uri)] = ref
                self._heads.put(self._line(uri), ref)
        return dict(zip(uris, refs, strict=True))

    async def _foretell(self, index: int) -> str:
        """The ref that an earlier draft will have, if nobody refines its id meanwhile; the commit checks."""
        if index not in self.foretold:
            if not self._numbered:
                self._numbered = await self._number_drafts()
            ref = self.foretold[index] = self._numbered[index]
            if (schema := self._schemas[index]) is not None:
                self.extra[ref] = schema
        return self.foretold[index]

    async def _number_drafts(self) -> list[str]:
        drafts = self._command.drafts
        lines = list(dict.fromkeys((branch, draft.id) for draft in drafts for branch in draft.branches))
        rows = await self._vibes.database.fetch(
            "highest_revisions", [branch for branch, _ in lines], [id_ for _, id_ in lines]
        )
        highest = {line: int(row["revision"]) for line, row in zip(lines, rows, strict=True)}
        refs = []
        for draft in drafts:
            own = [(branch, draft.id) for branch in draft.branches]
            number = 1 + max(highest[line] for line in own)
            highest.update(dict.fromkeys(own, number))
            refs.append(f"{draft.branches[0]}@{draft.id}?{number}")
        return refs


def _uri(text: str) -> AugUri | None:
    try:
        return AugUri.parse(text).without_fragment
    except RefFault:
        return None  # Whoever reads the schema says why.
