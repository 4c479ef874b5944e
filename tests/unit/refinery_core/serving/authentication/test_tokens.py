from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import grpc
import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from refinery_core.serving.authentication import tokens
from refinery_core.serving.authentication.tokens import EXPIRED, LEEWAY_SECONDS, MAX_TOKEN_BYTES
from refinery_core.serving.principal import Caller
from tests.support.issuing import ISSUER, Issuing, Pair, base64url, compact, key_set, pair
from tests.support.waiting import until

FAR = 10_000


@cache
def pair_of(algorithm: str, kid: str | None = "first") -> Pair:
    """One of each is enough: RSA keys take a second."""
    return pair(algorithm, kid)


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
async def test_a_good_token_names_its_caller(ask: Any, algorithm: str) -> None:
    async with ask(Issuing(pair_of(algorithm))) as asking:
        token = asking.issuing.token(groups=["order-desk", "auditors", "order-desk"])
        caller = await asking.call(f"Bearer {token}")

        groups = (f"group:{ISSUER}#order-desk", f"group:{ISSUER}#auditors")
        assert caller == Caller(f"jwt:{ISSUER}#ada", groups, authenticated=True)
        assert await asking.call(f"bearer {token}") == caller


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["other", "refinery"]},
        {"nbf": 0},
        {"header": {"typ": None}},
        {"header": {"typ": "at+JWT"}},
        {"header": {"kid": None}},
        {"header": {"jku": "https://evil.example/jwks", "x5t": "abc"}},
        {"exp": 4_000_000_000.5},
        {"sub": "a" * (512 - len(f"jwt:{ISSUER}#"))},
        {"groups": "order-desk"},
        {"groups": []},
        {"jti": 7},
    ],
    ids=str,
)
async def test_what_does_not_matter_does_not_matter(ask: Any, changes: dict[str, Any]) -> None:
    async with ask() as asking:
        assert (await asking.call(f"Bearer {asking.issuing.token(**changes)}")).authenticated


async def test_a_group_that_no_role_can_name_gives_nothing(ask: Any) -> None:
    async with ask() as asking:
        token = asking.issuing.token(groups=["a*", "b\n", "", "c" * 600, "d"])
        assert (await asking.call(f"Bearer {token}")).groups == (f"group:{ISSUER}#d",)


async def test_groups_are_of_the_claim_that_was_configured_alone(ask: Any) -> None:
    async with ask(jwt_groups_claim=None) as asking:
        assert (await asking.call(f"Bearer {asking.issuing.token(groups=['a'])}")).groups == ()


Forge = Callable[[Issuing], str | tuple[str, ...]]


def bare(issuing: Issuing, header: Any, sign: Callable[[bytes], bytes], **claims: Any) -> str:
    return compact(header, issuing.claims(**claims), sign)


def with_public_key(issuing: Issuing, form: str) -> str:
    """A secret that everybody knows, where a server takes its public key for one."""
    public = issuing.pair.private.public_key()
    secret: bytes
    if form == "pem":
        secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    elif form == "raw":
        secret = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    else:
        secret = orjson.dumps(issuing.pair.jwk)
    header = {"alg": "HS256", "kid": issuing.pair.kid}
    return bare(issuing, header, lambda content: hmac.digest(secret, content, hashlib.sha256))


def self_signed(issuing: Issuing, **header: Any) -> str:
    """Signed by a key that comes with the token."""
    own = pair("EdDSA", "first")
    return bare(issuing, {"alg": "EdDSA", "kid": "first", "jwk": own.jwk} | header, own.sign)


def swapped(issuing: Issuing) -> str:
    head, _, signature = issuing.token().split(".")
    _, claims, _ = issuing.token(sub="eve").split(".")
    return f"{head}.{claims}.{signature}"


def cut(issuing: Issuing, part: int, content: str) -> str:
    parts = issuing.token().split(".")
    parts[part] = content
    return ".".join(parts)


def padded(issuing: Issuing) -> str:
    head, claims, signature = issuing.token().split(".")
    return f"{head}.{claims}.{signature}{'=' * (-len(signature) % 4)}"


def other_curve(issuing: Issuing) -> str:
    own = pair("ES384", "first")
    return bare(issuing, {"alg": "ES256", "kid": "first"}, own.sign)


def embedded_jwks(issuing: Issuing) -> str:
    own = pair("EdDSA", "eve")
    return bare(issuing, {"alg": "EdDSA", "kid": "eve", "jwks": orjson.loads(key_set(own))}, own.sign)


def by(issuing: Issuing, algorithm: str) -> str:
    """Signed by another key of the issuer's name, with an algorithm that is not that of its key."""
    own = pair_of(algorithm)
    return Issuing(own).token()


def encoded(raw: bytes) -> str:
    return base64url(raw).decode()


NOTHING = b""
FORGED: dict[str, Forge] = {
    "alg none": lambda to: bare(to, {"alg": "none"}, lambda _: b"x"),
    "alg none, unsigned": lambda to: bare(to, {"alg": "none"}, lambda _: NOTHING),
    "alg NoNe": lambda to: bare(to, {"alg": "NoNe", "kid": "first"}, lambda _: b"x"),
    "alg missing": lambda to: to.token(header={"alg": None}),
    "alg null": lambda to: bare(to, {"alg": None, "kid": "first"}, to.pair.sign),
    "alg a list": lambda to: to.token(header={"alg": ["EdDSA"]}),
    "HS256 with the public key in PEM": lambda to: with_public_key(to, "pem"),
    "HS256 with the public key raw": lambda to: with_public_key(to, "raw"),
    "HS256 with the JWK": lambda to: with_public_key(to, "jwk"),
    "HS256 with an empty key": lambda to: bare(
        to, {"alg": "HS256", "kid": "first"}, lambda content: hmac.digest(b"", content, "sha256")
    ),
    "alg that differs from the key": lambda to: to.token(header={"alg": "ES256"}),
    "alg ES512": lambda to: to.token(header={"alg": "ES512"}),
    "alg EdDSA in other letters": lambda to: to.token(header={"alg": "eddsa"}),
    "RS256 by another key": lambda to: by(to, "RS256"),
    "ES256 by another key": lambda to: by(to, "ES256"),
    "ES256 with another curve": other_curve,
    "another key": lambda to: Issuing(pair("EdDSA", "first")).token(),
    "kid unknown": lambda to: to.token(header={"kid": "second"}),
    "kid a path": lambda to: to.token(header={"kid": "../../../../dev/null"}),
    "kid a URL": lambda to: to.token(header={"kid": "https://evil.example/key"}),
    "kid of SQL": lambda to: to.token(header={"kid": "' or 1=1 --"}),
    "kid a number": lambda to: to.token(header={"kid": 1}),
    "kid a list": lambda to: to.token(header={"kid": ["first"]}),
    "kid an object": lambda to: to.token(header={"kid": {"first": 1}}),
    "kid empty": lambda to: to.token(header={"kid": ""}),
    "embedded jwk": self_signed,
    "embedded jwks": embedded_jwks,
    "jku": lambda to: self_signed(to, jwk=None, jku="https://evil.example/jwks.json"),
    "x5u": lambda to: self_signed(to, jwk=None, x5u="https://evil.example/cert.pem"),
    "crit": lambda to: to.token(header={"crit": ["exp"], "exp": FAR}),
    "crit empty": lambda to: to.token(header={"crit": []}),
    "b64 false": lambda to: to.token(header={"b64": False, "crit": ["b64"]}),
    "typ of a logout token": lambda to: to.token(header={"typ": "logout+jwt"}),
    "typ a number": lambda to: to.token(header={"typ": 7}),
    "another issuer": lambda to: to.token(iss="https://evil.example"),
    "issuer with a slash": lambda to: to.token(iss=f"{ISSUER}/"),
    "issuer a list": lambda to: to.token(iss=[ISSUER]),
    "another audience": lambda to: to.token(aud="somebody-else"),
    "other audiences": lambda to: to.token(aud=["a", "b"]),
    "no audiences": lambda to: to.token(aud=[]),
    "audience a number": lambda to: to.token(aud=7),
    "audiences with a number": lambda to: to.token(aud=["refinery", 7]),
    "audience in other letters": lambda to: to.token(aud="Refinery"),
    "expired": lambda to: to.token(exp=int(time.time()) - LEEWAY_SECONDS - 1),
    "exp a text": lambda to: to.token(exp=str(int(time.time()) + 600)),
    "exp true": lambda to: to.token(exp=True),
    "exp without end": lambda to: compact(
        {"alg": "EdDSA", "kid": "first"},
        orjson.dumps(to.claims(exp=77_777_777_777)).replace(b"77777777777", b"1e999"),
        to.pair.sign,
    ),
    "exp enormous": lambda to: to.token(exp=2**60),
    "exp of 5,000 digits": lambda to: compact(
        {"alg": "EdDSA", "kid": "first"},
        orjson.dumps(to.claims(exp=77_777_777_777)).replace(b"77777777777", b"9" * 5_000),
        to.pair.sign,
    ),
    "not before later": lambda to: to.token(nbf=int(time.time()) + LEEWAY_SECONDS + 60),
    "nbf a text": lambda to: to.token(nbf="0"),
    "issued later": lambda to: to.token(iat=int(time.time()) + LEEWAY_SECONDS + 60),
    "iat a text": lambda to: to.token(iat="0"),
    "iat negative": lambda to: to.token(iat=-1),
    "without exp": lambda to: to.token(exp=None),
    "without iat": lambda to: to.token(iat=None),
    "without sub": lambda to: to.token(sub=None),
    "without iss": lambda to: to.token(iss=None),
    "without aud": lambda to: to.token(aud=None),
    "sub a number": lambda to: to.token(sub=7),
    "sub a list": lambda to: to.token(sub=["ada"]),
    "sub empty": lambda to: to.token(sub=""),
    "sub too long": lambda to: to.token(sub="a" * (513 - len(f"jwt:{ISSUER}#"))),
    "sub with a line end": lambda to: to.token(sub="ada\nlevel=error"),
    "sub with NUL": lambda to: to.token(sub="ada\0"),
    "sub that turns round": lambda to: to.token(sub="\u202eada"),
    "sub with half a character": lambda to: compact(
        {"alg": "EdDSA", "kid": "first"},
        orjson.dumps(to.claims(sub="@")).replace(b'"@"', b'"\\ud800"'),
        to.pair.sign,
    ),
    "sub a wildcard": lambda to: to.token(sub="*"),
    "groups a number": lambda to: to.token(groups=7),
    "groups of numbers": lambda to: to.token(groups=["a", 7]),
    "groups an object": lambda to: to.token(groups={"a": True}),
    "oversized": lambda to: to.token(more="x" * MAX_TOKEN_BYTES)[: MAX_TOKEN_BYTES + 1],
    "claims of somebody else": swapped,
    "signature missing": lambda to: cut(to, 2, ""),
    "signature of zeros": lambda to: cut(to, 2, encoded(bytes(64))),
    "signature cut": lambda to: to.token()[:-4],
    "signature padded": padded,
    "claims missing": lambda to: cut(to, 1, ""),
    "header missing": lambda to: cut(to, 0, ""),
    "header a list": lambda to: compact(["alg"], to.claims(), to.pair.sign),
    "header nested deep": lambda to: compact(b"[" * 3_000, to.claims(), to.pair.sign),
    "claims a text": lambda to: compact({"alg": "EdDSA", "kid": "first"}, b'"ada"', to.pair.sign),
    "claims no JSON": lambda to: compact({"alg": "EdDSA", "kid": "first"}, b"\xff", to.pair.sign),
    "claims nested deep": lambda to: compact({"alg": "EdDSA", "kid": "first"}, b"[" * 3_000, to.pair.sign),
    "two parts": lambda to: to.token().rpartition(".")[0],
    "four parts": lambda to: f"{to.token()}.x",
    "five parts, as encrypted ones": lambda to: f"{to.token()}.x.y",
    "garbage in base64": lambda to: cut(to, 1, "!!!!"),
    "base64 of the other alphabet": lambda to: cut(to, 2, base64.b64encode(b"\xfb\xff" * 32).decode()),
    "garbage": lambda to: "garbage",
    "dots": lambda to: "..",
    "empty": lambda to: "",
    "another token behind": lambda to: f"{to.token()} {to.token()}",
    "comma": lambda to: f"{to.token()},{to.token()}",
}
OTHERS: dict[str, Forge] = {
    "nothing": lambda to: (),
    "twice": lambda to: (f"Bearer {to.token()}",) * 2,
    "a good one after a bad one": lambda to: ("Bearer x", f"Bearer {to.token()}"),
    "Basic": lambda to: ("Basic YWRhOnNlY3JldA==",),
    "without a scheme": lambda to: (to.token(),),
    "the scheme alone": lambda to: ("Bearer",),
    "an empty value": lambda to: ("",),
    "DPoP": lambda to: (f"DPoP {to.token()}",),
}


@pytest.mark.parametrize("case", [*FORGED, *OTHERS])
async def test_what_is_forged_is_unauthenticated(ask: Any, case: str) -> None:
    async with ask() as asking:
        forged = FORGED[case](asking.issuing) if case in FORGED else OTHERS[case](asking.issuing)
        values = (f"Bearer {forged}",) if isinstance(forged, str) else forged
        refusal = await asking.refusal(*values)

        assert (refusal.reason, refusal.code.name) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
        assert refusal.metadata["problem"], case
        assert asking.seen == []
        secret = max((part for value in values for part in value.split(".")), key=len, default="")
        assert len(secret) < 8 or secret not in refusal.message


async def test_a_forged_token_is_refused_beside_a_good_one_of_another_issuer(ask: Any, tmp_path: Any) -> None:
    """The keys of one issuer are not those of another."""
    other = Issuing(pair("EdDSA", "first"), "https://other.example")
    (tmp_path / "other.json").write_bytes(other.jwks)
    own = Issuing()
    settings = {
        "jwt_issuer": f"{own.name}, {other.name}",
        "jwt_jwks": f"{tmp_path / 'jwks.json'},{tmp_path / 'other.json'}",
    }
    async with ask(own, **settings) as asking:
        assert (await asking.call(f"Bearer {own.token()}")).principal == f"jwt:{own.name}#ada"
        assert (await asking.call(f"Bearer {other.token()}")).principal == f"jwt:{other.name}#ada"
        forged = replace(other, name=own.name).token()
        assert (await asking.refusal(f"Bearer {forged}")).reason == "UNAUTHENTICATED"


async def test_without_a_kid_the_key_has_to_be_the_only_one_for_its_algorithm(
    ask: Any, tmp_path: Any
) -> None:
    first, second, third = pair("EdDSA", None), pair("EdDSA", "second"), pair("ES256", None)
    (tmp_path / "jwks.json").write_bytes(key_set(first, second, third))
    async with ask(Issuing(first)) as asking:
        assert (await asking.refusal(f"Bearer {Issuing(first).token()}")).reason == "UNAUTHENTICATED"
        assert (await asking.call(f"Bearer {Issuing(second).token()}")).authenticated
        assert (await asking.call(f"Bearer {Issuing(third).token()}")).authenticated


async def test_a_token_that_was_verified_is_not_taken_beyond_its_end(ask: Any) -> None:
    async with ask() as asking:
        token = asking.issuing.token(exp=int(time.time()) - LEEWAY_SECONDS + 4)
        assert (await asking.call(f"Bearer {token}")).authenticated

        async def is_refused() -> bool:
            try:
                await asking.call(f"Bearer {token}")
            except grpc.aio.AioRpcError as error:
                return EXPIRED in (error.details() or "")
            return False

        await until(is_refused)


async def test_only_so_many_verified_tokens_are_remembered(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_KEPT", 3)
    async with ask() as asking:
        many = [asking.issuing.token(sub=f"s{number}") for number in range(5)]
        for token in (*many, *many):
            await asking.call(f"Bearer {token}")
        assert len({caller.principal for caller in asking.seen}) == 5
