from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from refinery_core.serving.authentication.authenticating import authenticating
from refinery_core.serving.authentication.settings import AuthenticationSettings
from refinery_core.settings import CannotStart, from_environment
from tests.support.issuing import AUDIENCE, ISSUER, Issuing, pair

COMPLETE = {
    "REFINERY_AUTH": "jwt",
    "REFINERY_JWT_ISSUER": ISSUER,
    "REFINERY_JWT_AUDIENCE": AUDIENCE,
    "REFINERY_JWT_JWKS": "jwks.json",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    issuing = Issuing()
    private = orjson.loads(issuing.jwks)
    private["keys"][0]["d"] = "AA"
    files = {
        "jwks.json": issuing.jwks,
        "empty.json": b'{"keys": []}',
        "secret.json": b'{"keys": [{"kty": "oct", "k": "AAAA"}]}',
        "private.json": orjson.dumps(private),
        "list.json": b"[]",
        "broken.json": b"{",
        "weak.json": orjson.dumps({"keys": [{"kty": "RSA", "n": "AQAB" * 40, "e": "AQAB"}]}),
        "curve.json": orjson.dumps({"keys": [pair("ES384").jwk]}),
        "other.json": orjson.dumps({"keys": [pair("EdDSA").jwk | {"use": "enc"}]}),
        "ps.json": orjson.dumps({"keys": [pair("RS256").jwk | {"alg": "PS256"}]}),
        "many.json": orjson.dumps({"keys": [pair("EdDSA").jwk] * 101}),
        "no.pem": b"nothing",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"AUTH": "jwtt"}, "REFINERY_AUTH is 'jwtt', but must be one of none, tls, jwt"),
        ({"AUTH": "off"}, "REFINERY_AUTH is 'off'"),
        ({"AUTH": "jwt,"}, "REFINERY_AUTH is 'jwt,'"),
        ({"JWT_ISSUER": ""}, "REFINERY_AUTH is jwt: set REFINERY_JWT_ISSUER too"),
        ({"JWT_AUDIENCE": ""}, "REFINERY_AUTH is jwt: set REFINERY_JWT_AUDIENCE too"),
        ({"JWT_AUDIENCE": " , "}, "REFINERY_AUTH is jwt: set REFINERY_JWT_AUDIENCE too"),
        ({"JWT_JWKS": ""}, "REFINERY_AUTH is jwt: set REFINERY_JWT_JWKS too"),
        ({"AUTH": "tls,jwt", "JWT_ISSUER": ""}, "REFINERY_AUTH is tls,jwt: set REFINERY_JWT_ISSUER too"),
        ({"AUTH": ""}, "REFINERY_JWT_ISSUER is set, but REFINERY_AUTH is none"),
        ({"AUTH": "none"}, "REFINERY_JWT_ISSUER is set, but REFINERY_AUTH is none"),
        ({"AUTH": "tls"}, "REFINERY_JWT_ISSUER is set, but REFINERY_AUTH is tls"),
        ({"JWT_ISSUER": "https://a,https://b"}, "one place of keys for each issuer"),
        ({"JWT_ISSUER": f"{ISSUER},{ISSUER}", "JWT_JWKS": "jwks.json,jwks.json"}, "no issuer twice"),
        ({"JWT_ISSUER": "https://a#b"}, "may not contain '#'"),
        ({"JWT_ISSUER": "https://a b"}, "may not contain '#', '*' or spaces"),
        ({"JWT_ISSUER": "https://*"}, "may not contain '#', '*'"),
        ({"JWT_JWKS": "nowhere.json"}, "nowhere.json cannot be read: No such file or directory"),
        ({"JWT_JWKS": "empty.json"}, "empty.json: it has no key that can be used"),
        ({"JWT_JWKS": "secret.json"}, "secret.json: it holds a private or secret key"),
        ({"JWT_JWKS": "private.json"}, "private.json: it holds a private or secret key"),
        ({"JWT_JWKS": "list.json"}, "list.json: it has no list 'keys'"),
        ({"JWT_JWKS": "broken.json"}, "broken.json: it is not JSON"),
        ({"JWT_JWKS": "weak.json"}, "weak.json: it has no key that can be used"),
        ({"JWT_JWKS": "curve.json"}, "curve.json: it has no key that can be used"),
        ({"JWT_JWKS": "other.json"}, "other.json: it has no key that can be used"),
        ({"JWT_JWKS": "ps.json"}, "ps.json: it has no key that can be used"),
        ({"JWT_JWKS": "many.json"}, "many.json: it has more than 100 keys"),
        ({"JWT_JWKS": "http://idp.example/jwks"}, "is fetched by http: an impostor in its place"),
        ({"JWT_JWKS": "http://127.0.0.1.evil.example/jwks"}, "is fetched by http"),
        ({"JWT_JWKS": "file:///etc/passwd"}, "has to be the path of a file, or an https URL"),
        ({"JWT_JWKS": "https://ada:secret@idp.example/"}, "an https URL without a login"),
        ({"JWT_JWKS": "https://idp.example:port/"}, "has to be the path of a file, or an https URL"),
        ({"JWT_JWKS": "https:///jwks"}, "has to be the path of a file, or an https URL"),
        ({"JWT_JWKS": "https://idp.example/", "JWT_CA": "no.pem"}, "no.pem holds no certificates in PEM"),
        ({"JWT_JWKS": "https://idp.example/", "JWT_CA": "ca"}, "ca cannot be read"),
        ({"JWT_REFRESH_SECONDS": "0"}, "REFINERY_JWT_REFRESH_SECONDS is '0', but must be at least 1"),
    ],
    ids=str,
)
async def test_what_would_let_in_others_does_not_start(changes: dict[str, str], sentence: str) -> None:
    environ = COMPLETE | {f"REFINERY_{name}": value for name, value in changes.items()}
    with pytest.raises(CannotStart) as caught:
        async with authenticating(from_environment(AuthenticationSettings, environ)):
            pass
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("changes", "is_on"),
    [
        (dict.fromkeys(COMPLETE, ""), False),
        (dict.fromkeys(COMPLETE, "") | {"REFINERY_AUTH": "none"}, False),
        (dict.fromkeys(COMPLETE, "") | {"REFINERY_AUTH": "tls"}, True),
        ({}, True),
        ({"REFINERY_AUTH": "TLS,JWT"}, True),
        ({"REFINERY_AUTH": "jwt,tls"}, True),
    ],
)
async def test_what_is_complete_starts(changes: dict[str, str], is_on: Any) -> None:
    async with authenticating(from_environment(AuthenticationSettings, COMPLETE | changes)) as authentication:
        assert (authentication.is_on, authentication.is_ready) == (is_on, True)
