"""Pages: a list is read one page at a time, and yielded one item at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol, TypeVar

import grpc

from refinery_client.retry import Patience

T = TypeVar("T")


class _PageRequest(Protocol):
    page_token: str


class _Page(Protocol):
    next_page_token: str


Q = TypeVar("Q", bound=_PageRequest)
P = TypeVar("P", bound=_Page)


async def items_of(
    patience: Patience,
    method: grpc.aio.UnaryUnaryMultiCallable[Q, P],
    request: Q,
    read: Callable[[P], Iterable[T]],
    *,
    timeout_seconds: float | None,
) -> AsyncIterator[T]:
    """Yield every item of every page. The timeout is that of one page."""
    while True:
        page: Any = await patience.call(method, request, timeout_seconds)
        for item in read(page):
            yield item
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
