"""Any bytes as a token, a certificate or a key set are taken, or refused in our own words."""

from __future__ import annotations

import random
import time
from typing import Any

import orjson
import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from refinery_core.addresses import stays_here
from refinery_core.errors import Unauthenticated
from refinery_core.serving.authentication.certificates import certified
from refinery_core.serving.authentication.keys import BadKeys, read_keys
from refinery_core.serving.authentication.tokens import LEEWAY_SECONDS, Tokens
from tests.support.certificates import Names
from tests.support.issuing import AUDIENCE, ISSUER, Issuing, compact, pair, trusting

ISSUING = Issuing()
AUTHORITY = Names()
LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= !+/,{}"\0é'

json_texts = st.text(max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | json_texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(json_texts, inner, max_size=4),
    max_leaves=8,
)
claims = st.fixed_dictionaries(
    {},
    optional={
        "iss": st.just(ISSUER) | json_values,
        "sub": json_texts | json_values,
        "aud": st.just(AUDIENCE) | st.lists(st.just(AUDIENCE) | json_values, max_size=3) | json_values,
        "exp": st.integers(0, 2**60) | json_values,
        "iat": st.just(0) | json_values,
        "nbf": st.just(0) | json_values,
        "jti": json_values,
        "groups": st.lists(json_texts, max_size=5) | json_values,
    },
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["EdDSA", "ES256", "RS256", "HS256", "none"]) | json_values,
        "kid": st.just("first") | json_values,
        "typ": st.sampled_from(["JWT", "at+jwt"]) | json_values,
        "crit": json_values,
        "b64": json_values,
        "jwk": json_values,
    },
)


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    found = trusting(ISSUING).tokens
    assert found is not None
    found._groups_claim = "groups"
    return found


def caller(tokens: Tokens, token: str) -> Any:
    """The caller that sends it; None where it is refused."""
    try:
        known = tokens.verify(token)
    except Unauthenticated:
        return None
    principal = known.caller.principal
    assert principal.startswith(f"jwt:{ISSUER}#")
    for name in (principal, *known.caller.groups):
        assert name.isprintable()
        assert len(name.encode()) <= 512
        assert not name.endswith("*")
    assert known.caller.authenticated
    assert known.until is not None
    assert known.until > time.time()
    return known.caller


@given(header=headers, body=claims | json_values)
@settings(max_examples=150, deadline=None)
def test_whatever_the_issuer_signs(tokens: Tokens, header: Any, body: Any) -> None:
    found = caller(tokens, compact(header, body, ISSUING.pair.sign))
    if found is not None:
        assert (header["alg"], body["iss"]) == ("EdDSA", ISSUER)
        assert body["aud"] == AUDIENCE or AUDIENCE in body["aud"]
        assert body["exp"] + LEEWAY_SECONDS > time.time()
        assert found.principal == f"jwt:{ISSUER}#{body['sub']}"


@given(header=headers, body=claims)
@settings(max_examples=100, deadline=None)
def test_whatever_somebody_else_signs(tokens: Tokens, header: Any, body: Any) -> None:
    assert caller(tokens, compact(header, body, pair().sign)) is None


@given(text=st.text(max_size=300) | st.text(LETTERS, max_size=300))
@settings(max_examples=150, deadline=None)
def test_whatever_is_no_token(tokens: Tokens, text: str) -> None:
    assert caller(tokens, text) is None


def mutated(token: str, by: random.Random) -> str:
    """The same with some characters changed, left out, doubled or moved."""
    letters = list(token)
    for _ in range(by.randint(1, 3)):
        at = by.randrange(len(letters))
        kind = by.randrange(4)
        if kind == 0:
            letters[at] = by.choice(LETTERS)
        elif kind == 1 and len(letters) > 1:
            del letters[at]
        elif kind == 2:
            letters.insert(at, by.choice(LETTERS))
        else:
            other = by.randrange(len(letters))
            letters[at], letters[other] = letters[other], letters[at]
    return "".join(letters)


def mutate(tokens: Tokens, count: int, seed: int) -> None:
    by, good = random.Random(seed), ISSUING.token(groups=["a"], sub="ada")
    assert caller(tokens, good) is not None
    for number in range(count):
        bad = mutated(good, by)
        assert bad == good or caller(tokens, bad) is None, (seed, number, bad)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_nearly_a_good_token(tokens: Tokens, seed: int) -> None:
    mutate(tokens, 1_000, seed)


@pytest.mark.long
def test_a_million_of_what_is_nearly_a_good_token(tokens: Tokens) -> None:
    mutate(tokens, 1_000_000, 26)


ascii_texts = st.text(st.characters(max_codepoint=127), max_size=80)
names = st.lists(
    st.builds(x509.DNSName, ascii_texts)
    | st.builds(x509.UniformResourceIdentifier, ascii_texts)
    | st.builds(x509.UniformResourceIdentifier, st.builds("spiffe://{}/{}".format, ascii_texts, ascii_texts))
    | st.just(x509.RFC822Name("ada@example")),
    max_size=3,
)


@given(common=st.lists(st.text(min_size=1, max_size=64), max_size=2), alternatives=names)
@settings(max_examples=150, deadline=None)
def test_whatever_a_certificate_says(common: list[str], alternatives: list[x509.GeneralName]) -> None:
    try:
        _, pem = AUTHORITY.certify(common, alternatives)
    except (ValueError, UnicodeEncodeError):
        return  # Nobody can write such a name into a certificate.
    uris = [name.value for name in alternatives if isinstance(name, x509.UniformResourceIdentifier)]
    context = {"x509_pem_cert": [pem], "peer_spiffe_id": [uris[0].encode()] if len(uris) == 1 else []}
    try:
        name = certified(context)
    except Unauthenticated:
        return
    assert name is not None
    assert name.startswith(("x509:", "spiffe://"))
    assert name.isprintable()
    assert len(name.encode()) <= 512
    assert not name.endswith("*")
    assert not name.startswith("spiffe://") or ("/../" not in name and "%" not in name and uris == [name])


@pytest.mark.parametrize(
    "pem", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_refused(pem: bytes) -> None:
    with pytest.raises(Unauthenticated, match="cannot be read"):
        certified({"x509_pem_cert": [pem]})


jwk = st.fixed_dictionaries(
    {},
    optional={
        "kty": st.sampled_from(["RSA", "EC", "OKP", "oct"]) | json_values,
        "crv": st.sampled_from(["P-256", "P-384", "Ed25519", "X25519"]) | json_values,
        **{name: st.text("AQAB-_", max_size=90) | json_values for name in ("n", "e", "x", "y")},
        "kid": json_values,
        "use": st.just("sig") | json_values,
        "alg": st.just("RS256") | json_values,
        "key_ops": st.just(["verify"]) | json_values,
    },
)


@given(document=st.fixed_dictionaries({"keys": st.lists(jwk | json_values, max_size=3)}) | json_values)
@settings(max_examples=150, deadline=None)
def test_whatever_an_issuer_publishes(document: Any) -> None:
    try:
        keys = read_keys(orjson.dumps(document))
    except BadKeys:
        return
    assert {key.algorithm for key in keys} <= {"RS256", "ES256", "EdDSA"}


@given(raw=st.binary(max_size=200))
def test_whatever_bytes_an_issuer_publishes(raw: bytes) -> None:
    with pytest.raises(BadKeys):
        read_keys(raw)


@given(target=st.text(max_size=60) | st.text("localhst:/.,[]0127ipv46dnsux", max_size=60))
def test_whatever_an_address_is(target: str) -> None:
    assert stays_here(target) in {True, False}
