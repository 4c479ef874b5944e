"""`refinery verify`: proves a ledger from the rows of its database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from cyclopts import Parameter
from cyclopts.validators import Number

from refinery_cli.options import Output
from refinery_cli.show.bar import progress
from refinery_cli.show.failures import Usage
from refinery_cli.show.output import Columns, Form, print_facts, print_json, print_table, say
from refinery_cli.show.plain import plain
from refinery_core.postgres.address import see_address
from refinery_core.postgres.translate import STORE_FAILURES
from refinery_core.postgres.verify import Finding, Report, verify
from refinery_core.postgres.verify_rows import KEPT
from refinery_core.settings import CannotStart, secret_variable
from refinery_local.up import DATABASE

COLUMNS: Columns[Finding] = {
    "kind": lambda finding: finding.kind,
    "place": lambda finding: finding.place,
    "finding": lambda finding: finding.sentence,
}


async def verify_(
    *,
    data: Annotated[Path | None, Parameter(help="The folder of a running 'refinery up'.")] = None,
    url: Annotated[
        str | None,
        Parameter(
            help="The database, as any role that may read. Default: that of --data. "
            "[env: REFINERY_DATABASE_URL, or REFINERY_DATABASE_URL_FILE]"
        ),
    ] = None,
    expect: Annotated[
        str | None,
        Parameter(help="POSITION:CHAIN from an answer of refine: checks that nothing before it was changed."),
    ] = None,
    from_: Annotated[
        str | None,
        Parameter(
            name="--from", help="POSITION:CHAIN of an earlier verify: checks only what is new since then."
        ),
    ] = None,
    parallel: Annotated[
        int | None,
        Parameter(
            validator=Number(gte=1, lte=64),
            help="Processes that verify in parallel. Default: one a core, up to 4.",
        ),
    ] = None,
    output: Output = "text",
) -> int:
    """
    Derive digests, chain, refs, edges, pins and rights again from the rows.

    This reads the database directly, so that no service has to be trusted. Pass
    the printed chain as --from the next time.

    Exit code 1 if something does not agree.
    """
    database = url_of(data) if data is not None else url or secret_variable("REFINERY_DATABASE_URL")
    if not database:
        raise Usage("verify takes the --url of a database (or REFINERY_DATABASE_URL), or --data.")
    expected = None if expect is None else known_of(expect, "--expect")
    since = None if from_ is None else known_of(from_, "--from")
    if expected and since and expected[0] < since[0]:
        raise Usage("--expect is a position before --from, and only newer ones are checked.")
    see_address(database)
    try:
        with progress("verifying") as told:
            report = await verify(database, expect=expected, since=since, parallel=parallel, progress=told)
    except (*STORE_FAILURES, ValueError) as fault:
        raise CannotStart(f"The database cannot be read: {fault}.") from fault
    _print(report, output)
    return 0 if report.is_sound else 1


def url_of(data: Path) -> str:
    """
    The database of the `refinery up` that runs on a folder.

    Raises:
        Usage: No `refinery up` runs there.
    """
    try:
        # PostgreSQL itself writes down where it listens: line 4 is the port, line 5 the folder of the socket.
        lines = (data / "postgres" / "postmaster.pid").read_text().splitlines()
        port, sockets = lines[3], lines[4]
    except (OSError, IndexError):
        raise Usage(f"No 'refinery up' is running on {data}.") from None
    return f"postgresql://refinery_reader@/{DATABASE}?host={quote(sockets)}&port={port}"


def known_of(text: str, option: str) -> tuple[int, bytes]:
    """Read the POSITION:CHAIN of an option."""
    position, _, chain = text.partition(":")
    try:
        expected = int(position), bytes.fromhex(chain)
    except ValueError:
        expected = 0, b""
    if expected[0] < 1 or len(expected[1]) != 32:
        raise Usage(f"{option}: '{text}' is not POSITION:CHAIN with a chain of 64 hex digits.")
    return expected


def _print(report: Report, output: Form) -> None:
    if output != "text":
        print_json(plain(report) | {"sound": report.is_sound}, output)
        return
    if report.findings:
        print_table(COLUMNS, report.findings)
        say()
    for kind, count in report.found.items():
        if count > KEPT:
            say(f"{count - KEPT} more of the kind '{kind}' are not listed.")
    print_facts({
        "verdict": "sound" if report.is_sound else f"{report.found.total()} finding(s)",
        "ledger": report.ledger,
        "vibes": report.vibes,
        "edges": report.edges,
        **({"acted as system/genesis": ", ".join(report.genesis)} if report.genesis else {}),
        "position": report.position,
        "chain": f"{report.position}:{report.chain.hex()}",
    })  # fmt: skip
