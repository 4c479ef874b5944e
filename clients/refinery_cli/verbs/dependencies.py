"""`refinery dependencies`: the Vibes that a schema is composed from."""

from __future__ import annotations

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


async def dependencies(
    reference: Reference,
    /,
    *,
    transitive: Transitive = False,
    branch: Branch = "main",
    as_of: AsOf = None,
    limit: Limit = 100,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """List the Vibes that a schema is composed from, nearest first."""
    async with services.connect() as refinery:
        found = refinery.list_dependencies(
            reference, context=context_of(branch, as_of), transitive=transitive
        )
        if await print_stream(output, DEPENDENCIES, found, plain, limit=limit):
            note(f"There are more than {limit}; --limit 0 lists all.")
