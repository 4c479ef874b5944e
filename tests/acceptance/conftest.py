"""A ledger on a fresh database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Database
from tests.support.ledger import Ledger, running


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[Ledger]:
    """A ledger on a database that holds nothing but the genesis."""
    async with running(database) as ledger:
        yield ledger
