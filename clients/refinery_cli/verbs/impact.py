"""`refinery impact`: the effect of a changed schema on those that use it."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from cyclopts import Parameter

from refinery_cli.options import (
    HERE,
    Branch,
    Count,
    Output,
    Services,
    document,
)
from refinery_cli.read.documents import document_of
from refinery_cli.show.failures import note, violation_line
from refinery_cli.show.output import Columns, print_json, print_table, say
from refinery_cli.show.plain import plain
from refinery_client.answers import Impact, ImpactVerdict


def _because(impact: Impact) -> str:
    if not impact.violations:
        return impact.message
    more = f" (and {len(impact.violations) - 1} more)" if len(impact.violations) > 1 else ""
    return f"{violation_line(impact.violations[0])}{more}"


IMPACT: Columns[Impact] = {
    "verdict": lambda impact: impact.verdict.value,
    "ref": lambda impact: impact.ref,
    "depth": lambda impact: impact.depth,
    "because": _because,
}

_BROKEN = (ImpactVerdict.INVALID, ImpactVerdict.UNRESOLVABLE)


async def impact(
    id: Annotated[str, Parameter(help="The id whose schema changes: schemas/user.")],  # noqa: A002 -- the contract's word
    /,
    *,
    schema: Annotated[
        str | None,
        document("The changed schema: inline JSON, @FILE, or -. Default: its latest revision."),
    ] = None,
    branch: Branch = "main",
    max_vibes: Annotated[Count, Parameter(help="The most Vibes to check; 0: 10,000.")] = 0,
    output: Output = "text",
    services: Services = HERE,
) -> int:
    """
    Show the effect of a changed schema on the latest versions that use it.

    Those that reach it through floating references are checked against the
    change: valid, invalid or unresolvable. Those that pinned it exactly are
    unaffected.

    Exit code 1 if the change would break something.
    """
    async with services.connect() as refinery:
        answers = refinery.analyze_impact(
            id, branch=branch, schema=document_of(schema, "--schema"), max_vibes=max_vibes
        )
        impacts = []
        async for found in answers:
            impacts.append(found)
            if output == "jsonl":
                print_json(plain(found), output)
    if output == "json":
        print_json({"impacts": plain(impacts), "truncated": answers.truncated}, output)
    elif output == "text":
        _print_impacts(id, impacts)
    if answers.truncated:
        note("There are more; see --max-vibes.")
    return 1 if any(found.verdict in _BROKEN for found in impacts) else 0


def _print_impacts(id_: str, impacts: list[Impact]) -> None:
    if not impacts:
        say(f"Nothing uses {id_}.")
        return
    print_table(IMPACT, impacts)
    counts = Counter(found.verdict.value for found in impacts)
    say()
    say(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
