from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from cryptography import x509

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery_client.refusals import refusal_from
from refinery_core.errors import RefineryError
from refinery_core.serving.around import Around
from refinery_core.serving.authentication.authenticating import Authentication
from refinery_core.serving.authentication.issuers import Issuer
from refinery_core.serving.authentication.keys import Ring, read_keys
from refinery_core.serving.authentication.sources import FileSource
from refinery_core.serving.authentication.tokens import Tokens
from refinery_core.serving.capacity import Capacity
from refinery_core.serving.layers import LAYERS
from refinery_core.serving.principal import current_principal
from tests.support.certificates import LOOPBACK, Names
from tests.support.issuing import AUDIENCE, Issuing

URI, DNS = x509.UniformResourceIdentifier, x509.DNSName
METHOD = "/refinery.ledger.v1.LedgerService/Who"
AUTHORITY = Names()
SERVER = AUTHORITY.certify((), [LOOPBACK])
CERTIFICATES = Authentication(certificates=True)


@asynccontextmanager
async def asking(authentication: Authentication, *, mutual: bool = True) -> AsyncIterator[int]:
    """A server behind TLS that answers with the principal; the port."""

    async def who(request: pb.GetLedgerRequest, context: Any) -> pb.RefineStreamResponse:
        return pb.RefineStreamResponse(request_id=current_principal())

    codec = (pb.GetLedgerRequest.FromString, pb.RefineStreamResponse.SerializeToString)
    service = grpc.method_handlers_generic_handler(
        "refinery.ledger.v1.LedgerService", {"Who": grpc.unary_unary_rpc_method_handler(who, *codec)}
    )
    around = Around(LAYERS, Capacity(), (), authentication)
    server = grpc.aio.server(interceptors=(around,))
    server.add_generic_rpc_handlers((service,))
    credentials = grpc.ssl_server_credentials([SERVER], AUTHORITY.pem if mutual else None, mutual)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def principal(port: int, identity: tuple[bytes, bytes] | None, *authorization: str) -> str:
    key, certificate = identity or (None, None)
    credentials = grpc.ssl_channel_credentials(AUTHORITY.pem, key, certificate)
    metadata = tuple(("authorization", value) for value in authorization)
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        call: Any = channel.unary_unary(METHOD)
        answer = await call(b"", timeout=20, metadata=metadata)
    return pb.RefineStreamResponse.FromString(answer).request_id


async def refusal(port: int, identity: tuple[bytes, bytes] | None, *authorization: str) -> RefineryError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await principal(port, identity, *authorization)
    return refusal_from(caught.value)


@pytest.mark.parametrize(
    ("common", "names", "expected"),
    [
        (["x"], [URI("spiffe://example/ns/orders/sa/worker")], "spiffe://example/ns/orders/sa/worker"),
        (["x"], [DNS("a.example"), URI("spiffe://example/a")], "spiffe://example/a"),
        (["x"], [DNS("a.example"), DNS("b.example")], "x509:a.example"),
        (["x"], [DNS("a.example"), URI("https://a.example/")], "x509:a.example"),
        ([], [DNS("a.example")], "x509:a.example"),
        (["ada"], [], "x509:ada"),
        (["Ada Lövelace"], [LOOPBACK], "x509:Ada Lövelace"),
        (["spiffe://example/admin"], [], "x509:spiffe://example/admin"),
    ],
    ids=str,
)
async def test_a_certificate_names_its_caller(common: list[str], names: list[Any], expected: str) -> None:
    async with asking(CERTIFICATES) as port:
        assert await principal(port, AUTHORITY.certify(common, names)) == expected


@pytest.mark.parametrize(
    ("common", "names"),
    [
        ([], []),
        ([], [LOOPBACK]),
        (["a", "b"], []),
        (["admin\nlevel=error"], []),
        (["admin\0.evil.example"], []),
        (["x"], [DNS("admin\0.evil.example")]),
        (["x"], [URI("spiffe://example/admin\0.evil.example")]),
        (["x"], [URI("spiffe://example/a"), URI("spiffe://example/b")]),
        (["x"], [URI("spiffe://example/a"), URI("https://a.example")]),
        (["x"], [URI("SPIFFE://example/a")]),
        (["x"], [URI("spiffe:example")]),
        (["x"], [URI("spiffe://example")]),
        (["x"], [URI("spiffe://example/a/../admin")]),
        (["x"], [URI("spiffe://example/a%2fadmin")]),
        (["x"], [URI("spiffe://example/a?b")]),
        (["x"], [URI("spiffe://example/*")]),
        (["x"], [URI(f"spiffe://example/{'a' * 512}")]),
        (["x"], [DNS("*")]),
        (["x"], [DNS("")]),
        (["x"], [DNS("a" * 513)]),
        (["\u202eada"], []),
    ],
    ids=str,
)
async def test_a_certificate_without_one_plain_name_is_refused(common: list[str], names: list[Any]) -> None:
    async with asking(CERTIFICATES) as port:
        found = await refusal(port, AUTHORITY.certify(common, names))
        assert (found.reason, found.code.name) == ("UNAUTHENTICATED", "UNAUTHENTICATED")


async def test_without_a_certificate_nobody_is_known() -> None:
    async with asking(CERTIFICATES, mutual=False) as port:
        found = await refusal(port, None)
        assert found.message == (
            "The caller is not known: no client certificate came; connect with one that is trusted here."
        )


async def test_a_certificate_of_another_authority_does_not_come_in() -> None:
    async with asking(CERTIFICATES) as port:
        found = await refusal(port, Names().certify((), [URI("spiffe://example/a")]))
        assert found.code.name == "UNAVAILABLE"


async def test_where_both_come_the_token_names_the_caller_and_has_to_be_good(tmp_path: Any) -> None:
    issuing = Issuing()
    ring = Ring(old_seconds=0)
    ring.replace(read_keys(issuing.jwks))
    issuer = Issuer(issuing.name, FileSource(str(tmp_path)), ring)
    both = Authentication(Tokens([issuer], [AUDIENCE]), certificates=True, issuers=(issuer,))
    worker = AUTHORITY.certify((), [URI("spiffe://example/worker")])
    async with asking(both) as port:
        assert await principal(port, worker) == "spiffe://example/worker"
        assert await principal(port, worker, f"Bearer {issuing.token()}") == f"jwt:{issuing.name}#ada"
        assert (await refusal(port, worker, "Bearer forged")).reason == "UNAUTHENTICATED"
    async with asking(both, mutual=False) as port:
        assert await principal(port, None, f"Bearer {issuing.token()}") == f"jwt:{issuing.name}#ada"
        assert "send one as" in (await refusal(port, None)).message


async def test_callers_with_different_certificates_are_not_mixed_up() -> None:
    names = [f"spiffe://example/worker/{number}" for number in range(20)]
    async with asking(CERTIFICATES) as port:
        identities = [AUTHORITY.certify((), [URI(name)]) for name in names]
        found = await asyncio.gather(*(principal(port, one) for one in (*identities, *identities)))
    assert found == [*names, *names]
