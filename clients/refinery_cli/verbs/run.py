"""`refinery run`: executes a process."""

from __future__ import annotations

import uuid
from typing import Annotated

from cyclopts import Parameter

from refinery_cli.options import (
    HERE,
    Author,
    Branch,
    Output,
    Reference,
    RequestId,
    Services,
    document,
    request_id_of,
)
from refinery_cli.read.documents import document_of
from refinery_cli.show.failures import note, repeatable
from refinery_cli.show.output import print_json
from refinery_cli.show.plain import plain
from refinery_cli.verbs.execution import follow, print_execution
from refinery_local import LOCAL_ROLE


async def run(
    process: Reference,
    /,
    *,
    input: Annotated[str | None, document("The input: inline JSON, @FILE, or -.")] = None,  # noqa: A002 -- the contract's word
    target: Annotated[
        tuple[str, ...], Parameter(negative="", help="A Vibe that the result is made from.")
    ] = (),
    budget: Annotated[
        tuple[str, ...], Parameter(negative="", help="A Vibe that the result is made within.")
    ] = (),
    result_id: Annotated[str, Parameter(help="The id of the result. Default: one below the process.")] = "",
    watch: Annotated[bool, Parameter(negative="", help="Follow it until it has ended.")] = False,
    author: Author = LOCAL_ROLE,
    branch: Branch = "main",
    request_id: RequestId = None,
    output: Output = "text",
    services: Services = HERE,
) -> int:
    """
    Execute a Process Vibe.

    The printed execution is durable: it survives crashes of every service.
    Exit code 1 with --watch if the execution did not complete.
    """
    document_, id_ = document_of(input, "--input"), request_id_of(request_id) or uuid.uuid4()
    async with services.connect() as refinery:
        with repeatable(id_):
            started = await refinery.execute_process(
                process,
                author_ref=author,
                input=document_,
                target_refs=target,
                budget_refs=budget,
                branch=branch,
                result_id=result_id,
                request_id=id_,
            )
        if watch:
            return await follow(refinery, id_, 0, output)
    if output != "text":
        print_json(plain(started), output)
        return 0
    print_execution(started.execution)
    if started.replayed:
        note("This request had been started before.")
    return 0
