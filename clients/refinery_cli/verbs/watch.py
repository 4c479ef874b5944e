"""`refinery watch`: the ledger as it grows."""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import Annotated

from cyclopts import Parameter

from refinery_cli.options import HERE, Count, OnlyBranch, Output, Position, Services
from refinery_cli.show.failures import Usage
from refinery_cli.show.output import print_json, say
from refinery_cli.show.plain import clock, plain
from refinery_client.answers import Change


async def watch(
    prefix: Annotated[str, Parameter(help="Only ids that start with this.")] = "",
    /,
    *,
    after: Annotated[Position, Parameter(help="The last position already seen; 0: from the beginning.")] = 0,
    branch: OnlyBranch = "",
    full: Annotated[bool, Parameter(negative="", help="With context, schema and solution.")] = False,
    count: Annotated[Count, Parameter(help="Stop after so many refinements; 0: go on until Ctrl-C.")] = 0,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """
    Follow the ledger from a position on.

    Every refinement comes in order, none is missed and none comes twice. It
    reconnects after a lost connection. To resume later, give the last position as
    --after.
    """
    if output == "json" and not count:
        raise Usage("A watch has no end, and -o json is one document: use -o jsonl, or a --count.")
    async with services.connect() as refinery:
        changes = refinery.watch(after_position=after, branch=branch, id_prefix=prefix, full=full)
        seen: list[Change] = []
        async with aclosing(changes):
            async for change in changes:
                seen.append(change)
                if output != "json":
                    _print(change, output == "text")
                if len(seen) == count:
                    break
                if not count:
                    seen.clear()
    if output == "json":
        print_json(plain(seen), output)


def _print(change: Change, for_people: bool) -> None:
    if for_people:
        for vibe in change.vibes:
            time = clock(change.refinement.time)
            say(f"{change.position:>8}  {time}  {vibe.type.value:<10}  {vibe.ref}")
    else:
        print_json(plain(change), "jsonl")
    sys.stdout.flush()
