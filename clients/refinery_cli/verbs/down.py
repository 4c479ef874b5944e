"""`refinery down`: stops everything that runs in the background."""

from __future__ import annotations

from refinery_cli.options import DATA, Data
from refinery_cli.show.failures import Usage
from refinery_cli.show.output import say
from refinery_local.folder import stop


async def down(*, data: Data = DATA) -> None:
    """Stop the `refinery up` that runs on a folder, and wait until all has ended."""
    if not await stop(data):
        raise Usage(f"No 'refinery up' is running on {data}.")
    say("Stopped.")
