from __future__ import annotations

import uuid
from typing import Any

import pytest

from process_worker.engine import state
from process_worker.temporal.client import Temporal
from refinery.process.v1 import process_service_pb2 as pb
from refinery_client import Draft, LineageDirection
from refinery_core.errors import TemporalUnavailable
from refinery_core.vibe.model import VibeType
from tests.cases.seeded import SEEDED
from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import Processes
from tests.integration.process.test_executions import asked, document, finished, reason


def heard(execution_id: str, id_: str = "e1", data: Any = None, **fields: Any) -> pb.SendEventRequest:
    event = pb.Event(id=id_, type="heard", data=None if data is None else document(data))
    return pb.SendEventRequest(
        **{"request_id": str(uuid.uuid4()), "author_ref": "aug:/system/genesis", **fields},
        execution_id=execution_id,
        event=event,
    )


async def listening(processes: Processes) -> str:
    await processes.process("processes/small")
    request = asked("aug:/processes/small", {"listen": True})
    await processes.stub.ExecuteProcess(request)
    return request.request_id


async def test_an_event_is_recorded_by_its_author_and_heard(processes: Processes) -> None:
    id_ = await listening(processes)
    sent = await processes.stub.SendEvent(heard(id_, data={"approved": True}))
    assert sent.event_ref == f"main@executions/{id_}/events/e1?1"
    assert not sent.replayed
    record = await processes.services.refinery.get_vibe(sent.event_ref)
    assert record.author_ref == AUTHOR
    assert record.solution == {
        "specversion": "1.0",
        "id": "e1",
        "type": "heard",
        "source": "refinery:aug:/system/genesis",
        "data": {"approved": True},
    }
    execution = await finished(processes, id_)
    (delivered,) = (await processes.services.refinery.get_vibe(execution.result_ref)).solution["heard"]
    assert delivered["author_ref"] == AUTHOR
    assert delivered["event_ref"] == sent.event_ref
    assert delivered["data"] == {"approved": True}


async def test_other_attributes_of_an_event_are_recorded_and_heard(processes: Processes) -> None:
    id_ = await listening(processes)
    request = heard(id_)
    request.event.attributes.update({"time": "2030-01-01T00:00:00Z", "roomid": "7"})
    sent = await processes.stub.SendEvent(request)
    record = await processes.services.refinery.get_vibe(sent.event_ref)
    execution = await finished(processes, id_)
    (delivered,) = (await processes.services.refinery.get_vibe(execution.result_ref)).solution["heard"]
    for event in (record.solution, delivered):
        assert (event["time"], event["roomid"], event["type"]) == ("2030-01-01T00:00:00Z", "7", "heard")


@pytest.mark.parametrize(
    "attributes",
    [
        {"Room": "7"},
        {"room-id": "7"},
        {"id": "e2"},
        {"specversion": "0.3"},
        {"data": "x"},
        {"a" * 21: "x"},
        {"a": "x" * 1_025},
        {f"a{n}": "x" for n in range(21)},
    ],
)
async def test_attributes_that_no_event_has_are_refused(
    processes: Processes, attributes: dict[str, str]
) -> None:
    request = heard(str(uuid.uuid4()))
    request.event.attributes.update(attributes)
    why, metadata = await reason(processes.stub.SendEvent(request))
    assert (why, metadata["field"].partition("s")[0]) == ("INVALID_FIELD", "event.attribute")


async def test_an_event_sent_again_is_the_same_event_even_after_the_end(processes: Processes) -> None:
    id_ = await listening(processes)
    request = heard(id_)
    first = await processes.stub.SendEvent(request)
    await finished(processes, id_)
    again = await processes.stub.SendEvent(request)
    assert again.replayed
    assert again.event_ref == first.event_ref
    assert await reason(processes.stub.SendEvent(heard(id_, "e2"))) == (
        "EXECUTION_ENDED",
        {"id": id_, "state": "COMPLETED"},
    )
    down = processes.services.refinery.trace_lineage(
        f"main@executions/{id_}?1", direction=LineageDirection.DOWN
    )
    assert f"main@executions/{id_}/events/e2?1" not in {step.ref async for step in down}


async def test_what_was_recorded_but_not_heard_is_heard_when_it_is_sent_again(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await listening(processes)
    request = heard(id_)

    async def died(*_: Any) -> bool:
        raise TemporalUnavailable(problem="the power is off")

    with monkeypatch.context() as patch:
        patch.setattr(Temporal, "deliver", died)
        assert (await reason(processes.stub.SendEvent(request)))[0] == "TEMPORAL_UNAVAILABLE"
    assert (await processes.stub.SendEvent(request)).replayed
    assert (await finished(processes, id_)).state == pb.EXECUTION_STATE_COMPLETED


async def test_an_event_id_is_used_once_in_an_execution(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await listening(processes)

    async def deaf(*_: Any) -> bool:
        return True

    monkeypatch.setattr(Temporal, "deliver", deaf)
    await processes.stub.SendEvent(heard(id_))
    assert (await reason(processes.stub.SendEvent(heard(id_))))[0] == "REVISION_CONFLICT"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id_": "a/b"}, "event.id"),
        ({"id_": ""}, "event.id"),
        ({"data": "x" * 300_000}, "event.data"),
        ({"author_ref": ""}, "author_ref"),
        ({"request_id": "1"}, "request_id"),
    ],
)
async def test_an_event_that_cannot_be_is_refused_with_its_field(
    processes: Processes, change: dict[str, Any], field: str
) -> None:
    why, metadata = await reason(processes.stub.SendEvent(heard(str(uuid.uuid4()), **change)))
    assert why == "INVALID_FIELD"
    assert metadata["field"] == field


async def test_one_event_too_many_is_refused_for_good_and_not_recorded(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "MAX_EVENTS", 2)
    deaf = {"listen": {"to": {"one": {"with": {"type": "nobody.says.this"}}}}}
    await processes.process("processes/deaf", [{"waits": deaf}])
    request = asked("aug:/processes/deaf")
    await processes.stub.ExecuteProcess(request)
    id_ = request.request_id
    first = heard(id_, "e1")
    for event in (first, heard(id_, "e2")):
        await processes.stub.SendEvent(event)
    assert await reason(processes.stub.SendEvent(heard(id_, "e3"))) == ("TOO_MANY_EVENTS", {"id": id_})
    recorded = processes.services.refinery.list_vibes(id_prefix=f"executions/{id_}/events/")
    assert [vibe.id.rpartition("/")[2] async for vibe in recorded] == ["e1", "e2"]
    assert (await processes.stub.SendEvent(first)).replayed

    async def seen(*_: Any) -> bool:
        return True

    # Two may come at once, and both see the last place.
    monkeypatch.setattr(Temporal, "has_room", seen)
    assert await reason(processes.stub.SendEvent(heard(id_, "e4"))) == ("TOO_MANY_EVENTS", {"id": id_})


async def test_an_event_for_nobody_is_refused_and_not_recorded(processes: Processes) -> None:
    id_ = str(uuid.uuid4())
    assert (await reason(processes.stub.SendEvent(heard(id_))))[0] == "EXECUTION_NOT_FOUND"
    assert len(await processes.services.rows("select 1 from refinery.refinements")) == SEEDED


async def test_a_role_is_heard_in_whatever_revision_unless_an_exact_one_is_asked(
    processes: Processes,
) -> None:
    role = Draft(type=VibeType.ROLE, id="roles/controller", solution={"n": 1})
    (exact,) = await processes.services.refine(role)
    (stranger,) = await processes.services.refine(Draft(type=VibeType.ROLE, id="roles/stranger", solution={}))
    ids = {}
    for written in ("aug:/roles/controller", f"aug:{exact}"):
        filter_ = {"with": {"type": "heard", "author_ref": written}}
        process = await processes.process(
            "processes/asks", [{"l": {"listen": {"to": {"one": filter_}, "read": "envelope"}}}]
        )
        request = asked(process)
        await processes.stub.ExecuteProcess(request)
        ids[written] = request.request_id
    (revised,) = await processes.services.refine(role)
    for id_ in ids.values():
        for author in (stranger, revised):
            await processes.stub.SendEvent(
                heard(id_, id_=f"by-{author[5:10]}-{author[-1]}", author_ref=author)
            )
    ended = await finished(processes, ids["aug:/roles/controller"])
    (event,) = (await processes.services.refinery.get_vibe(ended.result_ref)).solution
    assert event["author_ref"] == revised
    waits = await processes.stub.GetExecution(pb.GetExecutionRequest(id=ids[f"aug:{exact}"]))
    assert waits.execution.state == pb.EXECUTION_STATE_RUNNING
    await processes.stub.SendEvent(heard(ids[f"aug:{exact}"], id_="exact", author_ref=exact))
    ended = await finished(processes, ids[f"aug:{exact}"])
    (event,) = (await processes.services.refinery.get_vibe(ended.result_ref)).solution
    assert event["author_ref"] == exact
