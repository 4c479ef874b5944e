"""Questions that are asked often must find their answers by index, however the table grows."""

from __future__ import annotations

import asyncpg
import pytest

from refinery_core.postgres.queries import QUERIES
from tests.integration.conftest import Services

POSITION, KEY = 10**9, "'main@a?1'"
CHAIN = "'{main}'", f"'{{{POSITION}}}'"

HOT = {
    "direct_dependencies": (KEY, "''", "100"),
    "transitive_dependencies": (KEY, "0", "''", "100"),
    "direct_dependents": ("'{main@a?1}'", POSITION, "''", "100"),
    "transitive_dependents": ("'{main@a?1}'", POSITION, "0", "''", "100"),
    "revisions_seen": ("'a'", *CHAIN),
    "edges_to_id": ("'a'", POSITION, "0", "''", "100"),
    "edges_to_latest": ("'a'", POSITION, "0", "''", "100", KEY),
    "edges_to_ref": (KEY, POSITION, "0", "''", "100"),
    "standing": ("'{main@a?1}'", "'{a}'", "'{1}'", *CHAIN),
    "schema_digests": ("'{main@a?1}'",),
    "solutions": ("'{main@a?1}'",),
}


@pytest.mark.parametrize("name", HOT)
async def test_hot_queries_use_an_index_under_generic_plans(services: Services, name: str) -> None:
    connection = await asyncpg.connect(services.database.owner_url)
    try:
        await connection.execute(
            "set session_replication_role = replica; set plan_cache_mode = force_generic_plan; set jit = off"
        )
        await connection.execute(GROW)
        await connection.execute("analyze refinery.vibe_refs; analyze refinery.vibe_branches")
        await connection.execute(f"prepare hot as {QUERIES[name]}")
        arguments = ", ".join(map(str, HOT[name]))
        rows = await connection.fetch(f"explain execute hot ({arguments})")
        plan = "\n".join(row[0] for row in rows)
        assert "Index" in plan
        assert "Seq Scan on" not in plan, plan
    finally:
        await connection.close()


GROW = """
insert into refinery.vibe_refs
select 'main@r/' || n || '?1', 'main@a/' || n % 50 || '?1', 'schema', true, n, 'main', 'r/' || n, 1,
       'a/' || n % 50, 1
from generate_series(1, 20000) n;
insert into refinery.vibe_branches
select 'main', 'r/' || n, 1, n, 0, 'main@r/' || n || '?1' from generate_series(1, 20000) n;
"""
