from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from ledger_service.wire import MAX_DRAFTS
from refinery.ledger.v1 import ledger_service_pb2 as ledger_pb
from refinery.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from refinery.process.v1 import process_service_pb2 as process_pb
from refinery.process.v1.process_service_pb2_grpc import ProcessServiceStub
from refinery.resolver.v1 import resolver_service_pb2 as resolver_pb
from refinery_client.connection import DEFAULT_SECONDS
from refinery_client.drafts import SECONDS_PER_DRAFT, SECONDS_PER_MIB
from refinery_core.errors import (
    Contention,
    DatabaseUnavailable,
    LedgerUnavailable,
    RevisionConflict,
    TemporalUnavailable,
)
from refinery_core.wire import MAX_MESSAGE_BYTES

CONFIG = (Path(__file__).parents[3] / "proto/service_config.json").read_text()


def test_only_what_was_not_answered_is_sent_again() -> None:
    unary, refine, streams, once = json.loads(CONFIG)["methodConfig"]
    policies = [unary["retryPolicy"], refine["retryPolicy"], streams["retryPolicy"]]

    assert "retryPolicy" not in once
    # CANCELLED is what gRPC makes of a call that a server drops. A call that its caller cancels is over.
    dropped = ["UNAVAILABLE", "CANCELLED"]
    assert [policy["retryableStatusCodes"] for policy in policies] == [dropped] * len(policies)


def test_attempts_reach_over_ten_seconds_and_end_before_their_deadline() -> None:
    unary, refine, streams, once = json.loads(CONFIG)["methodConfig"]
    for config in (unary, refine, streams):
        policy = config["retryPolicy"]
        pause, longest = (float(policy[key].removesuffix("s")) for key in ("initialBackoff", "maxBackoff"))
        pauses = [
            min(longest, pause * policy["backoffMultiplier"] ** n) for n in range(policy["maxAttempts"] - 1)
        ]
        # gRPC takes no more attempts than that, and makes each pause up to a fifth shorter or longer.
        assert policy["maxAttempts"] == 5
        assert 0.8 * sum(pauses) >= 10
        assert 1.2 * sum(pauses) + 5 <= float(config.get("timeout", "60s").removesuffix("s"))
    # A call that waits for a server needs a deadline, or it waits for ever if there is none.
    assert unary["waitForReady"] is refine["waitForReady"] is True
    assert not {"waitForReady"} & (streams.keys() | once.keys())


def test_streams_and_calls_have_no_deadline_and_everything_named_exists() -> None:
    services = {
        service.full_name: service
        for file in (ledger_pb.DESCRIPTOR, resolver_pb.DESCRIPTOR, process_pb.DESCRIPTOR)
        for service in file.services_by_name.values()
    }
    unary, refine, streams, once = json.loads(CONFIG)["methodConfig"]
    streaming = {
        (name, method.name)
        for name, service in services.items()
        for method in service.methods
        if method.server_streaming
    }

    assert {entry["service"] for entry in unary["name"]} == services.keys()
    assert {(entry["service"], entry["method"]) for entry in streams["name"]} == streaming
    assert once["name"] == [{"service": "refinery.process.v1.ProcessService", "method": "CallCapability"}]
    assert "CallCapability" in services["refinery.process.v1.ProcessService"].methods_by_name
    assert "timeout" not in streams | once
    assert refine["name"] == [{"service": "refinery.ledger.v1.LedgerService", "method": "Refine"}]


def test_the_largest_refine_has_as_much_time_in_every_language_as_in_python() -> None:
    unary, refine, *_ = json.loads(CONFIG)["methodConfig"]
    largest = SECONDS_PER_DRAFT * MAX_DRAFTS + SECONDS_PER_MIB * (MAX_MESSAGE_BYTES >> 20)

    assert float(unary["timeout"].removesuffix("s")) == DEFAULT_SECONDS
    assert refine["timeout"] == f"{int(unary['timeout'].removesuffix('s')) + largest:.0f}s"


async def test_a_client_that_knows_nothing_but_the_config_gets_over_a_bad_moment(small: Any) -> None:
    small.ledger.failures = [DatabaseUnavailable(), Contention(attempts=1)]
    request = ledger_pb.GetVibeRequest(reference="main@x?1")

    async with grpc.aio.insecure_channel(small.address, [("grpc.service_config", CONFIG)]) as channel:
        await LedgerServiceStub(channel).GetVibe(request)
    assert len(small.ledger.calls) == 3


async def test_such_a_client_does_not_repeat_what_was_decided(small: Any) -> None:
    small.ledger.failures = [RevisionConflict(field="f", id="a", current=2, expected=1)]
    request = ledger_pb.GetVibeRequest(reference="main@x?1")

    async with grpc.aio.insecure_channel(small.address, [("grpc.service_config", CONFIG)]) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await LedgerServiceStub(channel).GetVibe(request)
    assert len(small.ledger.calls) == 1


async def test_such_a_client_repeats_what_is_asked_of_processes_but_no_call(small: Any) -> None:
    small.processes.failures = [TemporalUnavailable(problem="it sleeps")]
    async with grpc.aio.insecure_channel(small.address, [("grpc.service_config", CONFIG)]) as channel:
        stub = ProcessServiceStub(channel)
        await stub.CancelExecution(process_pb.CancelExecutionRequest(id="e"))
        assert len(small.processes.calls) == 2
        small.processes.failures = [LedgerUnavailable(problem="it sleeps")]
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.CallCapability(process_pb.CallCapabilityRequest())
        await stub.CallCapability(process_pb.CallCapabilityRequest())
    assert len(small.processes.calls) == 4
