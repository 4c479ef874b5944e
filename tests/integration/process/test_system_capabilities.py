"""The capabilities of the ledger itself are there from the beginning."""

from __future__ import annotations

import pytest

from process_worker.activities.outside.functions import LedgerFunctions
from refinery_core.process.checker import read_capability
from refinery_core.process.model import PythonCall
from tests.cases.scenario import Scenario
from tests.integration.conftest import Services
from tests.integration.process.executor import Executor

NAMES = ("get-vibe", "refine", "resolve-schema", "trace-lineage")


@pytest.mark.parametrize("name", NAMES)
async def test_a_system_capability_calls_a_function_that_the_worker_has(
    services: Services, name: str
) -> None:
    vibe = await services.refinery.get_vibe(f"aug:/system/capabilities/{name}")
    capability = read_capability(vibe.solution)
    call = capability.call.call
    assert isinstance(call, PythonCall)
    assert call.function in LedgerFunctions(services.refinery).by_name()
    assert vibe.ref == f"main@system/capabilities/{name}?1"


async def test_a_process_reads_and_commits_in_its_middle(executor: Executor) -> None:
    await executor.services.record("orders/1", solution={"total": 7})
    capabilities = {
        f"aug:/system/capabilities/{name}": f"main@system/capabilities/{name}?1" for name in NAMES
    }
    document = Scenario(
        "reads and commits",
        [
            {"order": {"call": "aug:/system/capabilities/get-vibe", "with": {"reference": "aug:/orders/1"}}},
            {
                "note": {
                    "call": "aug:/system/capabilities/refine",
                    "with": {
                        "drafts": [
                            {
                                "type": "RECORD",
                                "id": "notes/1",
                                "solution": {"doubled": "${ .solution.total * 2 }"},
                            }
                        ]
                    },
                }
            },
        ],
    )

    handle = await executor.start(await executor.process(document), frozen=capabilities)

    assert await executor.output(handle) == {"refs": ["main@notes/1?1"]}
    note = await executor.services.refinery.get_vibe("main@notes/1?1")
    assert note.solution == {"doubled": 14}
    refinement = await executor.services.refinery.get_refinement(vibe_ref=note.ref)
    assert any(ref.startswith("main@processes/") for ref in refinement.instruction_refs)
