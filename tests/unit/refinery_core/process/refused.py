"""Documents with one mistake, and the sentence that refuses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from refinery_core.process.checker import ProcessFault

DOCUMENT: dict[str, Any] = {"dsl": "1.0.3", "namespace": "tests", "name": "a", "version": "0.1.0"}
NOTHING: dict[str, Any] = {"set": {"a": 1}}
GET: dict[str, Any] = {"method": "get", "endpoint": "https://example.com"}
T = "/do/0/t"


def top(**members: Any) -> dict[str, Any]:
    return {"document": DOCUMENT, "do": [{"t": NOTHING}], **members}


def document(**members: Any) -> dict[str, Any]:
    return top(document={**DOCUMENT, **members})


def one(**task: Any) -> dict[str, Any]:
    return top(do=[{"t": task}])


def tasks(*named: tuple[str, Any], **members: Any) -> dict[str, Any]:
    return top(do=[{name: task} for name, task in named], **members)


def http(**members: Any) -> dict[str, Any]:
    return one(call="http", **{"with": {**GET, **members}})


def catch(use: Any = None, **members: Any) -> dict[str, Any]:
    members = {"t": {"try": [{"a": NOTHING}], "catch": members}}
    return top(do=[members]) if use is None else top(do=[members], use=use)


def listen(**to: Any) -> dict[str, Any]:
    return one(listen={"to": to})


def use(**members: Any) -> dict[str, Any]:
    return top(use=members)


def nested(levels: int) -> dict[str, Any]:
    task: dict[str, Any] = NOTHING
    for _ in range(levels):
        task = {"do": [{"t": task}]}
    return one(**task)


def deep(levels: int) -> Any:
    data: Any = 1
    for _ in range(levels):
        data = [data]
    return {"data": data}


GRPC = {"service": {"name": "a.B", "host": "localhost"}, "method": "C"}
EVENT = {"one": {"with": {"type": "x"}}}
PROBLEM = {"type": "https://example.com/x", "status": 400}


def check(read: Callable[[Any], Any], solution: Any, path: str, problem: str) -> None:
    """Expect a refusal in one sentence, at the mistake."""
    with pytest.raises(ProcessFault) as refused:
        read(solution)
    assert refused.value.path == path
    assert problem in refused.value.problem
    assert "\n" not in refused.value.problem
    assert len(refused.value.problem) < 300
