from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from process_worker.activities.outside import tokens
from process_worker.activities.outside.credentials import Credentials
from process_worker.activities.outside.gateway import Gateway
from process_worker.activities.outside.secrets import Secrets
from process_worker.activities.outside.tokens import Tokens
from process_worker.engine.calls import NamedSecret, Values
from process_worker.engine.faults import Fault, standard
from process_worker.jq.evaluator import Evaluator
from tests.support.web import Web, web

SECRETS = {
    "REFINERY_SECRET_TOKEN": "abc",
    "REFINERY_SECRET_DIGITS": "123456",
    "REFINERY_SECRET_NULL": "null",
    "REFINERY_SECRET_LOGIN": '{"username": "u", "password": "p"}',
}


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator(children=1) as evaluator:
        yield evaluator


@pytest.fixture
async def served() -> AsyncIterator[Web]:
    async with web() as served:
        served.script(
            {"/oauth2/token": [(200, {"access_token": "t1", "token_type": "bearer", "expires_in": 300})]}
        )
        yield served


@pytest.fixture
def credentials(evaluator: Evaluator) -> Credentials:
    return Credentials(Secrets(SECRETS, evaluator), Tokens(Gateway.of("127.0.0.1")))


def oauth2(served: Web, scheme: str = "oauth2", **texts: str) -> Values:
    """An authentication as the engine gives it."""
    client = {
        "authority": served.base,
        "grant": "client_credentials",
        "client.id": "me",
        "client.secret": "s&?",
    }
    return Values(scheme, texts=client | texts, expressions={})


def form(body: bytes) -> dict[str, list[str]]:
    return parse_qs(body.decode(), strict_parsing=True)


async def test_secrets_become_headers_and_nothing_else(credentials: Credentials) -> None:
    assert await credentials.headers(None) == {}
    for name, token in (("token", "abc"), ("digits", "123456"), ("null", "null")):
        named = NamedSecret("bearer", name)
        assert await credentials.headers(named) == {"Authorization": f"Bearer {token}"}
    basic = "Basic " + base64.b64encode(b"u:p").decode()
    assert await credentials.headers(NamedSecret("basic", "login")) == {"Authorization": basic}
    filled = Values(
        scheme="bearer",
        texts={},
        expressions={"token": "$secrets.token + $input.end"},
        variables={"input": {"end": "!"}},
        secrets=["token"],
    )
    assert await credentials.headers(filled) == {"Authorization": "Bearer abc!"}
    for wrong in (NamedSecret("bearer", "nobody"), NamedSecret("bearer", "login")):
        with pytest.raises(Fault) as caught:
            await credentials.headers(wrong)
        assert "abc" not in str(caught.value)


async def test_a_token_is_asked_for_and_kept(credentials: Credentials, served: Web) -> None:
    asked = oauth2(served, **{"scopes.0": "read", "scopes.1": "write", "audiences.0": "api"})
    headers = await asyncio.gather(*(credentials.headers(asked) for _ in range(10)))
    assert headers == [{"Authorization": "Bearer t1"}] * 10
    assert (served.methods, served.asked) == (["POST"], ["/oauth2/token"])
    assert form(served.bodies[0]) == {
        "grant_type": ["client_credentials"],
        "client_id": ["me"],
        "client_secret": ["s&?"],
        "scope": ["read write"],
        "audience": ["api"],
    }


async def test_who_asks_with_something_else_gets_a_token_of_its_own(
    credentials: Credentials, served: Web
) -> None:
    for scope in ("read", "write", "read"):
        await credentials.headers(oauth2(served, **{"scopes.0": scope}))
    assert len(served.asked) == 2


async def test_a_token_that_expires_or_is_refused_is_asked_for_anew(
    credentials: Credentials, served: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await credentials.headers(oauth2(served))
    for status, asked in ((503, 1), (401, 2)):
        with pytest.raises(Fault), credentials.shown(first):
            raise standard("communication", "no", status=status)
        await credentials.headers(oauth2(served))
        assert len(served.asked) == asked
    served.script(
        {"/oauth2/token": [(200, {"access_token": "t2", "expires_in": 29}), (200, {"access_token": "t3"})]}
    )
    monkeypatch.setattr(time, "monotonic", lambda: 1e9)
    for token in ("t2", "t3", "t3"):
        assert await credentials.headers(oauth2(served)) == {"Authorization": f"Bearer {token}"}
    assert len(served.asked) == 5


async def test_a_client_says_who_it_is_as_it_should(credentials: Credentials, served: Web) -> None:
    await credentials.headers(oauth2(served, **{"client.authentication": "client_secret_basic"}))
    pair = base64.b64encode(b"me:s%26%3F").decode().lower()
    assert served.headers[0]["authorization"] == f"basic {pair}"
    assert form(served.bodies[0]) == {"grant_type": ["client_credentials"]}
    await credentials.headers(oauth2(served, **{"client.authentication": "none"}))
    assert form(served.bodies[1]) == {"grant_type": ["client_credentials"], "client_id": ["me"]}
    with pytest.raises(Fault, match="'private_key_jwt' are not supported"):
        await credentials.headers(oauth2(served, **{"client.authentication": "private_key_jwt"}))


async def test_a_password_can_be_given_for_a_token(credentials: Credentials, served: Web) -> None:
    asked = {"grant": "password", "username": "ada", "password": "pw", "request.encoding": "application/json"}
    await credentials.headers(oauth2(served, **asked))
    assert served.headers[0]["content-type"] == "application/json"
    assert json.loads(served.bodies[0]) == {
        "grant_type": "password",
        "username": "ada",
        "password": "pw",
        "client_id": "me",
        "client_secret": "s&?",
    }


async def test_the_endpoint_of_tokens_is_named_or_discovered(credentials: Credentials, served: Web) -> None:
    token = (200, {"access_token": "t", "expires_in": 300})
    discovery = "/realm/.well-known/openid-configuration"
    served.script({"/realm/auth": [token], "/elsewhere": [token]})
    served.script({discovery: [(200, {"token_endpoint": f"{served.base}/elsewhere"})]})
    realm = f"{served.base}/realm/"
    await credentials.headers(oauth2(served, authority=realm, **{"endpoints.token": "/auth"}))
    await credentials.headers(oauth2(served, "oidc", authority=realm))
    await credentials.headers(oauth2(served, "oidc", authority=served.base + discovery))
    assert served.asked == ["/realm/auth", discovery, "/elsewhere", discovery, "/elsewhere"]


async def test_a_secret_can_say_all_of_it(evaluator: Evaluator, served: Web) -> None:
    client = {"id": "me", "secret": "s"}
    kept = {"authority": served.base, "grant": "client_credentials", "client": client, "scopes": ["a", "b"]}
    secrets = Secrets({"REFINERY_SECRET_API": json.dumps(kept)}, evaluator)
    credentials = Credentials(secrets, Tokens(Gateway.of("127.0.0.1")))
    named = NamedSecret("oauth2", "api")
    assert await credentials.headers(named) == {"Authorization": "Bearer t1"}
    assert form(served.bodies[0])["scope"] == ["a b"]


def test_a_secret_is_read_from_its_file_each_time(evaluator: Evaluator, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("abc\n")
    file = {"REFINERY_SECRET_MY_KEY_FILE": str(path)}
    secrets = Secrets(file, evaluator)
    assert secrets.read("my-key") == "abc"
    path.write_text('{"username": "u"}')
    assert secrets.read("my-key") == {"username": "u"}
    both = Secrets(file | {"REFINERY_SECRET_MY_KEY": "x"}, evaluator)
    path_that_is_gone = Secrets({"REFINERY_SECRET_MY_KEY_FILE": "/nowhere"}, evaluator)
    for bad in (both, path_that_is_gone):
        with pytest.raises(Fault, match="is set twice, or its file cannot be read") as caught:
            bad.read("my-key")
        assert "nowhere" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "status", "why"),
    [
        ((400, {"error": "invalid_client"}), 401, r"it answered with 400 \(invalid_client\)"),
        ((401, {"error": "s&? is wrong"}), 401, "it answered with 401$"),
        ((503, None), 503, "it answered with 503"),
        ((200, b"t"), 503, "it answered with 200"),
        ((200, {"token": "t"}), 502, "without a bearer token"),
        ((200, {"access_token": "a\r\nb"}), 502, "without a bearer token"),
        ((200, {"access_token": "t", "token_type": "DPoP"}), 502, "without a bearer token"),
        ((302, "/elsewhere"), 503, "it answered with 302"),
    ],
)
async def test_where_there_is_no_token_the_fault_says_why_and_no_secret(
    answer: tuple[int, Any], status: int, why: str, credentials: Credentials, served: Web
) -> None:
    served.script({"/oauth2/token": [answer]})
    with pytest.raises(Fault, match=why) as caught:
        await credentials.headers(oauth2(served))
    assert caught.value.problem.status == status
    assert "s&?" not in str(caught.value)


async def test_an_authority_that_is_not_allowed_is_not_asked(evaluator: Evaluator, served: Web) -> None:
    credentials = Credentials(Secrets({}, evaluator), Tokens(Gateway.of("other.test")))
    with pytest.raises(Fault, match="not allowed"):
        await credentials.headers(oauth2(served))
    assert served.connections == 0


async def test_only_so_many_tokens_are_kept(
    credentials: Credentials, served: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_KEPT", 2)
    for scope in ("a", "b", "c", "c", "a"):
        await credentials.headers(oauth2(served, **{"scopes.0": scope}))
    assert len(served.asked) == 4
