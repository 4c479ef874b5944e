"""`refinery denials`: the calls that were refused for want of a right."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from cyclopts import Parameter

from refinery_cli.options import HERE, Limit, Output, Services, context_of
from refinery_cli.show.failures import Usage, note
from refinery_cli.show.output import Columns, print_stream
from refinery_cli.show.plain import plain
from refinery_client import Denial

COLUMNS: Columns[Denial] = {
    "minute": lambda denial: f"{denial.minute:%Y-%m-%d %H:%M}",
    "times": lambda denial: str(denial.count),
    "principal": lambda denial: denial.principal,
    "verb": lambda denial: denial.verb,
    "id": lambda denial: denial.id,
    "branch": lambda denial: denial.branch,
    "role": lambda denial: denial.role,
    "problem": lambda denial: denial.problem,
}
_When = Annotated[str | None, Parameter(help="A time: 2026-11-21T09:30Z; local without a zone.")]


async def denials(
    *,
    principal: Annotated[str, Parameter(help="Only those of one principal.")] = "",
    since: _When = None,
    until: _When = None,
    limit: Limit = 100,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """
    List the calls that were refused for want of a right, newest first.

    They are counted by the minute. A minute is listed when it is over.
    """
    async with services.connect() as refinery:
        found = refinery.list_denials(
            principal=principal, since=_time(since, "--since"), until=_time(until, "--until")
        )
        if await print_stream(output, COLUMNS, found, plain, limit=limit):
            note(f"There are more than {limit}; --limit 0 lists all.")


def _time(text: str | None, option: str) -> datetime | None:
    moment = context_of("main", text).as_of
    if moment is not None and not isinstance(moment, datetime):
        raise Usage(f"{option} takes a time, not a position.")
    return moment
