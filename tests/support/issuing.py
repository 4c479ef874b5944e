"""An issuer of tokens for tests: it signs whatever it is asked to, also what it should not."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from refinery_core.serving.authentication.authenticating import Authentication
from refinery_core.serving.authentication.issuers import Issuer
from refinery_core.serving.authentication.keys import Ring, read_keys
from refinery_core.serving.authentication.sources import FileSource
from refinery_core.serving.authentication.tokens import LEEWAY_SECONDS, Tokens

ISSUER = "https://idp.example"
AUDIENCE = "refinery"

Sign = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Pair:
    """A pair of keys, and the algorithm that it is for."""

    algorithm: str
    private: Any
    kid: str | None

    @property
    def jwk(self) -> dict[str, Any]:
        """The part of it that is published."""
        kinds: dict[str, Any] = {"RS": RSAAlgorithm, "ES": ECAlgorithm, "Ed": OKPAlgorithm}
        found = kinds[self.algorithm[:2]].to_jwk(self.private.public_key(), as_dict=True)
        return dict(found) | ({} if self.kid is None else {"kid": self.kid}) | {"use": "sig"}

    def sign(self, content: bytes) -> bytes:
        """Sign as the algorithm does it."""
        if self.algorithm == "EdDSA":
            return bytes(self.private.sign(content))
        if self.algorithm == "RS256":
            return bytes(self.private.sign(content, padding.PKCS1v15(), hashes.SHA256()))
        size = (self.private.curve.key_size + 7) // 8
        hash_ = {"ES256": hashes.SHA256(), "ES384": hashes.SHA384()}[self.algorithm]
        r, s = decode_dss_signature(self.private.sign(content, ec.ECDSA(hash_)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def pair(algorithm: str = "EdDSA", kid: str | None = "first") -> Pair:
    """Make a pair of keys."""
    private: dict[str, Callable[[], Any]] = {
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
        "RS256": lambda: rsa.generate_private_key(65_537, 2_048),
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    }
    return Pair(algorithm, private[algorithm](), kid)


@dataclass
class Issuing:
    """An issuer, with the pair that it signs with."""

    pair: Pair = field(default_factory=pair)
    name: str = ISSUER

    @property
    def jwks(self) -> bytes:
        """Its key set."""
        return key_set(self.pair)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Good claims, changed; what is None is left out."""
        now = int(time.time())
        good = {"iss": self.name, "sub": "ada", "aud": AUDIENCE, "iat": now, "exp": now + 600}
        return {name: value for name, value in (good | changes).items() if value is not None}

    def short(self, seconds: float) -> str:
        """A token that is taken for so many seconds more."""
        return self.token(exp=time.time() + seconds - LEEWAY_SECONDS, jti=str(time.monotonic_ns()))

    def token(self, *, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """A token that is signed; what is None in the header is left out."""
        good = {"alg": self.pair.algorithm, "typ": "JWT", "kid": self.pair.kid} | dict(header or {})
        full = {name: value for name, value in good.items() if value is not None}
        return compact(full, self.claims(**changes), self.pair.sign)


def trusting(issuing: Issuing) -> Authentication:
    """Authentication that takes the tokens of this issuer, and nothing else."""
    ring = Ring(old_seconds=0)
    ring.replace(read_keys(issuing.jwks))
    issuer = Issuer(issuing.name, FileSource(""), ring)
    return Authentication(Tokens([issuer], [AUDIENCE]), issuers=(issuer,))


def key_set(*pairs: Pair) -> bytes:
    """The key set of an issuer with these pairs."""
    return orjson.dumps({"keys": [one.jwk for one in pairs]})


def compact(header: Any, claims: Any, sign: Sign) -> str:
    """Put a token together, of whatever there is."""
    content = b".".join(
        base64url(one if isinstance(one, bytes) else orjson.dumps(one)) for one in (header, claims)
    )
    return b".".join([content, base64url(sign(content))]).decode()


def base64url(raw: bytes) -> bytes:
    """As tokens are written."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
