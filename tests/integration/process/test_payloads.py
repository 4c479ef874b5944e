from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from process_worker.temporal.codec import Keys, is_encrypted
from process_worker.temporal.payloads import LedgerStorage, converter
from process_worker.workflow.messages import MAX_INLINE_BYTES
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


async def test_large_payloads_are_records_and_the_same_again_with_keys_too(
    services: Services, tmp_path: Path
) -> None:
    (tmp_path / "one").write_bytes(b"k" * 32)
    storing = converter(services.refinery, AUTHOR, Keys(str(tmp_path), "one"))
    value = "x" * MAX_INLINE_BYTES
    (first,), (again,) = await storing.encode([value]), await storing.encode([value])
    assert first == again
    assert first.ByteSize() < 1 << 10
    assert await storing.decode([first]) == [value]


async def test_payloads_up_to_the_bound_are_encrypted_inline(services: Services, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"k" * 32)
    storing = converter(services.refinery, AUTHOR, Keys(str(tmp_path), "one"))
    around = DataConverter.default.payload_converter.to_payload("").ByteSize()
    before = await services.store.last_position()
    for value in ("x" * (MAX_INLINE_BYTES - around - 8), "x"):
        (payload,) = await storing.encode([value])
        assert is_encrypted(payload)
        assert await storing.decode([payload]) == [value]
    assert await services.store.last_position() == before
