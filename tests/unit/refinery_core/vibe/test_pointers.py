from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_core.vibe import pointers
from refinery_core.vibe.pointers import PointerFault, pointer_tokens


def test_a_fragment_is_decoded_to_the_keys_it_leads_through() -> None:
    assert pointer_tokens("") == ()
    assert pointer_tokens("/") == ("",)
    assert pointer_tokens("/definitions/a~1b/m~0n/c%20d/0/~01") == (
        "definitions",
        "a/b",
        "m~n",
        "c d",
        "0",
        "~1",
    )


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_tokens_come_back_from_a_pointer_and_from_its_fragment(tokens: list[str]) -> None:
    pointer = pointers.written(tokens)
    assert list(pointers.read(pointer)) == tokens
    assert list(pointer_tokens(pointers.as_fragment(pointer))) == tokens


@pytest.mark.parametrize(
    ("fragment", "problem"),
    [("x", "does not start with '/'"), ("/~2", "not followed by 0 or 1"), ("/%FF", "not UTF-8")],
)
def test_what_is_no_pointer_is_refused(fragment: str, problem: str) -> None:
    with pytest.raises(PointerFault, match=problem):
        pointer_tokens(fragment)


def test_a_step_takes_a_key_or_an_index() -> None:
    assert pointers.step({"0": "a"}, "0") == "a"
    assert pointers.step(["b"], "0") == "b"
