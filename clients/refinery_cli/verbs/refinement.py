"""`refinery refinement`: one refinement, with who made it and by what right."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from cyclopts import Parameter

from refinery_cli.options import HERE, AsOf, Branch, Output, Services, context_of
from refinery_cli.show.failures import Usage, note
from refinery_cli.show.output import print_facts, print_json
from refinery_cli.show.plain import moment, plain
from refinery_client import Refinery
from refinery_core.vibe.model import Refinement


async def refinement(
    name: Annotated[
        str | None, Parameter(help="Its position, or a ref or reference of a Vibe that it made.")
    ] = None,
    /,
    *,
    request_id: Annotated[
        UUID | None, Parameter(help="The request_id under which it was committed, in place of a name.")
    ] = None,
    branch: Branch = "main",
    as_of: AsOf = None,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """Show one refinement: who made it, by what right, from what."""
    if (name is None) == (request_id is None):
        raise Usage("refinement takes a position, a reference or a --request-id, one of them.")
    async with services.connect() as refinery:
        if name is None:
            found = await refinery.get_refinement(request_id=request_id)
        elif name.isdecimal():
            found = await refinery.get_refinement(position=int(name))
        else:
            found = await _that_made(refinery, name, branch, as_of)
    if output == "text":
        _print(found)
    else:
        print_json(plain(found), output)


async def _that_made(refinery: Refinery, reference: str, branch: str, as_of: str | None) -> Refinement:
    vibe = await refinery.get_vibe(reference, context=context_of(branch, as_of))
    return await refinery.get_refinement(vibe_ref=vibe.ref)


def _print(found: Refinement) -> None:
    print_facts({
        "position": found.position,
        "principal": found.principal,
        "author": found.author_ref,
        "held as": found.held_as,
        "on behalf of": found.behalf_ref,
        "targets": ", ".join(found.target_refs),
        "instructions": ", ".join(found.instruction_refs),
        "budgets": ", ".join(found.budget_refs),
        "made": ", ".join(found.vibe_refs),
        "time": moment(found.time),
        "request": found.request_id,
        "id": found.id,
        "chain": f"{found.position}:{found.chain.hex()}",
    })  # fmt: skip
    if found.truncated:
        note("There are more than these; the Vibes have all of them.")
