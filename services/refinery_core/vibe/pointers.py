"""JSON pointers (RFC 6901): read, written, and spelled as the fragment of a URI."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote_to_bytes

_SAFE = "/~!$&'()*+,;=:@?"


class PointerFault(ValueError):  # noqa: N818 - an error is a refusal; this names what is wrong in a text
    """A fragment that is not a JSON pointer; `problem` is a short phrase for people."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def escaped(token: str) -> str:
    """One key as a part of a pointer."""
    return token.replace("~", "~0").replace("/", "~1")


def written(tokens: Iterable[str | int]) -> str:
    """The pointer of keys and indexes."""
    return "".join(f"/{escaped(str(token))}" for token in tokens)


def read(pointer: str) -> tuple[str, ...]:
    """The keys and indexes of a pointer; "" has none."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def step(value: Any, token: str) -> Any:
    """The member of an object or array under a token of a pointer; KeyError, IndexError if there is none."""
    return value[int(token) if isinstance(value, list) else token]


def as_fragment(pointer: str) -> str:
    """The pointer as the fragment of a URI."""
    return quote(pointer, safe=_SAFE, errors="replace")


def pointer_tokens(fragment: str) -> tuple[str, ...]:
    """The keys and indexes of a pointer that is spelled as a fragment; raise PointerFault for any other."""
    if not fragment:
        return ()
    if not fragment.startswith("/"):
        raise PointerFault("the fragment is not a JSON pointer: it does not start with '/'")
    try:
        pointer = unquote_to_bytes(fragment).decode()
    except UnicodeDecodeError:
        raise PointerFault("the fragment is not UTF-8 once it is decoded") from None
    if re.search(r"~(?![01])", pointer):
        raise PointerFault("the fragment is not a JSON pointer: a '~' is not followed by 0 or 1")
    return read(pointer)
