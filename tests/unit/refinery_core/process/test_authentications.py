from __future__ import annotations

from typing import Any

import pytest

from refinery_core.process import model as m
from refinery_core.process.checker import read_process
from refinery_core.process.parts import Authentication, Template
from tests.unit.refinery_core.process.refused import T, check, http

TOKEN = {
    "authority": "https://id.test/realm",
    "grant": "client_credentials",
    "client": {"id": "me", "secret": "s"},
}


def calling(written: Any) -> Any:
    """A process that calls with an authentication."""
    return http(endpoint={"uri": "https://a", "authentication": written})


def read(written: Any) -> Authentication | None:
    (task,) = read_process(calling(written)).tasks
    assert isinstance(task, m.Call)
    assert isinstance(task.call, m.HttpCall)
    return task.call.endpoint.authentication


def test_a_token_is_asked_for_with_texts_by_their_paths() -> None:
    written = TOKEN | {"scopes": ["a", "b"], "endpoints": {"token": "/token"}, "audiences": ["c"]}
    texts = {
        "authority": "https://id.test/realm",
        "grant": "client_credentials",
        "client.id": "me",
        "client.secret": "s",
        "scopes.0": "a",
        "scopes.1": "b",
        "endpoints.token": "/token",
        "audiences.0": "c",
    }
    assert read({"oauth2": written}) == Authentication("oauth2", values=Template(texts, constant=True))


def test_an_expression_may_stand_for_each_text() -> None:
    authentication = read({"oidc": TOKEN | {"authority": "${ .realm }", "scopes": ["${ .scope }"]}})
    assert authentication is not None
    assert authentication.values is not None
    assert not authentication.values.constant
    assert authentication.values.value["scopes.0"].source == ".scope"


REFUSED: list[tuple[Any, str, str]] = [
    ({"digest": {}}, "/digest", "authentication by digest is not supported; basic, bearer, oauth2, oidc are"),
    (
        {"basic": {"username": {"a": "b"}, "password": "p"}},
        "/basic/username",
        "'username' needs to be a string",
    ),
    ({"oauth2": {"grant": "password"}}, "/oauth2", "oauth2 authentication needs 'authority'"),
    ({"oauth2": TOKEN | {"authority": "x"}}, "/oauth2/authority", "an http or https URI, not 'x'"),
    ({"oauth2": TOKEN | {"authority": "https://{a}/"}}, "/oauth2/authority", "an http or https URI"),
    ({"oauth2": TOKEN | {"grant": "refresh_token"}}, "/oauth2/grant", "'grant' cannot be 'refresh_token'"),
    ({"oauth2": TOKEN | {"grant": "password"}}, "/oauth2", "oauth2 authentication needs 'username'"),
    ({"oauth2": TOKEN | {"client": {"id": "a"}}}, "/oauth2/client", "needs 'id' and 'secret'"),
    (
        {"oauth2": {"authority": "https://a", "grant": "client_credentials"}},
        "/oauth2",
        "needs 'id' and 'secret'",
    ),
    (
        {"oauth2": TOKEN | {"client": {"authentication": "private_key_jwt"}}},
        "/oauth2/client/authentication",
        "'authentication' cannot be 'private_key_jwt'",
    ),
    ({"oauth2": TOKEN | {"scopes": [["a"]]}}, "/oauth2/scopes/0", "'scopes.0' needs to be a string"),
    ({"oauth2": TOKEN | {"scopes": "a"}}, "/oauth2/scopes", "'scopes' needs to be a list"),
    (
        {"oauth2": TOKEN | {"request": {"encoding": "xml"}}},
        "/oauth2/request/encoding",
        "'encoding' cannot be",
    ),
    ({"oauth2": TOKEN | {"issuers": ["a"]}}, "/oauth2/issuers", "oauth2 authentication has no 'issuers'"),
    ({"oidc": TOKEN | {"endpoints": {}}}, "/oidc/endpoints", "oidc authentication has no 'endpoints'"),
    ({"oauth2": TOKEN | {"endpoints": {"token": 1}}}, "/oauth2/endpoints/token", "needs to be a string"),
]


@pytest.mark.parametrize(("written", "path", "problem"), REFUSED)
def test_what_proves_nothing_is_refused(written: Any, path: str, problem: str) -> None:
    check(read_process, calling(written), f"{T}/with/endpoint/authentication{path}", problem)
