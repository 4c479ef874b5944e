"""Every example is executed: on real Temporal, before a real ledger, with a web that is told what to say."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from refinery_cli.read.yaml import read_yaml
from refinery_client import Draft
from refinery_core.vibe.model import VibeType
from tests.integration.process.executor import Executor

EXAMPLES = Path(__file__).parents[3] / "examples"


async def run(executor: Executor, name: str, input_: Any, **fields: Any) -> Any:
    """Refine an example, start it, and give its handle."""
    document = read_yaml((EXAMPLES / f"{name}.yaml").read_text(), name)
    (ref,) = await executor.services.refine(
        Draft(type=VibeType.PROCESS, id=f"processes/{name}", solution=document)
    )
    return await executor.start(ref, input_, **fields)


async def test_hello(executor: Executor) -> None:
    handle = await run(executor, "hello", {"name": "Ada"})
    assert await executor.output(handle) == {"greeting": "Hello Ada!"}


async def test_hello_wants_a_name(executor: Executor) -> None:
    problem = await executor.outcome(await run(executor, "hello", {}))
    assert problem["type"].endswith("/validation")


async def test_http_with_retry_asks_again_while_the_service_is_down(executor: Executor) -> None:
    executor.web.script({"/stock/nuts%20%26%20bolts": [(503, None), (503, None), (200, {"count": 3})]})
    handle = await run(
        executor, "http-with-retry", {"warehouse": executor.web.base, "article": "nuts & bolts"}
    )
    assert await executor.output(handle) == {"article": "nuts & bolts", "inStock": True}
    assert len(executor.web.asked) == 3


async def test_quotes_race_buys_the_cheapest_and_ships_with_one(executor: Executor) -> None:
    executor.web.script(
        {
            "/quotes/north": [(200, {"price": 12})],
            "/quotes/south": [(200, {"price": 9})],
            "/carriers/express": [(200, {"carrier": "express"})],
            "/carriers/parcel": [(200, {"carrier": "parcel"})],
        }
    )
    output = await executor.output(await run(executor, "quotes-race", {"market": executor.web.base}))
    assert output["quote"] == {"price": 9}
    assert output["carrier"] in ("express", "parcel")


async def test_saga_books_everything(executor: Executor) -> None:
    executor.web.script({f"/{kind}": [(200, {"id": kind[0]})] for kind in ("flights", "hotels", "cars")})
    output = await executor.output(await run(executor, "saga", {"agency": executor.web.base}))
    assert [booking["kind"] for booking in output["booked"]] == ["flights", "hotels", "cars"]


async def test_saga_takes_back_what_was_booked_the_latest_first(executor: Executor) -> None:
    executor.web.script(
        {
            "/flights": [(200, {"id": "f"})],
            "/hotels": [(200, {"id": "h"})],
            "/cars": [(404, None)],
            "/flights/f": [(200, {})],
            "/hotels/h": [(200, {})],
        }
    )
    problem = await executor.outcome(await run(executor, "saga", {"agency": executor.web.base}))
    assert (problem["type"], problem["status"]) == ("https://example.com/errors/not-booked", 409)
    assert executor.web.asked == ["/flights", "/hotels", "/cars", "/hotels/h", "/flights/f"]


async def test_approval_of_little_waits_for_nobody(executor: Executor) -> None:
    frozen = {"aug:/roles/controller": await controller(executor)}
    handle = await run(executor, "approval", {"amount": 50}, frozen=frozen)
    assert await executor.output(handle) == {"approved": True, "by": "nobody"}


async def test_approval_of_much_waits_for_the_controller(executor: Executor) -> None:
    role = await controller(executor)
    handle = await run(executor, "approval", {"amount": 5_000}, frozen={"aug:/roles/controller": role})
    event = {
        "id": str(uuid.uuid4()),
        "type": "refinery.approval.v1",
        "source": f"refinery:{role}",
        "subject": handle.id,
        "author_ref": role,
        "data": {"approved": True},
    }
    approval_ref = await executor.deliver(handle, event)
    assert await executor.output(handle) == {"approved": True, "by": "controller"}
    made = await executor.services.refinery.get_refinement(vibe_ref=(await handle.result()).result_ref)
    assert approval_ref in made.target_refs


async def test_schedule_does_its_work_when_it_is_started(executor: Executor) -> None:
    output = await executor.output(await run(executor, "schedule", {}))
    assert output["report"] == "daily"
    assert output["startedAt"].startswith(output["day"])


async def controller(executor: Executor) -> str:
    """The Role that the example asks."""
    (ref,) = await executor.services.refine(Draft(type=VibeType.ROLE, id="roles/controller", solution={}))
    return ref
