"""`refinery get`: one Vibe."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from refinery_cli.options import (
    HERE,
    AsOf,
    Branch,
    Output,
    Reference,
    Services,
    context_of,
)
from refinery_cli.show.failures import Usage, note
from refinery_cli.show.output import print_document, print_facts, print_json, say
from refinery_cli.show.plain import moment, plain
from refinery_client.answers import Vibe
from refinery_client.drafts import ABSENT

Part = Literal["context", "schema", "solution"]


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

    Exit code 1 with --only if the Vibe has no such document.
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
