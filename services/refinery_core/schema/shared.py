"""What many schemas refer to, taken in by the library once for all their validators."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final, NoReturn

import jsonschema_rs
from jsonschema_specifications import REGISTRY as SPECIFICATIONS

from refinery_core.schema.bundle import address_of
from refinery_core.schema.composition import Composition
from refinery_core.schema.meter import counting
from refinery_core.schema.patterns import count_patterns

_LARGE = 32 << 10
"""Bytes from which a document is shared. A smaller one is compiled faster as a part of each bundle."""

# The library knows the meta-schema of the root's dialect only; a bundle may mix dialects.
_META_SCHEMAS: Final = [
    (uri, SPECIFICATIONS.contents(uri))
    for uri in SPECIFICATIONS
    if any(dialect in uri for dialect in ("draft-07", "2019-09", "2020-12"))
]


class Shared:
    """
    Compositions where the library finds them, closed under what they refer to.

    It compiles of them what a schema reaches, and does not check again that they are schemas: each was
    compiled by itself when it was refined.
    """

    def __init__(self, guests: Mapping[str, Composition]) -> None:
        self.guests = guests
        self._lock = threading.Lock()
        self._plain: jsonschema_rs.Registry | None = None
        self._counting: jsonschema_rs.Registry | None = None

    @cached_property
    def patterns(self) -> int:
        """How many patterns they have."""
        return sum(count_patterns(made) for _, made in self._resources())

    @property
    def plain(self) -> jsonschema_rs.Registry:
        """They, and the meta-schemas."""
        with self._lock:
            if self._plain is None:
                self._plain = _registry(self._resources())
            return self._plain

    @property
    def counting(self) -> jsonschema_rs.Registry:
        """Their copies that count, and the meta-schemas."""
        with self._lock:
            if self._counting is None:
                self._counting = _registry((address, counting(made)) for address, made in self._resources())
            return self._counting

    def _resources(self) -> Iterable[tuple[str, Any]]:
        return ((address_of(ref), guest.resource(address_of(ref))) for ref, guest in self.guests.items())


def to_share(guests: Mapping[str, Composition], size: int = _LARGE) -> dict[str, Composition]:
    """Those of all guests of a schema, by ref, that have at least so many bytes, and what they refer to."""
    found: dict[str, Composition] = {}
    todo = [ref for ref, guest in guests.items() if guest.document.size >= size]
    while todo:
        ref = todo.pop()
        if ref not in found:
            found[ref] = guests[ref]
            todo += guests[ref].document.refs
    return found


def _registry(resources: Iterable[tuple[str, Any]]) -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry([*_META_SCHEMAS, *resources], retriever=_fetch_nothing)


def _fetch_nothing(address: str) -> NoReturn:
    raise ValueError(f"'{address}' is not at hand, and nothing is ever fetched")


NOTHING_SHARED: Final = Shared({})
