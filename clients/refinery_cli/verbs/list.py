"""`refinery list`: Vibes in ledger order."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from refinery_cli.options import (
    HERE,
    Limit,
    OnlyBranch,
    Output,
    Position,
    Services,
)
from refinery_cli.show.columns import VIBES
from refinery_cli.show.failures import note
from refinery_cli.show.output import print_stream
from refinery_cli.show.plain import plain
from refinery_core.vibe.model import VibeType


async def list_(
    prefix: Annotated[str, Parameter(help="Only ids that start with this; schemas/ lists a folder.")] = "",
    /,
    *,
    type: Annotated[VibeType | None, Parameter(help="Only this kind of thing.")] = None,  # noqa: A002 -- the contract's word
    branch: OnlyBranch = "",
    made_by: Annotated[str, Parameter(help="Only Vibes that this Role or Process made: a ref.")] = "",
    after: Annotated[Position, Parameter(help="Only after this position.")] = 0,
    until: Annotated[Position, Parameter(help="Only up to this position.")] = 0,
    latest: Annotated[
        bool, Parameter(negative="", help="Only the latest revision of each id; on main unless --branch.")
    ] = False,
    limit: Limit = 100,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """List Vibes in ledger order."""
    async with services.connect() as refinery:
        vibes = refinery.list_vibes(
            branch=branch or ("main" if latest else ""),
            id_prefix=prefix,
            type=type,
            author_ref=made_by,
            after_position=after,
            until_position=until,
            latest_only=latest,
        )
        if await print_stream(output, VIBES, vibes, plain, limit=limit):
            note(f"There are more than {limit}; --limit 0 lists all.")
