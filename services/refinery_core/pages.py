"""Pages of lists: the room of one answer, and the token of the next page."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import fields, is_dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from refinery_core.errors import InvalidField, InvalidPageToken

DEFAULT_SIZE = 100
MAX_SIZE = 1_000

PAGE_BYTES = 3 << 20
"""A page ends after so many bytes; a message takes 4 MiB."""
ANSWER_BYTES = (4 << 20) - (64 << 10)
"""The room of one item that is an answer by itself; the message around it has fields of its own."""


_SEALED = b"refinery:page:v1"
_NONCE_BYTES = 12


class Room:
    """The room of one answer. It always takes the first item: no answer is empty because of its size."""

    def __init__(self, size: int = PAGE_BYTES) -> None:
        """Make room for so many bytes."""
        self._left = size
        self._is_empty = True

    def takes(self, size: int) -> bool:
        """Let in an item of so many bytes, or say that it does not fit any more."""
        self._left -= size
        fits = self._is_empty or self._left >= 0
        self._is_empty = False
        return fits


def page_size(asked: int) -> int:
    """The size of a page: 0 means the default, and more than the maximum means the maximum."""
    if asked < 0:
        raise InvalidField(field="page_size", problem="is negative")
    return min(asked or DEFAULT_SIZE, MAX_SIZE)


def page_token(filter_: object, until: int, key: list[Any], seal: bytes | None = None) -> str:
    """
    Write the last key of a page, and the position that the list is read at, for one filter.

    With a `seal`, 32 bytes, nobody else can read it, or make one.
    """
    content = orjson.dumps([_hash(filter_), until, key])
    if seal is not None:
        nonce = os.urandom(_NONCE_BYTES)
        content = nonce + AESGCM(seal).encrypt(nonce, content, _SEALED)
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def open_token(
    token: str, filter_: object, kinds: tuple[type, ...], seal: bytes | None = None
) -> tuple[int, list[Any]]:
    """
    Read a token back: the position that the list is read at, and the last key, of these types.

    Raises:
        InvalidPageToken: it was not made here, or for another filter.
    """
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        if seal is not None:
            content = AESGCM(seal).decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], _SEALED)
        hash_, until, key = orjson.loads(content)
    except (binascii.Error, ValueError, TypeError, InvalidTag) as error:
        raise InvalidPageToken from error
    fits = isinstance(key, list) and tuple(type(part) for part in key) == kinds
    if hash_ != _hash(filter_) or type(until) is not int or not fits or not _are_small([until, *key]):
        raise InvalidPageToken
    return until, key


def wrap_token(filter_: object, inner: bytes | None) -> str:
    """Seal another system's token, for one filter; empty where there is none."""
    return page_token(filter_, 0, [inner.hex()]) if inner else ""


def unwrap_token(token: str, filter_: object) -> bytes | None:
    """
    Read the other system's token back; None where there is none.

    Raises:
        InvalidPageToken: it was not made here, or for another filter.
    """
    if not token:
        return None
    _, (inner,) = open_token(token, filter_, (str,))
    try:
        return bytes.fromhex(inner)
    except ValueError as error:
        raise InvalidPageToken from error


def _are_small(parts: list[Any]) -> bool:
    return all(not isinstance(part, int) or 0 <= part < 2**63 for part in parts) and not any(
        isinstance(part, str) and "\x00" in part for part in parts
    )


def _hash(filter_: object) -> str:
    """A part of SHA-256 over what a filter asks; a member that is added and not used changes nothing."""
    content = [type(filter_).__name__, _beyond_defaults(filter_)]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _beyond_defaults(value: Any) -> Any:
    """The members of a filter, nested ones included, that are not at their defaults."""
    if not is_dataclass(value):
        return value
    members = ((member, getattr(value, member.name)) for member in fields(value))
    return {member.name: _beyond_defaults(given) for member, given in members if given != member.default}
