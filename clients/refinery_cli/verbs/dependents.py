"""`refinery dependents`: the Vibes whose schemas are composed from this one."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from refinery_cli.options import (
    HERE,
    AsOf,
    Branch,
    Limit,
    Output,
    Reference,
    Services,
    Transitive,
    context_of,
)
from refinery_cli.show.columns import DEPENDENCIES
from refinery_cli.show.failures import note
from refinery_cli.show.output import print_stream
from refinery_cli.show.plain import plain


async def dependents(
    reference: Reference,
    /,
    *,
    transitive: Transitive = False,
    any_revision: Annotated[
        bool, Parameter(negative="", help="Dependents of every revision of the id, not only of this one.")
    ] = False,
    branch: Branch = "main",
    as_of: AsOf = None,
    limit: Limit = 100,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """List the Vibes whose schemas are composed from this one, nearest first."""
    async with services.connect() as refinery:
        found = refinery.list_dependents(
            reference,
            context=context_of(branch, as_of),
            transitive=transitive,
            any_revision=any_revision,
        )
        if await print_stream(output, DEPENDENCIES, found, plain, limit=limit):
            note(f"There are more than {limit}; --limit 0 lists all.")
