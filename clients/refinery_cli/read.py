"""Read the ledger: get, list, log."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from refinery_cli.failures import Usage, note
from refinery_cli.options import (
    HERE,
    AsOf,
    Branch,
    Limit,
    OnlyBranch,
    Output,
    Position,
    Reference,
    Services,
    context_of,
)
from refinery_cli.output import Columns, print_document, print_facts, print_json, print_stream, say
from refinery_cli.plain import clock, moment, plain
from refinery_client.answers import Vibe
from refinery_client.drafts import ABSENT
from refinery_core.vibe.model import VibeType

Part = Literal["context", "schema", "solution"]

COLUMNS: Columns[Vibe] = {
    "ref": lambda vibe: vibe.ref,
    "type": lambda vibe: vibe.type.value,
    "position": lambda vibe: vibe.position,
    "time": lambda vibe: clock(vibe.time),
    "author": lambda vibe: vibe.author_ref,
}


async def get(
    reference: Reference | None = None,
    /,
    *,
    digest: Annotated[
        str | None, Parameter(help="The digest of the Vibe in hex, in place of a reference.")
    ] = None,
    only: Annotated[Part | None, Parameter(help="Print this document alone, as JSON.")] = None,
    branch: Branch = "main",
    as_of: AsOf = None,
    output: Output = "text",
    services: Services = HERE,
) -> int:
    """
    Show one Vibe.

    Exit code 1 with --only where the Vibe has no such document.
    """
    if (reference is None) == (digest is None):
        raise Usage("get takes a reference or a --digest, one of the two.")
    async with services.connect() as refinery:
        vibe = await refinery.get_vibe(
            reference,
            digest=_digest(digest),
            context=None if reference is None else context_of(branch, as_of),
        )
    if only is not None:
        return _print_part(vibe, only)
    if output == "text":
        _print_vibe(vibe)
    else:
        print_json(plain(vibe), output)
    return 0


async def list_(
    prefix: Annotated[str, Parameter(help="Only ids that start with this; schemas/ lists a folder.")] = "",
    /,
    *,
    type: Annotated[VibeType | None, Parameter(help="Only this kind of thing.")] = None,  # noqa: A002 -- the contract's word
    branch: OnlyBranch = "",
    made_by: Annotated[str, Parameter(help="Only what this Role or Process made: a ref.")] = "",
    after: Annotated[Position, Parameter(help="Only what comes after this position.")] = 0,
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
        if await print_stream(output, COLUMNS, vibes, plain, limit=limit):
            note(f"There are more than {limit}; --limit 0 lists all.")


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
        if await print_stream(output, COLUMNS, revisions, plain, limit=limit):
            note(f"There are more than {limit}; --limit 0 lists all.")


def _digest(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError:
        raise Usage(f"--digest: '{text}' is not hex.") from None


def _print_part(vibe: Vibe, part: Part) -> int:
    document = getattr(vibe, part)
    if document is ABSENT:
        note(f"{vibe.ref} has no {part}.")
        return 1
    print_document(document)
    return 0


def _print_vibe(vibe: Vibe) -> None:
    print_facts({
        "ref": vibe.ref,
        "type": vibe.type.value,
        "branches": ", ".join(vibe.branches),
        "author": vibe.author_ref,
        "prototype": vibe.prototype_ref,
        "position": vibe.position,
        "time": moment(vibe.time),
        "refinement": vibe.refinement_id,
        "digest": vibe.digest.hex(),
        "references": ", ".join(vibe.schema_refs),
    })  # fmt: skip
    if vibe.truncated:
        note("There are more references; the schema has all of them.")
    for part in ("context", "schema", "solution"):
        if (document := getattr(vibe, part)) is not ABSENT:
            say(f"\n{part}")
            print_document(document)
