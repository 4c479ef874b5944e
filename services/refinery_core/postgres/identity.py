"""Which ledger a service answers from, as the metadata of its answers."""

from __future__ import annotations

from refinery_core.postgres.database import Database
from refinery_core.settings import CannotStart
from refinery_core.wire import LEDGER_ID_KEY


async def answering_for(database: Database) -> tuple[tuple[str, str], ...]:
    """
    Give the metadata that every answer carries.

    Raises:
        CannotStart: somebody took away which ledger this is.
    """
    row = await database.first("ledger_id")
    if row is None:
        raise CannotStart("The database does not say which ledger it has: refinery.ledger is empty.")
    return ((LEDGER_ID_KEY, str(row["id"])),)
