"""REFINERY_ROOT names principals, and nothing that would let nobody in."""

from __future__ import annotations

import pytest

from refinery_core.settings import CannotStart
from refinery_core.stored.rights import principals


@pytest.mark.parametrize(
    "root", ["*", "ada", "spiffe://example/*", "group:https://idp.example#desk", "x509:a, ada", "jwt:\0"]
)
def test_a_root_that_can_be_nobody_is_refused(root: str) -> None:
    with pytest.raises(CannotStart, match="is no principal"):
        principals(root)


def test_roots_stand_between_commas() -> None:
    assert principals("") == frozenset()
    assert principals(" x509:ops.example, ,spiffe://example/ops") == {
        "x509:ops.example",
        "spiffe://example/ops",
    }
