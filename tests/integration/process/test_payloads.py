from __future__ import annotations

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from process_worker.temporal.payloads import LedgerStorage
from refinery_client import Draft
from refinery_core.vibe.model import VibeType
from tests.integration.conftest import AUTHOR, Services

EXECUTION = "6f3e4a52-4f6e-4c57-9d4d-2f4f0a3c1b11"
STORING = StorageDriverStoreContext(
    target=StorageDriverWorkflowInfo(namespace="default", id=f"execution/{EXECUTION}")
)


@pytest.mark.parametrize("size", [1, 384 << 10, 1 << 20])
async def test_a_payload_is_kept_once_whichever_author_a_worker_has(services: Services, size: int) -> None:
    await services.refine(Draft(type=VibeType.ROLE, id="roles/worker"))
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b"x" * size)
    one, other = (LedgerStorage(services.refinery, author) for author in (AUTHOR, "main@roles/worker?1"))
    claims = await one.store(STORING, [payload])
    before = await services.rows("select count(*) from refinery.refinements")
    assert await other.store(STORING, [payload]) == claims == await one.store(STORING, [payload])
    assert await services.rows("select count(*) from refinery.refinements") == before
    assert await other.retrieve(StorageDriverRetrieveContext(), claims) == [payload]
