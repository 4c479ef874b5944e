from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from process_worker.activities.outside.exchange import Asked
from process_worker.activities.outside.gateway import Gateway
from process_worker.activities.outside.rpc import call
from process_worker.engine.calls import GrpcCall
from process_worker.engine.faults import Fault
from refinery_core.settings import CannotStart
from tests.support.tls import Authority, behind_tls
from tests.support.web import web
from tests.unit.process_worker.test_rpc import HEALTH, serve


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def health() -> Iterator[str]:
    """The address of a gRPC server with a health service."""
    server, port = serve(reflects=True)
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


async def get(gateway: Gateway, address: str, host: str = "127.0.0.1") -> int:
    port = address.rpartition(":")[2]
    try:
        return (await gateway.send(Asked("GET", f"https://{host}:{port}/x"))).status
    except Fault as fault:
        return fault.problem.status


async def check(gateway: Gateway, address: str, host: str = "127.0.0.1") -> Any:
    port = int(address.rpartition(":")[2])
    try:
        return await call(gateway, GrpcCall(HEALTH, "Check", host, port), {}, None)
    except Fault as fault:
        return fault.problem.status


async def test_who_is_called_has_to_be_who_the_authorities_say(authority: Authority, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    async with web() as served, behind_tls(served.base.removeprefix("http://"), authority) as address:
        served.script({"/x": [(200, 1)]})
        assert await get(Gateway.of("127.0.0.1", authority.file), address) == 200
        assert await get(Gateway.of("127.0.0.1", Authority(stranger).file), address) == 503
        assert await get(Gateway.of("127.0.0.1"), address) == 503
    async with behind_tls(served.base.removeprefix("http://"), authority, "other.test") as address:
        assert await get(Gateway.of("127.0.0.1", authority.file), address) == 503
    assert len(served.asked) == 1


async def test_grpc_is_spoken_with_tls_where_the_setting_says_so(health: str, authority: Authority) -> None:
    async with behind_tls(health, authority) as address:
        assert await check(Gateway.of(f"grpcs://{address}", authority.file), address) == {"status": "SERVING"}
        assert await check(Gateway.of("grpcs://127.0.0.1", authority.file), address) == {"status": "SERVING"}
        assert await check(Gateway.of(f"grpcs://{address}"), address) == 503
        assert await check(Gateway.of("127.0.0.1", authority.file), address) == 503
        assert await check(Gateway.of("grpcs://127.0.0.1:1", authority.file), address) == 403


async def test_grpc_is_spoken_with_tls_however_the_host_is_written(health: str, authority: Authority) -> None:
    async with behind_tls(health, authority, "localhost") as address:
        port = address.rpartition(":")[2]
        gateway = Gateway.of(f"grpcs://localhost:{port},127.0.0.1,[::1]", authority.file)
        for host in ("localhost", "LocalHost"):
            assert gateway.speaks_tls(host, int(port))
            assert await check(gateway, address, host) == {"status": "SERVING"}


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\xff\x00"])
def test_authorities_that_are_none_are_told_at_the_start(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CannotStart, match=r"ca\.pem (cannot be read: |holds no certificates)"):
        Gateway.of("", str(file))
