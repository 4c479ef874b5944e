"""Encrypts payloads before Temporal has them, with keys from files."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from refinery_core.settings import CannotStart

ENCRYPTED: Final = b"binary/encrypted"
"""The encoding of encrypted payloads, in their metadata."""
KEY_MARK: Final = "encryption-key-id"
"""The metadata that holds the name of the key; both are the words of Temporal's own examples."""
_CONTEXT: Final = b"refinery/temporal/1 "
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class CannotDecode(Exception):  # noqa: N818 -- reads as the sentence that it is
    """A sentence: why a payload cannot be decrypted. The SDK fails the task, and Temporal retries it."""


class Keys:
    """
    The keys in a folder: each file holds one, of 32 bytes or these in base64, and has its name.

    A key that was read stays until the process ends. A name that is not known makes it read the folder again.
    """

    def __init__(self, folder: str, current: str) -> None:
        """
        Read the keys; `current` names the one that encrypts.

        Raises:
            CannotStart: they cannot be used; the sentence does not quote them.
        """
        self._folder = Path(folder)
        try:
            self._keys = _read(self._folder)
        except ValueError as fault:
            raise CannotStart(f"REFINERY_TEMPORAL_KEYS cannot be used: {fault}.") from None
        if current not in self._keys:
            raise CannotStart(f"REFINERY_TEMPORAL_KEY is '{current}', but {folder} has no such file.")
        self._current = current

    def encrypt(self, content: bytes) -> tuple[str, bytes]:
        """Encrypt; return the name of the key, and the nonce with the ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._current, nonce + self._keys[self._current].encrypt(nonce, content, _bound(self._current))

    def decrypt(self, name: str, content: bytes) -> bytes:
        """
        Decrypt with the key of that name.

        Raises:
            CannotDecode: there is no such key, or the content was not encrypted under it.
        """
        nonce, rest = content[:_NONCE_BYTES], content[_NONCE_BYTES:]
        try:
            return self._key(name).decrypt(nonce, rest, _bound(name))
        except (InvalidTag, ValueError):
            raise CannotDecode(
                f"A payload of Temporal was not encrypted under the key '{name}' of {self._folder}, "
                "or was changed since."
            ) from None

    def _key(self, name: str) -> AESGCM:
        why = f"{self._folder} has no such file"
        if name not in self._keys:
            try:
                self._keys = {**_read(self._folder), **self._keys}
            except ValueError as fault:
                why = str(fault)
        if name not in self._keys:
            raise CannotDecode(f"The key '{name}' of a payload of Temporal is not known: {why}.")
        return self._keys[name]


def keys_of(folder: str | None, current: str | None) -> Keys | None:
    """
    Read the keys that the settings name; None where they name none.

    Raises:
        CannotStart: they cannot be used.
    """
    if folder is None and current is None:
        return None
    if folder is None or current is None:
        raise CannotStart(
            "REFINERY_TEMPORAL_KEYS, a folder of keys, and REFINERY_TEMPORAL_KEY, the name of the one that "
            "encrypts, are set together, or neither is."
        )
    return Keys(folder, current)


class Codec(PayloadCodec):
    """
    Encrypts payloads, and decrypts them; those in the clear are decoded as they are.

    Without keys it encrypts nothing, and refuses encrypted payloads.
    """

    def __init__(self, keys: Keys | None, passes: Callable[[Payload], bool] = lambda _: False) -> None:
        """Take the keys; `passes` says which payloads are not encrypted, because Temporal never has them."""
        self._keys = keys
        self._passes = passes

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload as a whole, with its metadata."""
        return [self._encoded(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """
        Decrypt each payload that was encrypted.

        Raises:
            CannotDecode: one cannot be decrypted.
        """
        return [self._decoded(payload) for payload in payloads]

    def _encoded(self, payload: Payload) -> Payload:
        if self._keys is None or self._passes(payload):
            return payload
        name, content = self._keys.encrypt(payload.SerializeToString())
        return Payload(metadata={"encoding": ENCRYPTED, KEY_MARK: name.encode()}, data=content)

    def _decoded(self, payload: Payload) -> Payload:
        if not is_encrypted(payload):
            return payload
        name = payload.metadata.get(KEY_MARK, b"").decode(errors="replace")
        if self._keys is None:
            raise CannotDecode(
                f"The key '{name}' of a payload of Temporal is not known: REFINERY_TEMPORAL_KEYS is not set."
            )
        return Payload.FromString(self._keys.decrypt(name, payload.data))


def is_encrypted(payload: Payload) -> bool:
    """Whether a payload is encrypted."""
    return payload.metadata.get("encoding") == ENCRYPTED


def _read(folder: Path) -> dict[str, AESGCM]:
    """Read a folder, without the names with a dot in front: Kubernetes keeps versions of secrets there."""
    try:
        files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
        return {path.name: AESGCM(_key(path, path.read_bytes())) for path in files}
    except OSError as fault:
        raise ValueError(f"{fault.filename} cannot be read: {fault.strerror}") from None


def _key(path: Path, content: bytes) -> bytes:
    if len(content) == _KEY_BYTES:
        return content
    try:
        key = base64.b64decode(content.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError(f"{path} does not hold {_KEY_BYTES} bytes, nor these in base64")
    return key


def _bound(name: str) -> bytes:
    """The associated data: what a payload is for, and the name of its key."""
    return _CONTEXT + name.encode()
