"""`refinery log`: the revisions of an id."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from refinery_cli.options import (
    HERE,
    AsOf,
    Branch,
    Limit,
    Output,
    Services,
    context_of,
)
from refinery_cli.show.columns import VIBES
from refinery_cli.show.failures import note
from refinery_cli.show.output import print_stream
from refinery_cli.show.plain import plain


async def log(
    id: Annotated[str, Parameter(help="The id: schemas/user.")],  # noqa: A002 -- the contract's word
    /,
    *,
    branch: Branch = "main",
    as_of: AsOf = None,
    limit: Limit = 100,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """List the revisions of an id, newest first."""
    async with services.connect() as refinery:
        revisions = refinery.list_revisions(id, context=context_of(branch, as_of))
        if await print_stream(output, VIBES, revisions, plain, limit=limit):
            note(f"There are more than {limit}; --limit 0 lists all.")
