"""A refine that is ready to commit, and its form for the database."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from ledger_service.commands import Draft, Refine
from ledger_service.commit import Request
from ledger_service.heads import Line
from refinery_core.vibe.model import VibeType
from refinery_core.vibe.refs import AugUri


@dataclass(frozen=True, slots=True)
class Prototype:
    """Three documents to inherit. `stored` says that they are in the ledger under `ref`."""

    ref: str
    type: VibeType
    context: str | None
    schema: str | None
    solution: str | None
    stored: bool


NO_PROTOTYPE: Final = Prototype("", VibeType.RECORD, None, None, None, stored=False)


@dataclass(slots=True)
class PreparedDraft:
    """
    A draft with its documents as they will be stored, as canonical text.

    `inherits` names those that the database copies from the prototype; `schema_pins` the refs that the
    schema is pinned to, each once; `role` the members and rules of a Role, where it has any.
    """

    draft: Draft
    prototype: Prototype
    context: str | None
    schema: str | None
    solution: str | None
    content_digest: bytes
    inherits: tuple[str, ...]
    schema_refs: tuple[str, ...]
    schema_pins: tuple[str, ...]
    role: dict[str, Any] | None = None

    @property
    def prototype_ref(self) -> str | None:
        """The ref of the prototype; None where there is none."""
        return self.prototype.ref or None

    def sent(self, name: str) -> str | None:
        """The document of that name, if it has to be sent to the database."""
        text: str | None = getattr(self, name)
        return None if name in self.inherits else text


@dataclass(slots=True)
class Prepared:
    """
    A refine that can be committed.

    `pins` are the floating references that it counts on, `foretold` the refs of drafts that others of the
    request refer to, and `milliseconds` the estimated time under the lock.
    """

    command: Refine
    drafts: list[PreparedDraft] = field(default_factory=list)
    pins: dict[Line, str] = field(default_factory=dict)
    foretold: dict[int, str] = field(default_factory=dict)
    milliseconds: float = 0.0

    def request(self, root: frozenset[str]) -> Request:
        """Write it as refinery.refine() takes it, see functions/refine.sql; `root` holds system/genesis."""
        command = self.command
        head: dict[str, Any] = {
            "request_id": str(command.request_id),
            "request_digest": command.digest.hex(),
            "principal": command.principal,
            "author": self._author(),
            "targets": [_input(uri, command.branch) for uri in command.targets],
            "instructions": [_input(uri, command.branch) for uri in command.instructions],
            "budgets": [_input(uri, command.branch) for uri in command.budgets],
            "pins": [{"branch": b, "id": i, "ref": ref} for (b, i), ref in self.pins.items()],
            "drafts": [self._head(index, draft) for index, draft in enumerate(self.drafts)],
        }
        if (authority := command.authority) is not None:
            head["authority"] = {"names": authority.names, "root": command.principal in root}
            if authority.behalf is not None:
                head["authority"]["behalf"] = authority.behalf
        return Request(
            orjson.dumps(head),
            [draft.sent("context") for draft in self.drafts],
            [draft.sent("schema") for draft in self.drafts],
            [draft.sent("solution") for draft in self.drafts],
            self.milliseconds,
        )

    def _author(self) -> str | dict[str, Any]:
        """A Role that floats is the one in force where a right is asked for; that one stands on main."""
        command, author = self.command, self.command.author
        if command.authority is None:
            return _input(author, command.branch)
        if command.authority.behalf is not None:
            author = replace(author, revision=None, canonical=False)
        return _input(author, author.branch or "main")

    def _head(self, index: int, prepared: PreparedDraft) -> dict[str, Any]:
        draft = prepared.draft
        optional = {
            "expected_revision": draft.expected_revision,
            "foretold": self.foretold.get(index),
            "prototype_ref": prepared.prototype_ref,
            "inherits": prepared.inherits or None,
            "schema_pins": prepared.schema_pins or None,
            "role": prepared.role,
        }
        return {
            "type": draft.type,
            "id": draft.id,
            "branches": draft.branches,
            "content_digest": prepared.content_digest.hex(),
            **{name: value for name, value in optional.items() if value is not None},
        }


def _input(uri: AugUri, branch: str) -> str | dict[str, Any]:
    if uri.canonical:
        return str(uri.ref)
    return {
        "reference": str(uri),
        "branch": uri.branch or branch,
        "id": uri.id,
        "revision": uri.revision,
    }
