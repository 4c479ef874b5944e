"""Pinned schemas with all that they are composed from, each read, bundled and estimated once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from refinery_core.errors import ResolutionTooLarge, UnknownReference
from refinery_core.schema import bundle
from refinery_core.schema.looks import Looks
from refinery_core.vibe.documents import MAX_BYTES
from refinery_core.vibe.jsonb import answerable, printed, printed_size
from refinery_core.vibe.keywords import schema_at
from refinery_core.vibe.pointers import pointer_tokens
from refinery_core.vibe.references import ORIGINAL, REF, RESOLVED

FIELD: Final = "schema"
"""The field that refusals name; the caller knows where the schema stands in its request."""


class Document:
    """One pinned schema."""

    def __init__(self, text: str) -> None:
        """Read the text of a request, or of JSONB."""
        self.value: Any = orjson.loads(answerable(text))
        self.size = printed_size(self.value)
        """The number of bytes that JSONB prints of it."""
        self.digest = hashlib.sha256(orjson.dumps(self.value, option=orjson.OPT_SORT_KEYS)).digest()
        """SHA-256 over its value: the same however the text is spaced."""
        pins = _pins(self.value) if f'"{RESOLVED}"' in text else ()
        self.pins: tuple[tuple[str, str], ...] = tuple(dict.fromkeys(pins))
        """The refs that it refers to, each with a fragment, or an empty one."""
        self.refs = tuple(sorted({ref for ref, _ in self.pins}))
        self.is_bare = bundle.is_bare(self.value)


class Composition:
    """A document and, by ref, its guests: the compositions that it refers to, which many may share."""

    def __init__(self, document: Document, guests: Mapping[str, Composition]) -> None:
        """Raises UnknownReference for a fragment that leads to no schema of the guest."""
        self.document = document
        self.guests = guests
        self.digest = digest_of(document, guests)
        self.height: int = 1 + max((guest.height for guest in guests.values()), default=0)
        """The number of levels, this one included."""
        for ref, fragment in document.pins:
            if fragment and schema_at(guests[ref].document.value, pointer_tokens(fragment)) is None:
                raise UnknownReference(field=FIELD, reference=f"aug:{ref}#{fragment}")
        # Threads and the event loop share a composition; locks are always taken from the root to its guests.
        self._lock = threading.RLock()
        self._resources: dict[str, tuple[dict[str, Any], int]] = {}
        self._looks: Looks | None = None

    def resource(self, address: str) -> dict[str, Any]:
        """The document as a part of a bundle, by the name that it has there."""
        return self.sized(address)[0]

    def sized(self, address: str) -> tuple[dict[str, Any], int]:
        """The same, and the number of bytes that JSONB prints of it."""
        with self._lock:
            if address not in self._resources:
                bare = {
                    bundle.address_of(ref) for ref, guest in self.guests.items() if guest.document.is_bare
                }
                if self.document.is_bare:
                    bare.add(address)
                made = bundle.resource(self.document.value, address, bare)
                self._resources[address] = made, printed_size(made)
            return self._resources[address]

    def looks(self, address: str) -> Looks:
        """The looks of the document, under any name; raise SchemaFault where they are too many."""
        with self._lock:
            if self._looks is None:
                guests = {
                    bundle.address_of(ref): guest.looks(bundle.address_of(ref))
                    for ref, guest in self.guests.items()
                }
                self._looks = Looks(self.resource(address), guests)
            return self._looks


def digest_of(document: Document, guests: Mapping[str, Composition]) -> bytes:
    """SHA-256 over the text of a composition and of all that it is composed from."""
    whole = hashlib.sha256(document.digest)
    for ref in document.refs:
        whole.update(ref.encode() + b" " + guests[ref].digest)
    return whole.digest()


def bundled(
    root: Composition, address: str, guests: Mapping[str, Composition], *, without: Mapping[str, object]
) -> dict[str, Any]:
    """
    The compound document.

    Args:
        root: The schema to bundle.
        address: The `$id` that it gets.
        guests: All that it is composed from, by ref.
        without: By ref, guests that stay outside of the bundle.

    Raises:
        ResolutionTooLarge: with all of them it would have more than 1 MiB.
    """
    own, size = root.sized(address)
    resources: dict[str, dict[str, Any]] = {}
    sizes: dict[str, int] = {}
    for ref, guest in guests.items():
        name = bundle.address_of(ref)
        made, sizes[name] = guest.sized(name)
        if ref not in without:
            resources[name] = made
    if bundled_size(own, size, sizes) > MAX_BYTES:
        raise ResolutionTooLarge(field=FIELD, limit=MAX_BYTES)
    return bundle.bundle(own, resources)


def bundled_text(root: Composition, address: str, guests: Mapping[str, Composition]) -> str:
    """The compound document as JSON text, as JSONB prints it."""
    return printed(bundled(root, address, guests, without={}))


def bundled_size(root: Mapping[str, Any], size: int, guests: Mapping[str, int]) -> int:
    """The number of bytes that JSONB prints of a bundle, given the sizes of its parts."""
    if not guests:
        return size
    own, container = bundle.own_definitions(root), bundle.container_of(root)
    names = (f"{name}#" if name in own else name for name in guests)
    entries = sum(len(orjson.dumps(name)) + len(": , ") for name in names) + sum(guests.values()) - len(", ")
    if own:
        return size + len(", ") + entries
    return size + entries + (0 if container in root else len(f', "{container}": {{}}'))


def _pins(value: Any) -> Iterator[tuple[str, str]]:
    for node in bundle.objects(value):
        ref = node.get(RESOLVED)
        if isinstance(ref, str):
            written = node.get(REF, node.get(ORIGINAL))
            yield ref, written.partition("#")[2] if isinstance(written, str) else ""
