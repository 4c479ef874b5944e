"""`refinery branch`: lines of versions."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from refinery_cli.options import HERE, Author, Limit, Output, RequestId, Services, moment_of, request_id_of
from refinery_cli.show.failures import note
from refinery_cli.show.output import Columns, print_facts, print_json, print_stream
from refinery_cli.show.plain import plain
from refinery_core.vibe.model import Branch
from refinery_local import LOCAL_ROLE

app = App(name="branch", help="Make and list branches.", help_format="plaintext")

COLUMNS: Columns[Branch] = {
    "name": lambda branch: branch.name,
    "parent": lambda branch: branch.parent or "",
    "fork": lambda branch: "" if branch.fork_position is None else branch.fork_position,
    "ref": lambda branch: branch.ref or "",
}


@app.command
async def create(
    name: Annotated[str, Parameter(help="The path of the branch: dev/feature-x.")],
    /,
    *,
    parent: Annotated[str, Parameter(help="The branch to fork from.")] = "main",
    fork: Annotated[
        str | None, Parameter(help="The last position or time of the parent that it sees. Default: now.")
    ] = None,
    author: Author = LOCAL_ROLE,
    request_id: RequestId = None,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """Make a line of versions that starts from what its parent has."""
    async with services.connect() as refinery:
        created = await refinery.create_branch(
            name,
            author_ref=author,
            parent=parent,
            fork=None if fork is None else moment_of(fork, "--fork"),
            request_id=request_id_of(request_id),
        )
    if output != "text":
        print_json(plain(created), output)
        return
    print_facts({
        "branch": created.branch.name,
        "parent": created.branch.parent,
        "fork": created.branch.fork_position,
        "ref": created.branch.ref,
        "position": created.refinement.position,
        "chain": f"{created.refinement.position}:{created.refinement.chain.hex()}",
        "replayed": "yes, this had been committed before" if created.replayed else "",
    })  # fmt: skip


@app.command(name="list")
async def list_(
    prefix: Annotated[str, Parameter(help="Only names that start with this.")] = "",
    /,
    *,
    limit: Limit = 100,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """List branches by name."""
    async with services.connect() as refinery:
        branches = refinery.list_branches(name_prefix=prefix)
        if await print_stream(output, COLUMNS, branches, plain, limit=limit):
            note(f"There are more than {limit}; --limit 0 lists all.")
