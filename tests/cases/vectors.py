"""The stored vectors of docs/verifying.md. They are never generated again: code that differs is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson
import pytest

VECTORS: Final[dict[str, list[dict[str, Any]]]] = orjson.loads(
    (Path(__file__).parents[2] / "docs" / "verifying" / "vectors.json").read_bytes()
)


def each(format_: str) -> pytest.MarkDecorator:
    """Run a test once for each vector of a format."""
    return pytest.mark.parametrize("vector", VECTORS[format_], ids=lambda vector: vector["name"])
