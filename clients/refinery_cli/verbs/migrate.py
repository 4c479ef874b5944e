"""`refinery migrate`: brings a database up to this version."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from refinery_cli.options import Output
from refinery_cli.show.failures import Usage
from refinery_cli.show.output import print_json, say
from refinery_core.postgres.migrate import migrate, told
from refinery_core.postgres.translate import STORE_FAILURES
from refinery_core.settings import CannotStart, secret_variable


async def migrate_(
    *,
    url: Annotated[
        str | None,
        Parameter(
            help="The database, as a role that may create roles. "
            "[env: REFINERY_MIGRATE_URL, or REFINERY_MIGRATE_URL_FILE]"
        ),
    ] = None,
    downgrade: Annotated[
        bool, Parameter(negative="", help="Replace the SQL code of a newer version by that of this one.")
    ] = False,
    output: Output = "text",
) -> None:
    """
    Bring a database up to this version; nothing happens if it is there already.

    Functions, views and triggers in the schema `refinery` that no file of this
    version defines are dropped. A database with newer code is refused, unless
    --downgrade is given; one with newer tables is always refused.
    """
    database = url or secret_variable("REFINERY_MIGRATE_URL")
    if not database:
        raise Usage("migrate takes the --url of a database, or REFINERY_MIGRATE_URL.")
    try:
        applied = await migrate(database, downgrade=downgrade)
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
