"""`refinery approve` and `refinery send-event`: what an execution that listens is told."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

from cyclopts import Parameter

from refinery_cli.documents import document_of
from refinery_cli.execution import Id, execution_id
from refinery_cli.failures import repeatable
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
from refinery_client.executions import EventSent

APPROVAL: Final = "refinery.approval.v1"
"""The type of the event by which a Role says yes or no."""


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
    _print_sent(sent, output)


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
    key = request_id_of(request_id) or uuid.uuid4()
    document_ = document_of(data, "--data")
    async with services.connect() as refinery:
        with repeatable(key):
            sent = await refinery.send_event(
                execution_id(execution),
                author_ref=author,
                id=id or str(key),
                type=type,
                source=source,
                subject=subject,
                data=document_,
                attributes=attribute,
                request_id=key,
            )
    _print_sent(sent, output)


def _print_sent(sent: EventSent, output: Form) -> None:
    if output != "text":
        print_json(plain(sent), output)
        return
    replayed = "yes, this had been sent before" if sent.replayed else ""
    print_facts({"event": sent.event_ref, "replayed": replayed})
