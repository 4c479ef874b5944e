"""The public keys of an issuer of tokens, each with the one algorithm that it is for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from jwt import PyJWTError
from jwt.algorithms import AllowedPublicKeys, ECAlgorithm, OKPAlgorithm, RSAAlgorithm

MAX_KEYS: Final = 100
MAX_BYTES: Final = 1 << 20
MIN_RSA_BITS: Final = 2_048


class BadKeys(Exception):  # noqa: N818 -- it is what was found
    """A sentence: why a document is no key set that can be used."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key: its `kid`, its algorithm, and the members of its JWK that make it what it is."""

    kid: str | None
    algorithm: str
    material: tuple[str, ...]
    public: AllowedPublicKeys = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of keys: the way to read them, and the one algorithm that they are for."""

    algorithm: str
    members: tuple[str, ...]
    read: Callable[[dict[str, Any]], Any]


_KINDS: Final = {
    ("RSA", None): _Kind("RS256", ("n", "e"), RSAAlgorithm.from_jwk),
    ("EC", "P-256"): _Kind("ES256", ("x", "y"), ECAlgorithm.from_jwk),
    ("OKP", "Ed25519"): _Kind("EdDSA", ("x",), OKPAlgorithm.from_jwk),
}
ALGORITHMS: Final = frozenset(kind.algorithm for kind in _KINDS.values())
_ALSO_CALLED: Final = {"EdDSA": ("EdDSA", "Ed25519")}


def read_keys(raw: bytes) -> tuple[Key, ...]:
    """
    Read a JWK set. Keys of other kinds, for other algorithms or for encryption are left out.

    Raises:
        BadKeys: it is no JWK set, holds a private key, or no key that can be used.
    """
    if len(raw) > MAX_BYTES:
        raise BadKeys(f"it is larger than {MAX_BYTES >> 20} MiB")
    try:
        document = orjson.loads(raw)
    except ValueError:
        raise BadKeys("it is not JSON") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise BadKeys("it has no list 'keys'")
    if len(listed) > MAX_KEYS:
        raise BadKeys(f"it has more than {MAX_KEYS} keys")
    if any(isinstance(jwk, dict) and ("d" in jwk or "k" in jwk) for jwk in listed):
        raise BadKeys("it holds a private or secret key; only public keys may be published")
    found: dict[tuple[str | None, str, tuple[str, ...]], Key] = {}
    for jwk in listed:
        key = _key(jwk) if isinstance(jwk, dict) else None
        if key is not None:
            found[key.kid, key.algorithm, key.material] = key
    if not found:
        raise BadKeys(
            f"it has no key that can be used for signatures: RSA with {MIN_RSA_BITS} bits, P-256, Ed25519"
        )
    return tuple(found.values())


def _key(jwk: dict[str, Any]) -> Key | None:
    kty, kid = jwk.get("kty"), jwk.get("kid")
    curve = None if kty == "RSA" else jwk.get("crv")
    kind = _KINDS.get((kty, curve)) if isinstance(kty, str) and isinstance(curve, str | None) else None
    if kind is None or not isinstance(kid, str | None) or not _is_for_signatures(jwk, kind.algorithm):
        return None
    members = {name: jwk.get(name) for name in kind.members}
    try:
        public = kind.read({"kty": kty, "crv": curve} | members)
    except (PyJWTError, ValueError, TypeError):
        return None
    if kty == "RSA" and public.key_size < MIN_RSA_BITS:
        return None
    return Key(kid, kind.algorithm, tuple(map(str, members.values())), public)


def _is_for_signatures(jwk: dict[str, Any], algorithm: str) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and jwk.get("alg", algorithm) in _ALSO_CALLED.get(algorithm, (algorithm,))
    )


class Ring:
    """The keys of one issuer: those that it publishes, and for a while those that it published before."""

    def __init__(self, *, old_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._old_seconds = old_seconds
        self._clock = clock
        self._until: dict[Key, float | None] = {}
        """The end of each key; None while it is published."""

    def __bool__(self) -> bool:
        return any(map(self.holds, self._until))

    def replace(self, keys: Sequence[Key]) -> bool:
        """Take what the issuer publishes now; say whether it differs from what it published before."""
        now = self._clock()
        before = {key for key, until in self._until.items() if until is None}
        for key in before - set(keys):
            self._until[key] = now + self._old_seconds
        self._until = {key: until for key, until in self._until.items() if until is None or until > now}
        self._until |= dict.fromkeys(keys)
        return before != set(keys)

    def holds(self, key: Key) -> bool:
        """Whether tokens that this key has signed are taken now."""
        until = self._until.get(key, 0.0)
        return until is None or until > self._clock()

    def candidates(self, kid: str | None, algorithm: str) -> list[Key]:
        """
        Give the keys that may have signed a token; almost always one.

        Without a `kid` there are some only where the issuer publishes exactly one key for the algorithm.
        """
        fitting = [key for key in self._until if key.algorithm == algorithm and self.holds(key)]
        if kid is not None:
            return [key for key in fitting if key.kid == kid]
        published = [key for key in fitting if self._until[key] is None]
        return fitting if len(published) == 1 else []
