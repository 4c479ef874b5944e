"""The refinements that the migration writes into a new ledger, before anybody refines."""

from __future__ import annotations

from typing import Final

SEEDED: Final = 2
"""The position at which a new ledger ends: the genesis is at 1, the schema of Roles at 2."""
SEEDED_VIBES: Final = 6
"""The genesis, four Capabilities of the ledger itself, and the schema of Roles."""
FIRST: Final = SEEDED + 1
"""The position of the first refine."""
