"""`refinery approve`: the answer to an execution that waits for an approval."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

from cyclopts import Parameter

from refinery_cli.hearing import may_be_heard, print_sent
from refinery_cli.options import HERE, Output, RequestId, Services, request_id_of
from refinery_cli.show.failures import repeatable
from refinery_cli.verbs.execution import Id, execution_id
from refinery_local import LOCAL_ROLE

APPROVAL: Final = "refinery.approval.v1"
"""The type of the event by which a Role says yes or no."""


async def approve(
    execution: Id,
    /,
    *,
    role: Annotated[str, Parameter(env_var="REFINERY_AUTHOR", help="The Role that approves.")] = LOCAL_ROLE,
    reject: Annotated[bool, Parameter(negative="", help="Reject instead of approving.")] = False,
    comment: Annotated[str, Parameter(help="The reason, for the record.")] = "",
    request_id: RequestId = None,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """
    Answer an execution that waits for an approval.

    The answer is a RECORD of the Role.
    """
    data: dict[str, Any] = {"approved": not reject}
    if comment:
        data["comment"] = comment
    id_, key = execution_id(execution), request_id_of(request_id) or uuid.uuid4()
    async with services.connect() as refinery:
        heard = await may_be_heard(refinery, id_, APPROVAL, role)
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
    print_sent(sent, output, heard=heard)
