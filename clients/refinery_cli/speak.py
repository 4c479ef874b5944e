"""`refinery approve` and `refinery send-event`: what an execution that listens is told."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Annotated, Any, Final
from uuid import UUID

from cyclopts import Parameter

from refinery_cli.documents import document_of
from refinery_cli.execution import Id, execution_id
from refinery_cli.failures import note, repeatable
from refinery_cli.options import (
    HERE,
    LOCAL_ROLE,
    Author,
    Output,
    RequestId,
    Services,
    document,
    request_id_of,
)
from refinery_cli.output import Form, print_facts, print_json
from refinery_cli.plain import plain
from refinery_client.connection import Refinery
from refinery_client.executions import EventSent
from refinery_core.errors import RefineryError
from refinery_core.vibe.refs import RefFault, parse_reference

APPROVAL: Final = "refinery.approval.v1"
"""The type of the event by which a Role says yes or no."""
_IS_PLAIN: Final = re.compile(r"[\w./:-]*").fullmatch
"""Whether a text means itself, and is neither an expression nor a pattern."""


async def approve(
    execution: Id,
    /,
    *,
    role: Annotated[str, Parameter(env_var="REFINERY_AUTHOR", help="The Role that approves.")] = LOCAL_ROLE,
    reject: Annotated[bool, Parameter(negative="", help="Say no.")] = False,
    comment: Annotated[str, Parameter(help="Why, for those who ask later.")] = "",
    request_id: RequestId = None,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """Answer an execution that waits for an approval. The answer is a RECORD of the Role."""
    data: dict[str, Any] = {"approved": not reject}
    if comment:
        data["comment"] = comment
    id_, key = execution_id(execution), request_id_of(request_id) or uuid.uuid4()
    async with services.connect() as refinery:
        heard = await _may_be_heard(refinery, id_, APPROVAL, role)
        with repeatable(key):
            sent = await refinery.send_event(
                id_,
                author_ref=role,
                id=str(key),
                type=APPROVAL,
                subject=str(id_),
                data=data,
                request_id=key,
            )
    _print_sent(sent, output, heard=heard)


async def send_event(
    execution: Id,
    /,
    *,
    type: Annotated[str, Parameter(help="What kind of event: org.example.paid.")],  # noqa: A002 -- as above
    id: Annotated[str | None, Parameter(help="The event's own name; else its request id.")] = None,  # noqa: A002 -- as above
    data: Annotated[str | None, document("Its content: inline JSON, @FILE, or -.")] = None,
    subject: Annotated[str, Parameter(help="What it is about.")] = "",
    source: Annotated[str, Parameter(help="Where it happened; else who says so.")] = "",
    attribute: Annotated[
        dict[str, str] | None,
        Parameter(help="Its other attributes: --attribute.time 2030-01-01T00:00:00Z."),
    ] = None,
    author: Author = LOCAL_ROLE,
    request_id: RequestId = None,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """Give a CloudEvent to an execution that listens, or will. It is a RECORD of its author."""
    id_, key = execution_id(execution), request_id_of(request_id) or uuid.uuid4()
    document_ = document_of(data, "--data")
    async with services.connect() as refinery:
        heard = await _may_be_heard(refinery, id_, type, author)
        with repeatable(key):
            sent = await refinery.send_event(
                id_,
                author_ref=author,
                id=id or str(key),
                type=type,
                source=source,
                subject=subject,
                data=document_,
                attributes=attribute,
                request_id=key,
            )
    _print_sent(sent, output, heard=heard)


async def _may_be_heard(refinery: Refinery, id_: UUID, type_: str, author: str) -> bool:
    """Whether a task that listens now may take such an event; only the process itself knows for certain."""
    try:
        listening = (await refinery.get_execution(id_)).execution.listening
    except RefineryError:
        return True  # Whoever sends the event will hear why.
    filters = [filter_ for to in listening for filter_ in _filters(to)]
    return any(_may_take(filter_.get("with", {}), type_, author) for filter_ in filters)


def _filters(to: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The event filters of a `listen`; none at all take everything."""
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


def _print_sent(sent: EventSent, output: Form, *, heard: bool) -> None:
    if output == "text":
        replayed = "yes, this had been sent before" if sent.replayed else ""
        print_facts({"event": sent.event_ref, "replayed": replayed})
    else:
        print_json(plain(sent), output)
    if not heard and not sent.replayed:
        note("Nobody in the execution waits for this now; it is kept for a task that will.")
