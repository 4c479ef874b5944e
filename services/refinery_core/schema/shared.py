"""Schemas that many others refer to, read by the library once for all their validators."""

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
    Compositions in a registry of the library, with all that they refer to.

    The library compiles the parts that a schema reaches, and does not check again that they are schemas:
    each was compiled by itself when it was refined.
    """

    def __init__(self, guests: Mapping[str, Composition]) -> None:
        self.guests = guests
        self._lock = threading.Lock()
        self._plain: jsonschema_rs.Registry | None = None
        self._counting: jsonschema_rs.Registry | None = None

    @cached_property
    def patterns(self) -> int:
        """The number of their patterns."""
        return sum(count_patterns(made) for _, made in self._resources())

    @property
    def plain(self) -> jsonschema_rs.Registry:
        """The registry of them and the meta-schemas."""
        with self._lock:
            if self._plain is None:
                self._plain = _registry(self._resources())
            return self._plain

    @property
    def counting(self) -> jsonschema_rs.Registry:
        """The registry of their copies that count, and the meta-schemas."""
        with self._lock:
            if self._counting is None:
                self._counting = _registry((address, counting(made)) for address, made in self._resources())
            return self._counting

    def _resources(self) -> Iterable[tuple[str, Any]]:
        return ((address_of(ref), guest.resource(address_of(ref))) for ref, guest in self.guests.items())


def to_share(guests: Mapping[str, Composition], size: int = _LARGE) -> dict[str, Composition]:
    """By ref, the guests of a schema that have at least so many bytes, and all that these refer to."""
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
    raise ValueError(f"'{address}' is in no schema here, and nothing is ever fetched")


NOTHING_SHARED: Final = Shared({})
