"""Resolves the references of one request: from its own drafts, remembered heads, and else the database."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from ledger_service.commands import Refine
from ledger_service.heads import Heads, Line
from refinery_core.errors import BranchNotFound, UnknownReference
from refinery_core.postgres.database import NOW
from refinery_core.stored.rights import hidden
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.model import Context
from refinery_core.vibe.refs import AugUri, RefFault
from refinery_core.vibe.roles import READS_EVERYTHING, Reader

_WRITTEN: Final = re.compile(r'"\$ref(?:Original)?":"(aug:[^"\\]*)"')
"""A reference in the canonical text of a schema; it also matches data that looks like one."""
_LOOKED_UP: Final = 2_000
"""References that are looked up in advance; further ones are looked up with their draft."""
_READ_AT_ONCE: Final = 16
"""Whole Vibes: at most 3 MiB each."""
_READ_BYTES: Final = 16 << 20
"""Vibes that are read in advance; the cache may be no larger than that."""


class References:
    """
    The references of one request, all from the position of its commit, or the commit says so.

    `pins` has each floating reference that was resolved, for the commit to check. `foretold` has the ref that
    a draft will have, by its index, where another draft counts on it; `extra` its schema, by that ref.
    `remembered` says that one of the pins is a remembered head, which may be stale.
    """

    def __init__(
        self, command: Refine, vibes: Vibes, heads: Heads, *, trust: bool, reader: Reader = READS_EVERYTHING
    ) -> None:
        self._reader = reader
        self.remembered = False
        self.pins: dict[Line, str] = {}
        self.foretold: dict[int, str] = {}
        self.extra: dict[str, str] = {}
        self._command = command
        self._vibes = vibes
        self._heads = heads
        self._trust = trust
        self._seen: dict[Line, str] = {}
        self._guessed: set[Line] = set()
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
        """The refs of references without fragment; None where there is none. The commit counts on them."""
        answers: dict[AugUri, str | None] = {}
        open_: list[AugUri] = []
        for uri in uris:
            if uri.floats and (index := self._drafted.get(self._line(uri))) is not None:
                answers[uri] = await self._foretell(index)
            else:
                open_.append(uri)
        found = await self._seen_by_caller(await self._look_up(open_))
        for uri, ref in found.items():
            if uri.floats and ref is not None:
                line = self._line(uri)
                self.pins[line] = ref
                self.remembered = self.remembered or line in self._guessed
        return answers | found

    async def check_inputs(self) -> None:
        """
        Refuse an input that the caller may not read, as if it did not exist; the commit refuses others.

        Raises:
            UnknownReference: there is one.
        """
        if self._reader.everything:
            return
        command = self._command
        lists = {
            "target_refs": command.targets,
            "instruction_refs": command.instructions,
            "budget_refs": command.budgets,
        }
        inputs = [(f"{name}[{at}]", uri) for name, uris in lists.items() for at, uri in enumerate(uris)]
        if not inputs:
            return
        refs = await self._vibes.locate([uri for _, uri in inputs], Context(command.branch))
        unseen = await hidden(self._vibes.database, self._reader, [ref for ref in refs if ref is not None])
        for (field, uri), ref in zip(inputs, refs, strict=True):
            if ref is None:
                return
            if ref in unseen:
                raise UnknownReference(field=field, reference=uri.ref or uri)

    async def _seen_by_caller(self, answers: dict[AugUri, str | None]) -> dict[AugUri, str | None]:
        """The same, with nothing in place of what the caller may not read."""
        unseen = await hidden(
            self._vibes.database, self._reader, [ref for ref in answers.values() if ref is not None]
        )
        return {uri: None if ref in unseen else ref for uri, ref in answers.items()} if unseen else answers

    async def read_in_advance(self) -> None:
        """
        Look up what the drafts refer to, and read it, all together instead of draft by draft.

        A reference to an id that the request drafts itself is left alone: it means the draft, or does not,
        by its place. Nothing is pinned here: data may look like a reference.
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
            refs = [ref for ref in (await self._look_up(wanted[:_LOOKED_UP])).values() if ref is not None]
        except BranchNotFound:
            return  # The draft that names the branch is refused, if it is a reference.
        size = 0
        for start in range(0, len(refs), _READ_AT_ONCE):
            found = await self._vibes.by_names(refs[start : start + _READ_AT_ONCE])
            size += sum(
                len(text) for v in found.values() for text in (v.context, v.schema, v.solution) if text
            )
            if size > _READ_BYTES:
                return

    def _line(self, uri: AugUri) -> Line:
        return uri.branch or self._command.branch, uri.id

    async def _look_up(self, uris: Sequence[AugUri]) -> dict[AugUri, str | None]:
        """The refs of references: from heads seen for this request, remembered heads, or the database."""
        answers: dict[AugUri, str | None] = {}
        asked: list[AugUri] = []
        for uri in uris:
            line = self._line(uri)
            if uri.floats and self._trust and line not in self._seen:
                known = self._heads.get(line)
                if known is not None:
                    self._seen[line] = known
                    self._guessed.add(line)
            if uri.floats and line in self._seen:
                answers[uri] = self._seen[line]
            else:
                asked.append(uri)
        if asked:
            refs = await self._vibes.resolve(asked, Context(self._command.branch), NOW)
            for uri, ref in zip(asked, refs, strict=True):
                answers[uri] = ref
                if uri.floats and ref is not None:
                    self._seen[self._line(uri)] = ref
                    self._heads.keep(self._line(uri), ref)
        return answers

    async def _foretell(self, index: int) -> str:
        """The ref of an earlier draft unless its id is refined meanwhile, which the commit checks."""
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
        return None  # The reader of the schema says why.
