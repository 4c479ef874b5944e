from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import REGISTRY

from refinery_client.channels import Renewed
from refinery_client.channels import Tls as ClientTls
from refinery_client.refusals import refusal_from
from refinery_core.certificates import Files
from refinery_core.serving.connections import Connections
from refinery_core.serving.metrics import exposed
from refinery_core.serving.tls import Tls
from refinery_core.settings import CannotStart
from tests.support.ports import free_port
from tests.support.tls import Authority, replace
from tests.support.waiting import PATIENCE, until
from tests.unit.refinery_core.serving.conftest import ANSWER, PATH, REQUEST, Run, Running, asked

NAMES = ("127.0.0.1", "localhost")
A_CLIENT, A_STRANGER = "client@one.test", "stranger@other.test"
NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    folder = tmp_path / "stranger"
    folder.mkdir()
    return Authority(folder)


def served(authority: Authority, *, client_ca: str | None = None, names: tuple[str, ...] = NAMES) -> Tls:
    return Tls(Files(*authority.certificate(*names), client_ca))


def spoken(
    authority: Authority | None,
    pair: tuple[str, str] | tuple[None, None] = (None, None),
    name: str | None = None,
) -> ClientTls:
    ca = None if authority is None else authority.file
    return ClientTls(tls="on", tls_ca=ca, tls_cert=pair[0], tls_key=pair[1], tls_server_name=name)


def contents(*paths: str) -> list[bytes]:
    return [Path(path).read_bytes() for path in paths]


OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)


async def said(port: int, tls: ClientTls, host: str = "127.0.0.1") -> tuple[str, str]:
    """The outcome of a call: "a", or the code that gRPC gives; and the hint of our client."""
    async with tls.channels(OWN_CONNECTION)(f"{host}:{port}") as channel:
        call = channel.unary_unary(PATH + "One", REQUEST.SerializeToString, ANSWER.FromString)
        try:
            return (await call(asked("a"), timeout=PATIENCE)).request_id, ""
        except grpc.aio.AioRpcError as error:
            hints = getattr(refusal_from(error), "__notes__", [""])
            return error.code().name, hints[0]


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def test_tls_is_spoken_to_whoever_trusts_the_server(run: Run, authority: Authority) -> None:
    async with run(tls=served(authority)) as server:
        for host in NAMES:
            assert await said(server.port, spoken(authority), host) == ("a", "")


async def test_a_server_that_trusts_somebody_asks_everybody_for_a_certificate(
    run: Run, authority: Authority
) -> None:
    own = authority.certificate(A_CLIENT)
    async with run(tls=served(authority, client_ca=authority.file)) as server:
        assert await said(server.port, spoken(authority, own)) == ("a", "")
        assert (await said(server.port, spoken(authority)))[0] == "UNAVAILABLE"


async def test_the_name_of_a_server_may_be_said(run: Run, authority: Authority) -> None:
    async with run(tls=served(authority, names=("ledger.test",))) as server:
        assert await said(server.port, spoken(authority, name="ledger.test")) == ("a", "")
        code, hint = await said(server.port, spoken(authority))
    assert code == "UNAVAILABLE"
    assert hint.startswith("The certificate of the server is for another name")


async def test_whoever_does_not_belong_is_not_let_in(
    run: Run, authority: Authority, stranger: Authority
) -> None:
    expired = {"since": NOW - dt.timedelta(days=9), "until": NOW - dt.timedelta(days=1)}
    wants = "The server may speak TLS, or want a certificate that it trusts"
    untrusted = "Nobody trusted here made the server's certificate"
    table = {
        "without a certificate": (spoken(authority), wants),
        "with one of a stranger": (spoken(authority, stranger.certificate(A_STRANGER)), wants),
        "trusting somebody else": (spoken(stranger, authority.certificate(A_CLIENT)), untrusted),
        "trusting the public": (spoken(None, authority.certificate(A_CLIENT)), untrusted),
        "without TLS": (ClientTls(tls="off"), wants),
    }
    async with run(tls=served(authority, client_ca=authority.file)) as server:
        for name, (tls, hint) in table.items():
            code, told = await said(server.port, tls)
            assert (code, told[: len(hint)]) == ("UNAVAILABLE", hint), name
        # Our own client would not start with it.
        cert, key = authority.certificate("late@one.test", **expired)
        credentials = grpc.ssl_channel_credentials(*contents(authority.file, key, cert))
        async with grpc.aio.secure_channel(f"127.0.0.1:{server.port}", credentials) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(CannotStart, match=r"late@one\.test\.pem expired at"):
            spoken(authority, (cert, key)).channels(())
        assert server.shapes.entered == 0


async def test_a_client_of_tls_hears_that_a_server_speaks_none(server: Running, authority: Authority) -> None:
    code, hint = await said(server.port, spoken(authority))
    assert (code, hint) == ("UNAVAILABLE", "The server speaks no TLS; REFINERY_TLS=off goes without.")


async def test_a_certificate_that_expires_while_it_is_served_is_seen(
    run: Run, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    # When it was read, it was still good.
    monkeypatch.setattr("refinery_core.certificates._checked_dates", lambda _, own: own.not_valid_after_utc)
    since, until_then = NOW - dt.timedelta(days=9), NOW - dt.timedelta(days=1)
    tls = Tls(Files(*authority.certificate(*NAMES, since=since, until=until_then)))
    async with run(tls=tls) as server:
        code, hint = await said(server.port, spoken(authority))
    assert (code, hint) == ("UNAVAILABLE", "The certificate of the server has expired.")
    told = value("refinery_tls_expiry_timestamp_seconds", file="certificate")
    assert told == int(until_then.timestamp())


async def test_what_certificates_are_in_force_is_in_the_metrics_and_the_log(
    run: Run, authority: Authority
) -> None:
    tls = served(authority, client_ca=authority.file)
    path = str(tls._followed.files.certificate)
    with structlog.testing.capture_logs() as lines:
        async with run(tls=tls):
            assert value("refinery_tls_files_usable", side="server") == 1
            good = value("refinery_tls_expiry_timestamp_seconds", file="certificate")
            assert good is not None
            assert good > NOW.timestamp()
            assert value("refinery_tls_expiry_timestamp_seconds", file="client_ca") is not None

            replace(path, b"half a cert")
            await until(lambda: value("refinery_tls_files_usable", side="server") == 0)
            assert value("refinery_tls_expiry_timestamp_seconds", file="certificate") == good

            soon = NOW + dt.timedelta(days=13, hours=12)
            authority.certificate(*NAMES, until=soon)
            await until(lambda: value("refinery_tls_files_usable", side="server") == 1)
            await until(lambda: [line for line in lines if line["event"] == "a certificate is about to end"])
            told = value("refinery_tls_expiry_timestamp_seconds", file="certificate")
            assert told == int(soon.timestamp())
            await asyncio.sleep(0.1)  # For looks that would say it again.
    events = [line["event"] for line in lines if line["event"] in EVENTS]
    assert events == EVENTS
    problem = next(line for line in lines if line["event"] == EVENTS[0])
    assert "holds no certificates in PEM" in problem["problem"]


EVENTS = [
    "new certificates cannot be used",
    "new certificates are in force",
    "a certificate is about to end",
]


async def test_bad_new_files_leave_the_last_good_ones_to_new_connections(
    run: Run, authority: Authority
) -> None:
    tls = served(authority, client_ca=authority.file)
    own = authority.certificate(A_CLIENT)
    path = str(tls._followed.files.key)
    async with run(tls=tls) as server:
        replace(path, authority.ca.issue_cert("x").private_key_pem.bytes())
        replace(authority.file, b"")
        trusting = Path(authority.folder / "trusted.pem")
        authority.ca.cert_pem.write_to_path(str(trusting))
        client = ClientTls(tls_ca=str(trusting), tls_cert=own[0], tls_key=own[1])
        assert await said(server.port, client) == ("a", "")


async def test_everything_is_rotated_under_load_and_no_call_fails(
    run: Run, authority: Authority, stranger: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both authorities are trusted, then certificates are the new one's, then only the new one is trusted."""
    monkeypatch.setattr("refinery_client.channels.LOOK_SECONDS", 0.02)
    trusted = authority.folder / "trusted.pem"

    def trust(*authorities: Authority) -> None:
        replace(trusted, b"".join(Path(one.file).read_bytes() for one in authorities))

    trust(authority)
    server_pair, client_pair = authority.certificate(*NAMES), authority.certificate(A_CLIENT)
    client_tls = ClientTls(tls_ca=str(trusted), tls_cert=client_pair[0], tls_key=client_pair[1])
    answered, stopped = [0], asyncio.Event()

    def by(other: Authority) -> None:
        for (cert, key), names in ((server_pair, NAMES), (client_pair, (A_CLIENT,))):
            issued = other.ca.issue_cert(*names)
            replace(key, issued.private_key_pem.bytes())
            replace(cert, issued.cert_chain_pems[0].bytes())

    async with run(tls=Tls(Files(*server_pair, str(trusted)))) as server:
        async with client_tls.channels(OWN_CONNECTION)(f"127.0.0.1:{server.port}") as channel:
            assert isinstance(channel, Renewed)
            one = channel.unary_unary(PATH + "One", REQUEST.SerializeToString, ANSWER.FromString)

            async def call_on() -> None:
                while not stopped.is_set():
                    await one(asked("a"), timeout=PATIENCE)
                    answered[0] += 1

            async def rotate(step: Callable[[], None]) -> None:
                goal, made = answered[0] + 200, channel.line()
                step()
                await until(lambda: answered[0] > goal and channel.line() is not made)

            old_call = asyncio.ensure_future(one(asked("wait"), timeout=PATIENCE))
            await until(lambda: server.shapes.entered == 1)
            async with asyncio.TaskGroup() as group:
                for _ in range(4):
                    group.create_task(call_on())
                for first, then in ((authority, stranger), (stranger, authority)):
                    await rotate(partial(trust, first, then))
                    await rotate(partial(by, then))
                    await rotate(partial(trust, then))
                stopped.set()
            # The oldest call of all is still under way on its channel, which is drained and not cut.
            oldest, *others = channel._retired
            await until(lambda: all(line.is_closed for line in others))
            assert not oldest.is_closed
            server.shapes.release.set()
            assert (await old_call).request_id == "wait"
            await until(lambda: oldest.is_closed)
        # Whoever comes with what was valid once stands outside.
        trust(stranger)
        by(stranger)
        cert, key = authority.certificate("late@one.test")
        late = ClientTls(tls_ca=stranger.file, tls_cert=cert, tls_key=key)
        assert (await said(server.port, late))[0] == "UNAVAILABLE"


@pytest.mark.parametrize("secured", [True, False])
async def test_whoever_connects_and_says_nothing_is_hung_up_on(
    run: Run, authority: Authority, secured: bool
) -> None:
    tls = served(authority) if secured else None
    async with run(tls=tls, connections=Connections(handshake_seconds=0.2)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.timeout(PATIENCE):
            while await reader.read(1 << 16):
                pass
        writer.close()


@pytest.fixture
async def with_health(run: Run, authority: Authority) -> AsyncIterator[tuple[Running, grpc.aio.Channel]]:
    """A server that everybody needs a certificate for, and a channel to its port for probes."""
    listen = f"127.0.0.1:{free_port()}"
    tls = served(authority, client_ca=authority.file)
    async with run(tls=tls, health_listen=listen) as server, grpc.aio.insecure_channel(listen) as channel:
        yield server, channel


async def test_health_is_told_in_the_clear_on_a_port_of_its_own(with_health: Any) -> None:
    server, channel = with_health
    health = health_pb2_grpc.HealthStub(channel)
    question = health_pb2.HealthCheckRequest(service="refinery.ledger.v1.LedgerService")

    async def is_serving() -> bool:
        return bool((await health.Check(question)).status == health_pb2.HealthCheckResponse.SERVING)

    await until(is_serving)
    watching = aiter(health.Watch(question))
    assert (await anext(watching)).status == health_pb2.HealthCheckResponse.SERVING
    server.drain.ask()
    assert [answer.status async for answer in watching] == [health_pb2.HealthCheckResponse.NOT_SERVING]


@pytest.mark.parametrize(
    "method",
    [
        PATH + "One",
        PATH + "Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.health.v1.Health/Other",
        "/",
    ],
)
async def test_the_port_for_probes_answers_nothing_else(with_health: Any, method: str) -> None:
    server, channel = with_health
    call = channel.unary_unary(method, REQUEST.SerializeToString, ANSWER.FromString)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(asked("a"), timeout=PATIENCE)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert server.shapes.entered == 0


def scraped(port: int, context: ssl.SSLContext | None, scheme: str = "https") -> str:
    url = f"{scheme}://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url, timeout=20, context=context) as answer:
        return str(answer.read().decode())


async def test_metrics_are_served_with_the_same_certificates(authority: Authority) -> None:
    tls, port = served(authority, client_ca=authority.file), free_port()
    bare = ssl.create_default_context(cafile=authority.file)
    known = ssl.create_default_context(cafile=authority.file)
    known.load_cert_chain(*authority.certificate("prometheus.test"))
    with exposed(f"127.0.0.1:{port}", tls):
        assert "process_cpu_seconds_total" in await asyncio.to_thread(scraped, port, known)
        with pytest.raises((OSError, urllib.error.URLError)):
            await asyncio.to_thread(scraped, port, bare)
        with pytest.raises((OSError, urllib.error.URLError)):
            await asyncio.to_thread(scraped, port, None, "http")
        first = await asyncio.to_thread(ssl_certificate, port, known)
        authority.certificate(*NAMES)
        assert await asyncio.to_thread(ssl_certificate, port, known) != first


def ssl_certificate(port: int, context: ssl.SSLContext) -> bytes | None:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True)
