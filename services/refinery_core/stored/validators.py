"""Validators of pinned schemas: each made once, however many need it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from refinery_core.kept import Kept
from refinery_core.schema.composition import Composition
from refinery_core.schema.shared import NOTHING_SHARED, Shared, to_share
from refinery_core.schema.validator import Validator, compile_composition
from refinery_core.stored.aside import LARGE
from refinery_core.stored.sources import MEMORY_OF_A_BYTE, Composed

T = TypeVar("T")

_MADE_AT_ONCE = 2
"""The number of large validators that are made at once, each in a thread."""

MOST_VALIDATORS = 4_096
"""The most validators, because small ones take more memory than their bytes say."""


class Validators:
    """Makes validators and keeps them, by a key that stands for all that a schema is composed from."""

    def __init__(self, cache_bytes: int, shared_bytes: int) -> None:
        """Keep the validators of so many bytes of schemas, and so many bytes that these share."""
        self._kept: Kept[bytes, Validator] = Kept(cache_bytes, most=MOST_VALIDATORS)
        self._shared: Kept[frozenset[tuple[str, bytes]], Shared] = Kept(shared_bytes)
        self._making: dict[bytes, asyncio.Task[Validator]] = {}
        self._turns = asyncio.Semaphore(_MADE_AT_ONCE)

    def get(self, key: bytes) -> Validator | None:
        """The validator, if it is in the cache."""
        return self._kept.get(key)

    async def of(self, key: bytes, composed: Composed) -> Validator:
        """
        The validator of a composed schema.

        Raises:
            SchemaFault: it, or what it is composed from, is not a JSON Schema.
            ResolutionTooLarge: its bundle would have more than 1 MiB.
        """
        shared = self._share(composed.guests)
        return await self.made(
            key, composed.size, partial(compile_composition, composed.root, composed.guests, shared)
        )

    async def made(self, key: bytes, size: int, work: Callable[[], Validator]) -> Validator:
        """The validator by a key, else what `work` makes of so many bytes; raises what that raises."""
        validator = self._kept.get(key)
        if validator is not None:
            return validator
        if size < LARGE:
            validator = work()
            self._kept.keep(key, validator, size)
            return validator
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = asyncio.create_task(self._make(key, size, work))
            making.add_done_callback(partial(self._forget, key))
        return await asyncio.shield(making)

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Do work that compiles, in a thread, when it is its turn."""
        async with self._turns:
            return await asyncio.to_thread(work)

    async def _make(self, key: bytes, size: int, work: Callable[[], Validator]) -> Validator:
        validator = await self.in_turn(work)
        self._kept.keep(key, validator, size)
        return validator

    def _forget(self, key: bytes, making: asyncio.Task[Validator]) -> None:
        del self._making[key]
        if not making.cancelled():
            making.exception()  # All callers that waited may be cancelled.

    def _share(self, guests: Mapping[str, Composition]) -> Shared:
        large = to_share(guests)
        if not large:
            return NOTHING_SHARED
        key = frozenset((ref, guest.digest) for ref, guest in large.items())
        shared = self._shared.get(key)
        if shared is None:
            shared = Shared(large)
            size = sum(guest.document.size for guest in large.values())
            self._shared.keep(key, shared, MEMORY_OF_A_BYTE * size)
        return shared
