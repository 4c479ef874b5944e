"""Whether an execution listens for an event, and the output after one was sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from refinery_cli.show.failures import note
from refinery_cli.show.output import Form, print_facts, print_json
from refinery_cli.show.plain import plain
from refinery_client.connection import Refinery
from refinery_client.executions import EventSent
from refinery_core.errors import RefineryError
from refinery_core.vibe.refs import RefFault, parse_reference

_IS_PLAIN: Final = re.compile(r"[\w./:-]*").fullmatch
"""Whether a text is literal, and neither an expression nor a pattern."""


async def may_be_heard(refinery: Refinery, id_: UUID, type_: str, author: str) -> bool:
    """Whether a task that listens now may accept such an event; only the process knows for certain."""
    try:
        listening = (await refinery.get_execution(id_)).execution.listening
    except RefineryError:
        return True  # Sending the event will say why.
    filters = [filter_ for to in listening for filter_ in _filters(to)]
    return any(_may_take(filter_.get("with", {}), type_, author) for filter_ in filters)


def _filters(to: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The event filters of a `listen`; without filters it accepts everything."""
    yield from [to["one"]] if "one" in to else (to.get("any") or to.get("all") or [{}])
    if isinstance(to.get("until"), dict):
        yield from _filters(to["until"])


def _may_take(wanted: dict[str, Any], type_: str, author: str) -> bool:
    kind, role = wanted.get("type", type_), wanted.get("author_ref", author)
    if isinstance(kind, str) and _IS_PLAIN(kind) and kind != type_:
        return False
    try:
        waited_for, given = parse_reference(role), parse_reference(author)
    except (RefFault, AttributeError):
        return True
    revisions = {waited_for.revision, given.revision} - {None}
    return waited_for.id == given.id and len(revisions) < 2


def print_sent(sent: EventSent, output: Form, *, heard: bool) -> None:
    """Print that an event was sent, and whether a task waits for it."""
    if output == "text":
        replayed = "yes, this had been sent before" if sent.replayed else ""
        print_facts({"event": sent.event_ref, "replayed": replayed})
    else:
        print_json(plain(sent), output)
    if not heard and not sent.replayed:
        note("No task of the execution waits for this now; it is kept for one that will.")
