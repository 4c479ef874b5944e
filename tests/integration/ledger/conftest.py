"""A ledger in which somebody holds a Role."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Database
from tests.integration.ledger.desk import DESK, GENESIS, ROOT, Desk, role, serving


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    """A ledger in which Ada holds the Role of the order desk."""
    async with serving(database) as desk:
        await desk.refine(ROOT, GENESIS, role("desk", DESK))
        yield desk
