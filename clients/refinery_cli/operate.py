"""Operate Refinery: up, down, migrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from refinery_cli.detached import detached
from refinery_cli.failures import Usage
from refinery_cli.folder import stop
from refinery_cli.options import Output
from refinery_cli.output import print_json, say
from refinery_cli.up import up
from refinery_core.postgres.migrate import migrate, told
from refinery_core.postgres.translate import STORE_FAILURES
from refinery_core.settings import CannotStart

Data = Annotated[Path, Parameter(help="The folder that keeps everything; `up` makes it.")]
HERE: Final = Path(".refinery")


async def up_(
    *,
    data: Data = HERE,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    ledger_port: Annotated[int, Parameter(help="The port of the ledger.")] = 50051,
    resolver_port: Annotated[int, Parameter(help="The port of the resolver.")] = 50052,
    process_port: Annotated[int, Parameter(help="The port of the process service.")] = 50053,
    temporal_port: Annotated[int, Parameter(help="The port of Temporal.")] = 7233,
    temporal_ui_port: Annotated[int, Parameter(help="The port of Temporal's web page.")] = 8233,
    processes: Annotated[bool, Parameter(help="Carry processes out, with Temporal.")] = True,
    detach: Annotated[
        bool, Parameter(negative="", help="Return when everything answers; `refinery down` stops it.")
    ] = False,
) -> int:
    """
    Run everything on this machine until Ctrl-C: PostgreSQL, Temporal, ledger, resolver, process worker.

    Prints the endpoints when everything answers. A second `up` on the same folder finds everything again.
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
    )


async def down(*, data: Data = HERE) -> None:
    """Stop the `refinery up` that runs on a folder, and return when all of it has ended."""
    if not await stop(data):
        raise Usage(f"No 'refinery up' is running on {data}.")
    say("Stopped.")


async def migrate_(
    *,
    url: Annotated[
        str, Parameter(env_var="REFINERY_MIGRATE_URL", help="The database, as a role that may create roles.")
    ],
    downgrade: Annotated[
        bool, Parameter(negative="", help="Put the SQL code of this version in the place of a newer one's.")
    ] = False,
    output: Output = "text",
) -> None:
    """
    Bring a database up to this version; nothing happens where it is there already.

    Functions, views and triggers in the schema `refinery` that no file of this version defines are dropped.
    A database with newer code is refused, unless --downgrade; one with newer tables is, always.
    """
    try:
        applied = await migrate(url, downgrade=downgrade)
    except (*STORE_FAILURES, ValueError) as fault:
        raise CannotStart(told(fault)) from fault
    if output == "json":
        print_json({"applied": applied}, output)
        return
    for name in applied:
        if output == "text":
            say(name)
        else:
            print_json({"applied": name}, output)
    if not applied and output == "text":
        say("Nothing to do: the database is at this version.")
