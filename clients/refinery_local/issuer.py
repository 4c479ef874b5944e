"""An issuer of tokens for one machine: its key, in the folder of `up`, and the key set that services read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import OKPAlgorithm

from refinery_core.settings import CannotStart
from refinery_local.authority import write_private

ISSUER: Final = "https://refinery.local"
AUDIENCE: Final = "refinery"
_GROUPS: Final = "groups"
_KID: Final = "this-machine"


@dataclass(frozen=True, slots=True)
class Issuer:
    """The issuer in a folder, which nobody else may enter. Its `token.key` makes anybody."""

    folder: Path

    @property
    def key_set(self) -> Path:
        """The public key, as services read it."""
        return self.folder / "jwks.json"

    @property
    def _key_file(self) -> Path:
        return self.folder / "token.key"

    def prepare(self) -> None:
        """
        Make its key, unless it is there, and publish it.

        Raises:
            CannotStart: what is in the folder is no such key.
        """
        if not self._key_file.exists():
            made = Ed25519PrivateKey.generate()
            secret = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_private(self._key_file, secret)
        public: Any = OKPAlgorithm.to_jwk(self._key().public_key(), as_dict=True)
        published = {"keys": [dict(public) | {"kid": _KID, "use": "sig", "alg": "EdDSA"}]}
        if not self.key_set.exists() or self.key_set.read_bytes() != orjson.dumps(published):
            write_private(self.key_set, orjson.dumps(published))

    def settings(self) -> dict[str, str]:
        """Give the settings of services that trust it."""
        return {
            "REFINERY_JWT_ISSUER": ISSUER,
            "REFINERY_JWT_AUDIENCE": AUDIENCE,
            "REFINERY_JWT_JWKS": str(self.key_set),
            "REFINERY_JWT_GROUPS_CLAIM": _GROUPS,
        }

    def token(self, name: str, groups: Sequence[str], seconds: int) -> str:
        """
        Sign a token for `jwt:https://refinery.local#<name>`.

        Raises:
            CannotStart: there is no key.
        """
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": name, "iat": now, "exp": now + seconds}
        claims |= {_GROUPS: list(groups)} if groups else {}
        return jwt.encode(claims, self._key(), algorithm="EdDSA", headers={"kid": _KID})

    def _key(self) -> Ed25519PrivateKey:
        try:
            key = load_pem_private_key(self._key_file.read_bytes(), None)
        except OSError as fault:
            raise CannotStart(
                f"{self._key_file} cannot be read: {fault.strerror}; 'refinery up --secure' makes it."
            ) from None
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise CannotStart(f"{self._key_file} is no key of Ed25519; delete it, and a new one is made.")
        return key


def not_asked() -> dict[str, str]:
    """Give the settings of a service that takes no tokens, whatever is set elsewhere."""
    names = ("ISSUER", "AUDIENCE", "JWKS", "CA", "GROUPS_CLAIM")
    return {f"REFINERY_JWT_{name}": "" for name in names}
