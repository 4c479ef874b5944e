"""`refinery send-event`: a CloudEvent for an execution that listens."""

from __future__ import annotations

import uuid
from typing import Annotated

from cyclopts import Parameter

from refinery_cli.hearing import may_be_heard, print_sent
from refinery_cli.options import HERE, Author, Output, RequestId, Services, document, request_id_of
from refinery_cli.read.documents import document_of
from refinery_cli.show.failures import repeatable
from refinery_cli.verbs.execution import Id, execution_id
from refinery_local import LOCAL_ROLE


async def send_event(
    execution: Id,
    /,
    *,
    type: Annotated[str, Parameter(help="The type of the event: org.example.paid.")],  # noqa: A002 -- as above
    id: Annotated[str | None, Parameter(help="The id of the event. Default: its request id.")] = None,  # noqa: A002 -- as above
    data: Annotated[str | None, document("Its content: inline JSON, @FILE, or -.")] = None,
    subject: Annotated[str, Parameter(help="The subject of the event.")] = "",
    source: Annotated[str, Parameter(help="The source of the event. Default: its author.")] = "",
    attribute: Annotated[
        dict[str, str] | None,
        Parameter(help="Its other attributes: --attribute.time 2030-01-01T00:00:00Z."),
    ] = None,
    author: Author = LOCAL_ROLE,
    request_id: RequestId = None,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """
    Send a CloudEvent to an execution that listens, or will.

    It becomes a RECORD of its author.
    """
    id_, key = execution_id(execution), request_id_of(request_id) or uuid.uuid4()
    document_ = document_of(data, "--data")
    async with services.connect() as refinery:
        heard = await may_be_heard(refinery, id_, type, author)
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
    print_sent(sent, output, heard=heard)
