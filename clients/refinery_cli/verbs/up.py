"""`refinery up`: everything on this machine."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from refinery_cli.options import DATA, Data
from refinery_local.detached import detached
from refinery_local.up import up


async def up_(
    *,
    data: Data = DATA,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    ledger_port: Annotated[int, Parameter(help="The port of the ledger.")] = 50051,
    resolver_port: Annotated[int, Parameter(help="The port of the resolver.")] = 50052,
    process_port: Annotated[int, Parameter(help="The port of the process service.")] = 50053,
    temporal_port: Annotated[int, Parameter(help="The port of Temporal.")] = 7233,
    temporal_ui_port: Annotated[int, Parameter(help="The port of Temporal's web page.")] = 8233,
    processes: Annotated[bool, Parameter(help="Run the process worker and Temporal, too.")] = True,
    secure: Annotated[
        bool, Parameter(help="Serve with TLS on both sides; the certificates are made in the folder.")
    ] = False,
    detach: Annotated[
        bool, Parameter(negative="", help="Return when everything answers; `refinery down` stops it.")
    ] = False,
) -> int:
    """
    Run everything on this machine until Ctrl-C.

    That is PostgreSQL, Temporal, ledger, resolver and process worker. Prints the
    endpoints when everything answers. A second `up` on the same folder finds
    everything again. With --secure it also prints what a shell has to source
    before it can call them.
    """
    return await (detached if detach else up)(
        data,
        host=host,
        ledger_port=ledger_port,
        resolver_port=resolver_port,
        process_port=process_port,
        temporal_port=temporal_port,
        temporal_ui_port=temporal_ui_port,
        processes=processes,
        secure=secure,
    )
