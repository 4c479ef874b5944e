"""Bearer tokens: JWTs of issuers that are trusted."""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt import PyJWTError

from refinery_core.errors import Unauthenticated
from refinery_core.serving.authentication.issuers import Issuer
from refinery_core.serving.authentication.keys import ALGORITHMS, Key
from refinery_core.serving.authentication.names import is_name, principal
from refinery_core.serving.principal import Caller

MAX_TOKEN_BYTES: Final = 7 << 10
"""From 8 KiB of metadata on gRPC refuses some calls, and from 16 KiB on all."""
LEEWAY_SECONDS: Final = 10
"""By which clocks may differ."""
EXPIRED: Final = "the token has expired; send a new one"
_KEPT: Final = 4_096
_LATEST: Final = 1 << 53
_REQUIRED: Final = ("exp", "iat", "sub", "iss", "aud")
_TIMES: Final = ("exp", "iat", "nbf")
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
"""Others, such as logout+jwt, are signed by the same keys, and are no permission to call anybody."""
_IS_COMPACT: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII).fullmatch
_UNVERIFIED: Final[Any] = {"verify_signature": False}
_VERIFIED: Final[Any] = {"require": list(_REQUIRED), "verify_jti": False}


@dataclass(frozen=True, slots=True)
class Known:
    """A caller, and until when it is known, in Unix time; None for as long as its connection lasts."""

    caller: Caller
    until: float | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    known: Known
    until: float
    issuer: Issuer
    key: Key


class Tokens:
    """Verifies tokens, and remembers by their SHA-256 those that it has verified, until they expire."""

    def __init__(
        self, issuers: Sequence[Issuer], audiences: Sequence[str], *, groups_claim: str | None = None
    ) -> None:
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._audiences = list(audiences)
        self._groups_claim = groups_claim
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def verify(self, token: str) -> Known:
        """
        Give who sends a token.

        Raises:
            Unauthenticated: it is none that is taken here, and why.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise _refused(f"the token is larger than {MAX_TOKEN_BYTES} bytes; ask for one with less in it")
        digest = hashlib.sha256(token.encode()).digest()
        kept = self._kept.get(digest)
        if kept is not None and kept.until > time.time() and kept.issuer.ring.holds(kept.key):
            self._kept.move_to_end(digest)
            return kept.known
        kept = self._verified(token)
        self._kept[digest] = kept
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return kept.known

    def _verified(self, token: str) -> _Kept:
        header, claims = _unverified(token)
        issuer = self._issuer(claims)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise _refused(
                f"the token is not signed with {', '.join(sorted(ALGORITHMS))}; ask for one that is"
            )
        kid = header.get("kid")
        candidates = issuer.ring.candidates(kid, algorithm) if isinstance(kid, str | None) else []
        if not candidates:
            issuer.want()
            raise _refused("the issuer of the token has no such key; ask it for a new one")
        for key in candidates:
            try:
                claims = self._claims(token, key, issuer)
            except jwt.InvalidSignatureError:
                continue
            until = claims["exp"] + LEEWAY_SECONDS
            return _Kept(Known(self._caller(claims, issuer), until), until, issuer, key)
        raise _refused("the signature of the token is not that of its issuer; ask for a new one")

    def _issuer(self, claims: Mapping[str, Any]) -> Issuer:
        name = claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise _refused(f"the token is of another issuer; ask {' or '.join(self._issuers)} for one")
        return issuer

    def _claims(self, token: str, key: Key, issuer: Issuer) -> dict[str, Any]:
        """The claims, once the signature and all of them have been found good."""
        try:
            claims = jwt.decode(
                token,
                key=key.public,
                algorithms=[key.algorithm],  # Of the key, whatever the token says.
                issuer=issuer.name,
                audience=self._audiences,
                leeway=LEEWAY_SECONDS,
                options=_VERIFIED,
            )
        except jwt.InvalidSignatureError:
            raise
        except jwt.ExpiredSignatureError:
            raise _refused(EXPIRED) from None
        except jwt.ImmatureSignatureError:
            raise _refused("the token is not valid yet; send it later, or set the clocks right") from None
        except (jwt.InvalidAudienceError, jwt.MissingRequiredClaimError) as fault:
            if isinstance(fault, jwt.MissingRequiredClaimError) and fault.claim != "aud":
                raise _refused(f"the token has no '{fault.claim}'; ask for one that has") from None
            audiences = " or ".join(f"'{audience}'" for audience in self._audiences)
            raise _refused(
                f"the token is for somebody else; ask for one whose 'aud' is {audiences}"
            ) from None
        except (PyJWTError, ValueError, TypeError, OverflowError):
            raise _refused("the token has a claim that cannot be read; ask for a new one") from None
        if not all(_is_time(claims[name]) for name in _TIMES if name in claims):
            raise _refused("a time in the token is no number; ask for a new one")
        return claims

    def _caller(self, claims: Mapping[str, Any], issuer: Issuer) -> Caller:
        if not claims["sub"]:
            raise _refused("the token has an empty 'sub'; ask for one that names somebody")
        name = principal(f"jwt:{issuer.name}#{claims['sub']}", "token")
        return Caller(name, self._groups(claims, issuer), authenticated=True)

    def _groups(self, claims: Mapping[str, Any], issuer: Issuer) -> tuple[str, ...]:
        if self._groups_claim is None or self._groups_claim not in claims:
            return ()
        groups = claims[self._groups_claim]
        groups = [groups] if isinstance(groups, str) else groups
        if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
            raise _refused("the groups in the token are no list of texts; ask for a new one")
        names = (f"group:{issuer.name}#{group}" for group in dict.fromkeys(groups) if group)
        # A group that no Role can name gives no right.
        return tuple(name for name in names if is_name(name))


def _unverified(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims, as somebody wrote them; nothing of them is to be believed."""
    if not _IS_COMPACT(token):
        raise _refused("the token is no signed JWT; send what the issuer gave, unchanged")
    try:
        read = jwt.decode_complete(token, options=_UNVERIFIED)
    except (PyJWTError, ValueError, TypeError):
        raise _refused("the token cannot be read; send what the issuer gave, unchanged") from None
    header: Mapping[str, Any] = read["header"]
    if "crit" in header or "b64" in header:
        raise _refused("the token demands what is not understood here ('crit'); ask for one that does not")
    kind = header.get("typ", "jwt")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise _refused("the token is of a type that is no permission to call; ask for an access token")
    return header, read["payload"]


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST


def _refused(problem: str) -> Unauthenticated:
    return Unauthenticated(problem=problem)
