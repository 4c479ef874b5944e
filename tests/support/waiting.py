"""Waiting in tests: for a condition, and never for seconds."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Final

PATIENCE: Final = 90.0
"""Seconds after which a condition will never be met; beside two busy loops it takes a part of them."""
_GLANCE: Final = 0.01


async def until(condition: Callable[[], Awaitable[object] | object]) -> None:
    """Wait until a condition is met, which may have to be awaited."""
    async with asyncio.timeout(PATIENCE):
        while not await _met(condition):
            await asyncio.sleep(_GLANCE)


async def _met(condition: Callable[[], Awaitable[object] | object]) -> object:
    met = condition()
    return await met if inspect.isawaitable(met) else met
