"""JSON documents: strict text in (I-JSON, RFC 7493), canonical text out (RFC 8785).

Every accepted document survives text -> JSONB -> text unchanged, so that the canonical text can
always be made again from the database. Everything that would not survive is refused with the
path of the fault: duplicate keys, integers beyond 64 bits, numbers that a double does not hold or that
need hundreds of digits, NUL and lone surrogates, more than 64 levels, more than 1 MiB.

JSONB keeps the value of a number and not how it was written, so the value alone decides: an integer from
-2^63 to 2^64-1 is exact however it is written (`1e18`, `1152921504606847000.0`), and its canonical form is
its digits. Any other number is a double.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from refinery_core.vibe.jcs import decimal, spell
from refinery_core.vibe.numbers import DOUBLE_INTEGER, as_integer, is_integer, loses_digits
from refinery_core.vibe.places import path_to, shown, step

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_EXPONENT = 64

_MANY_DIGITS = re.compile(r"[0-9]{19}")
_TOO_DEEP = f"it has more than {MAX_DEPTH} levels"
_TOO_LARGE = f"it has more than {MAX_BYTES} bytes"
_ODD_EXPONENT = f"the number has an exponent beyond ±{MAX_EXPONENT}"
_INEXACT = "the number has more digits than a double holds; send it as a string"
_BIG_INTEGER = "the integer is beyond 64 bits; send it as a string"


class DocumentFault(ValueError):  # noqa: N818 - an error is a refusal; this is what is wrong in a text
    """A document that is refused; `path` is like `$.items[3].name`, `problem` a short phrase."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"

    def within(self, key: str | int) -> None:
        """Put the path of the fault under a key or index."""
        self.path = f"${step(key)}{self.path[1:]}"


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON document: its value, not to be changed, and its canonical text."""

    value: Any = field(compare=False)
    text: str


def parse(text: str | bytes) -> Document:
    """Read JSON that was sent; raise DocumentFault if it cannot be kept exactly."""
    return _document(_read(_SENT, _decoded(text)))


def restore(text: str) -> Document:
    """Read the JSON that PostgreSQL prints of a document that was accepted.

    JSONB prints 1e20 and 1e+21 as bare digits. `parse` refuses those, because a sender of so
    many digits means all of them; here, beyond 64 bits, they are read as the double that they came from.
    """
    return _document(_read(_STORED, text))


def sendable(text: str) -> str:
    """Canonical text, or JSONB's, as text that `parse` takes again.

    RFC 8785 and JSONB write the double 1e20 as digits; here it is written 1e20, so that every
    answer can be sent back.
    """
    if _MANY_DIGITS.search(text) is None:
        return text
    return orjson.dumps(restore(text).value).decode()


def from_value(value: object, *, through_doubles: bool = False) -> Document:
    """Take a Python value made of dict, list, tuple, str, int, float, bool and None.

    A float means what its shortest form says: 2.0**60 is 1152921504606847000, as `json.dumps` writes it.
    `through_doubles` says that every number came as a double, as in google.protobuf.Value: then
    an integral one beyond ±(2^53-1) is refused, because it may have been rounded on the way.
    """
    return _document(value, through_doubles=through_doubles)


def canonical(value: object) -> bytes:
    """The RFC 8785 bytes of a value, integers of 64 bits exact; raise DocumentFault as `from_value` does."""
    return _document(value).text.encode()


def _document(value: object, *, through_doubles: bool = False) -> Document:
    walk = _Walk(through_doubles=through_doubles)
    plain = walk.plain(value, 0)
    try:
        out = spell(plain, odd_float=walk.odd_float)
    except TypeError:
        _check_strings(plain)
        raise
    if b"\\u0000" in out:  # A NUL, or text that looks like its escape.
        _check_strings(plain)
    if len(out) > MAX_BYTES:
        raise DocumentFault("$", _TOO_LARGE)
    return Document(plain, out.decode())


# --- Text to value ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Mark:
    """Stands in the value where the text is at fault, until the walk finds its path."""

    problem: str


def _decoded(text: str | bytes) -> str:
    if isinstance(text, bytes):
        return _decoded(_from_utf8(text))
    if len(text) > MAX_BYTES // 4 and len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise DocumentFault("$", _TOO_LARGE)
    if not text:
        raise DocumentFault("$", "it is empty; the JSON for nothing is null")
    if text[0] == "\ufeff":
        raise DocumentFault("$", "it starts with a byte order mark")
    return text


def _from_utf8(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise DocumentFault("$", _TOO_LARGE)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        path, _ = path_to(content[: error.start].decode(), error.start, MAX_DEPTH)
        raise DocumentFault(path, "it is not UTF-8") from None


def _read(decoder: json.JSONDecoder, text: str) -> object:
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        problem = f"it is not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        path, _ = path_to(text, error.pos, MAX_DEPTH)
        raise DocumentFault(path, problem) from None
    except RecursionError:
        path, depth = path_to(text, len(text), MAX_DEPTH)
        if depth <= MAX_DEPTH:
            raise  # The stack of the caller is too deep, not the text.
        raise DocumentFault(path, _TOO_DEEP) from None


def _object(pairs: list[tuple[str, object]]) -> object:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    for key, _ in pairs:
        if key not in value:
            break
        del value[key]
    return _Mark(f"the key '{shown(key)}' occurs twice")


def _integer(literal: str) -> object:
    value = as_integer(literal)
    return _Mark(_BIG_INTEGER) if value is None else value


def _stored_integer(literal: str) -> object:
    value = as_integer(literal)
    return _fraction(literal) if value is None else value


def _fraction(literal: str) -> object:
    number = float(literal)
    if repr(number) == literal:
        return number
    exponent = literal.lower().partition("e")[2].lstrip("+-").lstrip("0")
    if len(exponent) > 3 or (exponent and int(exponent) > MAX_EXPONENT):
        return _Mark(_ODD_EXPONENT)
    if math.isinf(number) or (number == 0 and decimal(literal)[0] != "0"):
        return _Mark(_ODD_EXPONENT)
    integer = as_integer(literal)
    if integer is not None:
        return integer
    return _Mark(_INEXACT) if loses_digits(literal, number) else number


def _constant(name: str) -> object:
    return _Mark(f"{name} is not JSON")


_SENT = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)
_STORED = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_stored_integer, parse_float=_fraction, parse_constant=_constant
)


# --- Value to plain value ---------------------------------------------------------------------


class _Walk:
    """One walk through a value: makes it plain JSON, or raises the fault with its path."""

    __slots__ = ("odd_float", "through_doubles")

    def __init__(self, *, through_doubles: bool) -> None:
        self.through_doubles = through_doubles
        self.odd_float = False
        """Whether there is a float that orjson and RFC 8785 may write differently."""

    def plain(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str or kind is bool or value is None:
            return value
        if kind is int:
            return self._integer(value)
        if kind is dict:
            return self._object(value, depth + 1)
        if kind is list or kind is tuple:
            return self._array(value, depth + 1)
        if kind is float:
            return self._float(value)
        return self._unusual(value, depth)

    def _object(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise DocumentFault("$", _TOO_DEEP)
        plain: dict[str, Any] = {}
        for key, item in value.items():
            if type(key) is not str:
                raise DocumentFault("$", f"a key is a Python {type(key).__name__}, not a str")
            try:
                plain[key] = item if type(item) is str else self.plain(item, depth)
            except DocumentFault as fault:
                fault.within(key)
                raise
        return plain

    def _array(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        if depth > MAX_DEPTH:
            raise DocumentFault("$", _TOO_DEEP)
        plain: list[Any] = []
        for item in value:
            try:
                plain.append(item if type(item) is str else self.plain(item, depth))
            except DocumentFault as fault:
                fault.within(len(plain))
                raise
        return plain

    def _integer(self, value: int) -> int:
        if is_integer(value):
            return value
        raise DocumentFault("$", _BIG_INTEGER)

    def _float(self, value: float) -> int | float:
        size = abs(value)
        if size <= DOUBLE_INTEGER and value.is_integer():
            return int(value)
        if not math.isfinite(value):
            raise DocumentFault("$", f"{value} is not JSON")
        if not 1e-64 <= size < 1e65:
            raise DocumentFault("$", _ODD_EXPONENT)
        if size > DOUBLE_INTEGER:
            if self.through_doubles:
                raise DocumentFault("$", "the number is beyond ±(2^53-1); send the document as JSON text")
            integer = as_integer(repr(value))
            if integer is not None:
                return integer
        self.odd_float |= not 1e-5 <= size <= DOUBLE_INTEGER
        return value

    def _unusual(self, value: object, depth: int) -> Any:
        if isinstance(value, _Mark):
            raise DocumentFault("$", value.problem)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return self._integer(int(value))
        if isinstance(value, float):
            return self._float(float(value))
        if isinstance(value, dict):
            return self._object(value, depth + 1)
        if isinstance(value, list | tuple):
            return self._array(value, depth + 1)
        raise DocumentFault("$", f"a Python {type(value).__name__} is not JSON")


def _check_strings(value: object) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise DocumentFault("$", "a string or key contains U+0000")
        if re.search("[\ud800-\udfff]", value):
            raise DocumentFault("$", "a string or key contains a lone surrogate")
    elif isinstance(value, dict | list):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            _check_strings(step)
            try:
                _check_strings(item)
            except DocumentFault as fault:
                fault.within(step)
                raise
