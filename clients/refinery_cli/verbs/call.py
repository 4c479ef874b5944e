"""`refinery call`: a capability, without a process around it."""

from __future__ import annotations

import uuid
from typing import Annotated

from cyclopts import Parameter

from refinery_cli.options import HERE, Author, Branch, Output, Reference, Services, document, request_id_of
from refinery_cli.read.documents import document_of
from refinery_cli.show.failures import repeatable, report_failure
from refinery_cli.show.output import print_document, print_json
from refinery_cli.show.plain import plain
from refinery_cli.verbs.execution import problem_line
from refinery_local import LOCAL_ROLE


async def call(
    capability: Reference,
    /,
    *,
    input: Annotated[str | None, document("The input: inline JSON, @FILE, or -.")] = None,  # noqa: A002 -- the contract's word
    author: Author = LOCAL_ROLE,
    branch: Branch = "main",
    request_id: Annotated[
        str | None, Parameter(help="A UUID of your own: the idempotency key of this call.")
    ] = None,
    output: Output = "text",
    services: Services = HERE,
) -> int:
    """
    Call a Capability Vibe directly, and print its output.

    This is not an execution, and is not retried. Exit code 1 if it gives a
    problem instead.
    """
    document_, id_ = document_of(input, "--input"), request_id_of(request_id) or uuid.uuid4()
    async with services.connect() as refinery:
        with repeatable(id_):
            called = await refinery.call_capability(
                capability,
                author_ref=author,
                input=document_,
                branch=branch,
                request_id=id_,
                timeout_seconds=services.timeout,
            )
    if output != "text":
        print_json(plain(called), output)
    elif called.problem is None:
        print_document(called.output)
    if called.problem is None:
        return 0
    detail = f": {called.problem.detail}" if called.problem.detail else ""
    report_failure(f"{problem_line(called.problem)}{detail}")
    return 1
